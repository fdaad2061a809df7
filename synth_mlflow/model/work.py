"""The work of a sweep as it travels to whoever does it: everything that a fit needs but its key."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from synth_mlflow.data.mixes import Mix, Places
from synth_mlflow.errors import UsageError
from synth_mlflow.model.axes import RATIO, Axis
from synth_mlflow.model.fit import FitRows, Model
from synth_mlflow.model.plan import ALL_ROWS, FitKey, Sources, fit_rows

Vector = npt.NDArray[np.float64]


class Trainer(Protocol):
    """Fits one model on some rows of the pool."""

    def model(self, rows: FitRows, seed: int) -> Model:
        """The fitted model, which takes raw rows."""
        ...

    def predictions(self, rows: FitRows, seed: int) -> Vector:
        """What that model says on the evaluation rows."""
        ...


@dataclass(frozen=True)
class Unscored:
    """What a fit predicted on the evaluation rows."""

    key: FitKey
    predictions: Vector
    n_real: int
    n_added: int
    seconds: float
    axis: Axis = RATIO

    @property
    def where(self) -> str:
        """Which fit this is, for messages."""
        return where(self.key, self.n_real, self.n_added, self.axis)


@dataclass(frozen=True)
class Failed:
    """A fit that could not be made."""

    key: FitKey
    reason: str
    fix: str = ""
    """What to do about it, where whoever failed has said so."""


@dataclass(frozen=True)
class Work:
    """The tables, encoded once, and what tells which rows a fit takes."""

    trainer: Trainer
    n_real: int
    n_extra: int
    batches: npt.NDArray[Any]
    """The batch of each synthetic row."""
    mix: Mix
    seed: int
    sources: Sources = field(default_factory=dict)
    """Places of each source's rows among the synthetic ones; what is not named takes them all."""
    groups: Places | None = None
    """The group of each real row, where the real rows were split by group."""
    axis: Axis = RATIO
    inside: npt.NDArray[np.bool_] | None = None
    """Of the axis ``slice``: whether each real row lies in it."""

    def do(self, key: FitKey) -> Unscored | Failed:
        """One fit; depends on nothing but its key, and may run in several threads at a time."""
        rows = self.rows(key)
        start = time.perf_counter()
        try:
            predictions = self._predictions(rows, fit_seed(self.seed, key.repeat))
        except UsageError as error:
            place = where(key, len(rows.real), len(rows.added), self.axis)
            return Failed(key, f"the model could not be fitted ({place}): {error.found}", error.fix)
        seconds = time.perf_counter() - start
        return Unscored(key, predictions, len(rows.real), len(rows.added), seconds, self.axis)

    def rows(self, key: FitKey) -> FitRows:
        """The rows that a fit takes."""
        source = self.sources.get(key.source)
        return fit_rows(
            key,
            self.n_real,
            self.batches,
            self.mix,
            self.seed,
            self.n_extra,
            source,
            self.groups,
            self.axis,
            self.inside,
        )

    def _predictions(self, rows: FitRows, seed: int) -> Vector:
        try:
            return self.trainer.predictions(rows, seed)
        except UsageError:
            raise
        except Exception as error:  # other people's estimators may raise anything
            raise UsageError(f"{type(error).__name__}: {error}", "Correct `model` in the problem statement.") from error


def fit_seed(seed: int, repeat: int) -> int:
    """The seed of the model of one fit; all fits on all real rows but the published one have seeds of their own.

    >>> fit_seed(7, -1), fit_seed(7, 0), fit_seed(7, -2)
    (7, 8, 1000009)
    """
    return seed + repeat + 1 if repeat >= ALL_ROWS else seed - repeat + _APART


_APART = 1_000_000  # greater than any number of repeats


def where(key: FitKey, n_real: int, n_added: int, axis: Axis = RATIO) -> str:
    """Which fit, for messages."""
    arm = f"{key.arm} arm of {key.source}" if key.source else f"{key.arm} arm"
    return f"{arm} at {axis.words(key.ratio)}, {n_real:,} real and {n_added:,} added rows"
