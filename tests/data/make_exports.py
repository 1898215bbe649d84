"""make_exports.py -- torch modules with every option of a recipe, through export.save, float64,
for tests/check/exports.c. Each file holds weights, recipe and, as witness, two series
with what PyTorch gives. Run in this folder: python3 make_exports.py
Made with torch 2.15 (any version gives the same numbers up to rounding).
"""
import sys

sys.path.insert(0, "../../examples/python")
import torch
from export import save
from torch import nn
from torch.nn import functional


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


class Reversed(nn.Module):
    """Registered in the order in which nothing is used, with functions between."""

    def __init__(self):
        super().__init__()
        self.fc2, self.fc1, self.n3 = nn.Linear(4, 2), nn.Linear(3, 4), layer_norm(3)
        self.body, self.n2, self.n1 = nn.GRU(4, 3, batch_first=True), batch_norm(4), layer_norm(4)
        self.conv = nn.Conv1d(2, 4, 3)
        self.fc, self.readout = self.fc2, "max"

    def forward(self, x):
        x = self.n1(self.conv(x.transpose(1, 2)).transpose(1, 2)).relu()
        z = self.n3(self.body(along(self.n2, x))[0].max(1).values)
        return self.fc2(torch.tanh(self.fc1(z)))


class Behind(Reversed):
    """The same, its norm behind the activation."""

    def forward(self, x):
        x = functional.gelu(self.conv(x.transpose(1, 2)).transpose(1, 2))
        return self.fc2(torch.tanh(self.fc1(self.body(self.n1(x))[0].max(1).values)))


class Centred(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(width)), nn.Parameter(torch.rand(width))
        self.eps = 0.0

    def forward(self, u):
        return self.weight * (u - u.mean(-1, keepdim=True)) + self.bias


def sinusoid(steps, width):
    t, i = torch.arange(steps)[:, None], torch.arange(width)
    angle = t * 1e4 ** (-(i // 2 * 2) / width)
    return torch.where(i % 2 == 0, angle.sin(), angle.cos())


WIDTH, HEADS, INNER = 8, 2, 6


def encoder(activation="relu", first=False, last=False, bias=True, centred=False, rows=True,
            layers=2):
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.1, activation, bias=bias,
                                       norm_first=first, batch_first=rows)
    if centred:
        layer.norm1, layer.norm2 = Centred(WIDTH), Centred(WIDTH)
    norm = Centred(WIDTH) if centred else layer_norm(WIDTH)
    return nn.TransformerEncoder(layer, layers, norm if last else None,
                                 enable_nested_tensor=False)


class Encoded(nn.Module):
    """Patches or a linear map, a token, positions, an encoder, a head."""

    def __init__(self, body, head, readout, embed=None, positions=None, token=False, scale=0,
                 conv=None, act=None, conv_norm=None, head_norm=None, rows=True):
        super().__init__()
        self.head_norm, self.fc, self.body, self.embed = head_norm, head, body, embed
        self.conv, self.act, self.conv_norm = conv, act, conv_norm
        self.readout, self.rows, self.positions = readout, rows, positions
        if scale:
            self.scale = Scale(scale)
        if token:
            self.token = nn.Parameter(torch.randn(WIDTH))
        if positions == "learned":
            self.place = nn.Parameter(torch.randn(1, 12, WIDTH))
        if positions == "embedded":
            self.place = nn.Embedding(9, WIDTH)
        if positions == "stored":
            self.register_buffer("place", sinusoid(30, WIDTH), persistent=False)

    def embedded(self, x):
        if hasattr(self, "scale"):
            x = self.scale(x)
        if self.conv is not None:
            x = self.conv(x.transpose(1, 2)).transpose(1, 2)
            x = along(self.conv_norm, x) if self.conv_norm is not None else x
            x = self.act(x) if self.act is not None else x
        if isinstance(self.embed, nn.Conv1d):
            return self.embed(x.transpose(1, 2)).transpose(1, 2)
        if self.embed is not None and self.embed.in_features != x.shape[-1]:
            patch = self.embed.in_features // x.shape[-1]
            x = x[:, :x.shape[1] // patch * patch].unflatten(1, (-1, patch)).flatten(2)
        return self.embed(x) if self.embed is not None else x

    def forward(self, x):
        u = self.embedded(x)
        if hasattr(self, "token"):
            u = torch.cat([self.token.expand(len(u), 1, -1), u], 1)
        steps = u.shape[1]
        if self.positions == "computed":
            u = u + sinusoid(steps, WIDTH)
        elif isinstance(getattr(self, "place", None), nn.Embedding):
            u = u + self.place(torch.arange(steps))
        elif self.positions:
            u = u + self.place.reshape(-1, WIDTH)[:steps]
        if isinstance(self.body, nn.ModuleList):
            for layer in self.body:
                u = layer(u)
        else:
            u = self.body(u) if self.rows else self.body(u.transpose(0, 1)).transpose(0, 1)
        z = {"last": lambda: u[:, -1], "mean": lambda: u.mean(1), "cls": lambda: u[:, 0],
             "max": lambda: u.amax(1)}[self.readout]()
        return self.fc(along(self.head_norm, z) if self.head_norm is not None else z)


def tanh_gelu(z):
    return functional.gelu(z, approximate="tanh")


def encoded():
    lin = nn.Linear
    yield "encoder_last", Encoded(encoder(), lin(WIDTH, 3), "last", lin(2, WIDTH))
    yield "encoder_cls", Encoded(encoder("gelu", True, True), lin(WIDTH, 2), "cls",
                                 lin(3, WIDTH), "learned", True)
    yield "encoder_patches", Encoded(encoder(tanh_gelu, True), lin(WIDTH, 2), "mean",
                                     nn.Conv1d(2, WIDTH, 3, stride=3), "stored")
    yield "encoder_unfolded", Encoded(encoder("gelu", False, True), mlp(nn.ReLU, WIDTH, 5, 3),
                                      "max", lin(6, WIDTH, bias=False), "embedded")
    yield "encoder_list", Encoded(nn.ModuleList(encoder("relu", True).layers), lin(WIDTH, 2),
                                  "cls", lin(2, WIDTH), "computed", True)
    yield "encoder_front", Encoded(
        encoder(rows=False), mlp(nn.Tanh, WIDTH, 4, 2, bias=False), "mean", lin(4, WIDTH),
        "learned", scale=2, conv=nn.Conv1d(2, 4, 3, padding=1), act=functional.relu,
        conv_norm=batch_norm(4), head_norm=batch_norm(WIDTH), rows=False)
    yield "encoder_bare", Encoded(
        encoder("gelu", True, bias=False), lin(WIDTH, 2), "last", head_norm=layer_norm(WIDTH),
        conv=nn.Conv1d(1, WIDTH, 3, stride=2, padding=2), act=torch.tanh)
    yield "encoder_centred", Encoded(encoder("relu", True, True, centred=True), lin(WIDTH, 2),
                                     "mean", lin(2, WIDTH), "learned")


torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
for name, model, said in cases():
    own = [p for m in (model.body, model.fc, model.conv) if m is not None for p in m.parameters()]
    with torch.no_grad():                       # out of the linear range of the gates
        for p in own:
            p.mul_(1.7)
    save(model, f"export_{name}.safetensors", model.readout, steps=7, **said)
for name, model in (("gru_reversed", Reversed()), ("gru_behind", Behind())):
    save(model, f"export_{name}.safetensors", model.readout, steps=7)
for name, model in encoded():
    with torch.no_grad():                       # layers of a list start as copies of one
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    features = {"encoder_cls": 3, "encoder_bare": 1}.get(name, 2)
    save(model, f"export_{name}.safetensors", model.readout,
         example=torch.randn(2, 7, features))
