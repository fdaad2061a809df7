"""Any scikit-learn estimator by its import path, on raw rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from synth_mlflow.allowed_code import load_callable
from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.model.labels import Labels, target_values
from synth_mlflow.model.raw_columns import pipeline_scores
from synth_mlflow.model.raw_values import plain

MAX_CATEGORIES = 100  # of a text column; rarer values share one indicator


@dataclass(frozen=True)
class EstimatorModel:
    """A fitted scikit-learn pipeline that takes raw rows."""

    pipeline: Pipeline
    features: tuple[str, ...]
    classes: Labels

    def predict(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Numbers of shape (n_rows,) for regression, else probabilities of shape (n_rows, n_classes)."""
        return pipeline_scores(self.pipeline, rows[list(self.features)], self.classes)


def fit_estimator(
    spec: ModelSpec, task: Task, rows: pd.DataFrame, classes: Labels, *, seed: int, n_threads: int
) -> EstimatorModel:
    """Fit a scikit-learn estimator; see :func:`synth_mlflow.model.fit.fit`."""
    features = rows.drop(columns=[name for name in rows if name in task.no_features])
    needed = "predict_proba" if task.is_classification else "predict"
    estimator = load_estimator(spec.estimator, needed)(**spec.params)
    if not hasattr(estimator, "fit") or not hasattr(estimator, needed):
        raise UsageError(
            f"{spec.estimator!r} gave a {type(estimator).__name__}, which has no `{needed}`.",
            f"A {task.kind} task needs a scikit-learn estimator with `fit` and `{needed}`.",
        )
    pipeline = estimator if isinstance(estimator, Pipeline) else make_pipeline(encoder(features), estimator)
    pipeline.set_params(**_unset(pipeline, "random_state", seed))
    if n_threads != 1:
        pipeline.set_params(**_unset(pipeline, "n_jobs", n_threads))
    target = target_values(rows, task, classes)
    pipeline.fit(features, target.astype(np.int64) if task.is_classification else target)
    return EstimatorModel(pipeline, tuple(features.columns), classes)


def load_estimator(path: str, needed: str = "predict|predict_proba") -> Callable[..., Any]:
    """The callable that ``module:callable`` names; whoever passes it on has asked whether it may be imported.

    Raises
    ------
    UsageError
        If it cannot be imported, is of the standard library, or a class without ``fit`` and what is needed.
    """
    try:
        found: Callable[..., Any] = load_callable(path, "the estimator", methods=("fit", needed))
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"estimator {path!r} cannot be loaded: {error}.",
            'Write "lightgbm" or "module:callable", for example "sklearn.ensemble:RandomForestClassifier".',
        ) from error
    if path.startswith("sklearn.") and not inspect.isclass(found):
        raise UsageError(f"{path!r} is no class; of scikit-learn only its estimators are taken.", "Name a class.")
    return found


def encoder(features: pd.DataFrame) -> Pipeline:
    """Text to indicators, the rest to scaled numbers with missing values filled by the median and marked."""
    text = schema_of(features).of_kind("string")
    rest = [name for name in features.columns if name not in text]
    numbers = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    indicators = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False)
    return make_pipeline(
        FunctionTransformer(plain), ColumnTransformer([("numbers", numbers, rest), ("text", indicators, text)])
    )


def _unset(pipeline: Pipeline, name: str, value: int) -> dict[str, int]:
    """Every parameter of that name, at any depth, that the user has left open."""
    return {
        key: value
        for key, found in pipeline.get_params().items()
        if found is None and (key == name or key.endswith(f"__{name}"))
    }
