"""How fine the numbers of a column are: their decimals, and the width of their floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MAX_DECIMALS = 6
WIDTHS = (np.float16, np.float32)


def grid_step(values: Floats) -> float | None:
    """The largest power of ten, at most 1, that all values are multiples of; None if there is none down to 10⁻⁶.

    Examples
    --------
    >>> grid_step(np.array([0.25, 3.0])), grid_step(np.array([10.0, 20.0])), grid_step(np.array([np.pi]))
    (0.01, 1.0, None)
    """
    steps = (float(10.0**-decimals) for decimals in range(MAX_DECIMALS + 1))
    return next((step for step in steps if are_multiples(values, step).all()), None)


def are_multiples(values: Floats, step: float) -> Bools:
    """Which values are multiples of a power of ten, but for the dust of binary fractions and of 32-bit floats."""
    decimals = round(-np.log10(step))
    dust = 4.0 * np.spacing(np.abs(values))
    return np.asarray(np.abs(np.round(values, decimals) - values) <= dust + 1e-6 * step)


def on_grid(values: Floats, step: float) -> Floats:
    """The nearest multiples of ``step``, free of binary dust for steps like 0.01."""
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return np.asarray(np.round(np.round(values / step) * step, decimals))


def float_width(values: Floats, step: float | None) -> type[np.floating[Any]]:
    """The narrowest type that holds all values, unless they are the decimals that they look like.

    Examples
    --------
    >>> float_width(np.array([np.float32(0.1), 3.0]), 0.1).__name__, float_width(np.array([0.5]), 0.1).__name__
    ('float32', 'float64')
    """
    if step is not None and np.array_equal(on_grid(values, step), values):
        return np.float64
    return next((width for width in WIDTHS if are_of_width(values, width).all()), np.float64)


def are_of_width(values: Floats, width: type[np.floating[Any]]) -> Bools:
    """Which values a narrower type of floats holds exactly."""
    with np.errstate(over="ignore"):
        return np.asarray(values.astype(width) == values)
