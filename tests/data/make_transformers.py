"""make_transformers.py -- encoders from torch.nn.TransformerEncoder, float64.

Writes model_encoder_NAME.safetensors (weights, recipe, witness) and, into
transformers.txt, for the first witness series x and output difference y_0 - y_1 its
gradient and the product of its Hessian with v, v_k = cos(k): `NAME T D` and two rows of
T D numbers. Usage: python3 make_transformers.py FOLDER
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
OUT = pathlib.Path(sys.argv[1])
T, D, F, HEADS, G, L = 7, 3, 8, 2, 12, 3


def sinusoid(steps, width):
    p = torch.zeros(steps, width)
    t = torch.arange(steps)[:, None].double()
    r = torch.exp(torch.arange(0, width, 2) * (-torch.log(torch.tensor(1e4)) / width))
    p[:, 0::2], p[:, 1::2] = torch.sin(t * r), torch.cos(t * r)
    return p


class Net(nn.Module):
    def __init__(self, activation, first, readout, positions, patch=0, bare=False):
        super().__init__()
        self.readout, self.positions, self.patch = readout, positions, patch
        if patch:
            self.embed = nn.Conv1d(D, F, patch, stride=patch)
        elif not bare:
            self.embed = nn.Linear(D, F)
        if readout == "cls":
            self.cls_token = nn.Parameter(0.3 * torch.randn(1, 1, F))
        if positions == "learned":
            self.pos_embedding = nn.Parameter(0.3 * torch.randn(1, T + 4, F))
        act = {"relu": "relu", "gelu": "gelu",
               "gelu_tanh": lambda z: nn.functional.gelu(z, approximate="tanh")}
        layer = nn.TransformerEncoderLayer(F, HEADS, G, 0.0, act[activation],
                                           norm_first=first, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(F) if first else None,
                                             enable_nested_tensor=False)
        self.fc = nn.Linear(F, L)
        for p in self.parameters():
            with torch.no_grad():
                p.add_(0.2 * torch.randn_like(p))

    def forward(self, x):
        u = self.embed(x.transpose(1, 2)).transpose(1, 2) if self.patch else \
            self.embed(x) if hasattr(self, "embed") else x
        if self.readout == "cls":
            u = torch.cat([self.cls_token.expand(len(u), -1, -1), u], 1)
        if self.positions == "learned":
            u = u + self.pos_embedding[:, :u.shape[1]]
        if self.positions == "sinusoid":
            u = u + sinusoid(u.shape[1], F)
        u = self.encoder(u)
        z = {"cls": u[:, 0], "last": u[:, -1], "mean": u.mean(1), "max": u.amax(1)}
        return self.fc(z[self.readout])


CASES = {
    "relu_last": ("relu", False, "last", "none"),
    "gelu_first_cls": ("gelu", True, "cls", "learned"),
    "tanh_mean": ("gelu_tanh", False, "mean", "sinusoid"),
    "relu_first_max": ("relu", True, "max", "sinusoid"),
    "patches": ("gelu", True, "mean", "learned", 2),
}
torch.backends.mha.set_fastpath_enabled(False)
lines = []
for name, case in CASES.items():
    net = Net(*case).eval()
    for p in net.parameters():
        p.requires_grad_(False)
    x = torch.randn(2, T, D)
    z = x[:1].clone().requires_grad_(True)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        y = net(z)[0]
        (g,) = torch.autograd.grad(y[0] - y[1], z, create_graph=True)
        v = torch.cos(torch.arange(T * D).double()).reshape(1, T, D)
        (h,) = torch.autograd.grad((g * v).sum(), z)
        logits = net(x)
    recipe = (f"transformer readout={case[2]} heads={HEADS} activation={case[0]} "
              f"norm={'first' if case[1] else 'last'}")
    if case[3] != "learned":
        recipe += f" positions={case[3]}"
    if len(case) > 4:
        recipe += f" patch={case[4]}"
    state = {k: w.detach().clone().contiguous() for k, w in net.state_dict().items()}
    state["robust.check.x"], state["robust.check.y"] = x, logits.detach()
    save_file(state, OUT / f"model_encoder_{name}.safetensors", {"robust.recipe": recipe})
    lines.append(f"{name} {T} {D}")
    for row in (g.detach(), h):
        lines.append(" ".join(f"{w:.17g}" for w in row.flatten().tolist()))
(OUT / "transformers.txt").write_text("\n".join(lines) + "\n")
