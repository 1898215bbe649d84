"""cell.py -- what one plane for a whole LSTM cell could gain over planes gate by gate.

usage: cell.py [boxes of each width]

h' = sigmoid(o) tanh(c'), c' = sigmoid(f) c + sigmoid(i) tanh(g), on boxes of (o, f, i, g, c) of
five widths, centres drawn like a trained cell's. Gaps are at the middle of the box, convex
envelopes by linear programs over grids:

    composed   envelope of sigmoid tanh over (o, c'), at the envelopes of the two products;
    joint      envelope of h' over all five: no plane can be nearer;
    slack      by how much the composed plane could be moved if its offset were taken over
               the five dimensional box instead of piece by piece.

Prints joint / composed and slack / composed, as ratios of sums and as medians.
"""
import sys

import numpy as np
from scipy.optimize import linprog

WIDTHS = ((.1, .05), (.3, .15), (.6, .3), (1.2, .6), (2.5, 1.))  # of gates, of c
USUAL = np.array([.3, .8, .3, 0.])  # centres of o, f, i, g


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gate(x, y):
    return sigmoid(x) * np.tanh(y)


def cell(o, f, i, g, c):
    return gate(o, sigmoid(f) * c + gate(i, g))


def grid(low, high, n):
    axes = np.meshgrid(*[np.linspace(a, b, n) for a, b in zip(low, high)], indexing="ij")
    return np.stack([axis.ravel() for axis in axes], 1)


def envelope(points, values, at, side):
    """The value at `at` of the convex (side 1) or concave (-1) envelope, and its plane."""
    weights = np.vstack([points.T, np.ones(len(points))])
    found = linprog(side * values, A_eq=weights, b_eq=np.append(at, 1), bounds=(0, None),
                    method="highs")
    return side * found.fun, side * found.eqlin.marginals


def composed(low, high, centre, side, n):
    """Gate by gate: the value in the middle, and the plane over (o, f, i, g, c)."""
    forget = grid(low[[1, 4]], high[[1, 4]], n)
    kept = sigmoid(forget[:, 0]) * forget[:, 1]
    added = grid(low[2:4], high[2:4], n)
    new = gate(*added.T)
    a, of_a = envelope(forget, kept, centre[[1, 4]], side)
    b, of_b = envelope(added, new, centre[2:4], side)
    out = grid((low[0], kept.min() + new.min()), (high[0], kept.max() + new.max()), 2 * n)
    value, of_h = envelope(out, gate(*out.T), np.array([centre[0], a + b]), side)
    s = of_h[1]
    slopes = np.array([of_h[0], s * of_a[0], s * of_b[0], s * of_b[1], s * of_a[1]])
    return value, slopes, of_h[2] + s * (of_a[2] + of_b[2])


def one(draw, width, width_c):
    centre = np.append(draw.normal(0, 1.2, 4) + USUAL, draw.normal(0, .6))
    half = np.append(width * draw.uniform(.5, 1.5, 4), width_c * draw.uniform(.5, 1.5))
    low, high, truth = centre - half, centre + half, cell(*centre)
    points = grid(low, high, 7)
    values = cell(*points.T)
    for side in (1, -1):
        value, slopes, offset = composed(low, high, centre, side, 13)
        best, _ = envelope(points, values, centre, side)
        slack = (side * (values - points @ slopes - offset)).min()
        yield side * (truth - value), side * (truth - best), max(slack, 0)


def main():
    boxes = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    draw = np.random.default_rng(0)
    for widths in WIDTHS:
        rows = np.array([row for _ in range(boxes) for row in one(draw, *widths)])
        gap, best, slack = rows.T
        print(f"width {widths[0]:3} composed gap {gap.mean():.5f}  joint {best.sum() / gap.sum():.3f}"
              f" (median {np.median(best / gap):.3f})  slack {slack.sum() / gap.sum():.3f}"
              f" (median {np.median(slack / gap):.3f})")


if __name__ == "__main__":
    main()
