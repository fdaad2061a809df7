"""Raw columns to what LightGBM takes, and a predictor on raw columns that travels with the saved model.

This file is copied into the saved model's code folder, so it imports nothing of ``synth_mlflow``. Training and
serving share it: a row is encoded in one way only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd

MODEL_FILE = "model.txt"
COLUMNS_FILE = "columns.json"
MANY_ROWS = 100_000  # from here on LightGBM predicts with every core; below, threads cost more than they save

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RawColumn:
    """One feature: its kind, and for text the values that have a code."""

    name: str
    kind: str
    """integer, number, boolean, datetime or string"""
    categories: tuple[str, ...] = ()

    def encode(self, values: pd.Series) -> Matrix:
        """Numbers as they are, truth values as 0 and 1, moments as seconds since 1970, text as its place in the list.

        Missing values and text without a code become NaN, which LightGBM treats as missing.
        """
        if self.kind == "string":
            codes = pd.Index(self.categories, dtype=object).get_indexer(pd.Index(values.astype(object)))
            return np.where(codes < 0, np.nan, codes.astype(np.float64))
        if self.kind == "datetime":
            return _seconds(values)
        if self.kind == "boolean" and not pd.api.types.is_numeric_dtype(values.dtype):
            values = values.astype("boolean")
        numbers: Matrix = pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers


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
        lacking = [column.name for column in self.columns if column.name not in rows]
        if lacking:
            raise ValueError(f"columns are missing: {lacking}; the model needs {[c.name for c in self.columns]}")
        matrix = np.empty((len(rows), len(self.columns)))
        for place, column in enumerate(self.columns):
            matrix[:, place] = column.encode(rows[column.name])
        return matrix

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
        return [{"name": c.name, "kind": c.kind, "categories": list(c.categories)} for c in self.columns]

    @classmethod
    def from_json(cls, record: Sequence[Mapping[str, Any]]) -> RawColumns:
        """The inverse of :meth:`to_json`."""
        return cls(tuple(RawColumn(c["name"], c["kind"], tuple(c["categories"])) for c in record))


@dataclass(frozen=True)
class RawPredictor:
    """A LightGBM model that takes raw columns."""

    booster: lightgbm.Booster
    columns: RawColumns
    classes: tuple[Any, ...]
    """Labels in the order of the probabilities; empty for regression."""

    schema_version: ClassVar[int] = 1

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 (MLflow passes params)
        """``prediction`` (a number or the likeliest label) and ``probability_<label>`` for each label."""
        output = self.scores(model_input)
        if not self.classes:
            return pd.DataFrame({"prediction": output}, index=model_input.index)
        labels = pd.Series(self.classes).to_numpy()[output.argmax(axis=1)]
        probabilities = {f"probability_{label}": output[:, code] for code, label in enumerate(self.classes)}
        return pd.DataFrame({"prediction": labels, **probabilities}, index=model_input.index)

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
        record = {"schema": self.schema_version, "columns": self.columns.to_json(), "classes": list(self.classes)}
        (folder / COLUMNS_FILE).write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")


def load(folder: Path) -> RawPredictor:
    """Read what :meth:`RawPredictor.save` wrote.

    Raises
    ------
    ValueError
        If the folder was written by another version of this file.
    """
    record = json.loads((folder / COLUMNS_FILE).read_text(encoding="utf-8"))
    if record["schema"] != RawPredictor.schema_version:
        raise ValueError(f"{COLUMNS_FILE} has schema {record['schema']}, this code reads {RawPredictor.schema_version}")
    booster = lightgbm.Booster(model_file=folder / MODEL_FILE)
    return RawPredictor(booster, RawColumns.from_json(record["columns"]), tuple(record["classes"]))


def _load_pyfunc(path: str) -> RawPredictor:
    """What MLflow calls to load the model as a Python function."""
    return load(Path(path))


def _seconds(values: pd.Series) -> Matrix:
    moments = pd.to_datetime(values, utc=True).dt.tz_localize(None).astype("datetime64[us]")
    micros = moments.to_numpy().astype(np.int64).astype(np.float64)
    return np.where(moments.isna().to_numpy(), np.nan, micros / 1e6)
