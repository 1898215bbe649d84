"""export.py -- a torch model into a file that librobust reads without questions.

    import export
    export.save(model, "model.safetensors", readout="last", example=x)

`model` is a torch.nn.Module that holds one torch.nn.RNN, LSTM or GRU (any number of layers, one
or two directions, with or without biases), or one torch.nn.TransformerEncoder, or its layers in a
ModuleList; and behind it one torch.nn.Linear, or up to five with ReLU, Tanh or GELU between them.
It may also hold

    one torch.nn.Conv1d before the layers, ReLU, Tanh or GELU behind it
    BatchNorm1d or LayerNorm behind the convolution, before the layers, before the head
    a submodule with buffers `mean` and `std` (D): x is scaled by them first
    a submodule with tensors `h0` (layers x directions, H), of an LSTM also `c0`: the first state
    before an encoder a Linear, or a Conv1d whose stride is its kernel (patches), or a Linear of
      patches, written step after step; a first token; positions, learned, stored or sinusoids
    Dropout, which does nothing here

Nothing of that is asked: `example` is sent through the model, and what is called, modules and
functions, in which order, says where each stands. What the encoder gets, less what the embedding
gave, is what positions are. Where something stands that no recipe has, the error says what.

`readout` is what is read of the states or steps: "last", "mean", "max", "state", "every", and of
an encoder "cls" (docs/recipe.md). model(x) with x (n, T, D) gives logits or forecasts (n, L), with
readout="every" (n, T, L). The file gets the weights under PyTorch's names, the recipe and a
witness: x and what the module itself gives for it, which the library compares at every load. So
what the recipe claims is checked there.

Needs torch only. Run as a program it writes a small example: python3 export.py OUT.safetensors
"""
import json
import math
import struct
import sys

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

NORMS = (nn.BatchNorm1d, nn.LayerNorm)
ACTIVATIONS = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.GELU: "gelu"}
LAYERS = (nn.RNNBase, nn.TransformerEncoder, nn.TransformerEncoderLayer)
SEEN = (*LAYERS, nn.Linear, nn.Conv1d, *NORMS, *ACTIVATIONS)


# ---- what is called, in order -------------------------------------------------------------

class Call:
    """One module, or one activation as a function (module None)."""

    def __init__(self, name, module, activation=None):
        self.name, self.module, self.activation = name, module, activation
        self.input = self.output = None

    def __str__(self):
        return f"{type(self.module).__name__} {self.name}" if self.module is not None \
            else f"{self.activation}()"


def approximate(kind, how):
    if kind == "gelu" and how == "tanh":
        return "gelu with approximate='tanh'"
    return kind


class Watch(TorchFunctionMode):
    """Records what a model calls while it runs; what happens inside a call is its own."""

    def __init__(self, model):
        super().__init__()
        self.calls, self.inside, self.hooks = [], 0, []
        for name, module in model.named_modules():
            if isinstance(module, SEEN):
                self.hooks += [module.register_forward_pre_hook(self.enter(name)),
                               module.register_forward_hook(self.leave)]

    def enter(self, name):
        def hook(module, inputs):
            if self.inside == 0:
                kind = ACTIVATIONS.get(type(module))
                call = Call(name, module, kind and approximate(
                    kind, getattr(module, "approximate", "none")))
                call.input = inputs[0]
                self.calls.append(call)
            self.inside += 1
        return hook

    def leave(self, module, inputs, output):
        self.inside -= 1
        if self.inside == 0:
            self.calls[-1].output = output

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "").rstrip("_")
        if self.inside == 0 and name in ("relu", "tanh", "gelu"):
            self.calls.append(Call("", None, approximate(
                name, (kwargs or {}).get("approximate", "none"))))
            self.inside += 1
            try:
                return func(*args, **(kwargs or {}))
            finally:
                self.inside -= 1
        return func(*args, **(kwargs or {}))


def watch(model, x):
    """The calls of model(x)."""
    w = Watch(model)
    try:
        with torch.no_grad(), w:
            model(x)
    finally:
        for hook in w.hooks:
            hook.remove()
    twice = [c for i, c in enumerate(w.calls)
             if c.module is not None and any(c.module is d.module for d in w.calls[:i])]
    if twice:
        raise ValueError(f"{twice[0]} is called twice, which no recipe says")
    return w.calls


# ---- what each call is in a recipe --------------------------------------------------------

class Parts:
    """A model taken apart: body, conv, embed, norms, heads, activations."""

    def __init__(self, model, x):
        calls = watch(model, x)
        at = [i for i, c in enumerate(calls) if isinstance(c.module, LAYERS)]
        if not at:
            raise ValueError("one RNN, LSTM, GRU or TransformerEncoder is needed")
        self.layers = [calls[i] for i in at]
        self.recurrent = isinstance(self.layers[0].module, nn.RNNBase)
        whole = self.recurrent or isinstance(self.layers[0].module, nn.TransformerEncoder)
        if at[-1] - at[0] != len(at) - 1 or (whole and len(at) > 1):
            raise ValueError("one body is offered, nothing between its layers; found "
                             + ", ".join(str(c) for c in calls[at[0]:at[-1] + 1]))
        self.conv = self.embed = self.conv_activation = self.activation = self.pending = None
        self.gaps = []
        self.norms, self.heads, self.features = {}, [], x.shape[-1]
        for c in calls[:at[0]]:
            self.take_front(c)
        for c in calls[at[-1] + 1:]:
            self.take_head(c)
        self.finish()

    def refuse(self, call, where):
        raise ValueError(f"{call} {where} is not offered")

    def take_front(self, c):
        if self.embed is not None:
            self.refuse(c, f"between {self.embed} and the layers")
        if isinstance(c.module, nn.Linear):
            if self.recurrent:
                self.refuse(c, "before the recurrence")
            self.embed = c
        elif isinstance(c.module, nn.Conv1d):
            if self.conv or self.norms:
                self.refuse(c, "behind " + str(self.conv or "a norm"))
            self.conv = c
        elif c.activation:
            if not self.conv or self.conv_activation or "input_norm" in self.norms:
                self.refuse(c, "before the layers, but right behind a convolution,")
            self.conv_activation = c.activation
        else:
            free = self.conv and not self.conv_activation and not self.norms
            place = "conv_norm" if free else "input_norm"
            if place in self.norms:
                self.refuse(c, f"behind {self.norms[place]}")
            self.norms[place] = c

    def take_head(self, c):
        last = self.heads[-1] if self.heads else None
        if isinstance(c.module, nn.Linear):
            if last:
                self.gaps.append(self.pending.activation if self.pending else "none")
            self.heads.append(c)
            self.pending = None
        elif isinstance(c.module, NORMS):
            if last or "head_norm" in self.norms:
                self.refuse(c, f"behind {last or self.norms['head_norm']}")
            self.norms["head_norm"] = c
        elif last and not self.pending:
            self.pending = c
        else:
            self.refuse(c, f"behind {self.pending or self.layers[-1]}")

    def finish(self):
        """What is known when all has been seen; a convolution that is an embedding."""
        if not self.heads or self.pending:
            raise ValueError("a Linear at the end is needed"
                             + (f", not {self.pending}" if self.pending else ""))
        if len(set(self.gaps)) > 1:
            raise ValueError(f"one activation for the whole head, not {sorted(set(self.gaps))}")
        self.activation = self.gaps[0] if self.gaps else "none"
        c = self.conv and self.conv.module
        if c and not self.recurrent and not self.embed and not self.conv_activation \
                and not self.norms.keys() & {"conv_norm", "input_norm"} \
                and c.stride == c.kernel_size and c.padding == (0,) and c.dilation == (1,) \
                and c.out_channels == width_of(self):
            self.embed, self.conv = self.conv, None
        for kind in (self.conv_activation, self.activation):
            if kind and " " in kind:
                raise ValueError(f"{kind} is not offered there")


def layers_of(parts):
    """The TransformerEncoderLayers, the prefix of their file, and how names change."""
    first = parts.layers[0]
    if isinstance(first.module, nn.TransformerEncoder):
        return list(first.module.layers), first.name, {}
    prefix = first.name.rpartition(".")[0]
    return ([c.module for c in parts.layers], prefix,
            {c.name: (prefix + "." if prefix else "") + f"layers.{i}"
             for i, c in enumerate(parts.layers)})


def width_of(parts):
    return layers_of(parts)[0][0].linear1.in_features


# ---- recipes ------------------------------------------------------------------------------

def prefix_of(tensors, leaf):
    found = [n[:-len(leaf) - 1] for n in tensors if n.endswith("." + leaf)]
    return found[0] if found else None


def conv_words(call, activation):
    conv = call.module
    if conv.groups != 1 or conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        raise ValueError("a Conv1d has groups=1, zeros and a number as padding")
    words = [f"conv={call.name}", f"channels={conv.out_channels}",
             f"kernel={conv.kernel_size[0]}", f"conv_activation={activation or 'none'}"]
    for word, value, usual in (("stride", conv.stride, 1), ("padding", conv.padding, 0),
                               ("dilation", conv.dilation, 1)):
        words += [f"{word}={value[0]}"] if value[0] != usual else []
    return words


def norm_words(norms, others=()):
    kinds = {nn.BatchNorm1d: "batch", nn.LayerNorm: "layer"}
    words = [f"{place}={kinds[type(c.module)]}:{c.name}" for place, c in norms.items()]
    eps = {m.eps for m in [c.module for c in norms.values()] + list(others)}
    if len(eps) > 1:
        raise ValueError(f"all norms have one eps, not {sorted(eps)}")
    return words + [f"eps={e!r}" for e in eps if e != 1e-5]


def recurrent_words(parts, tensors):
    call = parts.layers[0]
    body = call.module
    if body.proj_size:
        raise ValueError("proj_size is not offered")
    words = [{"RNN_TANH": "rnn nonlinearity=tanh", "RNN_RELU": "rnn nonlinearity=relu",
              "LSTM": "lstm", "GRU": "gru"}[body.mode],
             f"layers={body.num_layers}", f"hidden={body.hidden_size}"]
    words += ["bidirectional=yes"] if body.bidirectional else []
    words += [] if body.bias else ["bias=no"]
    words += [f"state={p}" for p in [prefix_of(tensors, "h0")] if p]
    return words + ([f"body={call.name}"] if call.name else [])


def activation_inside(layer):
    """What a TransformerEncoderLayer calls, by what it gives."""
    v = torch.linspace(-4, 4, 33, dtype=torch.float64)
    for word, f in (("relu", functional.relu), ("gelu", functional.gelu),
                    ("gelu_tanh", lambda z: functional.gelu(z, approximate="tanh"))):
        if torch.allclose(layer.activation(v), f(v), rtol=0, atol=1e-9):
            return word
    raise ValueError("the activation of an encoder layer is relu or gelu")


def is_centred(norm):
    """A norm of one's own that takes off the mean and does not divide."""
    if isinstance(norm, nn.LayerNorm):
        return False
    w = norm.weight.detach()
    v = torch.randn(3, len(w), dtype=w.dtype)
    mine = w * (v - v.mean(-1, keepdim=True)) + (norm.bias if norm.bias is not None else 0)
    if torch.allclose(norm(v), mine, rtol=1e-5, atol=1e-6):
        return True
    raise ValueError(f"{type(norm).__name__} is neither LayerNorm nor weight (v - mean v) + bias")


def check_layers(layers, norms):
    def about(a):
        return (a.self_attn.num_heads, a.norm_first, activation_inside(a),
                a.self_attn.in_proj_bias is None, is_centred(a.norm1), is_centred(a.norm2))
    attention = layers[0].self_attn
    if len({about(a) for a in layers}) > 1 or len({is_centred(n) for n in norms}) > 1:
        raise ValueError("all layers of an encoder are of one kind")
    if attention.in_proj_weight is None or attention.bias_k is not None \
            or attention.add_zero_attn:
        raise ValueError("attention has queries, keys and values of one width, without bias_k "
                         "and add_zero_attn")


def sinusoids(steps, width):
    t = torch.arange(steps, dtype=torch.float64)[:, None]
    i = torch.arange(width)
    angle = t * torch.exp(-math.log(1e4) * (i // 2 * 2).double() / width)
    return torch.where(i % 2 == 0, angle.sin(), angle.cos())


def tables(model, parts, owned):
    """Tensors of the encoder's width that nobody owns: a first token, positions."""
    F = width_of(parts)
    all = {**dict(model.named_buffers()), **dict(model.named_parameters())}
    return {n: t.detach() for n, t in all.items()
            if not n.startswith(owned) and t.dim() >= 1 and t.shape[-1] == F}


def added_positions(parts, cls):
    """What was added to the embedded steps, (T, F), and of how many rows it is the last T;
    None: there is no embedding to compare with."""
    first = parts.layers[0]
    layers = layers_of(parts)[0]
    u = first.input if layers[0].self_attn.batch_first else first.input.transpose(0, 1)
    if parts.embed is None:
        return None, u.shape[1]
    e = parts.embed.output
    if isinstance(parts.embed.module, nn.Conv1d):
        e = e.transpose(1, 2)
    if u.shape[1] != e.shape[1] + (cls is not None):
        raise ValueError(f"the encoder sees {u.shape[1]} steps of {e.shape[1]} embedded ones"
                         + ("" if cls else "; a first token of its own needs readout='cls'"))
    d = u[:, u.shape[1] - e.shape[1]:] - e
    if (d - d[:1]).abs().max() > 1e-5 * (1 + d.abs().max()):
        raise ValueError("the encoder's input is not its embedding and positions added")
    return d[0], u.shape[1]


def position_words(parts, found, cls, position):
    """Words for the positions, and the name of their table, if any."""
    F = width_of(parts)
    added, rows = added_positions(parts, cls)
    near = lambda a, b: a.shape == b.shape and \
        (a - b).abs().max() <= 1e-4 * (1 + b.abs().max())
    held = {n: t.reshape(-1, F) for n, t in found.items() if n != cls and n != position}
    if position:
        held = {position: found[position].reshape(-1, F)}
    elif added is not None:
        held = {n: t for n, t in held.items()
                if len(t) >= rows and near(added, t[rows - len(added):rows])}
    if len(held) > 1:
        raise ValueError(f"{sorted(held)} may be positions; say position=NAME")
    if held:
        return [f"position={n}" for n in held], next(iter(held))
    if added is None or added.abs().max() == 0:
        return ["positions=none"], None
    if near(added.double(), sinusoids(rows, F)[rows - len(added):]):
        return ["positions=sinusoid"], None
    raise ValueError("what is added to the embedding is no table of the model and no sinusoids")


def encoder_words(model, parts, readout, owned, cls, position):
    layers, prefix, _ = layers_of(parts)
    body = parts.layers[0].module
    last = getattr(body, "norm", None) if isinstance(body, nn.TransformerEncoder) else None
    norms = [n for a in layers for n in (a.norm1, a.norm2)] + ([last] if last is not None else [])
    check_layers(layers, norms)
    F, a = width_of(parts), layers[0]
    found = tables(model, parts, owned)
    if readout == "cls" and cls is None:
        tokens = [n for n, t in found.items() if t.numel() == F and n != position]
        if len(tokens) != 1:
            raise ValueError(f"{sorted(tokens)} may be the first token; say cls=NAME")
        cls = tokens[0]
    positions, table = position_words(parts, found, cls, position)
    words = [f"transformer heads={a.self_attn.num_heads}", f"layers={len(layers)}",
             f"hidden={F}", f"feedforward={a.linear1.out_features}",
             f"activation={activation_inside(a)}", f"norm={'first' if a.norm_first else 'last'}"]
    words += ["layernorm=centred"] if is_centred(a.norm1) else []
    words += ["bias=no"] if a.self_attn.in_proj_bias is None else []
    words += positions + ([f"cls={cls}"] if cls else [])
    if parts.embed:
        words += [f"embed={parts.embed.name}"] if parts.embed.name != "embed" else []
        inputs = parts.conv.module.out_channels if parts.conv else parts.features
        m = parts.embed.module
        patch = m.kernel_size[0] if isinstance(m, nn.Conv1d) else m.in_features // inputs
        if isinstance(m, nn.Linear) and m.in_features % inputs:
            raise ValueError(f"{parts.embed} takes {m.in_features} numbers, no patches of {inputs}")
        words += [f"patch={patch}"] if patch > 1 or isinstance(m, nn.Conv1d) else []
    words += [f"body={prefix}"] if prefix else []
    return words, {n: found[n] for n in (cls, table) if n}, \
        [n for n in norms if isinstance(n, nn.LayerNorm)]


def head_names(parts):
    """The head's prefix, and what its layers are called in the file."""
    names = [c.name for c in parts.heads]
    if len(names) == 1:
        return names[0], {}
    prefix, numbers = zip(*((n.rpartition(".")[0], n.rpartition(".")[2]) for n in names))
    if len(set(prefix)) == 1 and prefix[0] and all(n.isdigit() for n in numbers) \
            and sorted(numbers, key=int) == list(numbers):
        return prefix[0], {}
    return "head", {n: f"head.{2 * i}" for i, n in enumerate(names)}


def full(tensors, name, module, leaves):
    """Weights a module was made without are the ones or zeros it acts as."""
    for leaf, value in leaves.items():
        if getattr(module, leaf, None) is None:
            tensors[f"{name}.{leaf}"] = value


def describe(model, readout, example, shift=0.0, scale=1.0, classes=None, task=None,
             conv_activation=None, activation=None, cls=None, position=None):
    """The recipe of a module whose input is (example - shift) / scale, and its tensors."""
    dtype = next(model.parameters()).dtype
    parts = Parts(model, (example.to(dtype) - shift) / scale)
    state = model.state_dict()
    steps, last = example.shape[1], parts.heads[-1].module
    every = readout == "every"
    head, renamed = head_names(parts)
    body = parts.layers[0].name if parts.recurrent else layers_of(parts)[1]
    names = [body if parts.recurrent or isinstance(parts.layers[0].module, nn.TransformerEncoder)
             else c.name for c in parts.layers]
    owners = [*names, *(c.name for c in parts.heads + [parts.conv, parts.embed] if c),
              *(c.name for c in parts.norms.values()),
              *(p for p in (prefix_of(state, "std"), prefix_of(state, "h0")) if p)]
    own = tuple(n + "." if n else "" for n in owners)
    extra, inner = {}, []
    if parts.recurrent:
        words = recurrent_words(parts, state)
    else:
        words, extra, inner = encoder_words(model, parts, readout, own, cls, position)
        renamed = {**renamed, **layers_of(parts)[2]}
    words += [f"features={parts.features}",
              f"outputs={last.out_features * (steps if every else 1)}", f"readout={readout}"]
    words += [f"steps={steps}"] if every else []
    words += [f"scale={p}" for p in [prefix_of(state, "std")] if p]
    if parts.conv:
        words += conv_words(parts.conv, conv_activation or parts.conv_activation)
    words += norm_words(parts.norms, inner)
    if len(parts.heads) > 1:
        words += ["mlp=" + ",".join(str(c.module.out_features) for c in parts.heads[:-1]),
                  ("" if parts.recurrent else "head_") + "activation="
                  + (activation or parts.activation)]
    words += [f"head={head}"] if head else []
    bare = all(c.module.bias is None for c in parts.heads)
    words += ["head_bias=no"] if bare else []
    words += [f"task={task}"] if task else []
    if shift != 0.0 or scale != 1.0:
        words.append(f"input=(x-{shift!r})/{scale!r}")
    if classes:
        words.append("classes=" + ",".join(classes))
    return " ".join(words), tensors_of(parts, state, own, renamed, bare, extra)


def tensors_of(parts, state, own, renamed, bare, extra):
    """The tensors of the file, under their names."""
    tensors = {n: t for n, t in state.items()
               if n.startswith(own) and not n.endswith("num_batches_tracked")}
    tensors.update(extra)
    like = next(t for t in tensors.values() if t.is_floating_point())
    for c in filter(None, (parts.conv, parts.embed)):
        full(tensors, c.name, c.module, {"bias": like.new_zeros(len(c.module.weight))})
    for c in parts.norms.values():
        norm = c.module
        if isinstance(norm, nn.BatchNorm1d) and norm.running_mean is None:
            raise ValueError(f"{c.name} keeps no statistics")
        size = getattr(norm, "num_features", None) or norm.normalized_shape[-1]
        full(tensors, c.name, norm, {"weight": like.new_ones(size), "bias": like.new_zeros(size)})
    for c in parts.heads if not bare else []:
        full(tensors, c.name, c.module, {"bias": like.new_zeros(c.module.out_features)})
    for old, new in renamed.items():
        tensors = {new + n[len(old):] if n.startswith(old + ".") else n: t
                   for n, t in tensors.items()}
    return tensors


# ---- files --------------------------------------------------------------------------------

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


def features_of(model):
    """Numbers of a step, of what takes a series: a convolution, else the recurrence."""
    for kind, size in ((nn.Conv1d, "in_channels"), (nn.RNNBase, "input_size")):
        found = [m for m in model.modules() if isinstance(m, kind)]
        if found:
            return getattr(found[0], size)
    raise ValueError("example=x, series (n, T, D), is needed")


def save(model, path, readout, shift=0.0, scale=1.0, classes=None, example=None, steps=16,
         **said):
    """Write `model`. `example`: series (n, T, D) in their own units; random ones of recurrent
    models otherwise.

    said: task="forecast"; conv_activation= and activation= where forward() computes them by
    other means than calls; cls= and position=, names of tensors, where several may be meant.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)   # it calls no norms of one's own
    try:
        write(model, path, readout, shift, scale, classes, example, steps, said)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def write(model, path, readout, shift, scale, classes, example, steps, said):
    dtype = next(model.parameters()).dtype
    if example is None:
        example = shift + scale * torch.randn(2, steps, features_of(model), dtype=dtype)
    model.eval()
    recipe, tensors = describe(model, readout, example, shift, scale, classes, **said)
    with torch.no_grad():
        outputs = model((example.to(dtype) - shift) / scale).flatten(1)
    tensors["robust.check.x"] = example
    tensors["robust.check.y"] = outputs
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
