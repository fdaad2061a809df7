"""Settle the model's parameters once, on real training rows alone, so that the baseline is a fair one.

On small tables most of a gain from synthetic rows is LightGBM's unsuitable defaults. Whoever gives parameters in the
statement keeps them; otherwise cross-validation chooses from the grid below, and every ratio uses the choice.

The constant prediction: what a model says that has learned nothing but how often each class occurs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from synth_mlflow.data.mixing import Places
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.models.base import fit
from synth_mlflow.models.labels import Labels, classes_of, target_values
from synth_mlflow.models.scoring import score_codes
from synth_mlflow.models.text import linear_grid

FOLDS = 5
MAX_ROWS = 20_000  # to choose settings on; more rows hardly change the choice
ROUNDS = (50, 100, 200)
COARSE_FROM = 20_000  # real rows; from here on fewer bins and quantized gradients cost no score and save time
_FEW_BINS: Mapping[str, Any] = {"max_bin": 63, "bin_construct_sample_cnt": 50_000}  # of 200,000, copied to find bins
_QUANTIZED: Mapping[str, Any] = {"use_quantized_grad": True, "num_grad_quant_bins": 16}
_NOT_QUANTIZED = ("bagging_freq", "feature_fraction")
_CAREFUL = {"learning_rate": 0.05, "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1}
GRID: tuple[Mapping[str, Any], ...] = (
    {},
    {**_CAREFUL, "num_leaves": 4, "min_data_in_leaf": 5, "lambda_l2": 1.0},
    {**_CAREFUL, "num_leaves": 8, "min_data_in_leaf": 5, "lambda_l2": 1.0},
    {**_CAREFUL, "num_leaves": 16, "min_data_in_leaf": 10, "lambda_l2": 1.0},
)
"""LightGBM's defaults and three careful settings, each at every number of ``ROUNDS``."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """The model with its parameters settled, and how they were chosen."""

    spec: ModelSpec
    words: str
    trials: tuple[tuple[Mapping[str, Any], float], ...]
    """Every setting with its mean score over the folds; empty where nothing was chosen."""


def settle(
    spec: ModelSpec, task: Task, metric: str, real: pd.DataFrame, *, seed: int = 0, n_jobs: int = -1
) -> Settings:
    """Choose the settings by cross-validation, unless the statement gives some.

    LightGBM reads free text as it reads categories, that is not at all where no two texts are equal. A table with such
    a column is therefore also given to a linear model on its words, and on its vectors where the statement names an
    embedding, and the best is chosen.

    Parameters
    ----------
    spec : ModelSpec
        What the statement says.
    real : DataFrame
        Real training rows; no evaluation row may be among them.
    seed, n_jobs : int

    Raises
    ------
    UsageError
        If the target has missing values or too few classes.
    """
    if spec.estimator != "lightgbm" or spec.params:
        return Settings(spec, "The model's settings are the statement's.", ())
    grid = [coarse(params) if len(real) >= COARSE_FROM else params for params in GRID]
    sample = real.sample(min(len(real), MAX_ROWS), random_state=seed).reset_index(drop=True)
    folds = _folds(sample, task, seed)
    classes = classes_of(sample, task)
    jobs = [(params, train, test) for params in grid for train, test in folds]
    linear = linear_grid(spec, task, sample)
    texts = [(params, train, test) for params in linear for train, test in folds]
    with threadpool_limits(limits=1):
        measured = Parallel(n_jobs=n_jobs, require="sharedmem")(
            delayed(_staged_predictions)(params, task, sample, train, test, seed) for params, train, test in jobs
        )
        of_texts = Parallel(n_jobs=n_jobs, require="sharedmem")(
            delayed(_predictions)(replace(spec, params=params), task, sample, train, test, seed)
            for params, train, test in texts
        )
    truths = [target_values(sample.iloc[test], task, classes) for _, _, test in jobs]
    scores = [
        [score_codes(metric, task, t, said) for said in stages] for t, stages in zip(truths, measured, strict=True)
    ]
    means = np.nanmean(np.array(scores).reshape(len(grid), len(folds), len(ROUNDS)), axis=1)
    trials = [
        ({**params, "num_iterations": rounds}, float(means[i, j]))
        for i, params in enumerate(grid)
        for j, rounds in enumerate(ROUNDS)
    ]
    for place, params in enumerate(linear):
        said = zip(folds, of_texts[place * len(folds) :], strict=False)
        each = [score_codes(metric, task, target_values(sample.iloc[test], task, classes), p) for (_, test), p in said]
        trials.append((dict(params), float(np.nanmean(each))))
    best, score = max(trials, key=lambda trial: trial[1])
    words = (
        f"The model's settings were chosen on {len(sample):,} real training rows alone, by {len(folds)}-fold "
        f"cross-validation over {len(trials)} settings ({metric} {score:.4g}): {_named(best)}."
    )
    return Settings(replace(spec, params=best), words, tuple(trials))


def coarse(params: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that save time on many rows: fewer bins, and quantized gradients where LightGBM can do them.

    Notes
    -----
    Y. Shi et al., Quantized Training of Gradient Boosting Decision Trees, NeurIPS 2022, arXiv:2207.09682. With bagging
    LightGBM 4.6 and 4.7 sum gradients over the wrong rows and refuse, with a part of the columns they may misplace
    histograms (LightGBM #7397).
    """
    can_quantize = not any(name in params for name in _NOT_QUANTIZED)
    return {**params, **_FEW_BINS, **(_QUANTIZED if can_quantize else {})}


def _folds(rows: pd.DataFrame, task: Task, seed: int) -> list[tuple[Places, Places]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    target = target_values(rows, task, classes_of(rows, task))
    smallest = np.unique(target, return_counts=True)[1].min() if task.is_classification else len(rows)
    n_folds = int(min(FOLDS, max(smallest, 2)))
    if task.is_classification and smallest >= 2:
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, target))
    return list(KFold(n_folds, shuffle=True, random_state=seed).split(rows))


def _staged_predictions(
    params: Mapping[str, Any], task: Task, rows: pd.DataFrame, train: Places, test: Places, seed: int
) -> list[Vector]:
    """What one fit says on the test rows after each number of rounds."""
    from synth_mlflow.models.lightgbm import fit_boosted  # takes 1 s to import

    given = {**params, "num_iterations": max(ROUNDS)}
    predictor = fit_boosted(given, task, rows.iloc[train], classes_of(rows, task), seed=seed, n_threads=1).predictor
    matrix = predictor.columns.matrix(rows.iloc[test])
    return [predictor.scores_of_matrix(matrix, rounds) for rounds in ROUNDS]


def _predictions(spec: ModelSpec, task: Task, rows: pd.DataFrame, train: Places, test: Places, seed: int) -> Vector:
    """What the linear model on texts says on the test rows."""
    model = fit(spec, task, rows.iloc[train].reset_index(drop=True), seed=seed, classes=classes_of(rows, task))
    return model.predict(rows.iloc[test])


def _named(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in params.items())


def constant_prediction(target: pd.Series, classes: Labels, n_rows: int) -> Vector:
    """Predictions of one value: class shares, or the mean.

    Parameters
    ----------
    target : Series
        Of the training rows.
    classes : tuple
        Labels in the order of the probabilities; empty for regression.

    Returns
    -------
    array of shape (n_rows,) or (n_rows, n_classes)

    Examples
    --------
    >>> constant_prediction(pd.Series(["a", "b", "a", "a"]), ("a", "b"), 2).tolist()
    [[0.75, 0.25], [0.75, 0.25]]
    """
    if not classes:
        return np.full(n_rows, float(target.mean()))
    shares = [float((target == label).mean()) for label in classes]
    return np.tile(shares, (n_rows, 1))
