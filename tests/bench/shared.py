"""shared.py -- how many series one perturbation fools: attack, proof, and proofs one by one.

usage: shared.py LIBRARY MODEL SET.tsv COUNT RADIUS,... [PARTS,... [SUBSPACE,... [METHOD [NORM]]]]

The first COUNT series of a UCR file, perturbed by d = E u, ||u|| <= RADIUS, with E one of
offset (a constant), line (constant and slope), band3 (cosines 0 to 2), step (the middle
number alone), steps3 (three numbers in the middle); columns of unit length. PARTS: how many parts
of the ball are bounded anew. A line for each: series that hold, the attack's, the proof's for each
PARTS with seconds of processor time, and how many are not proved one by one.
"""
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"))
import robust  # noqa: E402


def columns(name, steps):
    t = np.arange(steps)
    if name.startswith("step"):
        k = int(name[5:] or 1) if name.startswith("steps") else 1
        return np.eye(steps)[:, steps // 2 - k // 2:steps // 2 - k // 2 + k]
    k = {"offset": 1, "line": 2}.get(name) or int(name[4:])
    if name == "line":
        e = np.stack([np.ones(steps), t - t.mean()], 1)
    else:
        e = np.cos(np.pi * (t[:, None] + 0.5) * np.arange(k) / steps)
    return e / np.linalg.norm(e, axis=0)


def main(library, model, data, count, radii, parts="0,64", spaces="offset,line,band3,step",
         method="zonotope", norm="l2"):
    robust.load(library)
    ctx = robust.Ctx()
    table = np.loadtxt(data)[:int(count), 1:]
    net = robust.Model.load(ctx, model)
    print("space radius | held attack |", " ".join(f"{p} parts (s)" for p in parts.split(",")),
          "| one by one")
    for space in spaces.split(","):
        query = robust.Query(ctx, net)
        for x in table:
            query.add(ctx, x)
        query.set_subspace(ctx, columns(space, table.shape[1]))
        for radius in radii.split(","):
            query.set_ball(ctx, {"l2": robust.L2, "linf": robust.LINF}[norm], float(radius))
            attack = robust.Attack(ctx, "universal")
            attack.universal(ctx, query)
            broken = int(attack.get(ctx, "fooled", 0)[0])
            said = []
            for p in parts.split(","):
                bound = robust.Bound(ctx, method)
                bound.set(ctx, "parts", float(p))
                begun = time.process_time()
                bound.universal(ctx, query)
                most, held, alone = bound.get(ctx, "universal")
                said.append(f"{most:.0f} ({time.process_time() - begun:.1f})")
            print(f"{space} {radius} | {held:.0f} {broken} |", " ".join(said), f"| {alone:.0f}",
                  flush=True)


main(*sys.argv[1:])
