"""Pure differential privacy for one row: geometric noise on counts, the exponential mechanism, and their sum.

Two tables are neighbours if they have the same number of rows and differ in one row. A mechanism is ε-private if no
output is more than e^ε times likelier on one neighbour than on the other; run one after another, the ε add up
(C. Dwork and A. Roth, doi:10.1561/0400000042, theorems 3.6, 3.10 and 3.16).
"""

from __future__ import annotations

import secrets

import numpy as np

from synth_mlflow.generators._numbers import Floats, Ints

COUNT_SENSITIVITY = 2  # replacing a row takes one from a cell and adds one to another


def secret_rng() -> np.random.Generator:
    """Randomness from the operating system: noise that the recorded seed could repeat could also be taken away."""
    return np.random.Generator(np.random.PCG64(secrets.randbits(256)))


def noisy_counts(counts: Ints, epsilon: float, rng: np.random.Generator) -> Ints:
    """Counts of all cells of one table, ε-private together; negative ones are possible.

    Two-sided geometric noise, the discrete Laplace law, needs no floating-point care (A. Ghosh, T. Roughgarden and
    M. Sundararajan, doi:10.1137/09076828X).
    """
    success = -np.expm1(-epsilon / COUNT_SENSITIVITY)
    noise = rng.geometric(success, counts.shape) - rng.geometric(success, counts.shape)
    return np.asarray(counts + noise, dtype=np.int64)


def choose(scores: Floats, epsilon: float, sensitivity: float, rng: np.random.Generator) -> int:
    """The position of a high score, ε-private: the exponential mechanism by Gumbel noise.

    ``sensitivity`` bounds how much any score changes between neighbours.
    """
    return int(np.argmax(scores * epsilon / (2.0 * sensitivity) + rng.gumbel(size=len(scores))))
