"""Free text for the default model: word and character TF-IDF beside the other columns, into a linear model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.task import BOOSTED, TEXTS, ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.raw_values import plain

TEXT, LINEAR = "text", "linear"  # `model: params: {text: linear}`
MAX_CATEGORIES = 100  # of a column that is no free text; rarer values share one indicator
PLACES = 2**17  # that words are hashed to, and as many for pieces of words: a saved model holds no text of the rows
MAX_ITER = 1_000
WORDS = r"\w+|[^\w\s]"  # punctuation marks are words too
_COUNTS: dict[str, Any] = {"norm": None, "alternate_sign": False}
GRID: tuple[Mapping[str, Any], ...] = tuple({TEXT: LINEAR, "C": c} for c in (0.25, 1.0, 4.0, 16.0))
"""Settings of the linear model that cross-validation chooses from: the inverse strength of its penalty."""


def text_features(rows: pd.DataFrame, task: Task) -> list[str]:
    """The columns of free text that a model may learn from, in the order of the table."""
    return [name for name in rows.columns if name in task.texts - task.no_features]


def is_linear(spec: ModelSpec) -> bool:
    """Whether the built-in model is the linear one on texts."""
    return spec.estimator == BOOSTED and TEXT in spec.params


def linear_spec(spec: ModelSpec, task: Task, rows: pd.DataFrame) -> ModelSpec:
    """The estimator that stands behind ``text: linear``.

    Returns
    -------
    ModelSpec
        Logistic regression, or ridge regression for a number, whose ``alpha`` is 1 / C.

    Raises
    ------
    UsageError
        If ``text`` has another value, or the table has no text that a model may learn from.

    Examples
    --------
    >>> task = Task("label", "binary", roles={"said": "text"})
    >>> spec = ModelSpec(params={"text": "linear", "C": 4.0})
    >>> linear_spec(spec, task, pd.DataFrame({"said": ["so"], "label": [True]})).estimator
    'sklearn.linear_model:LogisticRegression'
    """
    params = dict(spec.params)
    found = params.pop(TEXT)
    if found != LINEAR:
        raise UsageError(
            f"`model: params: text` is {found!r}, {LINEAR!r} was needed.", f"Write `text: {LINEAR}`, or leave it out."
        )
    if not text_features(rows, task):
        raise UsageError(
            f"`model: params: text: {LINEAR}` needs a feature of the role `text`, the table has none.",
            "Leave it out, or give a column the role `text` in `columns:` of the problem statement.",
        )
    if task.is_classification:
        return ModelSpec("sklearn.linear_model:LogisticRegression", {"max_iter": MAX_ITER, **params}, TEXTS)
    if "C" in params:
        params["alpha"] = 1 / float(params.pop("C"))
    return ModelSpec("sklearn.linear_model:Ridge", params, TEXTS)


def text_encoder(features: pd.DataFrame, task: Task) -> Pipeline:
    """Columns as a sparse matrix: TF-IDF of texts, splines of numbers, indicators of categories.

    Each text gives words, pairs of words, and pieces of 3 to 5 letters within words; a missing text is an empty one.
    """
    texts = text_features(features, task)
    categories = [name for name in schema_of(features).of_kind("string") if name not in texts]
    numbers = [name for name in features.columns if name not in [*texts, *categories]]
    parts: list[tuple[str, Any, list[str]]] = [(f"text {place}", _tf_idf(), [name]) for place, name in enumerate(texts)]
    if categories:
        indicators = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES)
        parts.append(("categories", indicators, categories))
    if numbers:
        filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        splines = SplineTransformer(knots="quantile", extrapolation="constant", sparse_output=True)
        parts.append(("numbers", make_pipeline(filled, splines), numbers))
    return make_pipeline(FunctionTransformer(plain), ColumnTransformer(parts, sparse_threshold=1.0))


def _tf_idf() -> Pipeline:
    words = HashingVectorizer(ngram_range=(1, 2), token_pattern=WORDS, n_features=PLACES, **_COUNTS)
    pieces = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=PLACES, **_COUNTS)
    filled = SimpleImputer(missing_values=np.nan, strategy="constant", fill_value="", keep_empty_features=True)
    parts = [make_pipeline(each, TfidfTransformer(sublinear_tf=True)) for each in (words, pieces)]
    return make_pipeline(filled, FunctionTransformer(np.ravel), make_union(*parts))
