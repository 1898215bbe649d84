"""encoder.py -- what PyTorch needs for the work of tests/bench/encoder.c, one thread.

nn.TransformerEncoder, width 64, 4 heads, 128 in between, 2 layers, 100 steps of one
feature, mean read-out, two classes, float32: forward, gradient with respect to the input,
Hessian-vector product. Forward is timed on every path PyTorch offers (its fused one and
the plain one) and the fastest is the peer; the double backward needs the plain kernel of
attention. Prints lines `name batch milliseconds`. Without torch it says so and exits 0.
"""
import sys
import time

try:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ImportError:
    print("absent torch (pip install torch)")
    sys.exit(0)

STEPS, WIDTH = 100, 64
torch.set_num_threads(1)
torch.manual_seed(0)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Linear(1, WIDTH)
        layer = torch.nn.TransformerEncoderLayer(WIDTH, 4, 128, dropout=0.0,
                                                 batch_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = torch.nn.Linear(WIDTH, 2)
        self.register_buffer("place", 0.1 * torch.randn(STEPS, WIDTH))

    def forward(self, x):
        return self.head(self.encoder(self.embed(x) + self.place).mean(1))


net = Net().eval()


def median_ms(call, least=5, seconds=1.0):
    call()
    times, begun = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - begun < seconds:
        t = time.perf_counter()
        call()
        times.append(time.perf_counter() - t)
    return 1e3 * sorted(times)[len(times) // 2]


def margin(x):
    y = net(x)
    return (y[:, 0] - y[:, 1]).sum()


def forward(x):
    with torch.no_grad():
        net(x)


def gradient(x):
    x = x.requires_grad_(True)
    torch.autograd.grad(margin(x), x)


def hvp(x):
    x = x.requires_grad_(True)
    (g,) = torch.autograd.grad(margin(x), x, create_graph=True)
    torch.autograd.grad((g * torch.ones_like(g)).sum(), x)


def paths():
    for fused in (True, False):
        torch.backends.mha.set_fastpath_enabled(fused)
        for kernel in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
            yield f"{'fused' if fused else 'plain'} {kernel.name.lower()}", kernel


def fastest(work, batch):
    best = (float("inf"), "")
    for name, kernel in paths():
        x = torch.randn(batch, STEPS, 1)
        try:
            with sdpa_kernel(kernel):
                best = min(best, (median_ms(lambda: work(x)), name))
        except RuntimeError:
            continue
    return best


for name, work in (("forward", forward), ("gradient", gradient), ("hvp", hvp)):
    for batch in (1, 32):
        ms, path = fastest(work, batch)
        print(f"{name} {batch} {ms:.3f}   # {path}", flush=True)
