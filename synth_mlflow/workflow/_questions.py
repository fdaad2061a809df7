"""Questions to a project, and the rows that it hands out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from synth_mlflow.data.addresses import Address, place_of
from synth_mlflow.data.schema import present
from synth_mlflow.errors import GateError
from synth_mlflow.later import later
from synth_mlflow.workflow._project import OpenProject, Table, as_path, as_place, batch_id, reads, writes

if TYPE_CHECKING:
    from synth_mlflow.data.chunks import as_pandas
    from synth_mlflow.data.mixing import Mix
    from synth_mlflow.handoff.diff import Difference, diff
    from synth_mlflow.queries.export import export
    from synth_mlflow.queries.identify import Identified, identify
    from synth_mlflow.queries.rerun_check import GivenState
    from synth_mlflow.queries.rerun_check import check as check_triggers
    from synth_mlflow.queries.rerun_check import log_production as record_production
    from synth_mlflow.queries.status import Status, batches_table, checks_table
    from synth_mlflow.queries.status import status as read_status
    from synth_mlflow.queries.trace import Trace, trace
    from synth_mlflow.stages.sweep import sweep
    from synth_mlflow.stages.training_data import Batch, TrainingData, training_data, write_jsonl
    from synth_mlflow.sweep.curve import Curve
    from synth_mlflow.triggers import TriggerStates
else:  # so that each verb loads what it uses
    as_pandas = later("synth_mlflow.data.chunks", "as_pandas")
    diff = later("synth_mlflow.handoff.diff", "diff")
    export = later("synth_mlflow.queries.export", "export")
    identify = later("synth_mlflow.queries.identify", "identify")
    GivenState = later("synth_mlflow.queries.rerun_check", "GivenState")
    check_triggers = later("synth_mlflow.queries.rerun_check", "check")
    record_production = later("synth_mlflow.queries.rerun_check", "log_production")
    batches_table = later("synth_mlflow.queries.status", "batches_table")
    checks_table = later("synth_mlflow.queries.status", "checks_table")
    read_status = later("synth_mlflow.queries.status", "status")
    trace = later("synth_mlflow.queries.trace", "trace")
    sweep = later("synth_mlflow.stages.sweep", "sweep")
    training_data = later("synth_mlflow.stages.training_data", "training_data")
    write_jsonl = later("synth_mlflow.stages.training_data", "write_jsonl")


class QuestionVerbs(OpenProject):
    """Questions to a project, and the rows that it hands out."""

    @reads
    def status(self) -> Status:
        """How far the project is, and the next command."""
        return read_status(self.project)

    @reads
    def check(
        self,
        *,
        new_data: Table | None = None,
        generators: Mapping[str, str] | None = None,
        statement: str | Path | None = None,
    ) -> TriggerStates:
        """The conditions that force a rerun; see :func:`synth_mlflow.queries.rerun_check.check`.

        Parameters
        ----------
        new_data : path, optional
            A file with the real rows of today, known ones included or not.
        generators : mapping, optional
            Generator name to its present version; by default what is installed.
        statement : path, optional
            problem.md as it stands today.
        """
        return check_triggers(self.project, GivenState(as_place(new_data), generators, as_path(statement)))

    @writes("log-production")
    def log_production(self, value: float, n_rows: int | None = None) -> str:
        """Record a value of the metric measured in production; returns the run's id.

        Parameters
        ----------
        value : float
            Of the metric that the statement names; greater is better.
        n_rows : int, optional
            How many rows it was measured on.
        """
        return record_production(self.project, value, n_rows).run_id

    @reads
    def diff(self, before: str | Path, after: str | Path = "newest") -> Difference:
        """What changed between two handoffs, by run id, age or file; see :func:`synth_mlflow.handoff.diff.diff`.

        Parameters
        ----------
        before, after : str
            Each the run id of a handoff, also of another project on the server; ``newest`` or ``previous``; or a file
            with a document's JSON twin.
        """
        return diff(self.project, str(before), str(after))

    @reads
    def identify(self, table: Any) -> Identified:
        """Where each row of a table, given as a file or in memory, comes from.

        See :func:`synth_mlflow.queries.identify.identify`; any table that
        :func:`~synth_mlflow.data.chunks.as_pandas` takes.

        Parameters
        ----------
        table : Path or DataFrame
            CSV, gzipped CSV or Parquet; columns in any order, further columns are left out.
        """
        return identify(
            self.project, place_of(table) if isinstance(table, str | os.PathLike | Address) else as_pandas(table)
        )

    @reads
    def trace(self, what: str) -> Trace:
        """What a model, run or batch is made of or went into; see :func:`synth_mlflow.queries.trace.trace`.

        Parameters
        ----------
        what : str
            ``models:/name/version``, ``models:/name@alias``, a batch's short id, or the id of any run: also of one that
            another tool wrote and that logged rows of this project as a dataset.
        """
        return trace(self.project, what)

    @reads
    def export(self, format_name: str, output: str | Path | None = None) -> str:
        """Provenance in the format of another tool; see :func:`synth_mlflow.queries.export.export`.

        Parameters
        ----------
        format_name : str
            The name of an installed export: ``croissant``, ``prov-json``, ``openlineage``, or somebody else's.
        output : Path, optional
            Where to write it as well.
        """
        return export(self.project, format_name, as_path(output))

    @reads
    def batches(self) -> pd.DataFrame:
        """Every batch, one a row."""
        return batches_table(self.project)

    @reads
    def checks(self) -> pd.DataFrame:
        """The newest run of each check of each batch, one a row."""
        return checks_table(self.project)

    @reads
    def curve(self) -> pd.DataFrame:
        """The newest curve, one ratio a row: ratio, score, low, high, gain, gain_low, gain_high, and more."""
        return self.latest_curve().frame()

    @reads
    def latest_curve(self) -> Curve:
        """The newest curve; a GateError before `sweep`."""
        sweep = self.project.latest_sweep()
        if sweep is None:
            raise GateError("this project has no sweep.", "First: `synth-mlflow sweep`.")
        return sweep.curve

    @reads
    def training_data(
        self,
        ratio: float | None = None,
        *,
        batches: Sequence[Batch | str] = (),
        mix: Mix | None = None,
        seed: int | None = None,
        run_id: str | None = None,
    ) -> TrainingData:
        """The gated mix for a model of your own, its lineage logged on the active run.

        See :func:`synth_mlflow.stages.training_data.training_data`.

        Parameters
        ----------
        ratio : float, optional
            The share of synthetic rows, in [0, 1). By default what the newest sweep chose, with that sweep's batches,
            mix and seed: the rows of its final model.
        batches : sequence of str
            Short ids; by default those of that sweep, else every batch whose gate is open.
        mix : {"augment", "replace"}, optional
            Keep all real rows and add synthetic ones, or keep the total; by default as in that sweep, else ``augment``.
        seed : int, optional
            Which synthetic rows are drawn; by default that of the sweep, else 0.
        run_id : str, optional
            The run that trains; by default MLflow's active run. The real rows and each batch become its dataset inputs,
            so that `trace` finds it.
        """
        batch_ids = [batch_id(batch) for batch in batches]
        return training_data(self.project, ratio, batches=batch_ids, mix=mix, seed=seed, run_id=run_id)

    @reads
    def training_rows(self) -> pd.DataFrame:
        """The real rows that generators and models may learn from, in the form and the types that they came in."""
        frozen = self.project.evaluation_set()
        return present(self.project.training_rows(frozen), frozen.schema)

    @reads
    def evaluation_rows(self) -> pd.DataFrame:
        """The frozen evaluation rows, in the form and the types that they came in."""
        frozen = self.project.evaluation_set()
        return present(self.project.evaluation_rows(frozen), frozen.schema)

    @reads
    def write_jsonl(self, rows: pd.DataFrame | TrainingData | Batch | str, path: str | Path) -> Path:
        """Write rows as JSON lines, in the style of the project's data: conversations as lists of turns.

        Parameters
        ----------
        rows : DataFrame, TrainingData, Batch or str
            What `training_data`, `training_rows` or `evaluation_rows` gave, or a batch or its short id.
        path : str or Path
            Is replaced where it is there.

        Raises
        ------
        UsageError
            If the columns are not those of the project's rows.
        """
        return write_jsonl(self.project, rows, Path(path))
