"""Boosted trees fitted on folds, so that what they say of a member never rests on that member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from synth_mlflow.generators._numbers import Floats, Ints
from synth_mlflow.generators._predictors import Matrix

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
        found = np.zeros((len(matrix), max(self.n_classes, 1)))
        for at, model in enumerate(self.models):
            rows = np.flatnonzero(fold == at)
            if len(rows):
                found[rows] = _columns(model.predict(matrix[rows], num_threads=1), self.n_classes)
        return found

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
