"""What a run will say once it is complete, gathered before it is written.

The seal of a run: one digest over its parameters and metrics, so that a later edit of either shows.

Who writes a run: a process that can be asked whether it still lives, as long as it is on this machine.
"""

from __future__ import annotations

import math
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from mlflow.entities import Metric

from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.tracking import names
from synth_mlflow.tracking.long_lists import PARAM_MAX, pages
from synth_mlflow.tracking.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Value = tuple[str, int, float]
"""A metric's name, its step and its value."""


def seal_of(params: Mapping[str, str], metrics: Iterable[Value]) -> str:
    """SHA-256 over everything that a run states under this product's names.

    What people add under names of their own breaks no seal; what a stage may add later is left out.

    Examples
    --------
    >>> seal_of({"synth.rows": "3"}, []) == seal_of({"synth.rows": "3", "mine": "x"}, [("loss", 0, 0.5)])
    True
    >>> seal_of({"synth.rows": "3"}, []) == seal_of({"synth.rows": "4"}, [])
    False
    """
    stated = {name: value for name, value in params.items() if _ours(name) and not _left_out(name)}
    numbers = {(name, step, value + 0.0) for name, step, value in metrics if _ours(name)}  # SQLite keeps no -0.0
    return json_digest([stated, sorted(numbers)])


def _left_out(name: str) -> bool:
    return name == names.P_SEAL or names.is_added_later(name)


def _ours(name: str) -> bool:
    return name.startswith(names.M_PREFIX)


def now_ms() -> int:
    """The time now as MLflow keeps it: in milliseconds since 1970."""
    return int(time.time() * 1000)


HOURS_OF_SILENCE = 24  # after which a run of another machine is taken for abandoned


def this_process() -> str:
    """What a run says about the process that writes it: the machine, the process, and when that was born."""
    return f"{_machine()} {os.getpid()} {_birth(os.getpid())}"


def is_gone(owner: str, started: int) -> bool:
    """Whether the writer of a run can no longer finish it.

    Parameters
    ----------
    owner : str
        What :func:`this_process` said; empty for runs that nobody signed.
    started : int
        When the run began, in milliseconds since 1970.

    Returns
    -------
    bool
        For a process of this machine, whether it is dead, or is this very one; for one elsewhere, whether the run is
        older than a day.
    """
    machine, _, process = owner.rpartition(" ")[0].rpartition(" ")
    if not owner or owner == this_process():
        return True
    if machine != _machine() or not process.isdecimal():  # elsewhere, or somebody has edited it
        return time.time() - started / 1000 > HOURS_OF_SILENCE * 3600
    return _birth(int(process)) != owner.rpartition(" ")[2]


def of_this_machine(owner: str) -> bool:
    """Whether it can be asked here if the process still lives."""
    return owner.rpartition(" ")[0].rpartition(" ")[0] == _machine()


def owner_words(owner: str) -> str:
    """Who writes a run, in words.

    >>> owner_words("elsewhere/x/1 77 123"), owner_words("")
    ('process 77 on elsewhere', 'somebody')
    """
    machine, _, process = owner.rpartition(" ")[0].rpartition(" ")
    where = "this machine" if of_this_machine(owner) else "".join(filter(str.isprintable, machine.partition("/")[0]))
    return f"process {process} on {where}" if process.isdecimal() and machine else "somebody"


def _machine() -> str:
    """This machine since it was started, and the container in it: processes are numbered anew in each."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    name = socket.gethostname().replace(" ", "-")
    try:
        return f"{name}/{boot.read_text()[:8]}/{processes.stat().st_ino}"
    except OSError:  # not Linux
        return name


def _birth(process: int) -> str:
    """When a process was born; `gone` where there is none, or it is dead.

    On Linux in ticks since the machine was started: psutil gives the time of day, which moves when the clock is set.
    """
    if not Path("/proc/self/stat").exists():
        return _birth_by_psutil(process)
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return "gone"
    return "gone" if fields[0] in "ZX" else fields[19]


def _birth_by_psutil(process: int) -> str:
    import psutil  # elsewhere than on Linux alone: every command loads this file

    try:
        living = psutil.Process(process)
        is_dead = living.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return "gone" if is_dead else f"{living.create_time():.3f}"
    except psutil.NoSuchProcess:
        return "gone"


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


@dataclass(frozen=True)
class Measured:
    """A logged model, and the dataset that its scores were measured on: MLflow shows them on the model's page."""

    model_id: str
    dataset: Input


@dataclass
class RunDraft:
    """What a run will say once it is complete."""

    run_id: str
    server: Server
    folder: Path
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    """The ids of the logged models that the run looks at."""
    stage_number: int | None = None
    """Of the six stages; kept as the last metric, since MLflow's comparison of runs draws the first."""
    ended: int | None = None
    """When its work ended, in milliseconds since 1970; None for when it is written."""
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

    def metric(self, name: str, value: float, step: int = 0, measured: Measured | None = None) -> None:
        """Add a number for plots and sorting; one that was measured of a model is shown with that model too.

        Raises
        ------
        ValueError
            If the number is not finite.
        """
        if not math.isfinite(value):
            raise ValueError(f"metric {name} is {value}; only finite numbers are logged")
        whose = (
            {}
            if measured is None
            else {
                "model_id": measured.model_id,
                "dataset_name": measured.dataset.name,
                "dataset_digest": measured.dataset.digest[: names.DATASET_DIGEST_LENGTH],
            }
        )
        self.metrics.append(Metric(name, float(value), now_ms(), step, **whose))

    def score(self, metric: str, value: float, low: float, high: float, measured: Measured | None = None) -> None:
        """Add a score with its interval, and the score under the metric's own name too, which people search for."""
        scores = {names.M_SCORE: value, names.M_SCORE_LOW: low, names.M_SCORE_HIGH: high, names.own_name(metric): value}
        for name, each in scores.items():
            self.metric(name, each, measured=measured)

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
