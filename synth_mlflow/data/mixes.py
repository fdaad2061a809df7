"""Mixes of real and synthetic rows: how many of each a ratio needs, and which ones, without using any twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.errors import GateError, UsageError, closest

Mix = Literal["augment", "replace"]
MIXES: tuple[Mix, ...] = get_args(Mix)

Places = npt.NDArray[np.int64]


def percent(ratio: float) -> str:
    """A ratio as people read it.

    >>> percent(0.25), percent(0.125)
    ('25 %', '12.5 %')
    """
    return f"{ratio * 100:.4g} %"


def read_ratios(ratios: Iterable[float]) -> tuple[float, ...]:
    """The ratios in ascending order, each once, with 0 (the baseline) among them.

    Raises
    ------
    UsageError
        If one lies outside [0, 1) or none is above 0.

    Examples
    --------
    >>> read_ratios([0.5, 0.25])
    (0.0, 0.25, 0.5)
    """
    given = {read_ratio(ratio) for ratio in ratios}
    if not given - {0.0}:
        raise _no_ratio("no ratio above 0 was given")
    return tuple(sorted({0.0} | given))


def read_ratio(ratio: float) -> float:
    """One ratio; a UsageError if it lies outside [0, 1)."""
    if not 0 <= ratio < 1:
        raise _no_ratio(f"ratio {ratio:g} ({percent(ratio)}) lies outside [0, 1)")
    return float(ratio)


def mix_counts(ratio: float, n_real: int, mix: Mix = "augment") -> tuple[int, int]:
    """How many real and how many synthetic rows a ratio takes.

    Parameters
    ----------
    ratio : float
        The share of synthetic rows in the mix, 0 ≤ ratio < 1.
    n_real : int
        Real rows at hand.
    mix : {"augment", "replace"}
        ``augment`` keeps all real rows and adds ``n_real · ratio / (1 − ratio)`` synthetic ones; ``replace`` keeps the
        total at ``n_real``.

    Raises
    ------
    UsageError
        If the mix is unknown.

    Examples
    --------
    >>> mix_counts(0.75, 4500), mix_counts(0.75, 4500, "replace")
    ((4500, 13500), (1125, 3375))
    """
    if mix not in MIXES:
        raise UsageError(f"mix {mix!r} is unknown. {closest(mix, MIXES)}", "`augment` keeps all real rows.")
    if mix == "augment":
        return n_real, round(n_real * ratio / (1 - ratio))
    n_synthetic = round(n_real * ratio)
    return n_real - n_synthetic, n_synthetic


def check_supply(
    ratios: Iterable[float], n_real: int, n_passed: int, mix: Mix = "augment", generator: str = ""
) -> None:
    """Refuse ratios that need more synthetic rows than passed the gate.

    Parameters
    ----------
    generator : str, optional
        Whose rows are swept; named in the command that would help.

    Raises
    ------
    GateError
        With the greatest such ratio, both numbers, and the command that makes the difference.
    """
    ratio = max(ratios)
    _, needed = mix_counts(ratio, n_real, mix)
    if needed > n_passed:
        lacking = needed - n_passed
        raise GateError(
            f"ratio {percent(ratio)} needs {needed:,} synthetic rows, {n_passed:,} passed the gate.",
            f"Generate {lacking:,} more: `synth-mlflow generate {generator or 'GENERATOR'} --rows {lacking}`.",
        )


def check_kinds(ratios: Iterable[float], n_real: int, mix: Mix = "augment") -> None:
    """Refuse ratios above 0 at which rounding leaves no real or no synthetic row.

    Raises
    ------
    UsageError
        With the first such ratio and what it would take.

    Examples
    --------
    >>> check_kinds([0.0, 0.01], 50)
    >>> check_kinds([0.001], 50)
    Traceback (most recent call last):
    synth_mlflow.errors.UsageError: ratio 0.1 % of 50 real rows is 50 real and 0 synthetic ones: a mix holds both.
    Leave it out, or take one further from its end of the scale.
    """
    for ratio in ratios:
        kept, added = mix_counts(ratio, n_real, mix)
        if ratio and not (kept and added):
            raise UsageError(
                f"ratio {percent(ratio)} of {n_real:,} real rows is {kept:,} real and {added:,} synthetic ones: "
                "a mix holds both.",
                "Leave it out, or take one further from its end of the scale.",
            )


def draw_order(batches: npt.ArrayLike, rng: np.random.Generator) -> Places:
    """A random order of synthetic rows of which every beginning holds each batch in proportion.

    Parameters
    ----------
    batches : array-like of shape (n_rows,)
        The batch of each row.
    rng : numpy Generator

    Returns
    -------
    array of shape (n_rows,)
        Row numbers, each once: a ratio takes as many from the front as it needs.
    """
    codes, _ = pd.factorize(np.asarray(batches), sort=True)
    position = np.empty(len(codes))
    for rows in np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1]):
        position[rng.permutation(rows)] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return np.argsort(position, kind="stable")


def draw_duplicates(real: Places, n_rows: int, rng: np.random.Generator) -> Places:
    """Real rows once more, as a placebo for synthetic ones: each equally often, up to one.

    Returns
    -------
    array of shape (n_rows,)
        Row numbers out of ``real``.
    """
    whole, rest = divmod(n_rows, len(real))
    return np.concatenate([np.tile(real, whole), rng.permutation(real)[:rest]])


def _no_ratio(found: str) -> UsageError:
    return UsageError(
        f"{found}: a ratio is the share of synthetic rows in the training mix.",
        "Give shares such as 25, 50 and 75 percent: `--ratios 25,50,75`, in Python `(0.25, 0.5, 0.75)`.",
    )
