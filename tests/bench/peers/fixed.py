"""fixed.py -- attacks in a ball of given radius: seconds and series broken, beside peers.

usage: ROBUST_DATA=FOLDER fixed.py LIBRARY time [THREADS [ROWS...]]
       ROBUST_DATA=FOLDER fixed.py LIBRARY break [MODEL [SERIES [NORM]]]

time: an untrained LSTM, H = 64, T = 140, D = 1, two classes, L-infinity; PGD of 40 steps
beside a plain torch loop (with and without oneDNN) and foolbox, Auto-PGD of 100 beside
torchattacks, all in turn, best of three rounds. break: one of TSFool's LSTMs on its own test
series, radii that break about 30, 50 and 70 %; torchattacks' APGD (cross-entropy, targeted
DLR), FAB, Square and AutoAttack beside ours at as many gradients or queries. Every point of
a peer is judged again in float64 and must be in the ball. Peers want images in [0, 1]: their
inputs are mapped there from a range wide enough not to matter. What is missing is named.
"""
import sys
import tempfile
import time
import warnings

import numpy as np
import published
from published import robust

try:
    import torch
    from safetensors.torch import save_file
except ImportError as missing:
    print(f"absent {missing.name} (pip install torch safetensors)")
    sys.exit(0)

warnings.filterwarnings("ignore")


def peer(name):
    try:
        return __import__(name)
    except ImportError:
        print(f"absent {name}")
        return None


class Net(torch.nn.Module):
    """(n, T, 1) -> (n, L)."""

    def __init__(self, hidden, classes):
        super().__init__()
        self.lstm = torch.nn.LSTM(1, hidden, batch_first=True)
        self.fc = torch.nn.Linear(hidden, classes)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


class Framed(torch.nn.Module):
    """The net on images (n, 1, 1, T) of [0, 1]; counts rows with and without gradients."""

    def __init__(self, net, edge):
        super().__init__()
        self.net, self.edge, self.slopes, self.values = net, edge, 0, 0

    def forward(self, x):
        if x.requires_grad:
            self.slopes += len(x)
        else:
            self.values += len(x)
        return self.net((2 * x.reshape(len(x), -1, 1) - 1) * self.edge)

    def frame(self, x):
        return ((x / self.edge + 1) / 2).reshape(len(x), 1, 1, -1)


# ---- seconds ------------------------------------------------------------------------
def plain_pgd(net, x, y, radius, steps=40):
    d = torch.zeros_like(x)
    for _ in range(steps):
        d.requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(net(x + d), y, reduction="sum")
        grad, = torch.autograd.grad(loss, d)
        d = (d.detach() + radius / 10 * grad.sign()).clamp(-radius, radius)
    return d


def ours(ctx, query, method, steps):
    attack = robust.Attack(ctx, method)
    attack.set(ctx, "steps", steps)
    return lambda: attack.margin(ctx, query)


def seconds(run):
    """Wall, and of the processor: other programs disturb the latter less."""
    wall, own = time.perf_counter(), time.process_time()
    run()
    return np.array([time.perf_counter() - wall, time.process_time() - own])


def contestants(net, x, radius, threads):
    """{attack: {who: run}}"""
    label = net(x).argmax(dim=1)
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        save_file(net.state_dict(), file.name)
        ctx = robust.Ctx()
        ctx.set_threads(threads)
        query = robust.Query(ctx, robust.Model.load(ctx, file.name, "lstm readout=last"))
    for row in x.numpy():
        query.add(ctx, row.astype(np.float64))
    query.set_ball(ctx, robust.LINF, radius)

    def loop(dnn):
        def run():
            with torch.backends.mkldnn.flags(enabled=dnn):
                plain_pgd(net, x, label, radius)
        return run

    out = {"PGD-40": {"ours": ours(ctx, query, "pgd", 40), "torch": loop(True),
                      "torch without oneDNN": loop(False)},
           "APGD-100": {"ours": ours(ctx, query, "apgd", 100)}}
    foolbox, torchattacks = peer("foolbox"), peer("torchattacks")
    if foolbox:
        framed = foolbox.PyTorchModel(net, bounds=(-50, 50), device="cpu")
        attack = foolbox.attacks.LinfPGD(steps=40, random_start=False)
        out["PGD-40"]["foolbox"] = lambda: attack(framed, x, label, epsilons=radius)
    if torchattacks:
        framed_net = Framed(net, 50)
        for dnn in (True, False):
            apgd = torchattacks.APGD(framed_net, norm="Linf", eps=radius / 100, steps=100)

            def run(apgd=apgd, dnn=dnn):
                with torch.backends.mkldnn.flags(enabled=dnn):
                    apgd(framed_net.frame(x), label)
            out["APGD-100"]["torchattacks" + ("" if dnn else " without oneDNN")] = run
    return out


def timing(threads=1, *rows):
    threads = int(threads)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = Net(64, 2).eval()
    for count in [int(r) for r in rows] or [32, 256]:
        x = torch.randn(count, 140, 1).cumsum(dim=1) / 12
        for name, who in contestants(net, x, 0.05, threads).items():
            best = {}
            for _ in range(3):
                for each, run in who.items():
                    took = seconds(run)
                    best[each] = np.minimum(took, best.get(each, took))
            others = [t for each, t in best.items() if each != "ours"]
            ratio = np.min(others, axis=0) / best["ours"] if others else [np.nan] * 2
            print(f"{name} rows {count} threads {threads}: "
                  + ", ".join(f"{each} {t[0]:.2f} s" for each, t in best.items())
                  + f"; fastest peer / ours {ratio[0]:.2f}, in processor time "
                  f"{ratio[1]:.2f}", flush=True)


# ---- series broken ------------------------------------------------------------------
def attacks(module, framed, norm, eps, classes):
    name = "Linf" if norm == np.inf else "L2"
    return {"APGD-CE": lambda: module.APGD(framed, norm=name, eps=eps, steps=100),
            "APGD-T": lambda: module.APGDT(framed, norm=name, eps=eps, steps=100,
                                           n_classes=classes),
            "FAB": lambda: module.FAB(framed, norm=name, eps=eps, steps=100,
                                      n_classes=classes),
            "Square": lambda: module.Square(framed, norm=name, eps=eps, n_queries=1000),
            "AutoAttack": lambda: module.AutoAttack(framed, norm=name, eps=eps,
                                                    n_classes=classes)}


def judged(name, x, label, points, norm, radius):
    """Which points break the net in float64 and lie in the ball."""
    net = published.torch_model(name).double()
    wide, series = points.double(), torch.from_numpy(x)[:, :, None].double()
    d = (wide - series).reshape(len(x), -1)
    size = d.abs().amax(dim=1) if norm == np.inf else d.norm(dim=1)
    with torch.no_grad():
        return ((net(wide).argmax(dim=1) != label)
                & (size <= radius * (1 + 1e-4))).numpy()


def broken_by_us(ctx, query, method, options, loss="margin"):
    attack = robust.Attack(ctx, method)
    for option, value in options.items():
        attack.set(ctx, option, value)
    if loss != "margin":
        attack.set_text(ctx, "loss", loss)
    broken = np.asarray(attack.margin(ctx, query)) <= 0
    return broken, np.asarray(attack.get(ctx, "calls")).sum()


def say(who, broken, slopes, values=0):
    print(f"   {who:22} broken {int(broken.sum()):3} of {len(broken)}, gradients a series "
          f"{slopes / len(broken):.0f}, queries {values / len(broken):.0f}", flush=True)


def breaking(name="GunPoint", count=30, norm="linf"):
    norm = np.inf if norm == "linf" else 2
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = published.series(name, "TEST")[0][:int(count)]
    net = published.torch_model(name)
    with torch.no_grad():
        label = net(torch.from_numpy(x)[:, :, None]).argmax(dim=1)
    classes, edge = net.fc.out_features, 4 * float(np.abs(x).max())
    ctx = robust.Ctx()
    ours_norm = robust.LINF if norm == np.inf else robust.L2
    query = published.query_of(ctx, name, x, ours_norm, robust.INFINITY)
    finder = robust.Attack(ctx, "auto")
    finder.set(ctx, "calls", 100)
    far = np.asarray(finder.distance(ctx, query))
    torchattacks = peer("torchattacks")
    for share in (0.3, 0.5, 0.7):
        radius = float(np.quantile(far, share))
        query.set_ball(ctx, ours_norm, radius)
        print(f"{name} norm {norm} radius {radius:.4g}", flush=True)
        every, slopes, values = np.zeros(len(x), bool), 0, 0
        for who, make in (attacks(torchattacks, Framed(net, edge), norm,
                                  radius / 2 / edge, classes).items()
                          if torchattacks else ()):
            framed = Framed(net, edge)
            try:
                attack = attacks(torchattacks, framed, norm, radius / 2 / edge,
                                 classes)[who]()
                images = attack(framed.frame(torch.from_numpy(x)[:, :, None]), label)
            except Exception as error:  # a peer's crash is a result
                print(f"   {who:22} {type(error).__name__}: {error}"[:100], flush=True)
                continue
            points = (2 * images.reshape(len(x), -1, 1) - 1) * edge
            hit = judged(name, x, label, points, norm, radius)
            say("torchattacks " + who, hit, framed.slopes, framed.values)
            every |= hit
            slopes += framed.slopes
            values += framed.values
        if torchattacks:
            say("all of them", every, slopes, values)
        runs = {"apgd": ("apgd", {"stop": 1}, "ce"),
                "apgd, 5 starts": ("apgd", {"stop": 1, "restarts": 5}, "ce"),
                "apgd dlr, targets": ("apgd", {"stop": 1, "targets": 9}, "dlr"),
                "auto, 300 calls": ("auto", {"calls": 300}, "margin")}
        for who, (method, options, loss) in runs.items():
            hit, calls = broken_by_us(ctx, query, method, options, loss)
            say("ours " + who, hit, calls)
        hit, calls = broken_by_us(ctx, query, "square", {"stop": 1, "queries": 1000})
        say("ours square", hit, 0, calls)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[2] not in ("time", "break"):
        sys.exit(__doc__)
    robust.load(sys.argv[1])
    {"time": timing, "break": breaking}[sys.argv[2]](*sys.argv[3:])
