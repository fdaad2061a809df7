"""Classifier two-sample test: can a model that has seen both kinds of rows tell further ones apart?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from synth_mlflow.metrics.intervals import standard_error_of_auc
from synth_mlflow.metrics.null_distribution import NullDistribution, Places, split_floor

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SPREAD_INFLATION = 1.5
"""Cross-fitted scores share training rows and spread wider than the rank law says: 1.1 to 1.45 times, measured between
140 and 5,000 rows a side on the credit world and on normal columns. For planning only: how many rows will do."""
N_SPLITS = 12  # one at a time: LightGBM crashed when two threads trained at once
MAX_SPLIT_ROWS = 2_000


@dataclass(frozen=True)
class ClassifierTest:
    """What a classifier test found."""

    importance: Floats
    """Share of the model's gain that each feature earned; shape (n_features,)."""
    scores: Floats
    """Out-of-fold log-odds of being of the second kind; shape (n_first + n_second,), the first kind first."""
    is_second: Bools
    folds: Places
    """The fold that each row was scored in."""

    @property
    def auc(self) -> float:
        """0.5: indistinguishable; 1: fully separable."""
        return self.within(np.ones(len(self.scores), dtype=bool)).auc

    @property
    def p_value(self) -> float:
        """The p-value: how often two samples of one distribution would be separated this well."""
        return self.within(np.ones(len(self.scores), dtype=bool)).p_value

    def within(self, rows: Bools) -> FoldedArea:
        """The test on some rows only."""
        return folded_area(self.scores[rows], self.is_second[rows], self.folds[rows])


@dataclass(frozen=True)
class FoldedArea:
    """Area under the ROC curve of cross-fitted scores."""

    auc: float
    p_value: float


def folded_area(scores: Floats, is_second: Bools, folds: Places) -> FoldedArea:
    """Mean area over the folds, since scores of different models do not compare, and an exact test.

    Parameters
    ----------
    scores, is_second, folds : arrays of shape (n,)

    Notes
    -----
    Given the rows that its model learned from, the rows of one fold are dealt to the two kinds at random if there is
    but one law: the law of H. B. Mann, D. R. Whitney, Annals of Mathematical Statistics 18 (1947) holds in each fold.
    Twice the mean of the p-values is one however the folds depend on each other (L. Rüschendorf, Metrika 29 (1982)).

    Examples
    --------
    >>> found = folded_area(np.arange(40.0), np.arange(40) >= 20, np.arange(40) % 2)
    >>> found.auc, found.p_value < 0.001
    (1.0, True)
    """
    areas, p_values = [], []
    for fold in np.unique(folds):
        inside = folds == fold
        n_second = int(is_second[inside].sum())
        n_first = int(inside.sum()) - n_second
        if not n_first or not n_second:
            continue
        areas.append(roc_area(scores[inside & is_second], scores[inside & ~is_second]))
        p_values.append(float(stats.norm.sf((areas[-1] - 0.5) / standard_error_of_auc(n_first, n_second))))
    if not areas:
        return FoldedArea(0.5, 1.0)
    price = 1 if len(p_values) == 1 else 2
    return FoldedArea(float(np.mean(areas)), min(price * float(np.mean(p_values)), 1.0))


def roc_area(second: Floats, first: Floats) -> float:
    """How often a row of the second kind outscores one of the first; ties count half.

    Examples
    --------
    >>> roc_area(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    0.875
    """
    ranked = stats.rankdata(np.concatenate([second, first]))[: len(second)]
    return float((ranked.mean() - (len(second) + 1) / 2) / len(first))


def classifier_test(
    first: Floats,
    second: Floats,
    *,
    seed: int,
    categorical: Sequence[int] = (),
    n_folds: int = 3,
    n_rounds: int = 60,
    n_threads: int = 1,
    groups: tuple[Places, Places] | None = None,
) -> ClassifierTest:
    """Train LightGBM across folds to tell two tables apart, and score each row by a model that has not seen it.

    Parameters
    ----------
    first, second : arrays of shape (n_first, n_features), (n_second, n_features)
        At least ``n_folds`` rows each; NaN where missing.
    seed : int
        Deals the rows to folds.
    categorical : sequence of int
        Positions of features that hold codes.
    groups : pair of arrays of shape (n_first,), (n_second,), optional
        The group of each row, where rows come in groups: no row is scored by a model that has seen its group.

    Notes
    -----
    D. Lopez-Paz, M. Oquab, "Revisiting classifier two-sample tests", arXiv 1610.06545.
    """
    X = np.vstack([first, second])
    y = np.repeat([0, 1], [len(first), len(second)])
    scores, fold_of, gains = np.zeros(len(y)), np.zeros(len(y), dtype=np.int64), np.zeros(X.shape[1])
    for fold, (train, test) in enumerate(_splits(y, groups, n_folds, seed)):
        model = train_classifier(X[train], y[train], categorical=categorical, n_rounds=n_rounds, n_threads=n_threads)
        scores[test], fold_of[test] = log_odds(model, X[test]), fold
        gains += model.feature_importance("gain")
    return ClassifierTest(gains / max(gains.sum(), 1e-300), scores, y == 1, fold_of)


def _splits(
    y: npt.NDArray[np.int64], groups: tuple[Places, Places] | None, n_folds: int, seed: int
) -> Iterator[tuple[Places, Places]]:
    if groups is None:
        yield from StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y)
        return
    first, second = (_enough(one, n_folds) for one in groups)
    together = np.concatenate([first, second + first.max() + 1])
    yield from StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, together)


def _enough(groups: Places, n_folds: int) -> Places:
    """The groups of one side; where there are fewer than folds, each row for itself."""
    codes = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return codes if codes.max() + 1 >= n_folds else np.arange(len(codes))


def classifier_floor(
    real: Floats, *, seed: int, categorical: Sequence[int] = (), groups: Places | None = None
) -> NullDistribution:
    """What the test gives for real rows against real rows: how far above 0.5, measured on random halves.

    Parameters
    ----------
    real : array of shape (n_rows, n_features)
    groups : array of shape (n_rows,), optional
        The group of each row, where rows come in groups: the halves are split by group, and tested by group.
    """
    rng = np.random.default_rng([seed, 43])
    n_rows = min(len(real), 2 * MAX_SPLIT_ROWS)

    def beyond_chance(first: Places, second: Places) -> Floats:
        grouped = None if groups is None else (groups[first], groups[second])
        test = classifier_test(real[first], real[second], seed=int(first[0]), categorical=categorical, groups=grouped)
        return np.array([test.auc - 0.5])

    return split_floor(beyond_chance, n_rows, rng, n_splits=N_SPLITS, n_all=len(real), groups=groups)


def train_classifier(
    X: Floats,
    y: npt.NDArray[np.int64],
    *,
    categorical: Sequence[int] = (),
    n_rounds: int = 60,
    learning_rate: float = 0.1,
    n_threads: int = 1,
) -> lightgbm.Booster:
    """A LightGBM model for two balanced classes; the same for the same rows, whatever the number of threads."""
    params = {
        "objective": "binary",
        "num_leaves": 31 if len(y) >= 5_000 else 8,
        "learning_rate": learning_rate,
        "min_data_in_leaf": max(min(20, len(y) // 20), 1),
        "max_bin": 127,
        "num_threads": n_threads,
        "deterministic": True,
        "force_row_wise": True,
        "seed": 0,
        "verbose": -1,
    }
    share = y.mean()
    weight = np.where(y == 1, 0.5 / share, 0.5 / (1 - share))
    data = lightgbm.Dataset(X, y, weight=weight, categorical_feature=list(categorical))
    return lightgbm.train(params, data, n_rounds, keep_training_booster=True)  # else written as text and read again


def log_odds(model: lightgbm.Booster, X: Floats) -> Floats:
    """What a model of :func:`train_classifier` says of each row."""
    return np.asarray(model.predict(X, raw_score=True), dtype=np.float64)
