"""The work of a sweep as it travels to whoever does it: everything that a fit needs but its key.

The bench where every fit of a project is made: tables encoded once, fits that take rows by place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.mixing import FitRows, Mix, Places
from synth_mlflow.data.slices import Mask, Slice
from synth_mlflow.data.splits import Positions, group_codes
from synth_mlflow.data.task import BOOSTED, ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.base import Model, fit
from synth_mlflow.models.class_weights import weighed
from synth_mlflow.models.command import CommandTrainer
from synth_mlflow.models.estimator import EstimatorModel
from synth_mlflow.models.labels import Labels, certain_of, classes_of, target_values
from synth_mlflow.models.scoring import best_score, check_metric, score_codes
from synth_mlflow.models.stopping_rows import Aside, stopping_rows
from synth_mlflow.models.text import is_linear
from synth_mlflow.sweep.axes import RATIO, Axis
from synth_mlflow.sweep.bootstrap import FAST, noise_draws, weighted_scorer
from synth_mlflow.sweep.holdout import halve
from synth_mlflow.sweep.plan import ALL_ROWS, Fit, FitKey, Sources, fit_rows
from synth_mlflow.sweep.score_interval import Sizes

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
class RawFit:
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
class FitJob:
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

    def do(self, key: FitKey) -> RawFit | Failed:
        """One fit; depends on nothing but its key, and may run in several threads at a time."""
        rows = self.rows(key)
        start = time.perf_counter()
        try:
            predictions = self._predictions(rows, fit_seed(self.seed, key.repeat))
        except UsageError as error:
            place = where(key, len(rows.real), len(rows.added), self.axis)
            return Failed(key, f"the model could not be fitted ({place}): {error.found}", error.fix)
        seconds = time.perf_counter() - start
        return RawFit(key, predictions, len(rows.real), len(rows.added), seconds, self.axis)

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


FRESH_BINS_MAX = (
    20_000  # rows of the pool; above, all fits share one binned table, which saves time and moves scores little
)


KEPT_MAX = 20_000  # evaluation rows; above, one fit of each mix says precisely enough what they add to an interval


@dataclass(frozen=True)
class Evaluator:
    """Everything a fit needs but its rows."""

    task: Task
    metric: str
    classes: Labels
    n_real: int
    n_extra: int
    """Held-back real rows."""
    trainer: Trainer
    truth: Vector
    """Target of the evaluation rows that may choose: numbers, or codes in the order of ``classes``."""
    halves: str
    """In words, whether these rows will confirm too; the others are not even predicted."""
    slices: Mapping[str, Mask]
    """Which of these rows lie in each slice."""
    groups: Positions | None = None
    """The group of each of these rows, where the set was split by group; None where they are independent."""
    real_groups: Positions | None = None
    """The same of each real training row."""

    @classmethod
    def build(
        cls,
        real: pd.DataFrame,
        evaluation: pd.DataFrame,
        task: Task,
        metric: str,
        spec: ModelSpec,
        *,
        synthetic: pd.DataFrame | None = None,
        extra_real: pd.DataFrame | None = None,
        slices: Mapping[str, Slice] | None = None,
    ) -> Evaluator:
        """Encode the tables once.

        Raises
        ------
        UsageError
            If the metric does not fit the task, or a target is missing or has a label that no real training row has.
        """
        check_metric(metric, task)
        classes = classes_of(real, task)
        groups = group_codes(evaluation, task)
        halves = halve(target_values(evaluation, task, classes), task.is_classification, groups)
        evaluation = evaluation[halves.select].reset_index(drop=True)
        truth = target_values(evaluation, task, classes)
        parts = [part for part in (real, synthetic, extra_real) if part is not None]
        n_extra = 0 if extra_real is None else len(extra_real)
        masks = {name: part.mask(evaluation) for name, part in (slices or {}).items()}
        real_groups = group_codes(real, task)
        trainer = _trainer(parts, evaluation, task, spec, classes, metric, real_groups)
        groups = None if groups is None else groups[halves.select]
        return cls(
            task,
            metric,
            classes,
            len(real),
            n_extra,
            trainer,
            truth,
            halves.words,
            masks,
            groups,
            real_groups,
        )

    def scored(self, raw: RawFit, *, keep: bool = False) -> Fit:
        """Score what one fit predicted; not from several threads at a time, since scorers silence warnings.

        Predictions are kept of the published model's fit, of the others on all real rows where the set is small enough,
        and of all if ``keep`` says so: that saves most of the memory.
        """
        slices = {name: self.score(raw.predictions, mask) for name, mask in self.slices.items()}
        score = score_codes(self.metric, self.task, self.truth, raw.predictions)
        is_kept = raw.key.repeat == ALL_ROWS or (raw.key.takes_all and len(self.truth) <= KEPT_MAX)
        predictions = raw.predictions if keep or is_kept else raw.predictions[:0]
        noise = np.empty(0) if raw.key.takes_all else self._noise(raw.predictions, score)
        return Fit(raw.key, score, predictions, raw.n_real, raw.n_added, raw.seconds, slices, noise)

    def _noise(self, predictions: Vector, score: float) -> Vector:
        """How far the score lies from itself over draws of the evaluation rows; empty where a scorer is slow."""
        if self.metric not in FAST:
            return np.empty(0)
        return weighted_scorer(self.metric, self.task, self.truth, predictions)(self._noise_draws) - score

    @cached_property
    def _noise_draws(self) -> Vector:
        return noise_draws(len(self.truth), self.groups)

    def score(self, predictions: Vector, among: Mask) -> float:
        """The metric on some of the evaluation rows; NaN where it is undefined."""
        if not among.any():
            return float("nan")
        return score_codes(self.metric, self.task, self.truth[among], predictions[among])

    def sizes(self, among: Mask | None = None) -> Sizes:
        """How much the evaluation rows, or some of them, can show."""
        rows = slice(None) if among is None else among
        return Sizes.of(self.task, self.truth[rows], None if self.groups is None else self.groups[rows])

    @property
    def best_score(self) -> float:
        """What predictions that are all right would score."""
        return best_score(self.metric, self.task, self.truth)


def _trainer(
    parts: Sequence[pd.DataFrame],
    evaluation: pd.DataFrame,
    task: Task,
    spec: ModelSpec,
    classes: Labels,
    metric: str,
    groups: Positions | None,
) -> Trainer:
    # weights of a binned table are fixed, and those of the whole pool balance none of the mixes
    can_share, boosted = (
        spec.params.get("class_weight") != "balanced",
        spec.estimator == BOOSTED and not is_linear(spec),
    )
    if boosted and can_share and sum(map(len, parts)) > FRESH_BINS_MAX:
        from synth_mlflow.models.lightgbm import BoostedTrainer  # takes 1 s to import

        return BoostedTrainer.build(spec.params, task, parts, evaluation, classes)
    pool = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0].reset_index(drop=True)
    if spec.commands is not None:
        return CommandTrainer(spec.commands, task, pool, evaluation, classes, groups)
    if boosted:
        from synth_mlflow.models.lightgbm import BoostedSettings, FreshTrainer

        settings = BoostedSettings.read(spec.params, task, classes, seed=0, n_threads=1)
        return FreshTrainer(settings, task, classes, pool, evaluation)
    return _EstimatorTrainer(spec, task, pool, evaluation, classes, metric, groups)


@dataclass(frozen=True)
class _EstimatorTrainer:
    spec: ModelSpec
    task: Task
    pool: pd.DataFrame
    evaluation: pd.DataFrame
    classes: Labels
    metric: str
    groups: Positions | None
    """The group of each real row."""

    def model(self, rows: FitRows, seed: int) -> Model:
        order = np.argsort(rows.all, kind="stable")
        places = rows.all[order]
        taken = self.pool.iloc[places].reset_index(drop=True)
        weights = None if rows.weights is None else rows.weights[order]
        taken, task = weighed(taken, self.task, weights)

        def aside() -> Aside:
            real = np.sort(rows.real)
            target = target_values(taken, task, self.classes)[np.searchsorted(places, real)]
            groups = None if self.groups is None else self.groups[real]
            held = stopping_rows(real, target, seed, classes=task.is_classification, groups=groups)
            return Aside.among(places, held)

        return fit(self.spec, task, taken, seed=seed, classes=self.classes, aside=aside)

    def predictions(self, rows: FitRows, seed: int) -> Vector:
        target = target_values(self.pool.iloc[rows.all], self.task, self.classes)
        certain = certain_of(target, len(self.classes), len(self.evaluation))
        if certain is not None:
            return certain
        model = self.model(rows, seed)
        if isinstance(model, EstimatorModel):
            model.refuse_metric(self.metric, self.task)
        return model.predict(self.evaluation)
