"""How robust is this model on these series?  usage: quickstart.py MODEL DATA [LIBRARY]"""
import sys

import robust


def sandwich(model_path, data_path):
    """(lower, upper) of the first series: nothing fails within lower, something at upper."""
    ctx = robust.Ctx()
    model = robust.Model.load(ctx, model_path)
    data = robust.Data(ctx)
    data.read(ctx, data_path)

    query = robust.Query(ctx, model)
    query.add_data(ctx, data, 0, min(data.count(), 16))
    query.set_ball(ctx, robust.L2, robust.INFINITY)    # search without a cap

    attack = robust.Attack(ctx, "auto")
    attack.set(ctx, "calls", 300)
    upper = attack.distance(ctx, query)                # a failing point so near
    lower = robust.Bound(ctx, "auto").radius(ctx, query)    # none is nearer: proved
    return lower, upper


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    robust.load(*sys.argv[3:])
    try:
        lower, upper = sandwich(*sys.argv[1:3])
    except robust.Error as error:
        sys.exit(str(error))
    for i, (near, far) in enumerate(zip(lower, upper)):
        print(f"series {i:2d}: safe within {near:.4f}, broken at {far:.4f}")


if __name__ == "__main__":
    main()
