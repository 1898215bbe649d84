#!/usr/bin/env python3
"""arrays.npz (stored) and packed.npz (deflate): series x (4, 3, 2) with labels y, real
targets and a time axis; plain.npz: the same positional, arr_0 and arr_1, float32."""
import pathlib

import numpy as np

here = pathlib.Path(__file__).parent
x = np.arange(24.0).reshape(4, 3, 2) - 7.5
y = np.array([3, 1, 3, 2])
named = dict(x=x, y=y, target=np.stack([y * 0.5, y * 2.0], axis=1),
             time=np.array([0.0, 1.5, 2.0]))
np.savez(here / "arrays.npz", **named)
np.savez_compressed(here / "packed.npz", **named)
np.savez_compressed(here / "plain.npz", np.asfortranarray(x.astype("f4")), y)
