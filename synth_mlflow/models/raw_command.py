"""A model that a command has fitted: files for its commands, and what they may answer. Travels with the saved model.

Like ``raw_columns``, whose columns it reads, it imports nothing of the package but what travels too. A saved model runs
its recorded command only where ``SYNTH_MLFLOW_ALLOW_COMMAND`` in the environment holds the digest of that command.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data.json_text import json_columns_of, write_json_lines
from .raw_columns import COLUMNS_FILE, RawColumns, _read_csv_as_text
from .raw_estimator import answer

COMMAND_FILE = "command.json"
FOLDER = "model"
ALLOW = "SYNTH_MLFLOW_ALLOW_COMMAND"
DIGITS = 12  # of a digest that a person types
CSV, PARQUET, JSONL = ".csv", ".parquet", ".jsonl"
SUM_TOLERANCE = 1e-3  # of the probabilities of a row, which programs often write as 32-bit numbers
SHOWN_CHARACTERS = 2_000
_PLACE = re.compile(r"\{(\w+)\}((?:\.\w+)*)")

Matrix = npt.NDArray[np.float64]


def command_words(command: str, values: Mapping[str, str]) -> list[str]:
    """The words of a command with values in their places; no shell reads them.

    A value that is a file stands there with the ending that the command gives it.

    Examples
    --------
    >>> command_words("python fit.py '{train}.csv' --seed={seed}", {"train": "/tmp/a b.csv", "seed": "3"})
    ['python', 'fit.py', '/tmp/a b.csv', '--seed=3']
    """

    def filled(place: re.Match[str]) -> str:
        value = values.get(place[1])
        if value is None:
            return place[0]
        return value if place[2] and value.endswith(place[2]) else value + place[2]

    return [_PLACE.sub(filled, word) for word in shlex.split(command)]


def file_ending(command: str, place: str) -> str:
    """The kind of file that stands in a place of a command: what follows it, else Parquet."""
    endings = [ending for name, ending in _PLACE.findall(command) if name == place and ending in (CSV, PARQUET, JSONL)]
    return str(endings[0]) if endings else PARQUET


def command_digest(command: str) -> str:
    """SHA-256 of a command's text, as far as a person types it."""
    return hashlib.sha256(command.encode()).hexdigest()[:DIGITS]


def write_table(rows: pd.DataFrame, path: Path) -> None:
    """Write rows as Parquet, or as CSV in UTF-8 with a header: an empty cell is missing, moments are ISO 8601.

    As JSON lines conversations are lists of turns, and what is missing is left out.
    """
    if path.suffix == JSONL:
        write_json_lines(rows, path, json_columns_of(rows))
    elif path.suffix == CSV:
        rows.to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%S.%f")
    else:
        rows.to_parquet(path, index=False)


def read_predictions(path: Path, n_rows: int, classes: Sequence[Any], unseen: Sequence[Any] = ()) -> Matrix:
    """What a command predicted: of shape (n_rows,), or (n_rows, n_classes) in the order of ``classes``.

    Parameters
    ----------
    path : Path
        CSV or Parquet: a column of probabilities for each class under its label, or one column of numbers.
    n_rows : int
        How many rows were to be predicted.
    classes : sequence
        Labels; empty for regression.
    unseen : sequence
        Labels that no row of the fit had: without a column they have the probability 0.

    Raises
    ------
    ValueError
        If it is no such table, with what was found and what was needed.
    """
    try:
        predictions = pd.read_csv(path) if path.suffix == CSV else pd.read_parquet(path)
    except Exception as error:  # whatever a reader makes of any bytes
        other = "" if path.suffix == CSV else "; a program that writes CSV is given `{predictions}.csv`"
        raise ValueError(f"wrote predictions that cannot be read as {path.suffix[1:]}: {error}{other}") from error
    if len(predictions) != n_rows:
        raise ValueError(f"wrote {len(predictions):,} predictions for {n_rows:,} rows")
    table = _by_class(predictions, classes, unseen) if classes else predictions
    if not classes and predictions.shape[1] != 1:
        raise _other_columns(predictions, "one column of numbers")
    try:
        values = table.to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ValueError(f"wrote predictions that are no numbers: {error}") from error
    n_bad = int((~np.isfinite(values)).any(axis=1).sum())
    if n_bad:
        raise ValueError(f"wrote missing or infinite predictions for {n_bad:,} of {n_rows:,} rows")
    return _probabilities(values) if classes else values[:, 0]


def _by_class(table: pd.DataFrame, classes: Sequence[Any], unseen: Sequence[Any]) -> pd.DataFrame:
    """The columns in the order of the classes; 0 for a class that the fit could not know."""
    places = [[at for at, name in enumerate(table.columns) if str(name) in label_texts(label)] for label in classes]
    lacking = [label for label, at in zip(classes, places, strict=True) if not at and label not in unseen]
    if lacking or any(len(at) > 1 for at in places) or table.shape[1] != sum(map(len, places)):
        labels = ", ".join(label_texts(label)[0] for label in classes)
        raise _other_columns(table, f"a column for each class: {labels}")
    return pd.concat([table.iloc[:, at[0]] if at else pd.Series(0.0, table.index) for at in places], axis=1)


def _other_columns(table: pd.DataFrame, needed: str) -> ValueError:
    names = [str(name) for name in table.columns]
    numbered = names and (names[0] == "" or names[0].startswith("Unnamed: "))
    why = " (the first one holds row names: write the file without them)" if numbered else ""
    return ValueError(f"wrote the columns {', '.join(names)}{why}; needed is {needed}")


def _probabilities(values: Matrix) -> Matrix:
    if ((values < 0) | (values > 1 + SUM_TOLERANCE)).any():
        raise ValueError(f"wrote {values.min():g} to {values.max():g}; probabilities lie in 0 to 1")
    sums = values.sum(axis=1)
    if (np.abs(sums - 1) > SUM_TOLERANCE).any():
        raise ValueError(f"wrote probabilities that add up to {sums.min():g} to {sums.max():g} in a row, not to 1")
    return np.asarray(values / sums[:, None])


def label_texts(label: Any) -> tuple[str, ...]:
    """What the column of a class may be called: as Python writes the label, 1.0 also as 1, True as others write it.

    >>> label_texts(1.0), label_texts(True), label_texts("True")
    (('1', '1.0'), ('true', 'True', 'TRUE'), ('True',))
    """
    if isinstance(label, bool | np.bool_):
        return str(label).lower(), str(label), str(label).upper()
    whole = isinstance(label, float | int | np.number) and float(label).is_integer()
    return tuple(dict.fromkeys([str(int(label)), f"{int(label)}.0"] if whole else [str(label)]))


@dataclass(frozen=True)
class RawCommand:
    """A saved model that predicts by the recorded command."""

    folder: Path
    columns: RawColumns
    classes: tuple[Any, ...]
    command: str
    settings: Mapping[str, str]

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 (MLflow passes params)
        """``prediction`` (a number or the likeliest label) and ``probability_<label>`` for each label.

        Raises
        ------
        PermissionError
            If nobody has allowed the command in the environment of this process.
        RuntimeError, ValueError
            If the command fails, or writes no predictions.
        """
        if os.environ.get(ALLOW) != command_digest(self.command):
            raise PermissionError(
                f"this model predicts by running a recorded command: {self.command}\nRead it. If it may run here: "
                f"`export {ALLOW}={command_digest(self.command)}`, with its program in the working directory."
            )
        rows = self.columns.table(model_input)
        with tempfile.TemporaryDirectory(prefix="synth-predict-") as name:
            predictions = self._run(rows, Path(name))
        return answer(predictions, self.classes, model_input.index)

    def _run(self, rows: pd.DataFrame, folder: Path) -> Matrix:
        paths = {place: folder / f"{place}{file_ending(self.command, place)}" for place in ("rows", "predictions")}
        write_table(rows, paths["rows"])
        values = {**self.settings, "model": str(self.folder), **{place: str(path) for place, path in paths.items()}}
        done = subprocess.run(
            command_words(self.command, values), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-SHOWN_CHARACTERS:]
            raise RuntimeError(f"the command of this model ended with exit code {done.returncode}: {said}")
        return read_predictions(paths["predictions"], len(rows), self.classes)


def write_command(
    folder: Path, columns: RawColumns, classes: Sequence[Any], command: str, settings: Mapping[str, str]
) -> None:
    """Write what :func:`load` reads, beside the folder of the fitted model."""
    record = {"classes": list(classes), "command": command, "settings": dict(settings)}
    (folder / COMMAND_FILE).write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
    text = json.dumps(columns.to_json(), indent=1, ensure_ascii=False)
    (folder / COLUMNS_FILE).write_text(text, encoding="utf-8")


def load(folder: Path) -> RawCommand:
    """Read a saved model; nothing is run."""
    record = json.loads((folder / COMMAND_FILE).read_text(encoding="utf-8"))
    columns = RawColumns.from_json(json.loads((folder / COLUMNS_FILE).read_text(encoding="utf-8")))
    return RawCommand(folder / FOLDER, columns, tuple(record["classes"]), record["command"], record["settings"])


def _load_pyfunc(path: str) -> RawCommand:
    """What MLflow calls to load the model as a Python function."""
    _read_csv_as_text()
    return load(Path(path))
