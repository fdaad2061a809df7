"""Free text for the default model: TF-IDF and vectors of texts beside the other columns, into a linear model.

Counts of words and pieces of words, hashed once for each text however many fits read it.

These classes are of use while a process fits many models on parts of one table. Copies of them, and what is pickled or
saved of them, are the plain classes of scikit-learn that they derive from, and do the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, Normalizer, OneHotEncoder, SplineTransformer

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.hashed_counts import parts
from synth_mlflow.data.kept_counts import PLACES_AT_ONCE, TextCounts, kept_counts, text_counts
from synth_mlflow.data.task import BESIDE, BOOSTED, TEXTS, VECTORS, Columns, ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.matrix_room import LARGE_BYTES, give_back_memory
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
    columns_of: list[tuple[str, Any, list[str]]] = []
    if columns != VECTORS:
        columns_of += [(f"text {place}", _tf_idf(), [name]) for place, name in enumerate(texts)]
    front = [FunctionTransformer(plain)]
    if columns != TEXTS and embedding is not None:
        n = vectors_of([""], embedding).shape[1]
        columns_of += [(f"vectors {place}", Normalizer(), vector_names(name, n)) for place, name in enumerate(texts)]
        front.append(FunctionTransformer(with_vectors, kw_args={"columns": texts, "embedding": embedding}))
    if categories:
        indicators = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES)
        columns_of.append(("categories", indicators, categories))
    if numbers:
        filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        splines = SplineTransformer(knots="quantile", extrapolation="constant", sparse_output=True)
        columns_of.append(("numbers", make_pipeline(filled, splines), numbers))
    steps = make_pipeline(*front).steps
    return Pipeline([*steps, ("columntransformer", Beside(columns_of, sparse_threshold=1.0))])


def _tf_idf() -> Pipeline:
    words = Counts(ngram_range=(1, 2), token_pattern=WORDS, n_features=PLACES, **_COUNTS)
    pieces = Counts(analyzer="char_wb", ngram_range=(3, 5), n_features=PLACES, **_COUNTS)
    filled = SimpleImputer(missing_values=np.nan, strategy="constant", fill_value="", keep_empty_features=True)
    both = [make_pipeline(each, TfidfTransformer(sublinear_tf=True)) for each in (words, pieces)]
    return TextMatrix(make_pipeline(filled, FunctionTransformer(np.ravel), make_union(*both), Seen()).steps)


BYTES_A_PLACE = 12  # of a matrix: a value and where it is
FREE = 1  # the protocol of pickle that does not compare classes


class TextMatrix(Pipeline):  # type: ignore[misc]
    """The steps of one column of texts, whose matrix is filled in a run of texts after another.

    The matrix is the one that the steps give, and only its own memory is needed, 12 bytes a place: each step of the
    base class makes a copy of all of it.
    """

    def fit_transform(self, X: Any, y: Any = None) -> Any:  # noqa: ARG002 (scikit-learn passes it)
        """A sparse matrix of shape (n_texts, n_places_seen)."""
        self.fit(X[:1])  # what the steps learn beside the two weights below does not depend on the texts
        counts = self._counts(X)
        in_texts = [_in_how_many(each) for each in counts]
        for (_, part), n_texts in zip(self._union.transformer_list, in_texts, strict=True):
            part.steps[-1][1].idf_ = np.log((len(X) + 1) / (n_texts + 1)) + 1  # as TfidfTransformer.fit does
        self.steps[-1][1].learn(np.concatenate(in_texts) > 0)
        return self._matrix(counts)

    def transform(self, X: Any) -> Any:
        """A sparse matrix of shape (n_texts, n_places_seen)."""
        return self._matrix(self._counts(X))

    @property
    def _union(self) -> FeatureUnion:
        return self.steps[-2][1]

    def _counts(self, X: Any) -> list[TextCounts]:
        texts = X
        for _, step in self.steps[:-2]:
            texts = step.transform(texts)
        return [text_counts(part.steps[0][1], list(texts)) for _, part in self._union.transformer_list]

    def _matrix(self, counts: list[TextCounts]) -> Any:
        weights = [part.steps[-1][1] for _, part in self._union.transformer_list]
        sizes = np.sum([each.sizes for each in counts], axis=0)
        is_large = sizes.sum() * BYTES_A_PLACE > LARGE_BYTES
        if is_large:
            give_back_memory()
        values, places = np.empty(sizes.sum()), np.empty(sizes.sum(), np.int32)
        ends, width = np.zeros(len(sizes) + 1, np.int64), 0
        for start, stop in parts(sizes, PLACES_AT_ONCE):
            pairs = zip(weights, counts, strict=True)
            beside = sparse.hstack([one.transform(each.matrix(start, stop)) for one, each in pairs], format="csr")
            block = self.steps[-1][1].transform(beside)
            ends[start + 1 : stop + 1] = ends[start] + block.indptr[1:]
            values[ends[start] : ends[stop]], places[ends[start] : ends[stop]] = block.data, block.indices
            width = block.shape[1]
        del block, beside
        if is_large:
            give_back_memory()
        return sparse.csr_matrix((values[: ends[-1]], places[: ends[-1]], ends), (len(sizes), width))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _as_plain(self, Pipeline(self.steps))


def _in_how_many(counts: TextCounts) -> npt.NDArray[np.float64]:
    """In how many of the texts each place is, of shape (n_places,)."""
    n_texts = np.zeros(counts.n_places)
    for start, stop in counts.blocks():
        n_texts += np.bincount(counts.matrix(start, stop).indices, minlength=counts.n_places)
    return n_texts


class Beside(ColumnTransformer):  # type: ignore[misc]
    """A :class:`ColumnTransformer` that does not copy the matrix of a single part."""

    def _hstack(self, Xs: list[Any], **how: Any) -> Any:
        is_ready = len(Xs) == 1 and self.sparse_output_ and getattr(Xs[0], "format", "") == "csr"
        return Xs[0] if is_ready else super()._hstack(Xs, **how)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _as_plain(self, ColumnTransformer(self.transformers))


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
        self.learn(X.getnnz(axis=0) > 0)
        return self

    def learn(self, seen: npt.NDArray[np.bool_]) -> None:
        """Learn which places some text has."""
        self.n_features_in_ = len(seen)
        self.variances_ = seen.astype(np.float64) if seen.any() else np.ones(len(seen))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _as_plain(self, VarianceThreshold(self.threshold))


def _as_plain(ours: Any, theirs: Any) -> Any:
    """How the class of scikit-learn is pickled that ours derives from."""
    vars(theirs).update(vars(ours))
    return theirs.__reduce_ex__(FREE)
