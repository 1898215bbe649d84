"""What does the boundary near a series look like, and what is proved about it?

usage: geometry.py MODEL DATA [LIBRARY]
"""
import sys

import robust


def main():
    model_path, data_path, *library = sys.argv[1:]
    robust.load(*library)
    ctx = robust.Ctx()
    model = robust.Model.load(ctx, model_path)
    data = robust.Data(ctx)
    data.read(ctx, data_path)

    query = robust.Query(ctx, model)
    query.add_data(ctx, data, 0, 1)                     # the first series
    query.set_ball(ctx, robust.L2, robust.INFINITY)     # and all that is near it

    boundary = robust.Boundary(ctx)
    distance, = boundary.find(ctx, query)
    bends = boundary.get(ctx, "curvatures", 0)
    print(f"The nearest point of the boundary is {distance:.4f} away; it bends there by",
          f"{bends[0]:.3f} to {bends[-1]:.3f}." if bends.size else "nothing known.")

    condition = robust.Condition(ctx)
    condition.compute(ctx, query)
    relative, = condition.get(ctx, "relative")
    steps = condition.steps(ctx, query, 0)
    print(f"One percent of the series may move its margin by {relative:.1f} percent,",
          f"step {steps.argmax()} most of all.")

    bound = robust.Bound(ctx, "crown")
    safe, = bound.radius(ctx, query)
    radius = round(0.9 * safe, 4)
    certificate = robust.Certificate.prove(ctx, bound, query, 0, radius)
    margin = certificate.check(ctx, model)              # by other code than the search's
    print(f"Within {radius:.4f} nothing fails: proved twice, with margin {margin:.4f}.")


if __name__ == "__main__":
    main()
