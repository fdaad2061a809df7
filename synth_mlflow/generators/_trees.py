"""Draw one column given others, from the leaves of a forest or from boosted trees.

The columns that a model looks at, as a matrix; categories become numbers in the order that fits its outcome.

Members grouped by a decision tree: rows that fall into the same leaf lend each other their values.

Boosted trees fitted on folds, so that what they say of a member never rests on that member.

One column given the earlier ones: leaves lend values, boosting says what to expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from synth_mlflow.generators._encoding import CategoryColumn, Codes, Encoded, NumberColumn
from synth_mlflow.generators._numeric import Floats, Ints, Numbers

Bools = npt.NDArray[np.bool_]

Matrix = npt.NDArray[np.float32]

MAX_TREE_ROWS = 100_000  # that decide on the splits of a tree; all rows are then sorted into its leaves
MIN_LEVEL_ROWS = 20  # rarer levels share one number: their own would be their rows' outcomes


@dataclass(frozen=True)
class Scale:
    """A number's centre and range: trees see 32 bits, too few for dates in microseconds as they are."""

    centre: float
    range: float

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """The middle of the present values, and how far the farthest lies from it."""
        centre = float(np.nanmedian(values))
        return cls(centre, float(np.nanmax(np.abs(values - centre))) or 1.0)

    def apply(self, values: Floats) -> Floats:
        """Values between about -1 and 1."""
        return (values - self.centre) / self.range


@dataclass(frozen=True)
class Predictors:
    """How to make the matrix from encoded columns."""

    names: tuple[str, ...]
    scales: tuple[Floats | Scale, ...]
    """For a category, the number of each level in each of its axes, shape (n_levels + 1, n_axes)."""

    @classmethod
    def of(cls, encoded: Encoded, names: Sequence[str], outcome: Floats | Bools, rows: Ints) -> Predictors:
        """Learn the order of levels; ``outcome`` has shape (n_rows, n_outcomes) for the members at ``rows``."""
        means = outcome.mean(axis=0)
        scales = [
            _levels(column.n_levels + 1, encoded.codes[name][rows], outcome, means)
            if isinstance(column := encoded.columns[name], CategoryColumn)
            else Scale.of(encoded.codes[name])
            for name in names
        ]
        return cls(tuple(names), tuple(scales))

    def matrix(self, codes: Codes) -> Matrix:
        """Shape (n_rows, n_features); NaN for missing numbers."""
        widths = [1 if isinstance(scale, Scale) else scale.shape[1] for scale in self.scales]
        predictors = np.empty((len(codes[self.names[0]]), sum(widths)), dtype=np.float32)
        for name, scale, stop, width in zip(self.names, self.scales, np.cumsum(widths), widths, strict=True):
            part = scale.apply(codes[name])[:, None] if isinstance(scale, Scale) else scale[codes[name]]
            predictors[:, stop - width : stop] = part  # one column in double precision at a time
        return predictors


def _levels(n_levels: int, levels: Ints, outcome: Floats | Bools, means: Floats) -> Floats:
    counts = np.bincount(levels, minlength=n_levels)
    sums = np.column_stack(
        [
            np.bincount(levels, weights=part - mean, minlength=n_levels)
            for part, mean in zip(outcome.T, means, strict=True)
        ]
    )
    is_rare = counts < MIN_LEVEL_ROWS
    sums[is_rare] = sums[is_rare].sum(axis=0)
    sizes = np.where(is_rare, max(int(counts[is_rare].sum()), 1), counts)
    return _axes(sums / np.sqrt(sizes)[:, None], n_axes=1 if outcome.shape[1] == 1 else 2) / np.sqrt(sizes)[:, None]


def _axes(weighted_means: Floats, n_axes: int) -> Floats:
    """Coordinates of levels along the axes that hold most of their differences (correspondence analysis)."""
    if weighted_means.shape[1] == 1:
        return weighted_means
    _, _, axes = np.linalg.svd(weighted_means, full_matrices=False)
    return np.asarray(weighted_means @ axes[:n_axes].T)


@dataclass(frozen=True)
class Leaves:
    """A tree, and the members' values sorted by leaf."""

    tree: Any
    """A fitted scikit-learn tree, or None if all members share one leaf."""
    values: Floats | Ints
    starts: Ints
    """Where each leaf's values begin; shape (n_nodes,)."""
    counts: Ints

    @classmethod
    def of(cls, tree: Any, matrix: Matrix, values: Floats | Ints) -> Leaves:
        """Sort the members' values, shape (n_rows,), by the leaves that their predictors fall into."""
        leaf = _apply(tree, matrix)
        n_nodes = 1 if tree is None else tree.tree_.node_count
        counts = np.bincount(leaf, minlength=n_nodes)
        return cls(tree, values[np.argsort(leaf, kind="stable")], np.cumsum(counts) - counts, counts)

    def draw(self, matrix: Matrix, rng: np.random.Generator) -> npt.NDArray[Any]:
        """A member's value from each row's leaf; all of a leaf's values are used before one is used again.

        Independent draws would use some members twice and others never, and add that noise to the members' own.
        """
        leaf = _apply(self.tree, matrix)
        rows = _shuffled_by(leaf, rng)
        donors = _shuffled_by(np.repeat(np.arange(len(self.counts)), self.counts), rng)
        turn = np.arange(len(leaf)) - np.searchsorted(leaf[rows], leaf[rows])
        drawn = np.empty(len(leaf), dtype=self.values.dtype)
        drawn[rows] = self.values[donors[self.starts[leaf[rows]] + turn % self.counts[leaf[rows]]]]
        return drawn


def grow_regressor(matrix: Matrix, outcome: Floats | Bools, *, min_leaf: int, significance: float, seed: int) -> Any:
    """A regression tree, each of whose splits explains at least ``significance`` times what noise would.

    ``outcome`` has shape (n_rows, n_outcomes). A split that explains nothing lowers the sum of squares by about one
    variance per outcome. Of more than ``MAX_TREE_ROWS`` rows a random sample decides on the splits.
    """
    from sklearn.tree import DecisionTreeRegressor

    if matrix.shape[1] == 0 or len(matrix) < 2 * min_leaf:
        return None
    if len(matrix) > MAX_TREE_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(len(matrix), MAX_TREE_ROWS, replace=False))
        matrix, outcome = matrix[rows], outcome[rows]
    outcome = outcome.astype(np.float64, copy=False)
    least = significance * float(outcome.var(axis=0).mean()) / len(outcome)
    tree = DecisionTreeRegressor(min_samples_leaf=min_leaf, min_impurity_decrease=least, random_state=seed)
    return tree.fit(matrix, outcome)


def _apply(tree: Any, matrix: Matrix) -> Ints:
    return np.zeros(len(matrix), dtype=np.int64) if tree is None else tree.apply(matrix)


def _shuffled_by(group: Ints, rng: np.random.Generator) -> Ints:
    """Positions sorted by group, in random order within each."""
    shuffled = rng.permutation(len(group))
    return shuffled[np.argsort(group[shuffled], kind="stable")]


N_FOLDS = 3
MIN_ROUNDS, MAX_ROUNDS = 30, 120
FINER = {"num_leaves": 31}
MAX_FINER_ROUNDS = 200
ROWS_A_ROUND = 60  # few rows are soon learned by heart
MAX_TRAINING_ROWS = 40_000  # a model; further rows cost time and no longer show in trees of this size
PARAMS = {
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # sums differ between thread counts, and with them the batch's digest
    "verbosity": -1,
}


@dataclass(frozen=True)
class Boosted:
    """One model a fold."""

    models: tuple[Any, ...]
    n_classes: int

    def predict(self, matrix: Matrix, fold: Ints) -> Floats:
        """Each row by the model of its fold: means of shape (n_rows, 1), or probabilities (n_rows, n_classes)."""
        scores = np.zeros((len(matrix), max(self.n_classes, 1)))
        for at, model in enumerate(self.models):
            rows = np.flatnonzero(fold == at)
            if len(rows):
                scores[rows] = _columns(model.predict(matrix[rows], num_threads=1), self.n_classes)
        return scores

    def draw_folds(self, n_rows: int, rng: np.random.Generator) -> Ints:
        """A fold for each new row, as if it were a member."""
        return rng.integers(len(self.models), size=n_rows)


def fit_boosted(
    matrix: Matrix, outcome: Floats | Ints, rng: np.random.Generator, n_classes: int = 0, *, is_finer: bool = False
) -> tuple[Boosted, Ints]:
    """Models for the mean of ``outcome`` (``n_classes`` 0) or its class, and the fold of each member.

    The model of a member's fold was fitted without it. Finer trees take longer, and are worth it for a target.
    """
    import lightgbm

    fold = rng.permutation(np.arange(len(matrix)) % N_FOLDS)
    params = PARAMS | (FINER if is_finer else {}) | _objective(n_classes) | {"seed": int(rng.integers(2**31))}
    data = lightgbm.Dataset(matrix, label=outcome, params=params, free_raw_data=False).construct()
    n_rounds = min(MAX_FINER_ROUNDS if is_finer else MAX_ROUNDS, max(MIN_ROUNDS, len(matrix) // ROWS_A_ROUND))
    models = [
        lightgbm.train(params, data.subset(_others(fold, at, rng)), num_boost_round=n_rounds) for at in range(N_FOLDS)
    ]
    return Boosted(tuple(models), n_classes), fold


def _others(fold: Ints, at: int, rng: np.random.Generator) -> list[int]:
    """Rows outside a fold, ascending; no more than such small trees can use."""
    rows = np.flatnonzero(fold != at)
    if len(rows) > MAX_TRAINING_ROWS:
        rows = np.sort(rng.choice(rows, MAX_TRAINING_ROWS, replace=False))
    return [int(row) for row in rows]


def _objective(n_classes: int) -> dict[str, Any]:
    if n_classes == 0:
        return {"objective": "regression"}
    return {"objective": "binary"} if n_classes == 2 else {"objective": "multiclass", "num_class": n_classes}


def _columns(raw: Floats, n_classes: int) -> Floats:
    if n_classes == 2:
        return np.column_stack([1.0 - raw, raw])
    return raw.reshape(len(raw), -1)


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
    codes = {name: encoded.codes[name][rows] for name in earlier} if missing.any() else encoded.codes
    matrix = _matrix(predictors, codes, len(rows))
    del codes  # copies of all columns
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


def _indicators(levels: Ints) -> Bools:
    """One column a level; beyond a number of them the rarer levels share one."""
    counts = np.bincount(levels)
    frequent = np.argsort(-counts, kind="stable")[: min(MAX_CLASSES, np.count_nonzero(counts))]
    indicators = np.column_stack([levels == level for level in frequent])
    return indicators[:, :1] if len(frequent) == 2 else indicators


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
