"""The library as Python sees it: numbers, errors, callbacks, threads.

usage: calls.py FOLDER [LIBRARY]   with model.safetensors, series.tsv, bits.txt, error.txt
"""
import gc
import pathlib
import struct
import sys
import threading

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "python"))
import quickstart  # noqa: E402
import robust  # noqa: E402

FOLDER = pathlib.Path(sys.argv[1])
RECIPE = "lstm features=1 hidden=4 outputs=2 readout=last"
count = {"passed": 0, "failed": 0, "skipped": 0}


def expect(truth, what):
    count["passed" if truth else "failed"] += 1
    if not truth:
        print(f"failed: {what}")


def raised(call, *arguments):
    """(status, line) of the error, (0, "") without one."""
    try:
        call(*arguments)
    except robust.Error as error:
        return error.status, error.text
    return 0, ""


def small(ctx):
    """A model of random weights and a query of three series of 12 steps."""
    model = robust.Model.create(ctx, RECIPE)
    query = robust.Query(ctx, model)
    for i in range(3):
        query.add(ctx, np.sin(np.arange(12.0) + i))
    query.set_ball(ctx, robust.L2, 0.5)
    return model, query


def bits_are_those_of_c():
    numbers = quickstart.sandwich(FOLDER / "model.safetensors", FOLDER / "series.tsv")
    lines = ["{:016x} {:016x}".format(*struct.unpack("<2Q", struct.pack("<2d", *pair)))
             for pair in zip(*numbers)]
    expected = (FOLDER / "bits.txt").read_text().splitlines()
    expect(lines and lines == expected, "the quickstart's bits")


def errors_carry_status_and_line():
    ctx = robust.Ctx()
    attack = robust.Attack(ctx, "auto")
    line = (FOLDER / "error.txt").read_text()
    expect(raised(attack.set, ctx, "stpes", 1) == (robust.EARGUMENT, line),
           "a wrong option gives the library's line")
    expect(raised(robust.Model.load, ctx, "/no/such/file")[0] == -50, "no such file")
    expect(raised(robust.Attack, ctx, "auto\0")[0] == robust.EARGUMENT, "a zero byte")
    expect("-3" in raised(ctx.set_threads, -3)[1], "the line names the value")
    wide = robust.Model.create(ctx, "lstm features=3 hidden=2 outputs=2 readout=last")
    query = robust.Query(ctx, wide)
    for x in (np.zeros(4), np.zeros((4, 2)), np.zeros((1, 4, 3)), 0.0):
        expect(raised(query.add, ctx, x)[0] == robust.ESHAPE, f"x of shape {np.shape(x)}")
    expect(raised(query.set_rows, ctx, np.ones((2, 2)), [0.0])[0] == robust.ESHAPE, "rows")
    query.add(ctx, np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    expect(query.get(ctx, "x", 0).tolist() == [[0, 1, 2], [3, 4, 5]], "time-major")


def answers_agree():
    ctx = robust.Ctx()
    model, query = small(ctx)
    bound, attack = robust.Bound(ctx, "crown"), robust.Attack(ctx, "pgd")
    proved = bound.margin(ctx, query)
    expect((proved <= attack.margin(ctx, query)).all(), "proved <= seen")
    expect((bound.get(ctx, "margin") == proved).all(), "get by name")
    expect(attack.get(ctx, "point", 1).size == 12, "the point of a series")
    sampler = robust.Sampler(ctx, "mc")
    sampler.set(ctx, "samples", 100)
    logp, lower, upper = np.moveaxis(sampler.curve(ctx, query, [0.1, 3.0]), 2, 0)
    expect(logp.shape == (3, 2) and (lower <= logp).all() and (logp <= upper).all(),
           "intervals of the curve")
    x = query.get(ctx, "x", 0)
    y = model.predict(ctx, x[:, 0])
    expect(y.argmax() == query.get(ctx, "prediction")[0], "prediction")
    expect((model.predict(ctx, np.repeat(x, 2)[::2]) == y).all(), "a strided array")
    other = model.with_tensor(ctx, "fc.bias", [0.5, -2.0])
    expect(other.get(ctx, "fc.bias").tolist() == [0.5, -2.0], "with_tensor")
    expect(model.describe(ctx).startswith("lstm"), "describe")
    data = robust.Data(ctx)
    data.add(ctx, x, 1)
    back, label = data.get(ctx, 0)
    expect((back == x).all() and label == 1, "a series comes back")
    query.set_mask(ctx, np.arange(12) < 6)
    attack.margin(ctx, query)
    moved = attack.get(ctx, "perturbation", 0) != 0
    expect(moved[:6].any() and not moved[6:].any(), "a mask of booleans")


def training_lowers_the_loss():
    ctx = robust.Ctx()
    data = robust.Data(ctx)
    for i in range(20):
        data.add(ctx, np.full(4, 2.0 * (i % 2) - 1), i % 2)
    trainer = robust.Trainer(ctx)
    trainer.set(ctx, "epochs", 8)
    trainer.run(ctx, robust.Model.create(ctx, RECIPE), data)
    loss = trainer.get(ctx, "loss")
    expect(loss[-1] < loss[0], "training lowers the loss")


def a_small_report():
    ctx = robust.Ctx()
    model, query = small(ctx)
    query.set_ball(ctx, robust.L2, robust.INFINITY)
    report = robust.Report(ctx, query)
    for name, value in (("samples", 50), ("calls", 60), ("slices", 0)):
        report.set(ctx, name, value)
    report.set_text(ctx, "title", "From Python")
    del query                               # the report keeps it
    gc.collect()
    report.run(ctx)
    lower, upper = report.get(ctx, "lower"), report.get(ctx, "upper")
    expect(lower.shape == (3,) and (lower > 0).all() and (lower <= upper).all(),
           "the report's sandwich")
    expect({"lower", "upper", "curvature"} <= set(report.columns()), "columns")
    _, search = small(ctx)
    _, held = small(ctx)
    report.add_universal(ctx, search, held)
    expect(report.get(ctx, "universal_fooled").size == 5, "one change for all")
    expect(raised(report.get, ctx, "lwoer")[0] == robust.EARGUMENT, "no such column")
    report.save(ctx, FOLDER / "python.html")
    expect("From Python" in (FOLDER / "python.html").read_text(), "the page")


def callbacks_stop():
    ctx = robust.Ctx()
    _, query = small(ctx)
    bound, told = robust.Bound(ctx, "interval"), []
    ctx.set_progress(lambda *words: told.append(words) or True)
    bound.radius(ctx, query)
    expect(ctx.stopped and told[0][0] == "bound" and told[0][2] == 3, "progress stops")
    ctx.set_progress(lambda *_: 1 / 0)
    try:
        bound.radius(ctx, query)
        expect(False, "an exception passes around C")
    except ZeroDivisionError:
        expect(True, "")
    ctx.set_progress(lambda *_: robust.Model.create(ctx, RECIPE))
    expect(raised(bound.radius, ctx, query)[0] == robust.EARGUMENT, "a context is busy")
    ctx.set_progress(None)
    bound.radius(ctx, query)
    expect(not ctx.stopped, "afterwards the context is as before")


def another_thread_cancels():
    ctx = robust.Ctx()
    _, query = small(ctx)
    started, cancelled = threading.Event(), threading.Event()

    def helper():
        started.wait()
        ctx.cancel()
        cancelled.set()

    def step(*_):
        started.set()
        cancelled.wait()

    thread = threading.Thread(target=helper)
    thread.start()
    ctx.set_progress(step)
    robust.Bound(ctx, "interval").radius(ctx, query)
    thread.join()
    expect(ctx.stopped, "another thread cancels")


def handles_outlive_what_made_them():
    ctx = robust.Ctx()
    model, query = small(ctx)
    here = query.get(ctx, "margin")
    del ctx, model
    gc.collect()
    other = robust.Ctx()
    query.set_ball(other, robust.L2, 0.1)
    query.replace(other, 0, np.sin(np.arange(12.0)))
    expect((query.get(other, "margin") == here).all(), "a query after its context")


def main():
    robust.load(*sys.argv[2:])
    for part in (bits_are_those_of_c, errors_carry_status_and_line, answers_agree,
                 training_lowers_the_loss, a_small_report, callbacks_stop, another_thread_cancels,
                 handles_outlive_what_made_them):
        part()
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return int(count["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
