"""Fit the project's model on raw rows: LightGBM, or any scikit-learn estimator by its import path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.splits import group_codes
from synth_mlflow.data.task import BOOSTED, ModelSpec, Task
from synth_mlflow.models.labels import Labels, classes_of, target_values
from synth_mlflow.models.stopping_rows import Aside, stopping_rows


class Model(Protocol):
    """A fitted model."""

    @property
    def classes(self) -> Labels:
        """Class labels in the order of the probabilities; empty for regression."""
        ...

    def predict(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Numbers of shape (n_rows,) for regression, else probabilities of shape (n_rows, n_classes)."""
        ...


def fit(
    spec: ModelSpec,
    task: Task,
    rows: pd.DataFrame,
    *,
    seed: int,
    n_threads: int = 1,
    classes: Labels | None = None,
    aside: Callable[[], Aside] | None = None,
) -> Model:
    """Fit the model of a project.

    Parameters
    ----------
    spec : ModelSpec
    task : Task
    rows : DataFrame
        A normalised table with the target; text, missing values, booleans and moments are taken as they are.
    seed : int
        The only source of randomness; the number of threads changes nothing.
    n_threads : int
    classes : tuple, optional
        Labels in the order of the probabilities, where ``rows`` may lack some; by default the labels of ``rows``.
    aside : callable, optional
        Gives the rows that an estimator may stop early on; by default a share of all.

    Raises
    ------
    UsageError
        If the target has missing values or too few classes, or the estimator cannot be loaded or fitted.
    """
    labels = classes_of(rows, task) if classes is None else classes
    if spec.estimator == BOOSTED and "text" in spec.params:
        from synth_mlflow.models.text import linear_spec  # scikit-learn takes 1 s to import

        spec = linear_spec(spec, task, rows)
    if spec.estimator == BOOSTED:
        from synth_mlflow.models.lightgbm import fit_boosted  # takes 1 s to import

        return fit_boosted(spec.params, task, rows, labels, seed=seed, n_threads=n_threads)
    from synth_mlflow.models.estimator import fit_estimator  # so does scikit-learn

    def some() -> Aside:
        order = np.arange(len(rows))
        target, groups = target_values(rows, task, labels), group_codes(rows, task)
        return Aside.among(order, stopping_rows(order, target, seed, classes=task.is_classification, groups=groups))

    return fit_estimator(spec, task, rows, labels, seed=seed, n_threads=n_threads, aside=aside or some)
