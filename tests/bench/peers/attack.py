"""attack.py -- minimum distances: `robust attack` beside foolbox, at its summed gradient calls.

usage: attack.py ROBUST MODEL DATA NORM [COUNT [STEPS]]

MODEL holds an LSTM (PyTorch's names, linear head on the last step), DATA a UCR .tsv, NORM is
l2 or linf. foolbox runs FMN and DDN (STEPS steps), Carlini and Wagner (5 constants of STEPS/3),
DeepFool (50) and Brendel-Bethge (STEPS/2) on the same first COUNT series from the same
predictions, in a box wide enough not to matter; each point is judged again in float64 and
measured. Ours gets as many gradients a series as all peers took together. Prints medians,
ratios and seconds; without torch or foolbox it says so and exits 0.
"""
import json
import subprocess
import sys
import time

try:
    import foolbox
    import numpy
    import torch
    from safetensors.torch import load_file
except ImportError as missing:
    print(f"absent {missing.name} (pip install torch foolbox safetensors)")
    sys.exit(0)


class Net(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        layers = sum(".weight_ih_l" in f".{k}" or "weight_ih_l" in k for k in weights)
        ih = next(k for k in weights if k.endswith("weight_ih_l0"))
        head = next(k[:-7] for k in weights if k.endswith(".weight") and k[:-7] != ih[:-13])
        self.rnn = torch.nn.LSTM(weights[ih].shape[1], weights[ih].shape[0] // 4, layers,
                                 batch_first=True)
        self.out = torch.nn.Linear(weights[head + ".weight"].shape[1],
                                   weights[head + ".weight"].shape[0])
        body = ih[:-len("weight_ih_l0")]
        self.rnn.load_state_dict({k[len(body):]: v for k, v in weights.items()
                                  if k.startswith(body)})
        self.out.load_state_dict({k: weights[f"{head}.{k}"] for k in ("weight", "bias")})
        self.rows = 0

    def forward(self, x):
        self.rows += len(x) if x.requires_grad or torch.is_grad_enabled() else 0
        return self.out(self.rnn(x)[0][:, -1])


def length(d, norm):
    flat = d.reshape(len(d), -1)
    return flat.norm(dim=1) if norm == "l2" else flat.abs().amax(dim=1)


def peers(norm, steps):
    """Constructors by name; Brendel-Bethge needs numba, and says so when made."""
    a = foolbox.attacks
    if norm == "l2":
        return {"FMN": lambda: a.L2FMNAttack(steps=steps),
                "DDN": lambda: a.DDNAttack(steps=steps),
                "C&W": lambda: a.L2CarliniWagnerAttack(binary_search_steps=5,
                                                       steps=steps // 3),
                "DeepFool": lambda: a.L2DeepFoolAttack(steps=50),
                "BB": lambda: a.L2BrendelBethgeAttack(steps=steps // 2)}
    return {"FMN": lambda: a.LInfFMNAttack(steps=steps),
            "DeepFool": lambda: a.LinfDeepFoolAttack(steps=50),
            "BB": lambda: a.LinfinityBrendelBethgeAttack(steps=steps // 2)}


def ours(robust, model, data, norm, count, calls):
    begun = time.perf_counter()
    text = subprocess.run(
        [robust, "attack", model, data, "--recipe", "lstm readout=last", "--norm", norm,
         "--count", str(count), "--set", f"calls={calls}", "--threads", "1", "--quiet"],
        capture_output=True, text=True, check=True).stdout
    found = [float(line.split()[-1]) for line in text.splitlines() if "broken at" in line]
    assert len(found) == count, text
    return torch.tensor(found, dtype=torch.float64), time.perf_counter() - begun


def main(robust, model, data, norm, count=16, steps=300):
    count, steps = int(count), int(steps)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = Net(load_file(model)).eval()
    wide = Net(load_file(model)).eval().double()
    table = numpy.loadtxt(data, ndmin=2)[:count, 1:]
    x = torch.tensor(table, dtype=torch.float32)[:, :, None]
    label = net(x).argmax(dim=1)
    edge = 4 * float(x.abs().max())
    framed = foolbox.PyTorchModel(net, bounds=(-edge, edge), device="cpu")
    best = torch.full((count,), float("inf"), dtype=torch.float64)
    each, calls, seconds = {}, 0, 0.0
    for name, make in peers(norm, steps).items():
        net.rows, begun = 0, time.perf_counter()
        try:
            _, points, _ = make()(framed, x, label, epsilons=None)
        except Exception as error:  # a peer's crash is a result
            print(f"   {name}: {type(error).__name__}: {error}"[:120])
            continue
        seconds += time.perf_counter() - begun
        calls += net.rows // count
        points = points.double()
        with torch.no_grad():
            fails = wide(points).argmax(dim=1) != label
        d = torch.where(fails, length(points - x.double(), norm),
                        torch.tensor(float("inf"), dtype=torch.float64))
        each[name] = d
        best = torch.minimum(best, d)
        print(f"   {name:9} median {d.median():.4f}  found {int(fails.sum())}/{count}  "
              f"calls {net.rows // count}  {time.perf_counter() - begun:.1f} s", flush=True)
    mine, took = ours(robust, model, data, norm, count, calls)
    ratio = mine / best
    print(f"   {'ours':9} median {mine.median():.4f}  found {int(mine.isfinite().sum())}/{count}"
          f"  calls {calls} (at most)  {took:.1f} s")
    print(f"   all peers median {best.median():.4f}  {seconds:.1f} s;  ours/peers' best: geometric "
          f"mean {ratio.log().mean().exp():.4f}, largest {ratio.max():.4f}; more than 1 % worse "
          f"{int((ratio > 1.01).sum())}, more than 1 % better {int((ratio < 0.99).sum())} of "
          f"{count}", flush=True)
    print(json.dumps({"norm": norm, "ours": mine.tolist(), "peers": best.tolist()}),
          file=sys.stderr)


main(*sys.argv[1:])
