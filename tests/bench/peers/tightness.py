"""tightness.py -- auto_LiRPA's CROWN, or its alpha-CROWN where the lines say "alpha", on the
nets and series of tests/bench/tightness.c.

usage: tightness FOLDER > lines; tightness.py FOLDER [largest T [smallest T [series a batch
       [rounds of bisection]]]] < lines

For every series the peer bounds the margin at our eps (shares of our radius), all series of
a model in one batch (fewer where its memory does not hold them: about 8 GB a series for an
LSTM of T = 28, H = 32 in float64), each with an eps of its own.
Prints a model's shortfall (peer - ours) / (clean - peer), its worst and the share above
1e-3, and the radii: the peer's by bisection over a batch. Without auto_LiRPA it says so.
"""
import json
import pathlib
import statistics
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
        .reshape(entry["shape"]).copy()).double() for name, entry in head.items()}


def linear(weight, bias=None):
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight.data = weight.clone()
    if bias is not None:
        layer.bias.data = bias.clone()
    return layer


class Net(torch.nn.Module):
    """First logit minus second, unrolled by hand, one Linear per gate."""

    def __init__(self, w, kind, steps):
        super().__init__()
        self.kind, self.steps = kind, steps
        hidden = w[f"{kind}.weight_hh_l0"].shape[1]
        gates = {"rnn": 1, "lstm": 4, "gru": 3}[kind]
        self.gates = gates
        self.inputs, self.states = torch.nn.ModuleList(), torch.nn.ModuleList()
        bias = w[f"{kind}.bias_ih_l0"] + w[f"{kind}.bias_hh_l0"]
        if kind == "gru":   # b_hn stays inside r * (W_hn h + b_hn)
            bias[2 * hidden:] = w["gru.bias_ih_l0"][2 * hidden:]
        for t in range(self.steps):
            for g in range(gates):
                rows = slice(g * hidden, (g + 1) * hidden)
                own = torch.zeros(hidden, self.steps, dtype=torch.float64)
                own[:, t] = w[f"{kind}.weight_ih_l0"][rows, 0]
                self.inputs.append(linear(own, bias[rows]))
        for g in range(gates):
            rows = slice(g * hidden, (g + 1) * hidden)
            own = w["gru.bias_hh_l0"][rows] if kind == "gru" and g == 2 else None
            self.states.append(linear(w[f"{kind}.weight_hh_l0"][rows], own))
        self.first = w["gru.bias_hh_l0"][2 * hidden:] if kind == "gru" else None
        self.head = linear((w["fc.weight"][0] - w["fc.weight"][1])[None],
                           (w["fc.bias"][0] - w["fc.bias"][1])[None])

    def forward(self, v):
        h = c = None
        for t in range(self.steps):
            z = [self.inputs[self.gates * t + k](v) for k in range(self.gates)]
            if self.kind == "gru":
                h = self.gru_step(z, h)
                continue
            if t > 0:
                z = [z[k] + self.states[k](h) for k in range(self.gates)]
            if self.kind == "rnn":
                h = torch.tanh(z[0])
                continue
            i, f, g, o = (torch.sigmoid(z[0]), torch.sigmoid(z[1]), torch.tanh(z[2]),
                          torch.sigmoid(z[3]))
            c = i * g if t == 0 else f * c + i * g
            h = o * torch.tanh(c)
        return self.head(h)

    def gru_step(self, z, h):
        if h is None:
            r, u = torch.sigmoid(z[0]), torch.sigmoid(z[1])
            return (1 - u) * torch.tanh(z[2] + r * self.first)
        r, u = (torch.sigmoid(z[k] + self.states[k](h)) for k in range(2))
        n = torch.tanh(z[2] + r * self.states[2](h))
        return n + u * (h - n)


def crown(w, kind, x, eps, sign, batch):
    """Margins proved, `batch` series at a time."""
    parts = zip(x.split(batch), eps.split(batch), sign.split(batch))
    return torch.cat([crown_of(w, kind, *part) for part in parts])


NORM, METHOD = {"l2": 2, "linf": float("inf")}, {"norm": 2, "name": "CROWN"}


def crown_of(w, kind, x, eps, sign):
    module = BoundedModule(Net(w, kind, x.shape[1]), torch.empty_like(x),
                           bound_opts={"verbosity": 0})
    ball = BoundedTensor(x, PerturbationLpNorm(norm=METHOD["norm"], eps=eps[:, None]))
    with torch.set_grad_enabled(METHOD["name"] != "CROWN"):
        lower, _ = module.compute_bounds(x=(ball,), C=sign[:, None, None],
                                         method=METHOD["name"], bound_upper=False)
    return lower[:, 0].detach()


def radii(w, kind, x, start, sign, batch, rounds):
    """Each series' largest proved radius, between start/2 and 2 start, by bisection."""
    lo, up = start / 2, start * 2
    for _ in range(rounds):
        middle = (lo * up).sqrt()
        good = crown(w, kind, x, middle, sign, batch) > 0
        lo, up = torch.where(good, middle, lo), torch.where(good, up, middle)
    return lo, up


def study(folder, file, lines, batch, rounds):
    kind = file.split("_")[0]
    METHOD["norm"] = NORM[lines[0].get("norm", "l2")]
    METHOD["name"] = "alpha-CROWN" if lines[0].get("method") == "alpha" else "CROWN"
    w = tensors(folder / file)
    x = torch.tensor([line["x"] for line in lines], dtype=torch.float64)
    ours = torch.tensor([line["margin"] for line in lines], dtype=torch.float64)
    eps = torch.tensor([line["eps"] for line in lines], dtype=torch.float64)
    clean = Net(w, kind, x.shape[1])(x)[:, 0].detach()
    sign, short, begun = torch.sign(clean), [], time.perf_counter()
    for k in range(eps.shape[1]):
        peer = crown(w, kind, x, eps[:, k], sign, batch)
        short += ((peer - ours[:, k]) / (clean.abs() - peer)).tolist()
    took = (time.perf_counter() - begun) / eps.shape[1]
    own = torch.tensor([line["radius"] for line in lines], dtype=torch.float64)
    lo, up = radii(w, kind, x, own, sign, batch, rounds)
    print(json.dumps({
        "model": file, "norm": lines[0].get("norm", "l2"), "method": METHOD["name"],
        "series": len(lines), "worst shortfall": max(short),
        "median shortfall": statistics.median(short),
        "share above 1e-3": sum(s > 1e-3 for s in short) / len(short),
        "radius, ours over peer's, median between": [(own / up).median().item(),
                                                     (own / lo).median().item()],
        "peer seconds for all": took}), flush=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    torch.set_default_dtype(torch.float64)
    folder = pathlib.Path(sys.argv[1])
    given = [int(text) for text in sys.argv[2:]]
    longest, shortest, batch, rounds = given + [28, 1, 1000, 7][len(given):]
    lines = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    for file in dict.fromkeys(line["file"] for line in lines):
        mine = [line for line in lines if line["file"] == file]
        if shortest <= mine[0]["T"] <= longest:
            study(folder, file, mine, batch, rounds)


main()
