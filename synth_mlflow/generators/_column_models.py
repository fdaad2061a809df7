"""One column given the earlier ones: leaves lend values, boosting says what to expect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from synth_mlflow.generators._boosting import Boosted, fit_boosted
from synth_mlflow.generators._encoding import CategoryColumn, Codes, Encoded, NumberColumn
from synth_mlflow.generators._leaves import Leaves, grow_regressor
from synth_mlflow.generators._numbers import Floats, Ints, Numbers
from synth_mlflow.generators._predictors import Matrix, Predictors

MIN_BOOSTING_ROWS = 200
MAX_ODDS_ROWS = 20_000  # members that the frequencies of classes are matched on
ODDS_STEPS = 20
MAX_CLASSES = 30  # beyond it, boosting one model a class takes too long


@dataclass(frozen=True)
class Settings:
    """How closely the members are followed."""

    min_leaf: int
    level_significance: float
    """How many times the gain of a meaningless split a split for levels must earn."""
    number_significance: float
    """The same for numbers."""

    @classmethod
    def at(cls, privacy: float) -> Settings:
        """From 0, closest to the members, to 1."""
        return cls(round(6.5 * 16**privacy), 12.0 * privacy, max(0.0, 2.0 * privacy - 1.0))


@dataclass(frozen=True)
class LeafModel:
    """Levels of a category drawn from leaves."""

    name: str
    predictors: Predictors
    leaves: Leaves

    def draw(self, codes: Codes, n_rows: int, rng: np.random.Generator) -> Ints:
        """Codes of shape (n_rows,)."""
        return self.leaves.draw(_matrix(self.predictors, codes, n_rows), rng)


@dataclass(frozen=True)
class ClassModel:
    """Levels of a category drawn from boosted class probabilities."""

    name: str
    predictors: Predictors
    boosted: Boosted
    levels: Ints
    odds: Floats
    """By how much each level is likelier than the boosted trees say."""

    def draw(self, codes: Codes, n_rows: int, rng: np.random.Generator) -> Ints:
        """Codes of shape (n_rows,)."""
        said = self.boosted.predict(_matrix(self.predictors, codes, n_rows), self.boosted.draw_folds(n_rows, rng))
        shares = _reweighted(said, self.odds)
        beyond = np.cumsum(shares, axis=1)[:, :-1] < rng.random(n_rows)[:, None]
        return np.asarray(self.levels[beyond.sum(axis=1)])


@dataclass(frozen=True)
class NumberModel:
    """Numbers drawn from leaves that also know the boosted expectation, then moved off the members' own values."""

    name: str
    predictors: Predictors
    boosted: Boosted | None
    leaves: Leaves
    numbers: Numbers
    missing: LeafModel | None

    def draw(self, codes: Codes, n_rows: int, rng: np.random.Generator) -> Floats:
        """Numbers of shape (n_rows,), NaN for missing."""
        matrix = _matrix(self.predictors, codes, n_rows)
        if self.boosted is not None:
            matrix = _with(matrix, self.boosted.predict(matrix, self.boosted.draw_folds(n_rows, rng)))
        drawn = self.numbers.redraw(self.leaves.draw(matrix, rng), rng)
        if self.missing is not None:
            drawn[self.missing.draw(codes, n_rows, rng) == 1] = np.nan
        return drawn


ColumnModel = LeafModel | ClassModel | NumberModel


def fit_column(
    encoded: Encoded, name: str, earlier: list[str], settings: Settings, rng: np.random.Generator
) -> ColumnModel:
    """The model of one column given the earlier ones."""
    column = encoded.columns[name]
    if isinstance(column, NumberColumn):
        return _fit_numbers(encoded, column, earlier, settings, rng)
    levels = encoded.codes[name].astype(np.int64)
    present = np.unique(levels)
    if name == encoded.target and earlier and 2 <= len(present) <= MAX_CLASSES and encoded.n_rows >= MIN_BOOSTING_ROWS:
        return _fit_classes(encoded, column, earlier, present, rng)
    return _fit_leaves(encoded, name, levels, earlier, settings, rng)


def _fit_leaves(
    encoded: Encoded, name: str, levels: Ints, earlier: list[str], settings: Settings, rng: np.random.Generator
) -> LeafModel:
    rows = np.arange(encoded.n_rows)
    outcome = _indicators(levels)
    predictors = Predictors.of(encoded, earlier, outcome, rows)
    matrix = _matrix(predictors, encoded.codes, encoded.n_rows)
    tree = grow_regressor(
        matrix,
        outcome,
        min_leaf=settings.min_leaf,
        significance=settings.level_significance,
        seed=int(rng.integers(2**31)),
    )
    return LeafModel(name, predictors, Leaves.of(tree, matrix, levels))


def _fit_classes(
    encoded: Encoded, column: CategoryColumn, earlier: list[str], present: Ints, rng: np.random.Generator
) -> ClassModel:
    classes = np.searchsorted(present, encoded.codes[column.name])
    outcome = _indicators(classes)
    predictors = Predictors.of(encoded, earlier, outcome, np.arange(encoded.n_rows))
    matrix = _matrix(predictors, encoded.codes, encoded.n_rows)
    boosted, fold = fit_boosted(matrix, classes, rng, len(present))
    some = np.sort(rng.permutation(encoded.n_rows)[:MAX_ODDS_ROWS])
    odds = _odds(boosted.predict(matrix[some], fold[some]), np.bincount(classes) / encoded.n_rows)
    return ClassModel(column.name, predictors, boosted, present, odds)


def _odds(said: Floats, shares: Floats) -> Floats:
    """Factors that make the levels as frequent among the rows as they are, shape (n_levels,).

    Boosted trees understate classes of a few rows: of wines rated 3, they drew a quarter. The factors are found by
    proportional fitting, the inverse of the correction for new class shares of M. Saerens, P. Latinne and
    C. Decaestecker, Neural Computation 14 (2002), doi:10.1162/089976602753284446.
    """
    odds = np.ones(len(shares))
    for _ in range(ODDS_STEPS):
        odds *= shares / np.maximum(_reweighted(said, odds).mean(axis=0), 1e-12)
    return np.asarray(np.clip(odds / odds.max(), 1e-6, None))


def _reweighted(said: Floats, odds: Floats) -> Floats:
    weighted = said * odds
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def _fit_numbers(
    encoded: Encoded, column: NumberColumn, earlier: list[str], settings: Settings, rng: np.random.Generator
) -> NumberModel:
    values = encoded.codes[column.name].astype(np.float64)
    missing = np.isnan(values)
    rows = np.flatnonzero(~missing)
    scores = _normal_scores(values[rows])
    predictors = Predictors.of(encoded, earlier, scores[:, None], rows)
    matrix = _matrix(predictors, {name: encoded.codes[name][rows] for name in earlier}, len(rows))
    boosted = None
    if earlier and len(rows) >= MIN_BOOSTING_ROWS:
        boosted, fold = fit_boosted(matrix, scores, rng, is_finer=column.name == encoded.target)
        matrix = _with(matrix, boosted.predict(matrix, fold))
    tree = grow_regressor(
        matrix,
        scores[:, None],
        min_leaf=settings.min_leaf,
        significance=settings.number_significance,
        seed=int(rng.integers(2**31)),
    )
    absent = (
        _fit_leaves(encoded, column.name, missing.astype(np.int64), earlier, settings, rng) if missing.any() else None
    )
    return NumberModel(column.name, predictors, boosted, Leaves.of(tree, matrix, values[rows]), column.numbers, absent)


def _indicators(levels: Ints) -> Floats:
    """One column a level; beyond a number of them the rarer levels share one."""
    counts = np.bincount(levels)
    frequent = np.argsort(-counts, kind="stable")[: min(MAX_CLASSES, np.count_nonzero(counts))]
    found: Floats = (levels[:, None] == frequent).astype(np.float64)
    return found[:, :1] if len(frequent) == 2 else found


def _normal_scores(values: Floats) -> Floats:
    ordered = np.sort(values)
    middle = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return np.asarray(ndtri(middle / (2.0 * len(values))))


def _matrix(predictors: Predictors, codes: Codes, n_rows: int) -> Matrix:
    if not predictors.names:
        return np.empty((n_rows, 0), dtype=np.float32)
    return predictors.matrix(codes)


def _with(matrix: Matrix, prediction: Floats) -> Matrix:
    return np.hstack([matrix, prediction.astype(np.float32)])
