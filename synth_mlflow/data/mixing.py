"""Mixes of real and synthetic rows: how many of each a ratio needs, and which ones, without using any twice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.errors import GateError, UsageError, closest

REAL = "real"  # what a row of a mix says of itself where no batch made it
Mix = Literal["augment", "replace"]
MIXES: tuple[Mix, ...] = get_args(Mix)

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FitRows:
    """The rows that one fit takes, as places in the pool: real rows, synthetic ones, then held-back real ones."""

    real: Places
    added: Places
    weight: float | None = None
    """How much each added row counts beside a real one; None where rows are not weighed."""

    @property
    def all(self) -> Places:
        """Real and added ones; duplicates stand more than once."""
        return np.concatenate([self.real, self.added])

    @property
    def weights(self) -> npt.NDArray[np.float64] | None:
        """One weight for each of :attr:`all`, in its order; None where all count alike."""
        return None if self.weight in (None, 1) else self.column

    @property
    def column(self) -> npt.NDArray[np.float64]:
        """The same where every fit needs them, as a column of a file: 1 where all count alike."""
        added = 1.0 if self.weight is None else self.weight
        return np.repeat([1.0, added], [len(self.real), len(self.added)])


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


def read_weights(weights: Iterable[float]) -> tuple[float, ...]:
    """The weights of a synthetic row in ascending order, each once, with 0 (no synthetic rows) among them.

    Raises
    ------
    UsageError
        If one is negative or not finite, or none is above 0.

    Examples
    --------
    >>> read_weights([0.5, 0.25, 1])
    (0.0, 0.25, 0.5, 1.0)
    """
    given = {float(weight) for weight in weights}
    wrong = sorted(weight for weight in given if not (math.isfinite(weight) and weight >= 0))
    if wrong or not given - {0.0}:
        raise UsageError(
            f"weight {wrong[0]:g} is negative or not finite" if wrong else "no weight above 0 was given",
            "A synthetic row counts as this part of a real one: `--weights 0,0.1,0.25,0.5,1`.",
        )
    return tuple(sorted({0.0} | given))


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


def check_rows(n_rows: int, n_passed: int) -> None:
    """Refuse a number of synthetic rows for every weight that is none, or more than passed the gate.

    Raises
    ------
    UsageError, GateError
    """
    if n_rows < 1:
        raise UsageError(
            f"{n_rows:,} synthetic rows were asked for, a weight takes at least one.",
            "Leave `--rows` out, or give more.",
        )
    if n_rows > n_passed:
        raise GateError(
            f"{n_rows:,} synthetic rows were asked for, {n_passed:,} passed the gate.",
            f"Generate {n_rows - n_passed:,} more: `synth-mlflow generate GENERATOR --rows {n_rows - n_passed}`.",
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
        n_kept, added = mix_counts(ratio, n_real, mix)
        if ratio and not (n_kept and added):
            raise UsageError(
                f"ratio {percent(ratio)} of {n_real:,} real rows is {n_kept:,} real and {added:,} synthetic ones: "
                "a mix holds both.",
                "Leave it out, or take one further from its end of the scale.",
            )


def draw_order(batches: npt.ArrayLike, rng: np.random.Generator, shares: Mapping[str, float] | None = None) -> Places:
    """A random order of synthetic rows of which every beginning holds each batch in proportion, or by its share.

    Parameters
    ----------
    batches : array-like of shape (n_rows,)
        The batch of each row.
    rng : numpy Generator
    shares : mapping of batch to float, optional
        What part of every beginning is of each batch, to the nearest row, as far as its rows go; rows of other batches
        are left out. By default as many of each as there are.

    Returns
    -------
    array of shape (n_rows,)
        Row numbers, each once: a ratio takes as many from the front as it needs.
    """
    codes, names = pd.factorize(np.asarray(batches), sort=True)
    position = np.empty(len(codes))
    for code, rows in enumerate(np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])):
        size = len(rows) if shares is None or not len(rows) else shares.get(names[code]) or math.nan
        position[rng.permutation(rows)] = (np.arange(len(rows)) + rng.random()) / size
    order = np.argsort(position, kind="stable")
    return order[np.isfinite(position[order])]


def draw_duplicates(real: Places, n_rows: int, rng: np.random.Generator) -> Places:
    """Real rows once more, as a placebo for synthetic ones: each equally often, up to one.

    Returns
    -------
    array of shape (n_rows,)
        Row numbers out of ``real``.
    """
    whole, rest = divmod(n_rows, len(real))
    return np.concatenate([np.tile(real, whole), rng.permutation(real)[:rest]])


def shares_text(shares: Mapping[str, float]) -> str:
    """The shares of batches as one text, the same for equal ones.

    >>> shares_text({"smote-2": 0.25, "forest-1": 0.75, "forest-3": 0.0})
    'forest-1=0.75,smote-2=0.25'
    """
    return ",".join(f"{batch}={share:.4g}" for batch, share in sorted(shares.items()) if share > 0)


def read_shares(text: str) -> dict[str, float]:
    """The inverse of :func:`shares_text`; empty for any other text.

    >>> read_shares("forest-1=0.75,smote-2=0.25"), read_shares("forest"), read_shares("")
    ({'forest-1': 0.75, 'smote-2': 0.25}, {}, {})
    """
    pairs = [part.rpartition("=") for part in text.split(",")]
    try:
        return {batch: float(share) for batch, _, share in pairs}
    except ValueError:  # a generator, or all together
        return {}


def mix_words(text: str) -> str:
    """A mix as people read it; any other text as it is.

    >>> mix_words("forest-1=0.75,smote-2=0.25"), mix_words("forest")
    ('75 % forest-1 and 25 % smote-2', 'forest')
    """
    parts = [f"{percent(share)} {batch}" for batch, share in read_shares(text).items()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or text


def _no_ratio(text: str) -> UsageError:
    return UsageError(
        f"{text}: a ratio is the share of synthetic rows in the training mix.",
        "Give shares such as 25, 50 and 75 percent: `--ratios 25,50,75`, in Python `(0.25, 0.5, 0.75)`.",
    )
