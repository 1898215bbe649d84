"""Reference losses of forecasts and their weight gradients, by PyTorch in float64.

    cd tests/data && python3 make_forecasts.py     (needs torch; any recent version)

reads model_{rnn_tanh,lstm_two,gru}.safetensors, whose two outputs are taken for forecasts, and
writes forecasts_*.txt: the series of penalties_*.txt and targets y of order 100, of which

    spread     s, the root of the mean of (y_k - m_k)^2, m_k the mean of target k
    loss       MSELoss(f, y) / s^2
    jacobian   mean over the series of 1/2 ||d f / d u||_F^2 / s^2, u what the network sees
    gradient   of loss + 0.7 jacobian by every weight, in the file's order; by those of the
               last layer, W and b, times s: W/s and (b - m)/s are what is fitted

A record is a line `name rank dim...` followed by the numbers, row-major, 17 digits.
"""
import torch

from make_penalties import INPUT, KINDS, build, read_safetensors, write


def make(name):
    body, head, weights = build(name, read_safetensors("model_%s.safetensors" % name))
    torch.manual_seed(11)
    shift, scale = INPUT[name]
    steps, features = [6, 4, 5], weights[0].shape[1]
    outputs = head["bias"].numel()
    x, y = torch.zeros(3, 6, features), 250 + 100 * torch.randn(3, outputs)
    spread = (y - y.mean(0)).square().mean().sqrt()
    loss = jacobian = 0
    for r in range(3):
        x[r, :steps[r]] = torch.randn(steps[r], features)
        u = ((x[r, :steps[r]] - shift) / scale).requires_grad_(True)
        f = head["weight"] @ body(u[None])[0][0, -1] + head["bias"]
        loss = loss + torch.nn.functional.mse_loss(f, y[r]) / spread**2 / 3
        for k in range(outputs):
            row, = torch.autograd.grad(f[k], u, create_graph=True)
            jacobian = jacobian + row.square().sum() / 2 / spread**2 / 3
    grads = torch.autograd.grad(loss + 0.7 * jacobian, weights, allow_unused=True)
    flat = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, grads)]
    flat[-2:] = [spread * g for g in flat[-2:]]
    write("forecasts_%s.txt" % name,
          [("steps", torch.tensor(steps).double()), ("x", x), ("y", y), ("spread", spread),
           ("loss", loss), ("jacobian", jacobian),
           ("gradient", torch.cat([g.reshape(-1) for g in flat]))])


for case in KINDS:
    make(case)
