"""universal.py -- one perturbation for all: ours beside ART's, at equal norm, held out.

usage: ROBUST_DATA=FOLDER universal.py LIBRARY MODEL SET SEARCH HELD PASSES INNER,... SHARE ...

MODEL is a file of this library with one layer, LSTM or GRU, readout last or mean. SEARCH and
HELD series of the test part of SET, drawn by seed 1, serve to find a perturbation and to
judge it; radii are SHAREs of the mean norm of a series, in L2 and in Linf. INNER: "none"
(ours alone), or ART's UniversalPerturbation with deepfool (its default) or pgd inside,
PASSES times over the series, or fgsm for its TargetedUniversalPerturbation, which is set
beside ours towards the same class. ART's result is scaled to the full radius where it ended
inside. Both are judged by rob_attack_transfer on the held series: those that change class
(that become the target), of those that had the class they answered (another), with the exact
95 % interval. With SEARCH negative the training part is used instead, for tuning.
"""
import json
import pathlib
import sys
import time

import numpy as np
import published
from published import robust


def torch_model(path):
    """The same network in torch, (n, T) -> (n, L)."""
    import torch
    torch.backends.mkldnn.enabled = False  # slower for small states
    torch.set_num_threads(1)
    raw = pathlib.Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8:8 + size])
    recipe = head.pop("__metadata__")["robust.recipe"].split()
    kinds = {"F32": np.float32, "F64": np.float64}
    state = {key: torch.from_numpy(np.frombuffer(
        raw[8 + size + e["data_offsets"][0]:8 + size + e["data_offsets"][1]],
        kinds[e["dtype"]]).reshape(e["shape"]).astype(np.float32))
        for key, e in head.items() if not key.startswith("robust.")}
    mean = "readout=mean" in recipe
    body = next(k for k in state if k.endswith("weight_ih_l0"))[:-len("weight_ih_l0")]
    top = next(k for k in state if k.endswith(".weight"))[:-len("weight")]
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[recipe[0]]

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            hidden = state[body + "weight_hh_l0"].shape[1]
            self.body = kind(1, hidden, 1, batch_first=True)
            self.fc = torch.nn.Linear(hidden, state[top + "weight"].shape[0])

        def forward(self, x):
            h = self.body(x.reshape(len(x), -1, 1))[0]
            return self.fc(h.mean(1) if mean else h[:, -1])

    net = Net()
    net.body.load_state_dict({k[len(body):]: v for k, v in state.items()
                              if k.startswith(body)})
    net.fc.load_state_dict({k[len(top):]: v for k, v in state.items()
                            if k.startswith(top)})
    return net.eval()


def by_art(net, x, norm, eps, inner, passes, target):
    import torch
    from art.attacks.evasion import (TargetedUniversalPerturbation,
                                     UniversalPerturbation)
    from art.estimators.classification import PyTorchClassifier
    estimator = PyTorchClassifier(net, torch.nn.CrossEntropyLoss(), (x.shape[1],),
                                  net.fc.out_features, clip_values=(-20.0, 20.0))
    if inner == "fgsm":
        attack = TargetedUniversalPerturbation(
            estimator, attacker="fgsm", delta=0.01, max_iter=passes, eps=eps, norm=norm,
            attacker_params={"targeted": True, "eps": eps / 10, "norm": norm})
        goal = np.zeros((len(x), net.fc.out_features), np.float32)
        goal[:, target] = 1
        attack.generate(x, y=goal)
    else:
        words = {"deepfool": {"max_iter": 20, "verbose": False},
                 "pgd": {"eps": eps, "eps_step": eps / 4, "norm": norm, "max_iter": 20,
                         "verbose": False}}[inner]
        attack = UniversalPerturbation(estimator, attacker=inner, attacker_params=words,
                                       delta=0.01, max_iter=passes, eps=eps, norm=norm,
                                       batch_size=64, verbose=False)
        attack.generate(x)
    return np.ravel(attack.noise).astype(np.float64)


def ask(ctx, model, x, norm, eps, target):
    query = robust.Query(ctx, model)
    for row in x:
        query.add(ctx, row.astype(np.float64))
    query.set_ball(ctx, robust.LINF if norm == np.inf else robust.L2, eps)
    if target is not None:
        query.set_target(ctx, target)
    return query


def scaled(d, norm, eps):
    """To the full radius, a hair inside."""
    size = np.linalg.norm(d, norm)
    return d * (eps / size * (1 - 1e-6)) if size > 0 else d


def words(f):
    return f"{f[0]:.0f}/{f[1]:.0f} = {f[2]:.3f} [{f[3]:.3f}, {f[4]:.3f}]"


def compare(ctx, path, seek, held, norm, eps, passes, inner, settings):
    model = robust.Model.load(ctx, path)
    target = 0 if inner == "fgsm" else None
    held_query = ask(ctx, model, held, norm, eps, target)
    attack = robust.Attack(ctx, "universal")
    for name, value in settings:
        attack.set(ctx, name, float(value))
    begun = time.time()
    own = attack.universal(ctx, ask(ctx, model, seek, norm, eps, target))
    took = time.time() - begun
    line = f"ours {words(attack.transfer(ctx, held_query, own))} ({took:.1f} s)"
    if inner != "none":
        begun = time.time()
        theirs = by_art(torch_model(path), seek, norm, eps, inner, passes, target)
        took = time.time() - begun
        judged = attack.transfer(ctx, held_query, scaled(theirs, norm, eps))
        line += f"; ART {inner} {words(judged)} ({took:.1f} s)"
    return line


def main():
    settings = [a.split("=") for a in sys.argv if "=" in a]
    argv = [a for a in sys.argv if "=" not in a]
    robust.load(argv[1])
    path, name, search, many, passes = argv[2], argv[3], *map(int, argv[4:7])
    part = "TRAIN" if search < 0 else "TEST"
    rows = np.loadtxt(published.DATA / "ucr" / name / f"{name}_{part}.tsv")
    x = rows[:, 1:].astype(np.float32)
    order = np.random.default_rng(1).permutation(len(x))
    seek, held = x[order[:abs(search)]], x[order[abs(search):][:many]]
    ctx = robust.Ctx()
    for inner in argv[7].split(","):
        for norm in (2, np.inf):
            mean = np.mean([np.linalg.norm(row, norm) for row in x])
            for share in argv[8:]:
                eps = float(share) * float(mean)
                print(f"{pathlib.Path(path).stem} {len(seek)}+{len(held)} L{norm} "
                      f"{share} of the norm, {eps:.3f}:", compare(
                          ctx, path, seek, held, norm, eps, passes, inner, settings),
                      flush=True)


main()
