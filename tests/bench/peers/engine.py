"""engine.py -- what PyTorch needs for the work of tests/bench/engine.c, one thread.

LSTM, hidden 64, 140 steps, one feature, two classes, float32: forward, gradient with
respect to the input, Hessian-vector product (batch 1). Every path PyTorch offers is timed
and the fastest one is the peer: nn.LSTM with and without oneDNN, and cells in a loop.
Prints lines `name batch milliseconds`. Without torch it says so and exits 0.
"""
import sys
import time

try:
    import torch
except ImportError:
    print("absent torch (pip install torch)")
    sys.exit(0)

STEPS, HIDDEN = 140, 64
torch.set_num_threads(1)
torch.manual_seed(0)
lstm = torch.nn.LSTM(1, HIDDEN, batch_first=True)
cell = torch.nn.LSTMCell(1, HIDDEN)
head = torch.nn.Linear(HIDDEN, 2)


def by_layer(x):
    return head(lstm(x)[0][:, -1])


def by_cells(x):
    h = c = torch.zeros(x.shape[0], HIDDEN)
    for t in range(STEPS):
        h, c = cell(x[:, t], (h, c))
    return head(h)


def median_ms(call, least=5, seconds=1.0):
    call()
    times, begun = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - begun < seconds:
        t = time.perf_counter()
        call()
        times.append(time.perf_counter() - t)
    return 1e3 * sorted(times)[len(times) // 2]


def margin(net, x):
    y = net(x)
    return (y[:, 0] - y[:, 1]).sum()


def forward(net, x):
    with torch.no_grad():
        net(x)


def gradient(net, x):
    x = x.requires_grad_(True)
    torch.autograd.grad(margin(net, x), x)


def hvp(net, x):
    x = x.requires_grad_(True)
    (g,) = torch.autograd.grad(margin(net, x), x, create_graph=True)
    torch.autograd.grad((g * torch.ones_like(g)).sum(), x)


def fastest(work, batch):
    best = (float("inf"), "")
    for mkldnn in (True, False):
        for net in (by_layer, by_cells):
            torch.backends.mkldnn.enabled = mkldnn
            x = torch.randn(batch, STEPS, 1)
            ms = median_ms(lambda: work(net, x))
            best = min(best, (ms, f"{net.__name__} oneDNN {'on' if mkldnn else 'off'}"))
    return best


for name, work, batches in (("forward", forward, (1, 32, 256)),
                            ("gradient", gradient, (1, 32, 256)), ("hvp", hvp, (1,))):
    for batch in batches:
        ms, path = fastest(work, batch)
        print(f"{name} {batch} {ms:.3f}   # {path}", flush=True)
