"""tsfool.py -- what a correct attack does to TSFool's LSTMs at TSFool's own sizes.

usage: ROBUST_DATA=FOLDER tsfool.py LIBRARY SERIES CALLS [NAME ...]

For each published LSTM: (1) what a clamp to [0, 1] alone does to z-scored series; (2) the
published adversarial points: how many places they are (points closer than a hundredth of
their norm are one), how far from the nearest test series of their class that the net gets
right, and how near "auto" comes to that very series; (3) SERIES test series, drawn by seed 0,
under L-infinity attacks of 8/255, the median size of TSFool's, and 0.3, and under L2 attacks
of TSFool's median size: accuracy left by PGD-40 behind the clamp, by PGD-40, by "auto" of
CALLS gradients.

Behind the clamp z = clip(x + d, 0, 1) with |d| <= eps reaches exactly the box between
clip(x - eps, 0, 1) and clip(x + eps, 0, 1), around c = clip(x, 0, 1): that box is attacked.
"""
import sys
import time

import numpy as np
import published
from published import robust


def adversarial(name):
    folder = published.DATA / "models" / "tsfool-adversarial"
    x = np.load(folder / f"{name}_TEST_ADV_X.npy")[:, :, 0]
    return x, np.load(folder / f"{name}_TEST_ADV_Y.npy").astype(int)


def ask(ctx, model, x, y, norm, radius):
    query = robust.Query(ctx, model)
    for row, label in zip(x, y):
        query.add(ctx, row.astype(np.float64), int(label))
    query.set_reference(ctx, robust.REFERENCE_LABEL)
    query.set_ball(ctx, norm, radius)
    return query


def held(ctx, model, x, y):
    """Which series the net gets right."""
    return ask(ctx, model, x, y, robust.L2, 1).get(ctx, "wrong") == 0


def pgd(ctx, query):
    attack = robust.Attack(ctx, "pgd")
    attack.set(ctx, "steps", 40)
    attack.set(ctx, "stop", 1)
    return attack.margin(ctx, query) > 0


def clamped(ctx, model, x, y, eps):
    """Right series left when every point is clamped to [0, 1]."""
    query = ask(ctx, model, np.clip(x, 0, 1), y, robust.LINF, eps)
    for i, row in enumerate(x):
        query.set_box(ctx, np.clip(row - eps, 0, 1), np.clip(row + eps, 0, 1), i)
    return pgd(ctx, query)


def nearest(ctx, model, x, y, norm, calls):
    attack = robust.Attack(ctx, "auto")
    attack.set(ctx, "calls", calls)
    return attack.distance(ctx, ask(ctx, model, x, y, norm, np.inf))


def places(points):
    """The first point of each place."""
    kept = []
    for k, p in enumerate(points):
        if all(np.linalg.norm(p - points[j]) > 0.01 * np.linalg.norm(p) for j in kept):
            kept.append(k)
    return kept


def sizes(points, classes, x, y, right):
    """Of each point: the nearest right series of its class, L2 and Linf distance."""
    out = []
    for p, c in zip(points, classes):
        fit = np.flatnonzero(right & (y == c))
        j = fit[np.linalg.norm(x[fit] - p, axis=1).argmin()]
        out.append((j, np.linalg.norm(x[j] - p), np.abs(x[j] - p).max()))
    return out


def study(ctx, name, series, calls):
    begun = time.time()
    x, y = published.series(name, "TEST")
    x = x.astype(np.float64)
    model = robust.Model.load(ctx, published.path_of(name), "lstm readout=last")
    right = held(ctx, model, x, y)
    print(f"{name}: {len(x)} test series, accuracy {right.mean():.4f}; "
          f"{((x < 0) | (x > 1)).mean():.0%} of the numbers outside [0, 1]; after a clamp "
          f"alone {held(ctx, model, np.clip(x, 0, 1), y).mean():.4f}, moved by a median of "
          f"{np.median(np.abs(np.clip(x, 0, 1) - x).max(1)):.2f} in Linf", flush=True)
    points, classes = adversarial(name)
    kept = places(points)
    fooled = ~held(ctx, model, points[kept], classes[kept])
    found = sizes(points[kept], classes[kept], x, y, right)
    near = [j for j, _, _ in found]
    own = {p: np.array([f[k] for f in found]) for p, k in ((2, 1), (np.inf, 2))}
    print(f"  TSFool: {len(points)} points, accuracy "
          f"{held(ctx, model, points, classes).mean():.4f}, in {len(kept)} places (net wrong "
          f"in {fooled.sum()}) beside {len(set(near))} right series", flush=True)
    for p, norm in ((2, robust.L2), (np.inf, robust.LINF)):
        ours = nearest(ctx, model, x[near], y[near], norm, calls)
        print(f"    L{p}: its size median {np.median(own[p]):.3f} ({own[p].min():.3f} to "
              f"{own[p].max():.3f}); auto from the same series median "
              f"{np.median(ours):.3f}, nearer in {(ours < own[p]).sum()} of {len(kept)}, "
              f"median ratio {np.median(ours / own[p]):.3f}", flush=True)
    pick = np.random.default_rng(0).permutation(len(x))[:series]
    x, y = x[pick], y[pick]
    print(f"  {len(x)} series drawn, accuracy {held(ctx, model, x, y).mean():.3f}")
    for p, norm in ((np.inf, robust.LINF), (2, robust.L2)):
        size = float(np.median(own[p]))
        distance = nearest(ctx, model, x, y, norm, calls)
        for eps in (8 / 255, size, 0.3) if p == np.inf else (size,):
            line = f"    L{p} {eps:.4f}:"
            if p == np.inf:
                line += f" PGD clamped {clamped(ctx, model, x, y, eps).mean():.3f}"
            print(line, f"PGD {pgd(ctx, ask(ctx, model, x, y, norm, eps)).mean():.3f}",
                  f"auto {(distance > eps).mean():.3f}", flush=True)
    print(f"  {time.time() - begun:.0f} s", flush=True)


def main():
    robust.load(sys.argv[1])
    ctx = robust.Ctx()
    for name in sys.argv[4:] or published.CLASSES:
        study(ctx, name, int(sys.argv[2]), int(sys.argv[3]))


main()
