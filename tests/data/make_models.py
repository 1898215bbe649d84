"""make_models.py -- small models by PyTorch, float64, for tests/check/model.c.

Each file holds weights, recipe and, as witness, two series with the logits PyTorch gives:
the library must agree at load (1e-10) and the suite asks for 1e-12. Run in this folder:
    python3 make_models.py
Made with torch 2.15 (any version gives the same numbers up to rounding).
"""
import sys

sys.path.insert(0, "../../examples/python")
import torch
from export import Classifier, save

CASES = {
    "rnn_tanh": (torch.nn.RNN, dict(input_size=2, hidden_size=5), 3, "last", 0.0, 1.0),
    "rnn_relu_mean": (torch.nn.RNN, dict(input_size=1, hidden_size=4, nonlinearity="relu"), 2,
                      "mean", 0.0, 1.0),
    "lstm": (torch.nn.LSTM, dict(input_size=1, hidden_size=6), 2, "last", 0.0, 1.0),
    "lstm_two": (torch.nn.LSTM, dict(input_size=3, hidden_size=4, num_layers=2), 4, "last",
                 0.1, 0.7),
    "lstm_mean": (torch.nn.LSTM, dict(input_size=2, hidden_size=3, num_layers=3), 2, "mean",
                  -2.0, 4.0),
    "gru": (torch.nn.GRU, dict(input_size=2, hidden_size=5, num_layers=2), 3, "last", 0.0, 1.0),
}

torch.manual_seed(2)
for name, (kind, sizes, outputs, readout, shift, scale) in CASES.items():
    body = kind(batch_first=True, **sizes)
    model = Classifier(body, outputs, readout).double()
    with torch.no_grad():                       # out of the linear range of the gates
        for p in model.parameters():
            p.mul_(2.0)
    save(model, f"model_{name}.safetensors", readout, shift, scale, steps=11)
