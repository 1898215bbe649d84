"""universal.py -- one perturbation for all: ours beside ART's, at equal norm, held out.

usage: ROBUST_DATA=FOLDER universal.py LIBRARY MODEL SERIES PASSES [radii ...]

ART's UniversalPerturbation with DeepFool (its default) and with PGD inside, PASSES times over
the data, and ours, by its defaults, search on one half of SERIES of the test set; both perturbations are then added to the second half. Radii are
shares of the mean norm of a series. Counts are of series the model had right before (it
answers the class it answers for x). ART's result is scaled to the full radius where it
ended inside the ball.
"""
import sys
import time

import numpy as np
import published
from published import robust


def fooled(net, x, d):
    import torch
    with torch.no_grad():
        before = net(torch.from_numpy(x)).argmax(1)
        after = net(torch.from_numpy((x + d).astype(np.float32))).argmax(1)
    return int((before != after).sum())


def by_art(net, x, norm, eps, inner, passes):
    import torch
    from art.attacks.evasion import UniversalPerturbation
    from art.estimators.classification import PyTorchClassifier
    shape = (x.shape[1],)
    estimator = PyTorchClassifier(net, torch.nn.CrossEntropyLoss(), shape,
                                  net.fc.out_features, clip_values=(-20.0, 20.0))
    words = {"deepfool": {"max_iter": 20, "verbose": False}, "pgd": {"eps": eps, "eps_step": eps / 4, "norm": norm,
                                       "max_iter": 20, "verbose": False}}[inner]
    attack = UniversalPerturbation(estimator, attacker=inner, attacker_params=words,
                                   delta=0.05, max_iter=passes, eps=eps, norm=norm,
                                   batch_size=64, verbose=False)
    attack.generate(x)
    return np.ravel(attack.noise)


def by_us(name, x, norm, eps):
    ctx = robust.Ctx()
    query = published.query_of(ctx, name, x, robust.LINF if norm == np.inf else robust.L2,
                               eps)
    return robust.Attack(ctx, "universal").universal(ctx, query)


def main():
    robust.load(sys.argv[1])
    name = sys.argv[2]
    net = published.torch_model(name)
    for p in net.parameters():
        p.requires_grad_(True)
    x = published.series(name, "TEST")[0]
    order = np.random.default_rng(1).permutation(len(x))[:int(sys.argv[3])]
    half = len(order) // 2
    seek, held = x[order[:half]], x[order[half:]]
    for norm in (2, np.inf):
        mean = np.mean([np.linalg.norm(row, norm) for row in x])
        for share in [float(v) for v in sys.argv[5:]] or [0.05, 0.1, 0.2]:
            eps = float(share * mean)
            begun = time.time()
            own = by_us(name, seek, norm, eps)
            took = time.time() - begun
            line = (f"{name} norm {norm} eps {eps:.4f}: ours {fooled(net, seek, own)}/"
                    f"{half} seen, {fooled(net, held, own)}/{len(held)} held out "
                    f"({took:.0f} s)")
            for inner in ("deepfool", "pgd"):
                begun = time.time()
                theirs = by_art(net, seek, norm, eps, inner, int(sys.argv[4]))
                size = np.linalg.norm(theirs, norm)
                if size > 0:
                    theirs = theirs * (eps / size)
                line += (f"; ART {inner} {fooled(net, seek, theirs)}/{half}, "
                         f"{fooled(net, held, theirs)}/{len(held)} "
                         f"({time.time() - begun:.0f} s)")
            print(line, flush=True)


main()
