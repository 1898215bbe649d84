"""The library as Python sees it: numbers, errors, callbacks, threads.

usage: calls.py FOLDER [LIBRARY]
with model.safetensors, series.tsv, prices.csv, bits.txt, error.txt
"""
import gc
import pathlib
import struct
import sys
import threading
import weakref

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
    fell = query.get(ctx, "margin") - attack.get(ctx, "margin")
    steep = bound.lipschitz(ctx, query)
    expect(np.isfinite(steep).all() and (fell <= 0.5 * steep).all(), "slope")
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


def regions_are_obeyed():
    ctx = robust.Ctx()
    _, query = small(ctx)
    attack = robust.Attack(ctx, "pgd")

    def moved():
        attack.margin(ctx, query)
        return attack.get(ctx, "perturbation", 0)

    x = query.get(ctx, "x", 0)
    query.set_scale(ctx, np.arange(12) != 4)
    expect(moved()[4] == 0 and moved().any(), "a scale of 0 holds")
    query.set_scale(ctx, None)
    query.set_relative(ctx)
    expect(moved()[0] == 0 and moved().any(), "relative: sin 0 stays")
    query.set_relative(ctx, False)
    query.set_box(ctx, x, None, 0)
    expect((moved() >= 0).all() and moved().any(), "a floor")
    query.set_box(ctx, None, None, 0)
    query.set_budget(ctx, 0.2 * (np.arange(12) == 3), 0)
    expect(0 < abs(moved()[3]) <= 0.2 and not moved()[4:].any(), "a budget")
    query.set_budget(ctx, None, 0)
    query.set_subspace(ctx, np.ones((12, 1)))
    expect(moved()[0] == moved()[11] != 0, "a subspace")
    query.set_subspace(ctx, None)
    query.set_band_limit(ctx, 1)
    expect(abs(moved()[0] - moved()[11]) < 1e-6 and moved().any(), "a band limit")
    query.set_band_limit(ctx, 0)
    query.set_smoothness(ctx, difference=0.01)
    expect(abs(moved()[0] - moved()[1]) <= 0.0101 and moved().any(), "smooth")
    query.set_smoothness(ctx)
    query.set_steps(ctx, 2)
    expect(np.count_nonzero(moved()) == 2, "two steps")


def forecasts_are_pushed():
    ctx = robust.Ctx()
    model, x = robust.Model.create(ctx, RECIPE + " task=forecast"), np.sin(np.arange(12.0))
    query = robust.Query(ctx, model)
    query.add(ctx, x)
    query.set_ball(ctx, robust.L2, 0.5)
    query.set_deviation(ctx, 1, robust.UP)
    attack, bound = robust.Attack(ctx, "pgd"), robust.Bound(ctx, "crown")
    attack.margin(ctx, query)
    bound.margin(ctx, query)
    expect(0 < attack.get(ctx, "deviation")[0] <= bound.get(ctx, "deviation")[0],
           "a deviation")
    twin = attack.get(ctx, "point", 0)
    expect(model.predict(ctx, twin)[1] > model.predict(ctx, x)[1], "upwards")
    query.set_deviation(ctx, tolerance=0.25)
    expect(abs(query.get(ctx, "margin")[0] - 0.25) < 1e-9, "of all outputs")
    query.set_band(ctx, 0, above=0.01)
    expect(abs(query.get(ctx, "margin")[0] - 0.01) < 1e-9, "a band around itself")
    query.set_band(ctx, None)
    query.set_band(ctx, 0, below=-0.02)
    expect(abs(query.get(ctx, "margin")[0] - 0.02) < 1e-9, "its other side")


def one_change_for_all():
    ctx = robust.Ctx()
    _, query = small(ctx)
    query.set_ball(ctx, robust.L2, 3)
    attack = robust.Attack(ctx, "universal")
    delta = attack.universal(ctx, query)
    expect(delta.size == 12 and np.linalg.norm(delta) <= 3.0001, "universal")
    broken, held, *_ = attack.transfer(ctx, query, delta)
    expect(broken <= held == 3, "transfer")
    bound = robust.Bound(ctx, "crown")
    expect(broken <= bound.universal(ctx, query) <= 3, "found <= proved")
    query.set_ball(ctx, robust.L2, 1e-6)
    expect(bound.universal(ctx, query) == 0 and bound.get(ctx, "universal")[1] == 3, "none")


def fixture(ctx):
    """The fitted model and a query of two of its series."""
    model = robust.Model.load(ctx, FOLDER / "model.safetensors")
    data = robust.Data(ctx)
    data.read(ctx, FOLDER / "series.tsv")
    query = robust.Query(ctx, model)
    query.add_data(ctx, data, 0, 2)
    query.set_ball(ctx, robust.L2, robust.INFINITY)
    return model, query


def geometry_agrees():
    ctx = robust.Ctx()
    _, query = fixture(ctx)
    boundary = robust.Boundary(ctx)
    boundary.set(ctx, "order", 2)
    distance = boundary.find(ctx, query)
    lower = robust.Bound(ctx, "crown").radius(ctx, query)
    expect((0 < lower).all() and (lower <= distance).all(), "proved <= the boundary")
    expect((boundary.get(ctx, "distance") == distance).all(), "boundary by name")
    condition = robust.Condition(ctx)
    condition.set(ctx, "weights", 0)
    condition.compute(ctx, query)
    expect((condition.get(ctx, "relative") > 0).all(), "condition")
    steps = condition.steps(ctx, query, 1)
    expect(steps.size == 24 and (steps == condition.get(ctx, "steps", 1)).all(), "by step")
    spectrum = robust.Spectrum(ctx)
    spectrum.set(ctx, "margin", 1)
    lowest, highest = spectrum.extremes(ctx, query).T
    expect((lowest <= highest).all() and
           (spectrum.get(ctx, "highest") == highest).all(), "both ends")


def certificates_are_checked():
    ctx = robust.Ctx()
    model, query = fixture(ctx)
    bound, path = robust.Bound(ctx, "crown"), FOLDER / "python.certificate"
    radius = bound.radius(ctx, query)[0] / 2
    robust.Certificate.prove(ctx, bound, query, 0, radius).save(ctx, path)
    again = robust.Certificate.load(ctx, path)
    expect(again.get(ctx, "proved").size == 0, "nothing is believed yet")
    expect(again.check(ctx, model) > 0, "a certificate proves again")
    other = model.with_tensor(ctx, "fc.bias", model.get(ctx, "fc.bias") + [1, 0])
    expect(raised(again.check, ctx, other)[0] == -40, "refused for another model")
    ctx.cancel()
    expect(raised(again.check, ctx, model)[0] == robust.STOPPED, "no half check")
    ctx.cancel()
    prove = robust.Certificate.prove
    expect(raised(prove, ctx, bound, query, 0, radius)[0] == robust.STOPPED, "no half proof")


def masked_gradients_are_told():
    ctx = robust.Ctx()
    model, query = small(ctx)
    query.set_ball(ctx, robust.L2, robust.INFINITY)
    diagnosis = robust.Diagnosis(ctx)
    for name, value in (("calls", 30), ("steps", 4)):
        diagnosis.set(ctx, name, value)
    diagnosis.set_text(ctx, "black", "none")
    diagnosis.run(ctx, query)
    sound = diagnosis.warnings()
    expect(diagnosis.get(ctx, "share_loss")[0] == 0, "moderate log-odds")
    expect(diagnosis.get(ctx, "saturated", 2).size == 1, "one column of one series")
    far = robust.Query(ctx, model.with_tensor(ctx, "fc.bias", [1e4, 0]))
    far.add(ctx, np.ones(12))
    diagnosis.run(ctx, far)
    expect(diagnosis.get(ctx, "share_loss")[0] == 1
           and len(diagnosis.warnings()) == len(sound) + 1, "log-odds of ten thousand")


def smoothing_and_data():
    ctx = robust.Ctx()
    _, query = small(ctx)
    sampler = robust.Sampler(ctx, "mc")
    sampler.set(ctx, "samples", 200)
    label, radius, share = sampler.smooth(ctx, query, 1e-3).T
    expect((label == query.get(ctx, "prediction")).all() and (radius > 0).all()
           and (share > 0.9).all(), "smoothed")
    data = robust.Data(ctx)
    data.set_text(ctx, "role", "prices")
    data.set(ctx, "window", 8)
    data.set(ctx, "history", 20)
    data.read(ctx, FOLDER / "prices.csv")
    expect(data.about_text(ctx, "units", 0) == "log return", "about in words")
    total = data.count()
    late = data.split_time(ctx, 0.25)
    end = data.about(ctx, "until", data.count() - 1)
    expect(late.count() == (total + 2) // 4 and end <= late.about(ctx, "when", 0), "by time")
    expect(data.about(ctx, "purged").size == 1, "about the set")
    like, test = robust.Data(ctx), robust.Data(ctx)
    like.add(ctx, [0, 2])
    test.add(ctx, [10, 20])
    test.set_target(ctx, 0, 0.5)
    expect(test.about(ctx, "target", 0).tolist() == [0.5], "a target")
    test.normalize(ctx, like)
    expect(test.get(ctx, 0)[0].ravel().tolist() == [9, 19], "normalize")
    like.normalize(ctx)
    expect(like.get(ctx, 0)[0].ravel().tolist() == [-1, 1], "by itself")


def programs_are_models():
    ctx = robust.Ctx()
    tape = robust.Tape(ctx)
    x, w = tape.input(ctx, (3, 1)), tape.constant(ctx, [[1], [2], [3]])
    y = tape.apply(ctx, "sum", tape.apply(ctx, "mul", w, x))
    z = tape.apply(ctx, "reshape", y, numbers=1)
    both = tape.apply(ctx, "concat", z, tape.apply(ctx, "affine", z, numbers=(-1, 0)),
                      numbers=0)
    g = tape.gradient(ctx, tape.apply(ctx, "sum", tape.apply(ctx, "square", x)), x)
    forward, backward = tape.jvp(ctx, g, x, w), tape.vjp(ctx, g, x, w)
    tape.set(ctx, x, [1, 0, -1])
    tape.run(ctx, y, g, forward, backward)
    expect([tape.get(ctx, v).tolist() for v in (y, g, forward, backward)] ==
           [[-2], [2, 0, -2], [2, 4, 6], [2, 4, 6]], "a program and its derivatives")
    model = robust.Model.from_tape(ctx, tape, x, both)
    expect(model.predict(ctx, np.ones(3)).tolist() == [6, -6], "from a tape")


def engines_are_models():
    ctx = robust.Ctx()
    weights = np.arange(1.0, 4.0)

    def logits(x):
        return np.outer(x[:, :, 0] @ weights, [1, -1])

    def pullback(x, seed):
        return (seed @ [1, -1])[:, None, None] * weights[None, :, None]

    def query_of(*functions):
        query = robust.Query(ctx, robust.Model.from_callback(ctx, 1, 2, *functions))
        query.add(ctx, np.ones(3))
        return query

    query = query_of(logits, pullback)
    distance = robust.Attack(ctx, "deepfool").distance(ctx, query)[0]
    expect(abs(distance - 6 / 14 ** 0.5) < 1e-2, "an engine is attacked")
    brief = type("Brief", (), {"__call__": lambda self, x: logits(x)})()
    query, alive = query_of(brief), weakref.ref(brief)
    del brief
    gc.collect()
    expect(alive() is not None, "a query keeps the functions of its model")
    del query
    gc.collect()
    expect(alive() is None, "as long as it lives")
    expect(query_of(logits).get(ctx, "margin")[0] == 12, "without gradients")
    wrong = query_of(lambda x: np.zeros(5))
    expect(raised(wrong.get, ctx, "margin")[0] == robust.ESHAPE, "a wrong shape")
    try:
        query_of(lambda x: 1 / 0).get(ctx, "margin")
        expect(False, "what an engine raises")
    except ZeroDivisionError:
        expect(True, "")


def files_in_memory_and_fronts():
    ctx = robust.Ctx()
    path = FOLDER / "model.safetensors"
    model = robust.Model.load_bytes(ctx, path.read_bytes())
    named = robust.Model.load(ctx, path)
    expect((model.get(ctx, "fc.bias") == named.get(ctx, "fc.bias")).all(), "bytes")
    model, _ = small(ctx)
    prices = model.with_front(ctx, "returns", 0.5).predict(ctx, [1, np.e, 1])
    expect(np.allclose(prices, model.predict(ctx, [2, -2]), atol=1e-6), "prices in front")


def remarks_are_told():
    ctx, told = robust.Ctx(), []
    ctx.set_log(lambda *words: told.append(words))
    ctx.set_text("isa", "generic")
    expect(told == [(1, "isa: generic is used")], "a remark")
    ctx.set_log(lambda *_: 1 / 0)
    try:
        ctx.set_text("isa", "auto")
        expect(False, "what a log raises")
    except ZeroDivisionError:
        expect(True, "")
    ctx.set_log(None)
    ctx.set_text("isa", "auto")
    expect(robust.Error(robust.ESHAPE, "").kind != robust.Error(-10, "").kind, "in words")


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
                 regions_are_obeyed, forecasts_are_pushed, one_change_for_all,
                 geometry_agrees, certificates_are_checked, masked_gradients_are_told,
                 smoothing_and_data, programs_are_models, engines_are_models,
                 files_in_memory_and_fronts, remarks_are_told, training_lowers_the_loss,
                 a_small_report, callbacks_stop, another_thread_cancels,
                 handles_outlive_what_made_them):
        part()
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return int(count["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
