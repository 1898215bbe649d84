"""Reference penalties and their weight gradients, by PyTorch in float64.

    cd tests/data && python3 make_penalties.py     (needs torch; any recent version)

reads model_{rnn_tanh,lstm_two,gru}.safetensors and writes penalties_*.txt: three series
of different lengths, u = (x - shift)/scale what the network sees, mean over the series of

    jacobian   1/2 ||d f / d u||_F^2
    hessian    1/2 sum_c ||Hess_u f_c||_F^2
    joint      cross-entropy + 0.7 jacobian + 0.3 hessian

each followed by its gradient by every weight, in the file's order (..._gradient).
A record is a line `name rank dim...` followed by the numbers, row-major, 17 digits.
"""
import json
import struct

import torch

torch.set_default_dtype(torch.float64)
KINDS = {"rnn_tanh": (torch.nn.RNN, 1), "lstm_two": (torch.nn.LSTM, 4), "gru": (torch.nn.GRU, 3)}
INPUT = {"rnn_tanh": (0.0, 1.0), "lstm_two": (0.1, 0.7), "gru": (0.0, 1.0)}


def read_safetensors(path):
    raw = open(path, "rb").read()
    size, = struct.unpack("<Q", raw[:8])
    header, out = json.loads(raw[8:8 + size]), {}
    for name, entry in header.items():
        if name == "__metadata__" or name.startswith("robust."):
            continue
        first, last = entry["data_offsets"]
        values = torch.frombuffer(bytearray(raw[8 + size + first:8 + size + last]),
                                  dtype=torch.float64)
        out[name] = values.reshape(entry["shape"]).clone()
    return out


def build(name, tensors):
    kind, gates = KINDS[name]
    first = [v for k, v in tensors.items() if k.endswith("weight_ih_l0")][0]
    layers = sum("weight_ih" in k for k in tensors)
    body = kind(first.shape[1], first.shape[0] // gates, num_layers=layers, batch_first=True)
    own = dict(body.named_parameters())
    head = {}
    with torch.no_grad():
        for key, value in tensors.items():
            leaf = key.split(".")[-1]
            if leaf in own:
                own[leaf].copy_(value)
            else:
                head[leaf] = value.requires_grad_(True)
    return body, head, list(own.values()) + [head["weight"], head["bias"]]


def penalties(body, head, u, label):
    f = lambda z: head["weight"] @ body(z[None])[0][0, -1] + head["bias"]
    u = u.clone().requires_grad_(True)
    y = f(u)
    jacobian = hessian = 0
    for k in range(y.numel()):
        row, = torch.autograd.grad(y[k], u, create_graph=True)
        jacobian = jacobian + row.square().sum() / 2
        for slope in row.reshape(-1):
            line, = torch.autograd.grad(slope, u, create_graph=True)
            hessian = hessian + line.square().sum() / 2
    return torch.logsumexp(y, 0) - y[label], jacobian, hessian


def write(path, records):
    with open(path, "w") as out:
        for name, value in records:
            value = value.detach()
            out.write(" ".join([name, str(value.dim())] + [str(n) for n in value.shape]) + "\n")
            out.write(" ".join("%.17g" % v for v in value.reshape(-1).tolist()) + "\n")


def make(name):
    torch.manual_seed(7)
    body, head, weights = build(name, read_safetensors("model_%s.safetensors" % name))
    shift, scale = INPUT[name]
    steps, labels, features = [6, 4, 5], [0, 1, 1], weights[0].shape[1]
    x = torch.zeros(3, 6, features)
    terms = [0, 0, 0]
    for r in range(3):
        x[r, :steps[r]] = torch.randn(steps[r], features)
        new = penalties(body, head, (x[r, :steps[r]] - shift) / scale, labels[r])
        terms = [a + b / 3 for a, b in zip(terms, new)]
    entropy, jacobian, hessian = terms
    records = [("steps", torch.tensor(steps).double()), ("label", torch.tensor(labels).double()),
               ("x", x)]
    for what, value in (("jacobian", jacobian), ("hessian", hessian),
                        ("joint", entropy + 0.7 * jacobian + 0.3 * hessian)):
        grads = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
        flat = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, grads)]
        records += [(what, value), (what + "_gradient",
                                    torch.cat([g.reshape(-1) for g in flat]))]
    write("penalties_%s.txt" % name, records)


if __name__ == "__main__":
    for case in KINDS:
        make(case)
