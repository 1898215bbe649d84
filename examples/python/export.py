"""export.py -- a torch model into a file that librobust reads without questions.

    import export
    export.save(model, "model.safetensors", readout="last", example=x)

`model` is a torch.nn.Module that holds one torch.nn.RNN, LSTM or GRU (any number of layers, one
or two directions, with or without biases) and behind it one torch.nn.Linear, or up to five in a
torch.nn.Sequential with ReLU, Tanh or GELU between them. It may also hold

    one torch.nn.Conv1d before the recurrence, ReLU, Tanh or GELU behind it
    BatchNorm1d or LayerNorm behind the convolution, before the recurrence, before the head
    a submodule with buffers `mean` and `std` (D): x is scaled by them first
    a submodule with tensors `h0` (layers x directions, H), of an LSTM also `c0`: the first state
    Dropout, which does nothing here

in the order in which they are used. What a forward() does by function calls is said by the
arguments. model(x) with x (n, T, D) gives logits or forecasts (n, L), with readout="every"
(n, T, L). The file gets the weights under PyTorch's names, the recipe (docs/recipe.md) and a
witness: x and what the module itself gives for it, which the library compares at every load. So
what the recipe claims is checked there.

Needs torch only. Run as a program it writes a small example: python3 export.py OUT.safetensors
"""
import json
import struct
import sys

import torch
from torch import nn

NORMS = (nn.BatchNorm1d, nn.LayerNorm)
ACTIVATIONS = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.GELU: "gelu"}


def named(model, kinds):
    return [(n, m) for n, m in model.named_modules() if isinstance(m, kinds)]


def one_at_most(model, kind):
    found = named(model, kind)
    if len(found) > 1:
        raise ValueError(f"one {kind.__name__} at most, found {len(found)}")
    return found[0] if found else None


def activation_of(module):
    kind = ACTIVATIONS.get(type(module))
    if kind == "gelu" and module.approximate != "none":
        raise ValueError("GELU with approximate='tanh' is not offered")
    return kind


def parts(model):
    """What a module holds, by its place in the recipe."""
    order = [m for _, m in model.named_modules()]
    body, conv = one_at_most(model, nn.RNNBase), one_at_most(model, nn.Conv1d)
    heads = named(model, nn.Linear)
    if body is None or not heads:
        raise ValueError("one RNN, LSTM or GRU and a Linear are needed")
    if body[1].proj_size:
        raise ValueError("proj_size is not offered")
    at = order.index(body[1])
    if any(order.index(m) < at for _, m in heads):
        raise ValueError("a Linear before the recurrence is not offered")
    norms = {}
    for name, norm in named(model, NORMS):
        place = "head_norm" if order.index(norm) > at else "input_norm"
        if place == "input_norm" and conv and not norms and not any(
                activation_of(m) for m in order[order.index(conv[1]):order.index(norm)]):
            place = "conv_norm"
        if place in norms:
            raise ValueError(f"two norms for {place}: {norms[place][0]} and {name}")
        norms[place] = (name, norm)
    between = {"conv": [a for a in map(activation_of, order[:at]) if a],
               "head": [a for a in map(activation_of, order[at:]) if a]}
    return body, heads, conv, norms, {k: set(v) for k, v in between.items()}


def one_activation(found, given, what):
    if given is None and len(found) > 1:
        raise ValueError(f"different activations {sorted(found)} of the {what}")
    return given or (found.pop() if found else "none")


def head_name(heads):
    """The prefix of one Linear, or the one that a Sequential's numbers follow."""
    return heads[0][0] if len(heads) == 1 else heads[0][0].rpartition(".")[0]


def prefix_of(tensors, leaf):
    found = [n[:-len(leaf) - 1] for n in tensors if n.endswith("." + leaf)]
    return found[0] if found else None


def conv_words(name, conv, activation):
    if conv.groups != 1 or conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        raise ValueError("a Conv1d has groups=1, zeros and a number as padding")
    words = [f"conv={name}", f"channels={conv.out_channels}", f"kernel={conv.kernel_size[0]}",
             f"conv_activation={activation}"]
    for word, value, usual in (("stride", conv.stride, 1), ("padding", conv.padding, 0),
                               ("dilation", conv.dilation, 1)):
        words += [f"{word}={value[0]}"] if value[0] != usual else []
    return words


def norm_words(norms):
    kinds = {nn.BatchNorm1d: "batch", nn.LayerNorm: "layer"}
    words = [f"{place}={kinds[type(m)]}:{name}" for place, (name, m) in norms.items()]
    eps = {m.eps for _, m in norms.values()}
    if len(eps) > 1:
        raise ValueError("all norms have one eps")
    return words + [f"eps={e!r}" for e in eps if e != 1e-5]


def recipe_of(model, readout, shift=0.0, scale=1.0, classes=None, steps=16, task=None,
              conv_activation=None, activation=None):
    """The recipe string of a module whose input is (x - shift) / scale of the series."""
    (body_name, body), heads, conv, norms, found = parts(model)
    tensors, last = model.state_dict(), heads[-1][1]
    every = readout == "every"
    words = [{"RNN_TANH": "rnn nonlinearity=tanh", "RNN_RELU": "rnn nonlinearity=relu",
              "LSTM": "lstm", "GRU": "gru"}[body.mode]]
    words += [f"layers={body.num_layers}",
              f"features={conv[1].in_channels if conv else body.input_size}",
              f"hidden={body.hidden_size}",
              f"outputs={last.out_features * (steps if every else 1)}", f"readout={readout}"]
    words += [f"steps={steps}"] if every else []
    words += ["bidirectional=yes"] if body.bidirectional else []
    words += [] if body.bias else ["bias=no"]
    words += [f"scale={p}" for p in [prefix_of(tensors, "std")] if p]
    words += [f"state={p}" for p in [prefix_of(tensors, "h0")] if p]
    if conv:
        words += conv_words(*conv, one_activation(found["conv"], conv_activation, "conv"))
    words += norm_words(norms)
    if len(heads) > 1:
        words += ["mlp=" + ",".join(str(m.out_features) for _, m in heads[:-1]),
                  "activation=" + one_activation(found["head"], activation, "head")]
    words += [f"body={body_name}"] if body_name else []
    words += [f"head={head_name(heads)}"] if head_name(heads) else []
    words += ["head_bias=no"] if all(m.bias is None for _, m in heads) else []
    words += [f"task={task}"] if task else []
    if shift != 0.0 or scale != 1.0:
        words.append(f"input=(x-{shift!r})/{scale!r}")
    if classes:
        words.append("classes=" + ",".join(classes))
    return " ".join(words)


def full(tensors, name, module, leaves):
    """Weights a module was made without are the ones or zeros it acts as."""
    for leaf, value in leaves.items():
        if getattr(module, leaf, None) is None:
            tensors[f"{name}.{leaf}"] = value


def tensors_of(model):
    """The tensors of the file, under their names."""
    (body_name, body), heads, conv, norms, _ = parts(model)
    state = model.state_dict()
    owners = [body_name, *(n for n, _ in heads), *([conv[0]] if conv else []),
              *(n for n, _ in norms.values()), prefix_of(state, "std"), prefix_of(state, "h0")]
    own = tuple(n + "." if n else "" for n in owners if n is not None)
    tensors = {n: t for n, t in state.items()
               if n.startswith(own) and not n.endswith("num_batches_tracked")}
    like = body.weight_ih_l0
    if conv:
        full(tensors, *conv, {"bias": like.new_zeros(conv[1].out_channels)})
    for name, norm in norms.values():
        if isinstance(norm, nn.BatchNorm1d) and norm.running_mean is None:
            raise ValueError(f"{name} keeps no statistics")
        size = getattr(norm, "num_features", None) or norm.normalized_shape[-1]
        full(tensors, name, norm, {"weight": like.new_ones(size), "bias": like.new_zeros(size)})
    if any(m.bias is not None for _, m in heads):
        for name, m in heads:
            full(tensors, name, m, {"bias": like.new_zeros(m.out_features)})
    return tensors


def raw(tensor):
    """Bytes of a float tensor, little-endian, row by row."""
    letter = {torch.float32: "f", torch.float64: "d"}[tensor.dtype]
    numbers = tensor.detach().cpu().reshape(-1).tolist()
    return struct.pack(f"<{len(numbers)}{letter}", *numbers)


def write_safetensors(path, tensors, metadata):
    """A safetensors file: eight bytes of length, a JSON header, the numbers."""
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        block = raw(tensor)
        header[name] = {"dtype": {torch.float32: "F32", torch.float64: "F64"}[tensor.dtype],
                        "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(block)]}
        data += block
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def save(model, path, readout, shift=0.0, scale=1.0, classes=None, example=None, steps=16,
         **said):
    """Write `model`. `example`: series (n, T, D) in their own units; random ones otherwise.

    said: task="forecast"; conv_activation= and activation= where forward() calls functions.
    """
    (_, body), _, conv, _, _ = parts(model)
    dtype = next(model.parameters()).dtype
    features = conv[1].in_channels if conv else body.input_size
    if example is None:
        example = shift + scale * torch.randn(2, steps, features, dtype=dtype)
    model.eval()
    with torch.no_grad():
        outputs = model((example.to(dtype) - shift) / scale).flatten(1)
    tensors = tensors_of(model)
    tensors["robust.check.x"] = example
    tensors["robust.check.y"] = outputs
    recipe = recipe_of(model, readout, shift, scale, classes, example.shape[1], **said)
    write_safetensors(path, tensors, {"format": "pt", "robust.recipe": recipe})


class Classifier(nn.Module):
    """The usual shape of such a model."""

    def __init__(self, body, outputs, readout="last"):
        super().__init__()
        self.body, self.readout = body, readout
        self.fc = nn.Linear(body.hidden_size, outputs)

    def forward(self, x):
        h = self.body(x)[0]
        return self.fc(h[:, -1] if self.readout == "last" else h.mean(1))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: export.py OUT.safetensors")
    torch.manual_seed(0)
    save(Classifier(nn.LSTM(1, 32, batch_first=True), 2), sys.argv[1], "last")
