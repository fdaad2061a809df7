"""Raw columns to what a model takes, and predictors on raw columns that travel with the saved model.

This file, ``raw_embedding``, ``raw_estimator`` and ``raw_values`` are copied into the saved model's code folder, with
the formats of ``data``, so they import nothing else of the package. Training and serving share them: a row is encoded
in one way only. Whatever carries the same values is read alike: numbers as text, numbers with gaps, categories, zoned
dates, texts in the project's own form.
"""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data.value_formats import ValueFormat, format_as_json, format_from_json
from .raw_embedding import with_vectors
from .raw_estimator import answer, class_scores, gives_probabilities, named, number_scores
from .raw_values import booleans_of, moments_of, numbers_of, plain, texts_of, whole_numbers_of, without_words

MODEL_FILE = "model.txt"
COLUMNS_FILE = "columns.json"
MANY_ROWS = 100_000  # from here on LightGBM predicts with every core; below, threads cost more than they save
SKOPS = ".skops"
SCHEMA_VERSION = 4
WEIGHTS = "embedding"  # the folder of an embedding that travels with the model

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RawColumn:
    """One feature: its kind, and for text the values that have a code."""

    name: str
    kind: str
    """integer, number, boolean, datetime or string"""
    categories: tuple[str, ...] = ()
    optional: bool = False
    """Whether a table may lack the column: it was missing in some training rows, so the model knows what that means."""
    format: ValueFormat | None = None
    """How texts say the values, where it is no plain one."""
    words: tuple[str, ...] = ()
    """Texts that stand for missing values."""
    read_as_missing: tuple[str, ...] = ()
    """Categories that ``pandas.read_csv`` takes for missing values, where training had no missing value."""

    def conform(self, values: pd.Series) -> pd.Series:
        """The values in the physical type that training had: int64 or float64, bool or boolean, str, datetime64[us].

        Raises
        ------
        ValueError
            If a value cannot be read as what the column was in training.
        """
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(object).infer_objects()
        if self.words:
            values = without_words(values, self.words)
        if self.kind == "string":
            return self._texts(values)
        readers = {"datetime": moments_of, "boolean": booleans_of, "integer": whole_numbers_of}
        try:
            read = readers.get(self.kind, numbers_of)(values, self.format)
            return without_words(read, self.words) if self.words else read  # texts such as -999.0
        except ValueError as error:
            raise ValueError(f"column {self.name!r} {error}") from error

    def _texts(self, values: pd.Series) -> pd.Series:
        texts = texts_of(values, self._known, self._by_number)
        if self.read_as_missing:
            texts = self._with_words_that_got_lost(texts)
        if self.format is None:
            return texts
        read = texts.where(texts.isna(), self.format.parse(texts.fillna("")))
        if (read.isna() & texts.notna()).any():
            raise ValueError(f"column {self.name!r} holds texts that are no {self.format.words}")
        return read.astype("str")

    def _with_words_that_got_lost(self, texts: pd.Series) -> pd.Series:
        """Missing values as the category that a reader took for missing; a warning where there are several."""
        if len(self.read_as_missing) == 1:
            return texts.fillna(self.read_as_missing[0])
        if texts.isna().any():
            warnings.warn(
                f"column {self.name!r} has {int(texts.isna().sum()):,} missing values; training had none, but the "
                f"categories {', '.join(map(repr, self.read_as_missing))}, which pandas.read_csv reads as missing. "
                'Read the file with pd.read_csv(path, keep_default_na=False, na_values=[""]).',
                UserWarning,
                stacklevel=2,
            )
        return texts

    def encode(self, values: pd.Series) -> Matrix:
        """Numbers as they are, booleans as 0 and 1, moments as seconds since 1970, text as its place in the list.

        Missing values and text without a code become NaN, which LightGBM treats as missing.
        """
        known = self.conform(values)
        if self.kind == "string":
            codes = pd.Index(self.categories, dtype=object).get_indexer(pd.Index(known.astype(object)))
            return np.where(codes < 0, np.nan, codes.astype(np.float64))
        if self.kind == "datetime":
            return _seconds(known)
        return np.asarray(known.to_numpy(dtype=np.float64, na_value=np.nan))

    @cached_property
    def _by_number(self) -> dict[float, str]:
        """Categories that are written like numbers, by number; those that share one are left out."""
        numbers = pd.to_numeric(pd.Series(self.categories, dtype=object), errors="coerce").astype("float64")
        alone = numbers.notna() & ~numbers.duplicated(keep=False)
        return dict(zip(numbers[alone], np.asarray(self.categories, dtype=object)[alone.to_numpy()], strict=True))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.categories)


@dataclass(frozen=True)
class RawColumns:
    """The features of a model in its order."""

    columns: tuple[RawColumn, ...]

    def __iter__(self) -> Any:
        return iter(self.columns)

    def matrix(self, rows: pd.DataFrame) -> Matrix:
        """Encoded rows, of shape (n_rows, n_columns).

        Raises
        ------
        ValueError
            If a column is missing or cannot be read as what it was in training.
        """
        self._refuse_missing(rows)
        matrix = np.full((len(rows), len(self.columns)), np.nan)
        for place, column in enumerate(self.columns):
            if column.name in rows:
                matrix[:, place] = column.encode(rows[column.name])
        return matrix

    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The columns in the order and the physical types of training; raises what :meth:`matrix` raises."""
        self._refuse_missing(rows)
        empty = pd.Series(None, rows.index, dtype=object)
        return pd.DataFrame({c.name: c.conform(rows.get(c.name, empty)) for c in self.columns})

    def _refuse_missing(self, rows: pd.DataFrame) -> None:
        lacking = [column.name for column in self.columns if column.name not in rows and not column.optional]
        if lacking:
            raise ValueError(f"columns are missing: {lacking}; the model needs {[c.name for c in self.columns]}")

    @property
    def categorical(self) -> list[int]:
        """Places of the text columns."""
        return [place for place, column in enumerate(self.columns) if column.kind == "string"]

    @property
    def feature_names(self) -> list[str]:
        """Names that LightGBM accepts: unique, and without the characters it refuses or rewrites."""
        names: list[str] = []
        for place, column in enumerate(self.columns):
            name = "".join("_" if letter in '[]{}":, \t\n' else letter for letter in column.name)
            names.append(f"{name}_{place}" if name in names or name != column.name else name)
        return names

    def to_json(self) -> list[dict[str, Any]]:
        """As JSON values."""
        record = [{each.name: getattr(column, each.name) for each in fields(column)} for column in self.columns]
        return [{**column, "format": column["format"] and format_as_json(column["format"])} for column in record]

    @classmethod
    def from_json(cls, record: Sequence[Mapping[str, Any]]) -> RawColumns:
        """The inverse of :meth:`to_json`."""
        return cls(tuple(_column(entry) for entry in record))


@dataclass(frozen=True)
class RawPredictor:
    """A LightGBM model that takes raw columns."""

    booster: Any
    """A ``lightgbm.Booster``."""
    columns: RawColumns
    classes: tuple[Any, ...]
    """Labels in the order of the probabilities; empty for regression."""

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 (MLflow passes params)
        """``prediction`` (a number or the likeliest label) and ``probability_<label>`` for each label."""
        return answer(self.scores(model_input), self.classes, model_input.index)

    def scores(self, rows: pd.DataFrame) -> Matrix:
        """Numbers of shape (n_rows,) for regression, else probabilities of shape (n_rows, n_classes)."""
        return self.scores_of_matrix(self.columns.matrix(rows))

    def scores_of_matrix(self, matrix: Matrix, n_rounds: int | None = None) -> Matrix:
        """As :meth:`scores`, for encoded rows; after the first ``n_rounds`` if they are given."""
        n_threads = 0 if len(matrix) >= MANY_ROWS else 1
        output = np.asarray(self.booster.predict(matrix, num_iteration=n_rounds, num_threads=n_threads))
        if len(self.classes) == 2:
            return np.column_stack([1.0 - output, output])
        return output

    def save(self, folder: Path) -> None:
        """Write LightGBM's text model and ``columns.json``; :func:`load` reads them."""
        folder.mkdir(parents=True, exist_ok=True)
        self.booster.save_model(folder / MODEL_FILE)
        write_columns(folder, self.columns, self.classes, MODEL_FILE)


@dataclass(frozen=True)
class RawEstimator:
    """A scikit-learn pipeline that takes raw columns."""

    pipeline: Any
    columns: RawColumns
    classes: tuple[Any, ...]
    """Labels in the order of the probabilities; empty for regression."""
    takes_plain: bool = False
    """Whether the pipeline takes what :func:`plain` gives, since it was kept without a function of ours."""
    shown: Mapping[str, Any] | None = None
    """How :func:`named` shows the columns, where the pipeline was kept without it."""
    embedded: Mapping[str, Any] | None = None
    """How :func:`with_vectors` adds the vectors of texts, where the pipeline was kept without it."""

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 (MLflow passes params)
        """``prediction`` (a number or the likeliest label) and ``probability_<label>`` for each label.

        ``score_<label>`` where the estimator has no probabilities: greater is likelier.
        """
        kind = "probability" if gives_probabilities(self.pipeline) else "score"
        return answer(self.scores(model_input), self.classes, model_input.index, kind)

    def scores(self, rows: pd.DataFrame) -> Matrix:
        """Numbers of shape (n_rows,) for regression, else of shape (n_rows, n_classes)."""
        table = self.columns.table(rows)
        if self.shown is not None:
            table = named(table, **self.shown)
        table = plain(table) if self.takes_plain else table
        if self.embedded is not None:
            table = with_vectors(table, **self.embedded)
        return pipeline_scores(self.pipeline, table, self.classes)


def pipeline_scores(pipeline: Any, features: pd.DataFrame, classes: Sequence[Any]) -> Matrix:
    """What a scikit-learn pipeline says of features in the types of training, a number for each of ``classes``."""
    return class_scores(pipeline, features, len(classes)) if classes else number_scores(pipeline, features)


def write_columns(
    folder: Path,
    columns: RawColumns,
    classes: Sequence[Any],
    model: str,
    trusted: Sequence[str] = (),
    shown: Mapping[str, Any] | None = None,
    embedded: Mapping[str, Any] | None = None,
) -> None:
    """Write ``columns.json``.

    ``model`` is the file of the model, seen from the folder; ``trusted`` are the types that a file of skops is made of,
    beyond those that skops always trusts; ``shown`` and ``embedded`` are what :func:`named` and :func:`with_vectors`
    take, where they stood in front of the model.
    """
    description = {"columns": columns.to_json(), "classes": list(classes), "trusted": list(trusted), "shown": shown}
    description |= {} if embedded is None else {"embedded": embedded}
    record = {"schema": SCHEMA_VERSION, "model": model, **description}
    (folder / COLUMNS_FILE).write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")


def load(folder: Path) -> RawPredictor | RawEstimator:
    """Read a model by its ``columns.json``.

    Raises
    ------
    ValueError
        If the folder was written by another version of this file.
    """
    record = json.loads((folder / COLUMNS_FILE).read_text(encoding="utf-8"))
    if record["schema"] != SCHEMA_VERSION:
        raise ValueError(f"{COLUMNS_FILE} has schema {record['schema']}, this code reads {SCHEMA_VERSION}")
    columns, classes = RawColumns.from_json(record["columns"]), tuple(record["classes"])
    file = folder / record["model"]
    if file.suffix == SKOPS:  # builds known types, and runs no code that the file brings
        from skops import io

        shown, embedded = record.get("shown"), _here(record.get("embedded"), folder)
        return RawEstimator(io.load(file, trusted=record["trusted"]), columns, classes, shown is None, shown, embedded)
    if record["model"] != MODEL_FILE:
        return RawEstimator(pickle.loads(file.read_bytes()), columns, classes)
    import lightgbm

    return RawPredictor(lightgbm.Booster(model_file=file), columns, classes)


def _here(embedded: Mapping[str, Any] | None, folder: Path) -> Mapping[str, Any] | None:
    """What :func:`with_vectors` takes, with the folder that travelled with the model in its place."""
    if embedded is None or embedded["embedding"] != WEIGHTS:
        return embedded
    return {**embedded, "embedding": str((folder / WEIGHTS).resolve())}


def _load_pyfunc(path: str) -> RawPredictor | RawEstimator:
    """What MLflow calls to load the model as a Python function."""
    _read_csv_as_text()
    return load(Path(path))


def _read_csv_as_text() -> None:
    """In a process of MLflow's scoring server, let it read CSV for signatures whose columns have the type "any".

    The server asks a signature for pandas types before it reads CSV and refuses where there is none. No type of its
    own would do: the one that takes whole numbers refuses gaps, the one for dates cannot be read from CSV at all.
    """
    server = sys.modules.get("mlflow.pyfunc.scoring_server")
    usual = getattr(server, "parse_csv_input", None)
    if usual is None or hasattr(usual, "usual"):
        return

    def parse_csv_input(csv_input: Any, schema: Any = None) -> Any:
        if schema is None or any(type(kind).__name__ != "AnyType" for kind in schema.input_types()):
            return usual(csv_input, schema)
        return pd.read_csv(csv_input, dtype="str", keep_default_na=False, na_values=[""])

    parse_csv_input.usual = usual  # type: ignore[attr-defined]
    server.parse_csv_input = parse_csv_input  # type: ignore[union-attr]


def _column(entry: Mapping[str, Any]) -> RawColumn:
    lists = {name: tuple(entry.get(name, ())) for name in ("categories", "words", "read_as_missing")}
    return RawColumn(**{**entry, **lists, "format": entry["format"] and format_from_json(entry["format"])})


def _seconds(moments: pd.Series) -> Matrix:
    micros = moments.to_numpy().astype(np.int64).astype(np.float64)
    return np.where(moments.isna().to_numpy(), np.nan, micros / 1e6)
