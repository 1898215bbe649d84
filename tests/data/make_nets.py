"""make_nets.py -- recurrent nets of every kind by PyTorch, float64, for tests/check/nets.c.

For each case two files: net_NAME.safetensors, a model with its recipe and witness (two series
and the outputs PyTorch gives), and near_NAME.safetensors with, at the first series x, the
gradient g of c . f and the product hv of its Hessian with v. Run in this folder:
    python3 make_nets.py
Made with torch 2.15 (any version gives the same numbers up to rounding).
"""
import sys

sys.path.insert(0, "../../examples/python")
import torch
from export import write_safetensors
from torch import nn

STEPS = 9


class Net(nn.Module):
    def __init__(self, body, head, readout, conv=None, conv_norm=None, act=None,
                 input_norm=None, head_norm=None, scale=None, state=None):
        super().__init__()
        self.rnn, self.fc, self.readout, self.act = body, head, readout, act
        self.conv, self.bn, self.pre, self.post = conv, conv_norm, input_norm, head_norm
        for name, pair in (("scale", scale), ("first", state)):
            for leaf, t in (pair or {}).items():
                self.register_buffer(f"{name}_{leaf}", t)

    def states(self, n):
        pair = [getattr(self, f"first_{k}", None) for k in ("h0", "c0")]
        pair = [t.unsqueeze(1).expand(-1, n, -1).contiguous() for t in pair if t is not None]
        return None if not pair else pair[0] if len(pair) == 1 else tuple(pair)

    def forward(self, x):
        if hasattr(self, "scale_mean"):
            x = (x - self.scale_mean) / self.scale_std
        if self.conv is not None:
            x = self.conv(x.transpose(1, 2))
            x = self.act(self.bn(x) if self.bn is not None else x).transpose(1, 2)
        if isinstance(self.pre, nn.BatchNorm1d):
            x = self.pre(x.transpose(1, 2)).transpose(1, 2)
        elif self.pre is not None:
            x = self.pre(x)
        h, end = self.rnn(x, self.states(x.shape[0]))
        end = end[0] if isinstance(end, tuple) else end
        ways = 2 if self.rnn.bidirectional else 1
        z = {"last": lambda: h[:, -1], "mean": lambda: h.mean(1), "every": lambda: h,
             "max": lambda: h.max(1)[0],
             "state": lambda: torch.cat([end[k] for k in range(-ways, 0)], 1)}[self.readout]()
        z = self.post(z) if self.post is not None else z
        return self.fc(z).flatten(1)


def batch_norm(size):
    norm = nn.BatchNorm1d(size)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    return norm


def layer_norm(size):
    norm = nn.LayerNorm(size)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def mlp(*sizes, act):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


def cases():
    b = dict(batch_first=True)
    yield "both", Net(nn.LSTM(2, 3, bidirectional=True, **b), nn.Linear(6, 2), "last"), "lstm readout=last"
    yield "both_two", Net(nn.GRU(2, 3, num_layers=2, bidirectional=True, **b), nn.Linear(6, 3),
                          "state"), "gru readout=state"
    yield "both_mean", Net(nn.RNN(1, 4, bidirectional=True, **b), nn.Linear(8, 2), "mean"), \
        "rnn nonlinearity=tanh readout=mean"
    yield "free", Net(nn.LSTM(2, 4, num_layers=2, bias=False, **b), nn.Linear(4, 2, bias=False),
                      "max"), "lstm readout=max"
    yield "free_gru", Net(nn.GRU(2, 4, bias=False, **b), nn.Linear(4, 2), "last"), \
        "gru readout=last"
    yield "every", Net(nn.GRU(1, 4, **b), nn.Linear(4, 2), "every"), \
        f"gru readout=every steps={STEPS} task=forecast"
    yield "mlp", Net(nn.LSTM(1, 4, **b), mlp(4, 5, 3, 2, act=nn.GELU), "last"), \
        "lstm readout=last activation=gelu"
    yield "mlp_wide", Net(nn.GRU(1, 4, **b), mlp(4, 4, 2, act=nn.Tanh), "mean"), \
        "gru readout=mean activation=tanh"
    yield "conv", Net(nn.LSTM(3, 4, **b), nn.Linear(4, 2), "mean",
                      conv=nn.Conv1d(2, 3, 3, stride=2, padding=1), act=nn.ReLU()), \
        "lstm readout=mean conv=conv stride=2 padding=1 conv_activation=relu"
    yield "conv_wide", Net(nn.GRU(3, 4, **b), nn.Linear(4, 2), "max",
                           conv=nn.Conv1d(1, 3, 3, padding=3, dilation=2), act=nn.Tanh(),
                           conv_norm=batch_norm(3)), \
        "gru readout=max conv=conv padding=3 dilation=2 conv_activation=tanh conv_norm=batch:bn"
    yield "norms", Net(nn.LSTM(3, 4, **b), nn.Linear(4, 2), "last", input_norm=layer_norm(3),
                       head_norm=layer_norm(4)), \
        "lstm readout=last input_norm=layer:pre head_norm=layer:post"
    yield "batch", Net(nn.RNN(2, 4, **b), nn.Linear(4, 2), "last", input_norm=batch_norm(2),
                       head_norm=batch_norm(4)), \
        "rnn nonlinearity=tanh readout=last input_norm=batch:pre head_norm=batch:post"
    yield "scaled", Net(nn.LSTM(2, 3, **b), nn.Linear(3, 2), "last",
                        scale={"mean": torch.randn(2), "std": torch.rand(2) + 0.5},
                        state={"h0": torch.randn(1, 3), "c0": torch.randn(1, 3)}), \
        "lstm readout=last scale=scale state=first"
    yield "states", Net(nn.GRU(1, 3, num_layers=2, bidirectional=True, **b), nn.Linear(6, 2),
                        "last", state={"h0": torch.randn(4, 3)}), "gru readout=last state=first"


def tensors_of(net):
    for name, t in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            yield name.replace("scale_", "scale.").replace("first_", "first."), t


torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
for name, net, recipe in cases():
    net.eval()
    with torch.no_grad():                       # out of the linear range of the gates
        for p in net.rnn.parameters():
            p.mul_(1.5)
    features = net.conv.in_channels if net.conv is not None else net.rnn.input_size
    x = torch.randn(2, STEPS, features)
    c = torch.linspace(1, -1, net(x).shape[1])
    v = torch.randn(STEPS, features)
    f = lambda z: (net(z.unsqueeze(0))[0] * c).sum()
    hv = torch.autograd.functional.vhp(f, x[0], v)[1]
    grad = torch.autograd.functional.jacobian(f, x[0])
    weights = dict(tensors_of(net))
    weights["robust.check.x"], weights["robust.check.y"] = x, net(x).detach()
    write_safetensors(f"net_{name}.safetensors", weights,
                      {"format": "pt", "robust.recipe": recipe})
    write_safetensors(f"near_{name}.safetensors",
                      {"c": c, "v": v, "grad": grad, "hv": hv}, {})
