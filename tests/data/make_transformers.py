"""make_transformers.py -- encoders from torch.nn.TransformerEncoder, float64.

Writes model_encoder_NAME.safetensors (weights, recipe, witness) and, into
transformers.txt, for the first witness series x and output difference y_0 - y_1 its
gradient and the product of its Hessian with v, v_k = cos(k); then, of a batch in which
x ends after 5 steps (src_key_padding_mask; convolutions see zeros behind), its logits and
the gradient of that difference: `NAME T D` and four rows of T D, T D, L and T D numbers.
Norms without the division by the deviation, and encoders with the names of vit-pytorch, are
modules of our own, below. Usage: python3 make_transformers.py FOLDER
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
OUT = pathlib.Path(sys.argv[1])
T, D, F, HEADS, G, L, SHORT = 7, 3, 8, 2, 12, 3, 5
ACTIVATIONS = {"relu": "relu", "gelu": "gelu",
               "gelu_tanh": lambda z: functional.gelu(z, approximate="tanh")}


def sinusoid(steps, width):
    p = torch.zeros(steps, width)
    t = torch.arange(steps)[:, None].double()
    r = torch.exp(torch.arange(0, width, 2) * (-torch.log(torch.tensor(1e4)) / width))
    p[:, 0::2], p[:, 1::2] = torch.sin(t * r), torch.cos(t * r)
    return p


class Centred(nn.Module):
    """A layer norm without the division."""
    eps = 0.0

    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, u):
        return self.weight * (u - u.mean(-1, keepdim=True)) + self.bias


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.randn(D))
        self.register_buffer("std", 0.5 + torch.rand(D))


def batch_norm(size):
    norm = nn.BatchNorm1d(size)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    return norm


def along(norm, u):
    """A norm over the features of u (n, T, F) or (n, F)."""
    if isinstance(norm, nn.BatchNorm1d) and u.dim() == 3:
        return norm(u.transpose(1, 2)).transpose(1, 2)
    return norm(u)


class Net(nn.Module):
    def __init__(self, activation, first, readout, positions, patch=0, bare=False, conv=None,
                 conv_act=None, conv_norm=None, input_norm=None, head_norm=None, head=None,
                 scale=False, centred=False, last_norm=None, bias=True):
        super().__init__()
        self.readout, self.positions, self.patch = readout, positions, patch
        self.conv, self.conv_act, self.conv_norm = conv, conv_act, conv_norm
        self.input_norm, self.head_norm = input_norm, head_norm
        inputs = conv.out_channels if conv else D
        if scale:
            self.scale = Scale()
        if patch:
            self.embed = nn.Conv1d(inputs, F, patch, stride=patch)
        elif not bare:
            self.embed = nn.Linear(inputs, F)
        if readout == "cls":
            self.cls_token = nn.Parameter(0.3 * torch.randn(1, 1, F))
        if positions == "learned":
            self.pos_embedding = nn.Parameter(0.3 * torch.randn(1, T + 4, F))
        layer = nn.TransformerEncoderLayer(F, HEADS, G, 0.0, ACTIVATIONS[activation],
                                           norm_first=first, batch_first=True, bias=bias)
        if centred:
            layer.norm1, layer.norm2 = Centred(F), Centred(F)
        norm = Centred(F) if centred else nn.LayerNorm(F)
        last = first if last_norm is None else last_norm
        self.encoder = nn.TransformerEncoder(layer, 2, norm if last else None,
                                             enable_nested_tensor=False)
        self.fc = head or nn.Linear(F, L)
        for p in self.parameters():
            with torch.no_grad():
                p.add_(0.2 * torch.randn_like(p))

    def front(self, x, steps):
        if hasattr(self, "scale"):
            x = (x - self.scale.mean) / self.scale.std
        x = x * (torch.arange(x.shape[1]) < steps)[None, :, None]
        if self.conv is not None:
            x = self.conv(x.transpose(1, 2)).transpose(1, 2)
            reach = self.conv.dilation[0] * (self.conv.kernel_size[0] - 1) + 1
            steps = (steps + 2 * self.conv.padding[0] - reach) // self.conv.stride[0] + 1
            x = along(self.conv_norm, x) if self.conv_norm is not None else x
            x = self.conv_act(x) if self.conv_act is not None else x
        x = along(self.input_norm, x) if self.input_norm is not None else x
        x = x * (torch.arange(x.shape[1]) < steps)[None, :, None]
        if self.patch:
            return self.embed(x.transpose(1, 2)).transpose(1, 2), steps // self.patch
        return (self.embed(x) if hasattr(self, "embed") else x), steps

    def forward(self, x, steps=None):
        u, steps = self.front(x, x.shape[1] if steps is None else steps)
        if self.readout == "cls":
            u, steps = torch.cat([self.cls_token.expand(len(u), -1, -1), u], 1), steps + 1
        if self.positions == "learned":
            u = u + self.pos_embedding[:, :u.shape[1]]
        if self.positions == "sinusoid":
            u = u + sinusoid(u.shape[1], F)
        gone = (torch.arange(u.shape[1]) >= steps)[None].expand(len(u), -1)
        u = self.encoder(u, src_key_padding_mask=gone if gone.any() else None)[:, :steps]
        z = {"cls": u[:, 0], "last": u[:, -1], "mean": u.mean(1), "max": u.amax(1)}
        z = z[self.readout]
        return self.fc(along(self.head_norm, z) if self.head_norm is not None else z)


class Residual(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn


class PreNorm(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.norm, self.fn = Centred(F), fn

    def forward(self, u, *more):
        return self.fn(self.norm(u), *more)


class Attention(nn.Module):
    """Heads that together are wider than the encoder."""

    def __init__(self, width=12):
        super().__init__()
        self.to_qkv = nn.Linear(F, 3 * width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, F), nn.Dropout(0.0))

    def forward(self, u, gone):
        q, k, v = (w.unflatten(-1, (HEADS, -1)).transpose(1, 2)
                   for w in self.to_qkv(u).chunk(3, -1))
        s = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        p = s.masked_fill(gone[:, None, None], -torch.inf).softmax(-1)
        return self.to_out((p @ v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(F, G), nn.GELU(), nn.Dropout(0.0), nn.Linear(G, F))

    def forward(self, u):
        return self.net(u)


class Stack(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList([
            Residual(PreNorm(Attention())), Residual(PreNorm(FeedForward()))])
            for _ in range(layers))


class Vit(nn.Module):
    """Patches of 2 steps by 1 feature, those of the same steps side by side."""
    readout = "cls"

    def __init__(self):
        super().__init__()
        self.to_patch_embedding = nn.Sequential(nn.Identity(), nn.Linear(2, F))
        self.cls_token = nn.Parameter(0.3 * torch.randn(1, 1, F))
        self.pos_embedding = nn.Parameter(0.3 * torch.randn(1, 1 + 3 * D, F))
        self.transformer = Stack(2)
        self.mlp_head = nn.Sequential(Centred(F), nn.Linear(F, L))
        for p in self.parameters():
            with torch.no_grad():
                p.add_(0.2 * torch.randn_like(p))

    def forward(self, x, steps=None):
        n, whole = len(x), x.shape[1] // 2
        u = x[:, :2 * whole].unflatten(1, (whole, 2)).transpose(2, 3).flatten(1, 2)
        u = torch.cat([self.cls_token.expand(n, -1, -1), self.to_patch_embedding(u)], 1)
        u = u + self.pos_embedding[:, :u.shape[1]]
        there = 1 + (x.shape[1] if steps is None else steps) // 2 * D
        gone = (torch.arange(u.shape[1]) >= there)[None].expand(n, -1)
        for attention, feed in self.transformer.layers:
            u = u + attention.fn(u, gone)
            u = u + feed.fn(u)
        return self.mlp_head(u[:, 0])


def mlp(*sizes, act, bias=True):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b, bias=bias), act()]
    return nn.Sequential(*layers[:-1])


def cases():
    yield "relu_last", Net("relu", False, "last", "none"), \
        "activation=relu norm=last positions=none"
    yield "gelu_first_cls", Net("gelu", True, "cls", "learned"), "activation=gelu norm=first"
    yield "tanh_mean", Net("gelu_tanh", False, "mean", "sinusoid"), \
        "activation=gelu_tanh norm=last positions=sinusoid"
    yield "relu_first_max", Net("relu", True, "max", "sinusoid"), \
        "activation=relu norm=first positions=sinusoid"
    yield "patches", Net("gelu", True, "mean", "learned", 2), \
        "activation=gelu norm=first patch=2"
    yield "centred", Net("gelu", True, "cls", "learned", centred=True), \
        "activation=gelu norm=first layernorm=centred"
    yield "centred_last", Net("relu", False, "mean", "none", centred=True), \
        "activation=relu norm=last layernorm=centred positions=none"
    yield "mlp", Net("relu", True, "mean", "none", last_norm=False, head=mlp(
        F, 8, 5, L, act=nn.GELU)), \
        "activation=relu norm=first positions=none head_activation=gelu"
    yield "scale", Net("gelu", False, "last", "sinusoid", scale=True, last_norm=True,
                       head=mlp(F, 4, L, act=nn.Tanh, bias=False)), \
        "activation=gelu norm=last positions=sinusoid scale=scale head_activation=tanh"
    yield "conv", Net("gelu", True, "mean", "learned", conv=nn.Conv1d(D, 4, 3, padding=1),
                      conv_act=nn.ReLU(), conv_norm=batch_norm(4), head_norm=batch_norm(F)), \
        "activation=gelu norm=first conv=conv padding=1 conv_activation=relu " \
        "conv_norm=batch:conv_norm head_norm=batch:head_norm"
    yield "conv_patches", Net("relu", False, "cls", "learned", 2, conv=nn.Conv1d(
        D, 4, 2, dilation=2, padding=1), input_norm=nn.LayerNorm(4)), \
        "activation=relu norm=last conv=conv padding=1 dilation=2 conv_activation=none " \
        "patch=2 input_norm=layer:input_norm"
    yield "free", Net("gelu", True, "last", "learned", bare=True, bias=False, conv=nn.Conv1d(
        D, F, 3, stride=2, padding=2), conv_act=nn.GELU(), head_norm=nn.LayerNorm(F),
        head=nn.Linear(F, L, bias=False)), \
        "activation=gelu norm=first bias=no conv=conv stride=2 padding=2 " \
        "conv_activation=gelu head_norm=layer:head_norm head_bias=no"
    yield "vit", Vit(), "names=vit activation=gelu norm=first layernorm=centred " \
        "patch=2x1 features=3"


torch.backends.mha.set_fastpath_enabled(False)
lines = []
for name, net, words in cases():
    net.eval()
    for p in net.parameters():
        p.requires_grad_(False)
    x = torch.randn(2, T, D)
    z = x[:1].clone().requires_grad_(True)
    v = torch.cos(torch.arange(T * D).double()).reshape(1, T, D)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        y = net(z)[0]
        (g,) = torch.autograd.grad(y[0] - y[1], z, create_graph=True)
        (h,) = torch.autograd.grad((g * v).sum(), z)
        short = net(z, SHORT)[0]
        (gs,) = torch.autograd.grad(short[0] - short[1], z)
        alone = net(x[:1, :SHORT])[0]
        logits = net(x)
    assert (short - alone).norm() < 1e-13 * alone.norm(), name
    recipe = f"transformer readout={net.readout} heads={HEADS} {words}"
    state = {k: w.detach().clone().contiguous() for k, w in net.state_dict().items()
             if not k.endswith("num_batches_tracked")}
    state["robust.check.x"], state["robust.check.y"] = x, logits.detach()
    save_file(state, OUT / f"model_encoder_{name}.safetensors", {"robust.recipe": recipe})
    lines.append(f"{name} {T} {D}")
    for row in (g.detach(), h, short.detach(), gs):
        lines.append(" ".join(f"{w:.17g}" for w in row.flatten().tolist()))
(OUT / "transformers.txt").write_text("\n".join(lines) + "\n")
