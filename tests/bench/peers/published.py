"""published.py -- what the peers of attacks share: TSFool's LSTMs, in torch and in ours."""
import json
import os
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "examples" / "python"))
import robust  # noqa: E402

DATA = pathlib.Path(os.environ.get("ROBUST_DATA", "."))
CLASSES = {"GunPoint": [1, 2], "ECG200": [1, -1], "ItalyPowerDemand": [1, 2],
           "CBF": [1, 2, 3]}


def series(name, part):
    """(n, T) and class indices of a UCR set."""
    rows = np.loadtxt(DATA / "ucr" / name / f"{name}_{part}.tsv")
    labels = [CLASSES[name].index(int(v)) for v in rows[:, 0]]
    return rows[:, 1:].astype(np.float32), np.array(labels)


def path_of(name):
    return DATA / "models" / f"tsfool_{name}_lstm.safetensors"


def torch_model(name):
    """The same network as a torch module (n, T, 1) -> (n, L), float32."""
    import torch
    raw = path_of(name).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8:8 + size])
    head.pop("__metadata__", None)
    state = {key: torch.from_numpy(np.frombuffer(
        raw[8 + size + e["data_offsets"][0]:8 + size + e["data_offsets"][1]],
        np.float32).reshape(e["shape"]).copy()) for key, e in head.items()}
    body = next(k for k in state if k.endswith("weight_ih_l0"))[:-len("weight_ih_l0")]
    layers = sum(k.startswith(body + "weight_ih_l") for k in state)
    top = next(k for k in state if k.endswith(".weight"))[:-len("weight")]

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            hidden = state[body + "weight_hh_l0"].shape[1]
            self.lstm = torch.nn.LSTM(1, hidden, layers, batch_first=True)
            self.fc = torch.nn.Linear(hidden, state[top + "weight"].shape[0])

        def forward(self, x):
            return self.fc(self.lstm(x.reshape(len(x), -1, 1))[0][:, -1])

    net = Net()
    net.lstm.load_state_dict({k[len(body):]: v for k, v in state.items()
                              if k.startswith(body)})
    net.fc.load_state_dict({k[len(top):]: v for k, v in state.items()
                            if k.startswith(top)})
    return net.eval()


def query_of(ctx, name, x, norm, radius):
    model = robust.Model.load(ctx, path_of(name), "lstm readout=last")
    query = robust.Query(ctx, model)
    for row in x:
        query.add(ctx, row.astype(np.float64))
    query.set_ball(ctx, norm, radius)
    return query
