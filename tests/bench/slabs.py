"""slabs.py -- at most how much cutting along few directions could do for a radius.

usage: slabs.py LIBRARY MODEL SET.tsv COUNT [METHOD]

Cutting the L2 ball into slabs along k directions, however thin, leaves in every slab the ball of
the other n - k. So the radius proved in the complement of k directions, over that of the whole
ball, is about the most that slabs can gain. Directions: principal ones of the gradients of f_0 - f_1 at 16 points
within twice the radius (central differences). A line a series: radius, ratios for k = 1, 3, 6, and
the share of the gradients' energy in them.
"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"))
import robust  # noqa: E402

WAYS = (1, 3, 6)
STEP = 1e-5


def radius(ctx, net, x, method, basis=None):
    query = robust.Query(ctx, net)
    query.add(ctx, x)
    query.set_ball(ctx, robust.L2, robust.INFINITY)
    if basis is not None:
        query.set_subspace(ctx, basis)
    bound = robust.Bound(ctx, method)
    bound.set(ctx, "tolerance", .02)
    return bound.radius(ctx, query)[0]


def slope(ctx, net, x):
    def margin(p):
        f = np.ravel(net.predict(ctx, p))
        return f[0] - f[1]
    return np.array([(margin(x + e) - margin(x - e)) / (2 * STEP)
                     for e in STEP * np.eye(len(x))])


def main(library, model, data, count, method="zonotope"):
    robust.load(library)
    ctx = robust.Ctx()
    net = robust.Model.load(ctx, model)
    random = np.random.default_rng(0)
    ratios = []
    for x in np.loadtxt(data)[:int(count), 1:]:
        r = radius(ctx, net, x, method)
        away = random.normal(size=(16, len(x)))
        away *= 2 * r / np.linalg.norm(away, axis=1, keepdims=True)
        away[0] = 0
        _, s, v = np.linalg.svd(np.array([slope(ctx, net, x + d) for d in away]))
        share = np.cumsum(s ** 2) / np.sum(s ** 2)
        ratios.append([radius(ctx, net, x, method, v[k:].T) / r for k in WAYS])
        print(f"{r:.4g}", np.round(ratios[-1], 3), np.round(share[[k - 1 for k in WAYS]], 4), flush=True)
    print("geometric mean", np.round(np.exp(np.mean(np.log(ratios), 0)), 3))


main(*sys.argv[1:])
