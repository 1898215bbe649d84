#!/usr/bin/env python3
"""Files we write run by onnxruntime, and files torch exports run by us.

Every recurrent model of a recipe is saved as .onnx, checked by onnx.checker, run by
onnxruntime on a batch and compared with our logits: relative difference of the largest
logit, float32 weights 1e-6, float64 the same kernels where onnxruntime has them.
Then the file is loaded back: the logits must be those of the model it came from.

usage: interchange.py BUILD          skips, with exit 0, where onnxruntime is not installed
"""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "examples/python"))
try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)
import robust

RECIPES = [
    f"{kind} readout={readout} layers={layers} features=3 hidden={hidden} outputs=4 "
    f"dtype={dtype} input=(x-0.25)/2"
    for kind in ("lstm", "gru", "rnn nonlinearity=tanh", "rnn nonlinearity=relu")
    for readout in ("last", "mean") for layers, hidden in ((1, 7), (3, 33))
    for dtype in ("f32", "f64")] + [
    "gru readout=last bidirectional=yes layers=2 features=3 hidden=9 outputs=2",
    "lstm readout=state bidirectional=yes features=3 hidden=9 outputs=2 mlp=4,5 activation=relu",
    "lstm readout=max bidirectional=yes layers=2 features=3 hidden=9 outputs=2"]


def run(path, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kind = session.get_inputs()[0].type
    return session.run(None, {"x": x.astype("f8" if "double" in kind else "f4")})[0]


def compare(ctx, recipe, folder):
    path = str(pathlib.Path(folder) / "model.onnx")
    model = robust.Model.create(ctx, recipe)
    model.save(ctx, path)
    onnx.checker.check_model(path, full_check=True)
    x = np.random.default_rng(1).normal(size=(19, 5, 3)).astype("f4").astype("f8")
    ours = np.array([model.predict(ctx, x[:, b].copy()) for b in range(5)])
    back = robust.Model.load(ctx, path)
    again = np.array([back.predict(ctx, x[:, b].copy()) for b in range(5)])
    size = np.abs(ours).max()
    # map and biases are float32 in a float32 file
    assert np.abs(again - ours).max() <= (1e-6 if "f32" in recipe else 1e-14) * size, recipe
    try:
        theirs = run(path, x)
    except Exception as refused:           # no float64 kernel, for instance
        return None, str(refused).split("\n")[0][:80]
    return np.abs(theirs - ours).max() / size, ""


def main():
    robust.load(str(pathlib.Path(sys.argv[1]) / "librobust.so"))
    ctx, worst, ran, passed, refused = robust.Ctx(), 0.0, 0, 0, set()
    print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for recipe in RECIPES:
            error, why = compare(ctx, recipe, folder)
            if error is None:
                refused.add(why)
                continue
            ran, worst, passed = ran + 1, max(worst, error), passed + (error <= 1e-6)
            print(f"  {error:.2e}  {recipe}")
    print(f"{passed} of {ran} agree to 1e-6, the worst differs by {worst:.2e}")
    print(f"{len(RECIPES) - ran} of float64 not run by onnxruntime: {sorted(refused)}")
    return int(passed < ran)


if __name__ == "__main__":
    sys.exit(main())
