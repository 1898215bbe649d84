#!/usr/bin/env python3
"""Small classifiers exported by torch.onnx, with series and the logits torch gives.

Writes onnx_NAME.onnx and onnx_NAME.txt: first line "recipe", then n T D L, then every x
row-major, then every y. Logits are computed in float64 from the float32 weights.
onnx_lstm.onnx has the weights of model_lstm.safetensors.

usage: make_onnx.py FOLDER        (torch, safetensors)
"""
import pathlib
import sys
import warnings

import torch
from safetensors.torch import load_file

warnings.filterwarnings("ignore")
torch.manual_seed(1)
torch.backends.mha.set_fastpath_enabled(False)


class Recurrent(torch.nn.Module):
    def __init__(self, body, width, outputs, readout):
        super().__init__()
        self.body, self.fc, self.readout = body, torch.nn.Linear(width, outputs), readout

    def forward(self, x):
        y, state = self.body(x)
        time = 1 if self.body.batch_first else 0
        if self.readout == "mean":
            return self.fc(y.mean(time))
        if self.readout == "max":
            return self.fc(y.max(time).values)
        if self.readout == "state":
            return self.fc(state[-1])
        return self.fc(y[:, -1] if time else y[-1])


class Convolution(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.front = torch.nn.Sequential(
            torch.nn.Conv1d(2, 4, 3, padding=1), torch.nn.BatchNorm1d(4), torch.nn.ReLU(),
            torch.nn.MaxPool1d(2), torch.nn.Conv1d(4, 4, 3, stride=2, groups=2),
            torch.nn.LeakyReLU(0.1), torch.nn.Dropout())
        self.fc = torch.nn.Linear(4, 3)
        norm = self.front[1]
        norm.running_mean.copy_(torch.randn(4) * 0.3)
        norm.running_var.copy_(torch.rand(4) + 0.5)

    def forward(self, x):
        return self.fc(self.front(x).mean(-1))


class Encoder(torch.nn.Module):
    def __init__(self, first, activation):
        super().__init__()
        self.embed = torch.nn.Linear(2, 8)
        self.place = torch.nn.Parameter(torch.randn(6, 8) * 0.3)
        layer = torch.nn.TransformerEncoderLayer(8, 2, 12, 0.0, activation, batch_first=True,
                                                 norm_first=first)
        self.body = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.body(self.embed(x) + self.place).mean(1))


def published():
    """The weights of model_lstm.safetensors, float64, as a torch module."""
    w = load_file(pathlib.Path(__file__).parent / "model_lstm.safetensors")
    part = {k.rsplit(".", 1)[1]: v for k, v in w.items() if not k.startswith("robust.")}
    hidden, features = part["weight_hh_l0"].shape[1], part["weight_ih_l0"].shape[1]
    m = Recurrent(torch.nn.LSTM(features, hidden, batch_first=True), hidden,
                  part["weight"].shape[0], "last").double()
    m.body.load_state_dict({k: v for k, v in part.items() if "_l0" in k})
    m.fc.load_state_dict({k: part[k] for k in ("weight", "bias")})
    return m


def models():
    """name, module, layout, features, steps, open axes"""
    nn = torch.nn
    first = published()
    yield "lstm", first, "btd", first.body.input_size, 9, "bt"
    yield ("lstm_two", Recurrent(nn.LSTM(2, 5, 2, batch_first=True, bidirectional=True), 10, 3,
                                 "last"), "btd", 2, 9, "bt")
    yield "gru_mean", Recurrent(nn.GRU(2, 5, bidirectional=True), 10, 3, "mean"), "tbd", 2, 9, "b"
    yield "rnn_state", Recurrent(nn.RNN(2, 5, nonlinearity="relu"), 5, 3, "state"), "tbd", 2, 9, ""
    yield "lstm_max", Recurrent(nn.LSTM(2, 5, batch_first=True), 5, 3, "max"), "btd", 2, 9, "b"
    yield "conv", Convolution(), "bdt", 2, 16, "b"
    yield "encoder", Encoder(False, "gelu"), "btd", 2, 6, "b"
    yield "encoder_first", Encoder(True, "relu"), "btd", 2, 6, ""


def main():
    folder = pathlib.Path(sys.argv[1])
    for name, module, layout, features, steps, open_axes in models():
        module = module.eval()
        dtype = next(module.parameters()).dtype
        size = {"b": 1, "t": steps, "d": features}
        sample = torch.randn([size[c] for c in layout], dtype=dtype)
        axes = {k: c for k, c in enumerate(layout) if c in open_axes}
        torch.onnx.export(module, (sample,), folder / f"onnx_{name}.onnx", dynamo=False,
                          input_names=["x"], output_names=["y"], opset_version=17,
                          dynamic_axes={"x": axes, "y": {0: "b"} if "b" in open_axes else {}})
        x = torch.randn(3, steps, features, dtype=torch.float64)
        order = ["btd".index(c) for c in layout]
        with torch.no_grad():
            y = torch.cat([module.double()(x[i:i + 1].permute(order)) for i in range(3)])
        with open(folder / f"onnx_{name}.txt", "w") as f:
            f.write(f"onnx layout={layout}\n3 {steps} {features} {y.shape[1]}\n")
            f.writelines(f"{float(v)!r}\n" for v in [*x.flatten(), *y.flatten()])


if __name__ == "__main__":
    main()
