"""make_exports.py -- torch modules with every option of a recurrent recipe, through export.save,
float64, for tests/check/exports.c. Each file holds weights, recipe and, as witness, two series
with what PyTorch gives. Run in this folder: python3 make_exports.py
Made with torch 2.15 (any version gives the same numbers up to rounding).
"""
import sys

sys.path.insert(0, "../../examples/python")
import torch
from export import save
from torch import nn


class Scale(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.register_buffer("mean", torch.randn(features))
        self.register_buffer("std", 0.5 + torch.rand(features))

    def forward(self, x):
        return (x - self.mean) / self.std


class State(nn.Module):
    def __init__(self, rows, hidden, cell):
        super().__init__()
        self.register_buffer("h0", torch.rand(rows, hidden) - 0.5)
        if cell:
            self.register_buffer("c0", torch.randn(rows, hidden))

    def forward(self, batch):
        all = [t.unsqueeze(1).expand(-1, batch, -1).contiguous() for t in self.buffers()]
        return tuple(all) if len(all) == 2 else all[0]


def along(norm, v):
    """A norm over the features of v (n, T, F) or (n, F)."""
    if isinstance(norm, nn.BatchNorm1d) and v.dim() == 3:
        return norm(v.transpose(1, 2)).transpose(1, 2)
    return norm(v)


READ = {"last": lambda h, end: h[:, -1], "mean": lambda h, end: h.mean(1),
        "max": lambda h, end: h.max(1).values, "every": lambda h, end: h,
        "state": lambda h, end: torch.cat(list(end), -1)}


class Net(nn.Module):
    def __init__(self, body, head, readout="last", scale=None, conv=None, norms=(None,) * 3,
                 conv_act=None, state=False):
        super().__init__()
        self.readout = readout
        if scale:
            self.scale = Scale(scale)
        self.conv = conv
        self.conv_norm, self.conv_act, self.input_norm = norms[0], conv_act, norms[1]
        self.body = body
        self.ways = 1 + body.bidirectional
        if state:
            self.first = State(body.num_layers * self.ways, body.hidden_size,
                               body.mode == "LSTM")
        self.head_norm, self.drop, self.fc = norms[2], nn.Dropout(0.5), head

    def forward(self, x):
        if hasattr(self, "scale"):
            x = self.scale(x)
        if self.conv is not None:
            x = self.conv(x.transpose(1, 2)).transpose(1, 2)
            x = along(self.conv_norm, x) if self.conv_norm is not None else x
            x = self.conv_act(x) if self.conv_act is not None else x
        x = along(self.input_norm, x) if self.input_norm is not None else x
        h, end = self.body(x, self.first(len(x))) if hasattr(self, "first") else self.body(x)
        end = end[0] if isinstance(end, tuple) else end
        z = READ[self.readout](h, end[-self.ways:])
        z = along(self.head_norm, z) if self.head_norm is not None else z
        return self.fc(self.drop(z))


def batch_norm(size):
    norm = nn.BatchNorm1d(size)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.3, 2.0)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    return norm


def layer_norm(size, **more):
    norm = nn.LayerNorm(size, **more)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    return norm


def mlp(act, *sizes, bias=True):
    layers = [nn.Linear(sizes[0], sizes[1], bias=bias)]
    for a, b in zip(sizes[1:], sizes[2:]):
        layers += [act(), nn.Linear(a, b, bias=bias)]
    return nn.Sequential(*layers)


def cases():
    R = dict(batch_first=True)
    lin = nn.Linear
    yield "rnn_both", Net(nn.RNN(2, 3, bidirectional=True, **R), lin(6, 2)), {}
    yield "rnn_relu_state", Net(nn.RNN(2, 4, 2, nonlinearity="relu", **R), lin(4, 3),
                                state=True), {}
    yield "lstm_both", Net(nn.LSTM(2, 3, 2, bidirectional=True, **R), lin(6, 3),
                           "state"), {}
    yield "lstm_both_mean", Net(nn.LSTM(1, 3, bidirectional=True, **R), lin(6, 2), "mean"), {}
    yield "lstm_state", Net(nn.LSTM(2, 3, 2, bidirectional=True, **R), lin(6, 2),
                            "max", state=True), {}
    yield "lstm_free", Net(nn.LSTM(2, 4, bias=False, **R), lin(4, 2, bias=False)), {}
    yield "gru_free", Net(nn.GRU(2, 4, 2, bias=False, **R), lin(4, 2), "mean"), {}
    yield "gru_both", Net(nn.GRU(2, 3, 2, bidirectional=True, **R), lin(6, 3), "max",
                          state=True), {}
    yield "lstm_every", Net(nn.LSTM(2, 4, **R), lin(4, 2), "every"), {}
    yield "gru_every_both", Net(nn.GRU(1, 3, bidirectional=True, **R), mlp(nn.Tanh, 6, 4, 1),
                                "every"), dict(task="forecast")
    yield "lstm_mlp_relu", Net(nn.LSTM(2, 4, **R), mlp(nn.ReLU, 4, 4, 3)), {}
    yield "rnn_mlp_tanh", Net(nn.RNN(2, 4, **R), mlp(nn.Tanh, 4, 5, 3, 2)), {}
    yield "gru_mlp_gelu", Net(nn.GRU(2, 4, **R), mlp(nn.GELU, 4, 5, 2, bias=False),
                              "mean"), {}
    yield "lstm_scale", Net(nn.LSTM(3, 4, **R), lin(4, 2), scale=3), {}
    yield "lstm_conv", Net(nn.LSTM(4, 3, **R), lin(3, 2), conv=nn.Conv1d(
        2, 4, 3, padding=1), conv_act=nn.ReLU()), {}
    yield "gru_conv_stride", Net(nn.GRU(3, 4, **R), lin(4, 2), "mean", conv=nn.Conv1d(
        1, 3, 2, stride=2, bias=False), conv_act=nn.Tanh()), {}
    yield "rnn_conv_dilation", Net(nn.RNN(3, 4, **R), lin(4, 2), conv=nn.Conv1d(
        2, 3, 3, stride=2, dilation=2, padding=3)), {}
    yield "lstm_batch_norms", Net(nn.LSTM(4, 3, **R), lin(3, 2), conv=nn.Conv1d(
        2, 4, 3), conv_act=nn.ReLU(), norms=(batch_norm(4), batch_norm(4), batch_norm(3))), {}
    yield "gru_layer_norms", Net(nn.GRU(3, 4, bidirectional=True, **R), mlp(nn.Tanh, 8, 3, 2),
                                 "last", norms=(None, layer_norm(3, eps=1e-3),
                                                layer_norm(8, eps=1e-3))), {}
    yield "rnn_conv_norm", Net(nn.RNN(4, 3, **R), lin(3, 2), "max", conv=nn.Conv1d(
        1, 4, 3), conv_act=nn.GELU(), norms=(layer_norm(4), None, None)), {}
    yield "lstm_forecast", Net(nn.LSTM(2, 4, 2, **R), lin(4, 1)), dict(
        task="forecast", shift=1.5, scale=0.75)


torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
for name, model, said in cases():
    own = [p for m in (model.body, model.fc, model.conv) if m is not None for p in m.parameters()]
    with torch.no_grad():                       # out of the linear range of the gates
        for p in own:
            p.mul_(1.7)
    save(model, f"export_{name}.safetensors", model.readout, steps=7, **said)
