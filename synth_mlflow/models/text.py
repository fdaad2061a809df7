"""Free text for the default model: TF-IDF and vectors of texts beside the other columns, into a linear model.

Counts of words and pieces of words, hashed once for each text however many fits read it.

Both classes are of use while a process fits many models on parts of one table. Copies of them, and what is pickled or
saved of them, are the plain classes of scikit-learn that they derive from, and do the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, Normalizer, OneHotEncoder, SplineTransformer

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.kept_counts import kept_counts
from synth_mlflow.data.task import BESIDE, BOOSTED, TEXTS, VECTORS, Columns, ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.raw_embedding import vector_names, vectors_of, with_vectors
from synth_mlflow.models.raw_values import plain

TEXT, LINEAR = "text", "linear"  # `model: params: {text: linear}`
MAX_CATEGORIES = 100  # of a column that is no free text; rarer values share one indicator
PLACES = 2**17  # that words are hashed to, and as many for pieces of words: a saved model holds no text of the rows
MAX_ITER = 1_000
WORDS = r"\w+|[^\w\s]"  # punctuation marks are words too
_COUNTS: dict[str, Any] = {"norm": None, "alternate_sign": False}
GRID: tuple[Mapping[str, Any], ...] = tuple({TEXT: LINEAR, "C": c} for c in (0.25, 1.0, 4.0, 16.0))
"""Settings of the linear model that cross-validation chooses from: the inverse strength of its penalty."""
EMBEDDING = "embedding"  # `model: params: {text: linear, embedding: beside}`
WAYS: Mapping[str, Columns] = {"beside": BESIDE, "instead": VECTORS}
"""Vectors of texts by an embedding, beside TF-IDF or instead of it."""
EMBEDDED_GRID: tuple[Mapping[str, Any], ...] = tuple(
    {TEXT: LINEAR, EMBEDDING: way, "C": c} for way in WAYS for c in (1.0, 4.0, 16.0, 64.0)
)
"""The same with an embedding, whose vectors of unit length take a weaker penalty."""


def linear_grid(spec: ModelSpec, task: Task, rows: pd.DataFrame) -> tuple[Mapping[str, Any], ...]:
    """What cross-validation tries of the linear model on texts; nothing where the table has no text."""
    if not text_features(rows, task):
        return ()
    return GRID if spec.embedding is None else (*GRID, *EMBEDDED_GRID)


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
    choice = params.pop(TEXT)
    if choice != LINEAR:
        raise UsageError(
            f"`model: params: text` is {choice!r}, {LINEAR!r} was needed.", f"Write `text: {LINEAR}`, or leave it out."
        )
    if not text_features(rows, task):
        raise UsageError(
            f"`model: params: text: {LINEAR}` needs a feature of the role `text`, the table has none.",
            "Leave it out, or give a column the role `text` in `columns:` of the problem statement.",
        )
    columns = _columns(params.pop(EMBEDDING, None), spec)
    if task.is_classification:
        fitted = {"max_iter": MAX_ITER, **params}
        return ModelSpec("sklearn.linear_model:LogisticRegression", fitted, columns, embedding=spec.embedding)
    if "C" in params:
        params["alpha"] = 1 / float(params.pop("C"))
    return ModelSpec("sklearn.linear_model:Ridge", params, columns, embedding=spec.embedding)


def _columns(way: object, spec: ModelSpec) -> Columns:
    """How texts are shown to the linear model."""
    if way is None:
        return TEXTS
    if way not in WAYS:
        raise UsageError(
            f"`model: params: embedding` is {way!r}, {' or '.join(WAYS)} was needed.",
            "Write `embedding: beside` for vectors beside words, or leave it out.",
        )
    if spec.embedding is None:
        raise UsageError(
            f"`model: params: embedding: {way}` needs an embedding, the problem statement names none.",
            'Name one, `embedding: "module:callable"`, or leave it out.',
        )
    return WAYS[str(way)]


def text_encoder(
    features: pd.DataFrame, task: Task, columns: Columns = TEXTS, embedding: str | None = None
) -> Pipeline:
    """Columns as a sparse matrix: TF-IDF and vectors of texts, splines of numbers, indicators of categories.

    Each text gives words, pairs of words, and pieces of 3 to 5 letters within words; a missing text is an empty one.
    Its vectors by an embedding stand beside these, or instead of them.
    """
    texts = text_features(features, task)
    categories = [name for name in schema_of(features).of_kind("string") if name not in texts]
    numbers = [name for name in features.columns if name not in [*texts, *categories]]
    parts: list[tuple[str, Any, list[str]]] = []
    if columns != VECTORS:
        parts += [(f"text {place}", _tf_idf(), [name]) for place, name in enumerate(texts)]
    front = [FunctionTransformer(plain)]
    if columns != TEXTS and embedding is not None:
        n = vectors_of([""], embedding).shape[1]
        parts += [(f"vectors {place}", Normalizer(), vector_names(name, n)) for place, name in enumerate(texts)]
        front.append(FunctionTransformer(with_vectors, kw_args={"columns": texts, "embedding": embedding}))
    if categories:
        indicators = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES)
        parts.append(("categories", indicators, categories))
    if numbers:
        filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        splines = SplineTransformer(knots="quantile", extrapolation="constant", sparse_output=True)
        parts.append(("numbers", make_pipeline(filled, splines), numbers))
    return make_pipeline(*front, ColumnTransformer(parts, sparse_threshold=1.0))


def _tf_idf() -> Pipeline:
    words = Counts(ngram_range=(1, 2), token_pattern=WORDS, n_features=PLACES, **_COUNTS)
    pieces = Counts(analyzer="char_wb", ngram_range=(3, 5), n_features=PLACES, **_COUNTS)
    filled = SimpleImputer(missing_values=np.nan, strategy="constant", fill_value="", keep_empty_features=True)
    parts = [make_pipeline(each, TfidfTransformer(sublinear_tf=True)) for each in (words, pieces)]
    return make_pipeline(filled, FunctionTransformer(np.ravel), make_union(*parts), Seen())


FREE = 1  # the protocol of pickle that does not compare classes


class Counts(HashingVectorizer):  # type: ignore[misc]
    """A :class:`HashingVectorizer` without a norm that keeps what it has counted.

    Cross-validation, the arms of a check and the ratios of a sweep count the same texts again and again.

    Examples
    --------
    >>> import copy
    >>> counts = Counts(norm=None)
    >>> int(counts.transform(["one two two"]).max()), type(copy.copy(counts)).__name__
    (2, 'HashingVectorizer')
    """

    def transform(self, X: Iterable[str]) -> Any:
        """A sparse matrix of shape (n_texts, n_features)."""
        texts = list(X)
        if not texts or self.norm is not None:
            return super().transform(texts)
        return kept_counts(self, texts)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return HashingVectorizer(**self.get_params()).__reduce_ex__(FREE)


class Seen(VarianceThreshold):  # type: ignore[misc]
    """Leaves out the places that no text has which is learned from.

    Most of the places are such; the solver would carry a weight of zero along for each of them. Other than its base
    class it keeps what all texts have, and everything where there is nothing to keep.
    """

    def fit(self, X: Any, y: Any = None) -> Seen:  # noqa: ARG002 (scikit-learn passes it)
        """Learn from a sparse matrix of shape (n_texts, n_features)."""
        seen = X.getnnz(axis=0) > 0
        self.n_features_in_ = X.shape[1]
        self.variances_ = seen.astype(np.float64) if seen.any() else np.ones(len(seen))
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        plain = VarianceThreshold(self.threshold)
        vars(plain).update(vars(self))
        return plain.__reduce_ex__(FREE)
