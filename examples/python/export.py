"""export.py -- a torch classifier into a file that librobust reads without questions.

    import export
    export.save(model, "model.safetensors", readout="last", example=x)

`model` is a torch.nn.Module that holds one torch.nn.RNN, LSTM or GRU and, as its read-out, one
torch.nn.Linear; model(x) with x (n, T, D) gives logits (n, L). The file gets the weights
under PyTorch's names, the recipe (docs/recipe.md) and a witness: x and the logits the module
itself gives, which the library compares at every load. So what `readout`, `shift` and
`scale` claim here is checked there.

Needs torch only. Run as a program it writes a small example: python3 export.py OUT.safetensors
"""
import json
import struct
import sys

import torch


def parts(model):
    """The recurrence and the head of a module, with the prefixes of their tensors."""
    bodies = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.RNNBase)]
    heads = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    if len(bodies) != 1 or len(heads) != 1:
        raise ValueError(f"one RNN, LSTM or GRU and one Linear are needed, found "
                         f"{len(bodies)} and {len(heads)}")
    body, head = bodies[0][1], heads[0][1]
    if body.bidirectional or body.proj_size or not body.bias or head.bias is None:
        raise ValueError("bidirectional, proj_size and bias=False are not offered")
    return bodies[0], heads[0]


def recipe_of(model, readout, shift=0.0, scale=1.0, classes=None):
    """The recipe string of a module whose input is (x - shift) / scale of the series."""
    (body_name, body), (head_name, head) = parts(model)
    words = [{"RNN_TANH": "rnn nonlinearity=tanh", "RNN_RELU": "rnn nonlinearity=relu",
              "LSTM": "lstm", "GRU": "gru"}[body.mode]]
    words += [f"layers={body.num_layers}", f"features={body.input_size}",
              f"hidden={body.hidden_size}", f"outputs={head.out_features}",
              f"readout={readout}"]
    words += [f"body={body_name}"] if body_name else []
    words += [f"head={head_name}"] if head_name else []
    if shift != 0.0 or scale != 1.0:
        words.append(f"input=(x-{shift!r})/{scale!r}")
    if classes:
        words.append("classes=" + ",".join(classes))
    return " ".join(words)


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


def save(model, path, readout, shift=0.0, scale=1.0, classes=None, example=None, steps=16):
    """Write `model`. `example`: series (n, T, D) in their own units; random ones otherwise."""
    (body_name, body), (head_name, _) = parts(model)
    dtype = next(model.parameters()).dtype
    if example is None:
        example = shift + scale * torch.randn(2, steps, body.input_size, dtype=dtype)
    model.eval()
    with torch.no_grad():
        logits = model((example.to(dtype) - shift) / scale)
    own = tuple(n + "." if n else "" for n in (body_name, head_name))
    tensors = {n: t for n, t in model.state_dict().items() if n.startswith(own)}
    tensors["robust.check.x"] = example
    tensors["robust.check.y"] = logits
    write_safetensors(path, tensors, {
        "format": "pt", "robust.recipe": recipe_of(model, readout, shift, scale, classes)})


class Classifier(torch.nn.Module):
    """The usual shape of such a model."""

    def __init__(self, body, outputs, readout="last"):
        super().__init__()
        self.body, self.readout = body, readout
        self.fc = torch.nn.Linear(body.hidden_size, outputs)

    def forward(self, x):
        h = self.body(x)[0]
        return self.fc(h[:, -1] if self.readout == "last" else h.mean(1))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: export.py OUT.safetensors")
    torch.manual_seed(0)
    save(Classifier(torch.nn.LSTM(1, 32, batch_first=True), 2), sys.argv[1], "last")
