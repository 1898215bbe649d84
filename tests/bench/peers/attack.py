"""attack.py -- minimum distances: `robust attack` beside foolbox, torchattacks and ART.

usage: attack.py ROBUST MODEL DATA NORM [--count N] [--first I] [--steps S] [--namesakes]
                 [--recipe TEXT] [--set NAME=VALUE ...] [--data NAME=VALUE ... --library FILE]
                 [--out FILE] [--cached FILE]

MODEL is a .safetensors file with PyTorch's names: an LSTM with a linear head on the last step
(--recipe "lstm readout=last"), or what `robust train` wrote (lstm, gru, rnn, transformer), whose
own check values the PyTorch twin has to reproduce. DATA is a UCR .tsv, or whatever `robust attack`
reads with the same --data, which then is read by the library FILE; NORM is l2, linf, l1 or l0.
Every peer starts from the same predictions, in a box wide enough not to matter; its points are
judged again in float64 and measured. Peers (STEPS gradients each, C&W and EAD 5 constants of
STEPS/5, DeepFool 50, Brendel-Bethge STEPS/2 from another series; it needs numba):
    foolbox FMN, DDN, C&W, EAD, DeepFool, BB; torchattacks FAB, C&W (l2); ART C&W (l2), EAD (l1).
"auto" gets as many gradients a series as all peers took together. With --namesakes each peer is
set beside our method of that name, at its own number of gradients. --out appends what was found,
one line of JSON; --cached takes the peers' part from such a file instead of running them.

Printed: medians, gradients, seconds; ours over the best of all peers together: median, share of
series more than 1 % worse; and for every attack a the local optimality of AttackBench (Cina et
al., 2025), 1 - (A(a) - A*)/(eps0 - A*), A the area below the curve of robust accuracy from 0 to
eps0, A* of the best distances of all attacks, eps0 where that one is 0. Without torch or foolbox
it says so and exits 0.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import time
import warnings

try:
    import foolbox
    import numpy
    import torch
    from safetensors import safe_open
except ImportError as missing:
    print(f"absent {missing.name} (pip install torch foolbox safetensors)")
    sys.exit(0)

warnings.filterwarnings("ignore")
PEERS_ONLY_IN = {"l2": ("FMN", "DDN", "C&W", "DeepFool", "BB", "FAB", "C&W ta", "C&W ART"),
                 "linf": ("FMN", "DeepFool", "BB", "FAB"),
                 "l1": ("FMN", "EAD", "BB", "FAB", "EAD ART"),
                 "l0": ("FMN", "BB")}
NAMESAKE = {"FMN": "fmn", "DDN": "ddn", "C&W": "cw", "C&W ta": "cw", "C&W ART": "cw",
            "EAD": "ead", "EAD ART": "ead", "FAB": "fab", "DeepFool": "deepfool"}


# ---- the PyTorch twin ----------------------------------------------------------------------

class Recurrent(torch.nn.Module):
    def __init__(self, kind, weights, body, head, words):
        super().__init__()
        gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
        hh = weights[body + ".weight_hh_l0"]
        layers = sum(k.startswith(body + ".weight_ih_l") for k in weights)
        make = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[kind]
        extra = {"nonlinearity": words["nonlinearity"]} if kind == "rnn" else {}
        self.body = make(weights[body + ".weight_ih_l0"].shape[1], hh.shape[0] // gates, layers,
                         batch_first=True, **extra)
        self.out = torch.nn.Linear(weights[head + ".weight"].shape[1],
                                   weights[head + ".weight"].shape[0])
        self.mean = words.get("readout") == "mean"

    def forward(self, x):
        h = self.body(x)[0]
        return self.out(h.mean(1) if self.mean else h[:, -1])


class Encoder(torch.nn.Module):
    def __init__(self, weights, words):
        super().__init__()
        width, layers = int(words["hidden"]), int(words["layers"])
        self.embed = torch.nn.Linear(weights["embed.weight"].shape[1], width)
        layer = torch.nn.TransformerEncoderLayer(
            width, int(words["heads"]), int(words["feedforward"]), dropout=0.0,
            activation=words["activation"], batch_first=True, norm_first=words["norm"] == "first")
        norm = torch.nn.LayerNorm(width) if "encoder.norm.weight" in weights else None
        self.body = torch.nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)
        self.out = torch.nn.Linear(width, weights["fc.weight"].shape[0])
        self.place = weights.get("pos_embedding")
        self.mean = words["readout"] == "mean"

    def forward(self, x):
        h = self.embed(x)
        if self.place is not None:
            h = h + self.place.to(h.dtype).reshape(-1, h.shape[-1])[:h.shape[1]]
        h = self.body(h)
        return self.out(h.mean(1) if self.mean else h[:, -1])


class Counted(torch.nn.Module):
    """Counts the rows of passes that a gradient may follow."""
    def __init__(self, net):
        super().__init__()
        self.net, self.rows = net, 0

    def forward(self, x):
        self.rows += len(x) if torch.is_grad_enabled() else 0
        return self.net(x)


def load(path, recipe):
    with safe_open(path, "pt") as f:
        weights = {k: f.get_tensor(k) for k in f.keys()}
        text = recipe or (f.metadata() or {}).get("robust.recipe")
    kind, *rest = text.split()
    words = dict(w.split("=", 1) for w in rest)
    checks = weights.pop("robust.check.x", None), weights.pop("robust.check.y", None)
    if kind == "transformer":
        net, names = Encoder(weights, words), {"encoder.": "body.", "fc.": "out.", "embed.": "embed."}
    else:
        body = next(k for k in weights if k.endswith("weight_ih_l0"))[:-len(".weight_ih_l0")]
        head = next(k for k in weights if k.endswith(".weight") and not k.startswith(body + "."))[:-7]
        net, names = Recurrent(kind, weights, body, head, words), {body + ".": "body.", head + ".": "out."}
    state = {new + k[len(old):]: v for k, v in weights.items() for old, new in names.items()
             if k.startswith(old)}
    net.load_state_dict(state)
    net.eval()
    if checks[0] is not None:
        with torch.no_grad():
            gap = (net(checks[0].float()) - checks[1].float()).abs().max()
        assert gap < 1e-4, f"the twin differs by {gap}"
    return net


# ---- peers ---------------------------------------------------------------------------------

def by_foolbox(make):
    def run(net, x, label, edge):
        framed = foolbox.PyTorchModel(net, bounds=(-edge, edge), device="cpu")
        return make(foolbox.attacks)(framed, x, label, epsilons=None)[1]
    return run


class Unit(torch.nn.Module):
    """The same net on [0, 1], which torchattacks insists on."""
    def __init__(self, net, edge):
        super().__init__()
        self.net, self.edge = net, edge

    def forward(self, z):
        return self.net(z * (2 * self.edge) - self.edge)


def by_bethge(make):
    """Started at the nearest series with another answer; by itself it finds no start for some."""
    def run(net, x, label, edge):
        far = torch.cdist(x.flatten(1), x.flatten(1))
        far[label[:, None] == label[None, :]] = float("inf")
        framed = foolbox.PyTorchModel(net, bounds=(-edge, edge), device="cpu")
        return make(foolbox.attacks)(framed, x, label, epsilons=None,
                                     starting_points=x[far.argmin(dim=1)])[1]
    return run


def by_torchattacks(make):
    def run(net, x, label, edge):
        import torchattacks
        unit = Unit(net, edge).eval()
        z = make(torchattacks, unit)((x + edge) / (2 * edge), label)
        return z * (2 * edge) - edge
    return run


def by_art(make):
    def run(net, x, label, edge):
        from art.estimators.classification import PyTorchClassifier
        import art.attacks.evasion as evasion
        framed = PyTorchClassifier(net, torch.nn.CrossEntropyLoss(), x.shape[1:],
                                   net(x[:1]).shape[1], clip_values=(-edge, edge))
        return torch.tensor(make(evasion, framed).generate(x.numpy(), label.numpy()))
    return run


def all_peers(norm, steps):
    title = {"l0": "L0", "l1": "L1", "l2": "L2", "linf": "LInf"}[norm]
    share = max(steps // 5, 1)
    deep = {"l2": "L2DeepFoolAttack", "linf": "LinfDeepFoolAttack"}
    bethge = {"l0": "L0BrendelBethgeAttack", "l1": "L1BrendelBethgeAttack",
              "l2": "L2BrendelBethgeAttack", "linf": "LinfinityBrendelBethgeAttack"}
    return {
        "FMN": by_foolbox(lambda a: getattr(a, title + "FMNAttack")(steps=steps)),
        "DDN": by_foolbox(lambda a: a.DDNAttack(steps=steps)),
        "C&W": by_foolbox(lambda a: a.L2CarliniWagnerAttack(binary_search_steps=5, steps=share)),
        "EAD": by_foolbox(lambda a: a.EADAttack(binary_search_steps=5, steps=share,
                                                decision_rule="L1")),
        "DeepFool": by_foolbox(lambda a: getattr(a, deep[norm])(steps=50)),
        "BB": by_bethge(lambda a: getattr(a, bethge[norm])(steps=steps // 2)),
        "FAB": by_torchattacks(lambda t, net: t.FAB(
            net, norm=title.replace("LInf", "Linf"), eps=1e6, steps=share, n_restarts=1)),
        "C&W ta": by_torchattacks(lambda t, net: t.CW(net, c=1, steps=steps, lr=0.01)),
        "C&W ART": by_art(lambda e, net: e.CarliniL2Method(
            net, binary_search_steps=5, max_iter=share, batch_size=64, verbose=False)),
        "EAD ART": by_art(lambda e, net: e.ElasticNet(
            net, binary_search_steps=5, max_iter=share, decision_rule="L1", batch_size=64,
            verbose=False)),
    }


# ---- series --------------------------------------------------------------------------------

FILES = ("also", "meta-file", "time-file", "label-file")


def read_by_library(args):
    sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "examples" / "python"))
    import robust
    robust.load(args.library)
    ctx = robust.Ctx()
    data, named = robust.Data(ctx), [text.split("=", 1) for text in args.data]
    for name, value in named:
        try:
            data.set(ctx, name, float(value))
        except (ValueError, robust.Error):
            if name not in FILES:
                data.set_text(ctx, name, value)
    role = next((v for k, v in named if k == "role"), "auto")
    for name, value in named:
        if name in ("meta-file", "time-file"):
            data.set_text(ctx, "role", name[:4])
            data.read(ctx, value)
    data.set_text(ctx, "role", role)
    data.read(ctx, args.series)
    for name, value in named:
        if name == "also":
            data.read(ctx, value)
    last = min(args.first + args.count, data.count())
    return numpy.array([data.get(ctx, i)[0] for i in range(args.first, last)])


def read(args):
    if args.library:
        table = read_by_library(args)
    else:
        table = numpy.loadtxt(args.series, ndmin=2)[args.first:args.first + args.count, 1:, None]
    return torch.tensor(table, dtype=torch.float32)


# ---- measuring -----------------------------------------------------------------------------

def length(d, norm):
    flat = d.reshape(len(d), -1)
    return {"l2": lambda: flat.norm(dim=1), "linf": lambda: flat.abs().amax(dim=1),
            "l1": lambda: flat.abs().sum(dim=1),
            "l0": lambda: (flat != 0).sum(dim=1).double()}[norm]()


def judged(net, points, x, label, norm):
    wide = net.double()
    with torch.no_grad():
        fails = wide(points.double()).argmax(dim=1) != label
    net.float()
    far = torch.full((len(x),), float("inf"), dtype=torch.float64)
    # a point that was moved by its own rounding only has not been moved
    moved = points.double() - x.double()
    moved = torch.where(moved.abs() < 1e-6, torch.zeros_like(moved), moved) if norm == "l0" else moved
    return torch.where(fails, length(moved, norm), far)


def ours(args, method, calls):
    asked = {"auto": [f"calls={calls}"]}.get(method, [f"steps={calls}"]) + args.set
    begun = time.perf_counter()
    line = [args.robust, "attack", args.model, args.series, "--norm", args.norm, "--method", method,
            "--count", str(args.count), "--first", str(args.first), "--threads", "1", "--quiet"]
    line += ["--recipe", args.recipe] if args.recipe else []
    for text in asked:
        line += ["--set", text]
    for text in args.data:
        line += ["--data", text]
    text = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    found = [l for l in text.splitlines() if l.startswith("series ")]
    far = [float(re.search(r"broken at\D*(\S+)", l)[1]) if "broken at" in l else float("inf")
           for l in found]
    assert len(far) == args.count, text
    return torch.tensor(far, dtype=torch.float64), time.perf_counter() - begun


def optimality(d, best):
    edge = best.max()
    area, least = torch.minimum(d, edge).mean(), best.mean()
    return float(1 - (area - least) / (edge - least)) if edge > least else 1.0


def ratios(mine, theirs):
    r = torch.where(torch.isinf(mine) & torch.isinf(theirs), torch.ones_like(mine), mine / theirs)
    return f"median ratio {r.median():.4f}, more than 1 % worse {int((r > 1.01).sum())}, " \
           f"more than 1 % better {int((r < 0.99).sum())} of {len(r)}"


def arguments():
    p = argparse.ArgumentParser()
    for name in ("robust", "model", "series", "norm"):
        p.add_argument(name)
    for name, value in (("--count", 16), ("--first", 0), ("--steps", 300)):
        p.add_argument(name, type=int, default=value)
    for name in ("--recipe", "--library", "--out", "--cached"):
        p.add_argument(name, default="")
    p.add_argument("--namesakes", action="store_true")
    p.add_argument("--only", default="", help="peers, comma separated")
    for name in ("--set", "--data"):
        p.add_argument(name, action="append", default=[])
    return p.parse_args()


def wanted(args, name):
    return (name in PEERS_ONLY_IN[args.norm] and (not args.only or name in args.only.split(","))
            and (not args.namesakes or name in NAMESAKE))


def run_peers(args):
    """Distances (count) and gradients a series of every peer."""
    net = Counted(load(args.model, args.recipe)).eval()
    x = read(args)
    args.count = len(x)
    with torch.no_grad():
        label = net(x).argmax(dim=1)
    edge = 4 * float(x.abs().max())
    each, calls = {}, {}
    for name, run in all_peers(args.norm, args.steps).items():
        if not wanted(args, name):
            continue
        net.rows, begun = 0, time.perf_counter()
        try:
            points = run(net, x, label, edge)
        except Exception as error:  # a peer's crash is a result
            print(f"   {name}: {type(error).__name__}: {error}"[:120], flush=True)
            continue
        each[name], calls[name] = judged(net, points, x, label, args.norm), net.rows // args.count
        print(f"   {name:9} median {each[name].median():.4f}  found {int(each[name].isfinite().sum())}"
              f"/{args.count}  calls {calls[name]}  {time.perf_counter() - begun:.1f} s", flush=True)
        if args.namesakes:
            mine, took = ours(args, NAMESAKE[name], calls[name])
            print(f"      {NAMESAKE[name]:8} median {mine.median():.4f}  {took:.1f} s; over the peer's: "
                  f"{ratios(mine, each[name])}", flush=True)
    return each, calls


def remembered(args):
    """The same from a file of results, the latest line about this model, norm and series."""
    key = [args.norm, pathlib.Path(args.model).name, args.first]
    with open(args.cached) as f:
        lines = [json.loads(line) for line in f]
    same = [r for r in lines if [r["norm"], pathlib.Path(r["model"]).name, r["first"]] == key]
    each = {k: torch.tensor(v, dtype=torch.float64) for k, v in same[-1]["peers"].items()}
    args.count = len(next(iter(each.values())))
    return each, same[-1]["calls"]


def compare(args, each, calls):
    best = torch.stack(list(each.values())).amin(0)
    mine, took = ours(args, "auto", sum(calls.values()))
    print(f"   {'auto':9} median {mine.median():.4f}  found {int(mine.isfinite().sum())}/{args.count}"
          f"  calls {sum(calls.values())} (at most)  {took:.1f} s")
    print(f"   all peers median {best.median():.4f}; auto over it: {ratios(mine, best)}, "
          f"largest {float((mine / best).max()):.3f}")
    least = torch.minimum(best, mine)
    print("   local optimality: " + ", ".join(
        f"{k} {optimality(v, least):.4f}" for k, v in [("auto", mine)] + list(each.items())))
    return mine.tolist()


def main():
    args = arguments()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    each, calls = remembered(args) if args.cached else run_peers(args)
    result = {"norm": args.norm, "model": args.model, "first": args.first, "calls": calls,
              "peers": {k: v.tolist() for k, v in each.items()}}
    if not args.namesakes:
        result["auto"] = compare(args, each, calls)
    if args.out:
        with open(args.out, "a") as f:
            print(json.dumps(result), file=f)


if __name__ == "__main__":
    main()
