"""decision.py -- HopSkipJump, ours beside ART's and foolbox's, at equal queries.

usage: ROBUST_DATA=FOLDER decision.py LIBRARY [model] [series] [queries]

Peers run as many rounds as fit the queries, from starts of their own (uniform noise) and
again from the nearest series of another class, which is where ours may start too; the rows
the model saw are counted. Ours gets the same number, its start, line search and judging in
both precisions included. Prints medians, geometric means of ours / theirs, and in how many
series ours is nearer.
"""
import sys

import numpy as np
import published
from published import robust


class Counted:
    """Rows seen by a torch module."""

    def __init__(self, net):
        self.net, self.rows = net, 0

    def __call__(self, x):
        import torch
        self.rows += len(x)
        with torch.no_grad():
            return self.net(x)


def rounds_for(queries):
    """Rounds k with sum 100 sqrt(i) and some 25 a round for start, jump and bisection."""
    total, k = 100, 0
    while total + 100 * np.sqrt(k + 1) + 25 <= queries:
        total += 100 * np.sqrt(k + 1) + 25
        k += 1
    return max(k, 1)


def size_of(d, norm):
    return np.abs(d).max() if norm == np.inf else np.linalg.norm(d)


def starts(net, x):
    """For every series the nearest of the others that has another class, or None."""
    import torch
    with torch.no_grad():
        classes = net(torch.from_numpy(x)).argmax(1).numpy()
    found = []
    for row, own in zip(x, classes):
        others = x[classes != own]
        found.append(None if len(others) == 0 else
                     others[np.argmin(np.linalg.norm(others - row, axis=1))])
    return found


def by_art(net, x, norm, queries, start):
    import torch
    from art.attacks.evasion import HopSkipJump
    from art.estimators.classification import BlackBoxClassifier
    counted = Counted(net)

    def predict(rows):
        return counted(torch.from_numpy(np.asarray(rows, np.float32))).numpy()

    low, high = float(x.min()) - 3, float(x.max()) + 3
    estimator = BlackBoxClassifier(predict, x.shape[1:], net.fc.out_features,
                                   clip_values=(low, high))
    out, took = [], []
    for row, begin in zip(x, start):
        attack = HopSkipJump(estimator, norm=norm, max_iter=rounds_for(queries),
                             max_eval=10000, init_eval=100, verbose=False)
        counted.rows = 0
        point = attack.generate(row[None], x_adv_init=None if begin is None else
                                begin[None])
        took.append(counted.rows)
        size = size_of(np.ravel(point[0] - row), norm)
        out.append(size if predict(point).argmax() != predict(row[None]).argmax()
                   else np.inf)
    return np.array(out), np.array(took)


def by_foolbox(net, x, norm, queries, start):
    import foolbox
    import torch
    low, high = float(x.min()) - 3, float(x.max()) + 3
    counted = Counted(net)

    class Seen(torch.nn.Module):
        def forward(self, rows):
            return counted(rows)

    model = foolbox.PyTorchModel(Seen().eval(), bounds=(low, high))
    out, took = [], []
    for row, begin in zip(x, start):
        point = torch.from_numpy(row[None])
        label = net(point).argmax(1)
        attack = foolbox.attacks.HopSkipJumpAttack(
            steps=rounds_for(queries), constraint="linf" if norm == np.inf else "l2",
            initial_gradient_eval_steps=100)
        counted.rows = 0
        try:
            found = attack.run(model, point, label, starting_points=None
                               if begin is None else torch.from_numpy(begin[None]))
            size = size_of((found - point).numpy().ravel(), norm)
            good = bool(net(found).argmax(1) != label)
        except ValueError:  # it found no start
            good = False
        took.append(counted.rows)
        out.append(size if good else np.inf)
    return np.array(out), np.array(took)


def by_us(name, x, norm, queries):
    ctx = robust.Ctx()
    query = published.query_of(ctx, name, x, robust.LINF if norm == np.inf else robust.L2,
                               robust.INFINITY)
    attack = robust.Attack(ctx, "hopskipjump")
    # 12 rounds of the line search and 12 pushes at most, in two precisions
    attack.set(ctx, "search", 12)
    attack.set(ctx, "queries", queries - 2 * 28)
    return attack.distance(ctx, query), attack.get(ctx, "calls") + 2 * 28


def main():
    robust.load(sys.argv[1])
    name = sys.argv[2] if len(sys.argv) > 2 else "GunPoint"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    queries = int(sys.argv[4]) if len(sys.argv) > 4 else 3000
    net = published.torch_model(name)
    x = published.series(name, "TEST")[0][:count]
    for norm in (2, np.inf):
        ours, spent = by_us(name, x, norm, queries)
        print(f"{name} norm {norm}: ours median {np.median(ours):.4f}, "
              f"queries {np.mean(spent):.0f}")
        given = starts(net, x)
        for peer, run, start in (("ART", by_art, [None] * len(x)),
                                 ("foolbox", by_foolbox, [None] * len(x)),
                                 ("ART, started at series", by_art, given),
                                 ("foolbox, started at series", by_foolbox, given)):
            try:
                theirs, took = run(net, x, norm, queries, start)
            except ImportError as missing:
                print(f"absent {missing.name}")
                continue
            both = np.isfinite(theirs) & np.isfinite(ours)
            ratio = np.exp(np.mean(np.log(ours[both] / theirs[both])))
            print(f"  {peer}: found {int(np.isfinite(theirs).sum())} of {len(x)}, median "
                  f"{np.median(theirs):.4f}, queries {np.mean(took):.0f}; ours/theirs "
                  f"{ratio:.3f}, ours nearer in {int(np.sum(ours <= theirs))}",
                  flush=True)


main()
