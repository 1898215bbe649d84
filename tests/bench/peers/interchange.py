#!/usr/bin/env python3
"""Files we write run by onnxruntime, and files torch exports run by us.

Models of recipes, recurrent and transformers with every end, and those of tests/data are
saved as .onnx, checked by onnx.checker, run by onnxruntime on a batch and compared with our
logits: difference relative to the largest logit, at most 1e-6; float64 where onnxruntime has
the kernels. Then the file is loaded back: the logits must be those of the model it came from.

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
    "lstm readout=max bidirectional=yes layers=2 features=3 hidden=9 outputs=2"] + [
    f"lstm features=3 hidden=7 outputs=2 readout=last {words} dtype={dtype}"
    for dtype in ("f32", "f64") for words in (
        "state=first", "scale=scale conv=conv channels=5 kernel=3 stride=2 padding=1 "
        "conv_activation=gelu conv_norm=batch:bn input_norm=layer:ln head_norm=layer:hn",
        "mlp=6,5 activation=gelu head_bias=no")] + [
    "gru features=3 hidden=7 outputs=38 readout=every steps=19 task=forecast mlp=5 activation=tanh"
    ] + [
    f"transformer heads=4 features=3 hidden=16 outputs=4 layers=2 {words} dtype={dtype}"
    for dtype in ("f32", "f64") for words in (
        "activation=relu norm=last readout=last",
        "activation=gelu norm=first readout=cls positions=learned longest=64 input=(x-0.25)/2",
        "activation=gelu_tanh norm=last readout=mean positions=sinusoid last_norm=yes",
        "activation=relu norm=first readout=max positions=sinusoid layernorm=centred",
        "activation=relu norm=first readout=cls positions=sinusoid patch=2x1 bias=no",
        "activation=gelu norm=first readout=mean patch=3 patch_order=features scale=scale "
        "mlp=8 head_activation=gelu head_norm=layer:hn",
        "activation=relu norm=last readout=mean conv=conv channels=6 kernel=3 padding=1 "
        "conv_activation=tanh conv_norm=batch:bn head_norm=batch:hn head_bias=no")]
DATA = pathlib.Path(__file__).resolve().parents[2] / "data"
FILES = sorted([*DATA.glob("net_*.safetensors"), *DATA.glob("export_*.safetensors"),
                *DATA.glob("model_*.safetensors")])


def run(path, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kind = session.get_inputs()[0].type
    return session.run(None, {"x": x.astype("f8" if "double" in kind else "f4")})[0]


def compare(ctx, recipe, folder):
    path = str(pathlib.Path(folder) / "model.onnx")
    made = isinstance(recipe, str)
    model = robust.Model.create(ctx, recipe) if made else robust.Model.load(ctx, str(recipe))
    model.save(ctx, path)
    onnx.checker.check_model(path, full_check=True)
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    steps = dims[0].dim_value or (19 if made else 7)
    x = np.random.default_rng(1).normal(size=(steps, 5, dims[2].dim_value))
    x = x.astype("f4").astype("f8")
    ours = np.array([model.predict(ctx, x[:, b].copy()) for b in range(5)])
    back = robust.Model.load(ctx, path)
    again = np.array([back.predict(ctx, x[:, b].copy()) for b in range(5)])
    size = np.abs(ours).max()
    # map and biases are float32 in a float32 file, epsilons of layer norms in every file
    single = onnx.load(path).graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert np.abs(again - ours).max() <= (1e-6 if single else 1e-9) * size, recipe
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
        for recipe in RECIPES + FILES:
            error, why = compare(ctx, recipe, folder)
            if error is None:
                refused.add(why)
                continue
            ran, worst, passed = ran + 1, max(worst, error), passed + (error <= 1e-6)
            print(f"  {error:.2e}  {getattr(recipe, 'stem', recipe)}")
    print(f"{passed} of {ran} agree to 1e-6, the worst differs by {worst:.2e}")
    print(f"{len(RECIPES) + len(FILES) - ran} of float64 not run by onnxruntime: {sorted(refused)}")
    return int(passed < ran)


if __name__ == "__main__":
    sys.exit(main())
