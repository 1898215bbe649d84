"""Reference derivatives of small recurrent classifiers, by PyTorch in float64.

    python3 tests/data/make_derivatives.py        (needs torch; any recent version)

writes tests/data/derivatives_{elman,lstm}_{5,12}.txt. For a loss f = cross-entropy of one
labelled sequence x (T, D):

    logits (L)            jacobian (L, T D)   d logits / d x
    loss                  gradient (T D)      g = d f / d x
    hessian (T D, T D)    hessian_u (T D)     H u
    weight_ih ...         grad_*              gradient of f by each weight
                          penalty_*           gradient of |H u|^2 by each weight

Weights, x and u are rounded to float32, so both precisions start from the same numbers.
A record is a line `name rank dim...` followed by the numbers, row-major, 17 digits.
"""
import os
import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(20260101)
HERE = os.path.dirname(os.path.abspath(__file__))


def rounded(*shape, scale=1.0):
    return (scale * torch.randn(*shape)).float().double()


def elman_step(z, state, hidden):
    h = torch.tanh(z)
    return h, (h,)


def lstm_step(z, state, hidden):
    i, f, g, o = z.split(hidden)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, (h, c)


def logits_of(step, w, x, hidden):
    state = (torch.zeros(hidden), torch.zeros(hidden))
    h = state[0]
    for t in range(x.shape[0]):
        z = w["weight_ih"] @ x[t] + w["weight_hh"] @ h + w["bias"]
        h, state = step(z, state, hidden)
    return w["head"] @ h + w["head_bias"]


def write(path, records):
    with open(path, "w") as out:
        for name, value in records:
            value = value.detach()
            out.write(" ".join([name, str(value.dim())] + [str(n) for n in value.shape]) + "\n")
            out.write(" ".join("%.17g" % v for v in value.reshape(-1).tolist()) + "\n")


def make(kind, steps, features, hidden, classes):
    step, gates = {"elman": (elman_step, 1), "lstm": (lstm_step, 4)}[kind]
    w = {"weight_ih": rounded(gates * hidden, features, scale=0.8),
         "weight_hh": rounded(gates * hidden, hidden, scale=0.8 / hidden ** 0.5 * 1.5),
         "bias": rounded(gates * hidden, scale=0.3),
         "head": rounded(classes, hidden, scale=1.2),
         "head_bias": rounded(classes, scale=0.3)}
    x, u = rounded(steps, features), rounded(steps * features)
    label = torch.tensor(1)
    for v in w.values():
        v.requires_grad_(True)
    x.requires_grad_(True)

    def loss_of(flat):
        y = logits_of(step, w, flat.reshape(steps, features), hidden)
        return torch.logsumexp(y, 0) - y[label]

    flat = x.reshape(-1)
    y = logits_of(step, w, x, hidden)
    loss = loss_of(flat)
    gradient, = torch.autograd.grad(loss, flat, create_graph=True)
    rows = [torch.autograd.grad(gradient[i], flat, retain_graph=True)[0]
            for i in range(flat.numel())]
    hessian_u, = torch.autograd.grad(gradient @ u, flat, create_graph=True)
    jacobian = torch.stack([torch.autograd.grad(y[k], x, retain_graph=True)[0].reshape(-1)
                            for k in range(classes)])
    grads = torch.autograd.grad(loss, list(w.values()), retain_graph=True)
    penalties = torch.autograd.grad((hessian_u ** 2).sum(), list(w.values()), allow_unused=True)
    records = list(w.items()) + [("x", x), ("u", u), ("label", label.double()), ("logits", y),
                                 ("loss", loss), ("jacobian", jacobian),
                                 ("gradient", gradient), ("hessian", torch.stack(rows)),
                                 ("hessian_u", hessian_u)]
    records += [("grad_" + k, v) for k, v in zip(w, grads)]
    records += [("penalty_" + k, v) for k, v in zip(w, penalties)]
    write(os.path.join(HERE, "derivatives_%s_%d.txt" % (kind, steps)), records)


for kind in ("elman", "lstm"):
    make(kind, 5, 2, 4, 3)
    make(kind, 12, 3, 6, 4)
