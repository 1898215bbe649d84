"""lirpa.py -- what auto_LiRPA's CROWN proves of the models of tests/bench/bound.c, and how
long it takes.

usage: lirpa.py FOLDER [largest T]      after: bound FOLDER

Each model is unrolled by hand, one Linear per gate. Step t's input enters through Linears
on the whole flat sequence that are zero elsewhere, so that the L2 ball of the sequence is
kept: through x[:, t] it would be lost. Prints a line of JSON for each size, as bound does
(seconds: processor time of the call alone, the better of two below T = 50, without building);
with the lines of bound on standard input also the ratios. Without auto_LiRPA it says so and
exits 0.
"""
import json
import math
import pathlib
import resource
import sys
import time

try:
    import numpy as np
    import torch
    from auto_LiRPA import BoundedModule, BoundedTensor
    from auto_LiRPA.perturbations import PerturbationLpNorm
except ImportError as missing:
    print(f"absent {missing.name} (pip install torch auto_LiRPA)")
    sys.exit(0)

EPS = {(5, 16): 0.1, (10, 32): 0.1, (28, 32): 0.1, (50, 64): 0.05, (140, 64): 0.01}
torch.set_num_threads(1)
TYPES = {"F32": np.float32, "F64": np.float64}


def tensors(path):
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8:8 + size])
    head.pop("__metadata__", None)
    body = raw[8 + size:]
    return {name: torch.from_numpy(np.frombuffer(
        body[slice(*entry["data_offsets"])], TYPES[entry["dtype"]])
        .reshape(entry["shape"]).copy()).float() for name, entry in head.items()}


def linear(weight, bias=None):
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight.data = weight
    if bias is not None:
        layer.bias.data = bias
    return layer


class Unrolled(torch.nn.Module):
    """Margin of class c over the other of an LSTM with one feature and two classes."""

    def __init__(self, w, steps, c):
        super().__init__()
        self.steps, self.hidden = steps, w["lstm.weight_hh_l0"].shape[1]
        h = self.hidden
        self.inputs, self.states = torch.nn.ModuleList(), torch.nn.ModuleList()
        for t in range(steps):
            for gate in range(4):
                rows = slice(gate * h, (gate + 1) * h)
                own = torch.zeros(h, steps)
                own[:, t] = w["lstm.weight_ih_l0"][rows, 0]
                bias = w["lstm.bias_ih_l0"][rows] + w["lstm.bias_hh_l0"][rows]
                self.inputs.append(linear(own, bias))
        for gate in range(4):
            self.states.append(linear(w["lstm.weight_hh_l0"][gate * h:(gate + 1) * h]))
        row = w["fc.weight"][c] - w["fc.weight"][1 - c]
        self.head = linear(row[None], (w["fc.bias"][c] - w["fc.bias"][1 - c])[None])

    def forward(self, x):
        h = c = None
        for t in range(self.steps):
            z = [self.inputs[4 * t + k](x) for k in range(4)]
            if t > 0:
                z = [z[k] + self.states[k](h) for k in range(4)]
            i, f, g, o = (torch.sigmoid(z[0]), torch.sigmoid(z[1]), torch.tanh(z[2]),
                          torch.sigmoid(z[3]))
            c = i * g if t == 0 else f * c + i * g
            h = o * torch.tanh(c)
        return self.head(h)


def bound(path, steps, hidden):
    w = tensors(path)
    x = torch.tensor([[math.sin(0.37 * t) for t in range(steps)]])
    net = Unrolled(w, steps, 0)
    if net(x).item() < 0:
        net = Unrolled(w, steps, 1)
    clean, eps = net(x).item(), EPS[steps, hidden]
    module = BoundedModule(net, torch.empty_like(x), bound_opts={"verbosity": 0})
    ball = BoundedTensor(x, PerturbationLpNorm(norm=2, eps=eps))
    seconds = math.inf
    for _ in range(2 if steps < 50 else 1):
        begun = time.process_time()
        with torch.no_grad():
            lower, _ = module.compute_bounds(x=(ball,), method="CROWN", bound_upper=False)
        seconds = min(seconds, time.process_time() - begun)
    return {"tool": "auto_LiRPA", "T": steps, "H": hidden, "eps": eps, "clean": clean,
            "margin": lower.item(), "seconds": seconds,
            "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def ours():
    if sys.stdin.isatty():
        return {}
    lines = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    return {(line["T"], line["H"]): line for line in lines}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    longest = int(sys.argv[2]) if len(sys.argv) > 2 else 28
    mine = ours()
    for (steps, hidden) in EPS:
        path = folder / f"{steps}_{hidden}.safetensors"
        if steps > longest or not path.exists():
            continue
        peer = bound(path, steps, hidden)
        print(json.dumps(peer), flush=True)
        own = mine.get((steps, hidden))
        if own:
            drop = (own["clean"] - own["margin"]) / (peer["clean"] - peer["margin"])
            print(json.dumps({"T": steps, "H": hidden,
                              "times faster": peer["seconds"] / own["seconds"],
                              "margin drop, ours over peer's": drop}), flush=True)


main()
