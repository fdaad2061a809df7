"""What a run will say once it is complete, gathered before it is written."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from mlflow.entities import Metric

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.tracking import names
from synth_mlflow.tracking.long_lists import PARAM_MAX, pages
from synth_mlflow.tracking.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TAG_MAX = 8_000  # characters; MLflow cuts longer tags and descriptions and only warns
PICTURE_DPI = 120


@dataclass(frozen=True)
class Input:
    """A dataset that a run read."""

    name: str
    digest: str
    context: str
    uri: str
    n_rows: int
    n_columns: int
    batch: str = ""
    """The short id of a synthetic batch."""


@dataclass
class Draft:
    """What a run will say once it is complete."""

    run_id: str
    server: Server
    folder: Path
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    before_it_counts: Callable[[], None] | None = None
    """Called when everything is written but the status; if it raises, the run does not count."""

    def param(self, name: str, value: object) -> None:
        """State a fact for good.

        Raises
        ------
        ValueError
            If MLflow would cut the value: a longer record is a file plus its digest.
        """
        text = value if isinstance(value, str) else canonical_json(value)
        if len(text) > PARAM_MAX:
            raise ValueError(f"parameter {name} has {len(text):,} characters, at most {PARAM_MAX:,} are kept")
        self.params[name] = text

    def words(self, name: str, words: Iterable[str]) -> None:
        """State a list of words for good, in as many parameters as it takes; see :mod:`.long_lists`."""
        for page, text in pages(name, words).items():
            self.param(page, text)

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """Add a number for plots and sorting.

        Raises
        ------
        ValueError
            If the number is not finite.
        """
        if not math.isfinite(value):
            raise ValueError(f"metric {name} is {value}; only finite numbers are logged")
        self.metrics.append(Metric(name, float(value), int(time.time() * 1000), step))

    def score(self, metric: str, value: float, low: float, high: float) -> None:
        """Add a score with its interval, and the score under the metric's own name too, which people search for."""
        self.metric(names.M_SCORE, value)
        self.metric(names.M_SCORE_LOW, low)
        self.metric(names.M_SCORE_HIGH, high)
        self.metric(names.own_name(metric), value)

    def tag(self, name: str, value: str) -> None:
        """Set a tag; a longer text is cut visibly."""
        self.tags[name] = value if len(value) <= TAG_MAX else value[: TAG_MAX - 2] + " …"

    def describe(self, markdown: str) -> None:
        """What the UI shows on top of the run."""
        self.tag(names.TAG_NOTE, markdown)

    def file(self, path: str) -> Path:
        """Where to write an artifact before the run is completed; its digest becomes a parameter."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def text(self, path: str, content: str) -> None:
        """Add a text artifact."""
        self.file(path).write_text(content, encoding="utf-8")

    def picture(self, path: str, figure: Figure) -> None:
        """Add a plot as PNG; what no font can draw in somebody's names becomes a box, without a word."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure.savefig(self.file(path), dpi=PICTURE_DPI)

    def table(self, path: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table that the UI shows as one."""
        self.text(path, canonical_json({"columns": list(columns), "data": [list(row) for row in rows]}))
        self.tables.append(path)

    def frame(self, path: str, frame: pd.DataFrame) -> None:
        """Add a DataFrame as such a table; missing values are blank, what JSON lacks is text."""
        cells = frame.astype(object).where(frame.notna(), None).to_numpy()
        self.table(path, [str(name) for name in frame.columns], [[_plain(cell) for cell in row] for row in cells])


def _plain(cell: object) -> object:
    if cell is None or isinstance(cell, str | bool | int | float):
        return cell
    return cell.item() if isinstance(cell, np.generic) else str(cell)
