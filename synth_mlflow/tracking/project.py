"""The evidence of one project, read back from the server and checked against its digests."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from synth_mlflow.data.addresses import Address, Place, recorded_place
from synth_mlflow.data.columns import Schema
from synth_mlflow.data.digests import Hashes, are_among, row_digests, table_digest
from synth_mlflow.data.mapped import taken
from synth_mlflow.data.provenance import Record, record_in_file
from synth_mlflow.data.schema import TableSchema
from synth_mlflow.data.statement import Statement, parse_statement
from synth_mlflow.errors import EvidenceError, GateError, UsageError, closest
from synth_mlflow.later import later
from synth_mlflow.sweep.curve import Curve
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import Reader, StoredRun
from synth_mlflow.tracking.server import Server
from synth_mlflow.tracking.stored import (
    EvaluationSet,
    Problem,
    StoredBatch,
    Sweep,
    distinct_batches,
    statement_in_force,
)
from synth_mlflow.tracking.stored_run import reading

if TYPE_CHECKING:
    from synth_mlflow.data.table_files import read_parquet
    from synth_mlflow.data.tables import read_real, read_table, restore
else:  # only verbs that read rows need them, and what they load
    read_parquet = later("synth_mlflow.data.table_files", "read_parquet")
    read_real = later("synth_mlflow.data.tables", "read_real")
    read_table = later("synth_mlflow.data.tables", "read_table")
    restore = later("synth_mlflow.data.tables", "restore")


class Project:
    """Everything that one project has recorded."""

    def __init__(
        self,
        server: Server,
        *,
        workflow_run: str | None = None,
        say: Callable[[str], None] | None = None,
        count: Callable[[int, int, str], None] | None = None,
    ) -> None:
        self.server = server
        self.workflow_run = workflow_run
        """The run that everything hangs under; None where stages are run one by one."""
        self.say = say or _silent
        """Where progress is told, a line at a time."""
        self.count = count or _uncounted
        """Where it is told how many of how many of what are done."""
        self.real_file: Place | None = None
        """Where real rows that are kept by reference lie now; None for where they were when the set was frozen."""
        self.reader = Reader(server)
        self._statements: dict[str, Statement] = {}
        self._tables: dict[str, TableSchema] = {}
        self._real_digests: dict[str, Mapping[str, Hashes]] = {}

    def find_problem(self) -> Problem | None:
        """The problem statement in force; None before `define`."""
        run = statement_in_force(self.problems())
        if run is None:
            return None
        return Problem(run, self._statement(run))

    def statement_with(self, digest: str) -> Statement:
        """The problem statement of a digest, in force or not; an EvidenceError if there is none."""
        for run in reversed(self.problems()):
            if run.params.get(names.P_STATEMENT) == digest and self._statement(run).digest == digest:
                return self._statement(run)
        raise EvidenceError(f"the problem statement with sha256 {digest[:12]}… is gone.", "Restore its run in MLflow.")

    def _statement(self, run: StoredRun) -> Statement:
        if run.run_id not in self._statements:
            text = self.reader.file(run, names.A_STATEMENT).read_text(encoding="utf-8")
            statement = parse_statement(text, f"problem.md of run {run.run_id}")
            self._statements[run.run_id] = replace(statement, folder=_folder_of(run))
        frozen = self._frozen_run()
        table = self.table_schema(run if frozen is None or names.A_COLUMNS not in frozen.artifacts else frozen)
        return replace(self._statements[run.run_id], table=table)

    def table_schema(self, run: StoredRun) -> TableSchema | None:
        """What each column is, as a run recorded it; None where it did not."""
        if names.A_COLUMNS not in run.artifacts:
            return None
        if run.run_id not in self._tables:
            path = self.reader.file(run, names.A_COLUMNS)
            with reading(run, names.A_COLUMNS):
                self._tables[run.run_id] = TableSchema.from_json(json.loads(path.read_text(encoding="utf-8")))
        return self._tables[run.run_id]

    def _frozen_run(self) -> StoredRun | None:
        """The run of the frozen evaluation set, where there is one that counts."""
        claims = [run.params[names.P_EVALUATION_RUN] for run in self.problems() if names.P_EVALUATION_RUN in run.params]
        frozen_run = self.reader.find(claims[0]) if claims else None
        return frozen_run if frozen_run is not None and frozen_run.counts and not frozen_run.deleted else None

    def problem(self) -> Problem:
        """The problem statement; a GateError before `define`."""
        problem = self.find_problem()
        if problem is None:
            raise GateError(
                f"project {self.server.experiment!r} has no problem statement.",
                "First: `synth-mlflow define problem.md`.",
            )
        self.reader.verify_seal(problem.run)
        return problem

    def find_evaluation_set(self) -> EvaluationSet | None:
        """The frozen evaluation set; None before `freeze`, and while one has not written it to its end.

        Raises
        ------
        EvidenceError
            If a set was frozen and its run, or the statement that vouches for it, is gone.
        """
        run, finished = self.claimed_evaluation_run(), self.reader.finished("evaluation_set")
        if run is None:
            if finished:
                raise EvidenceError(
                    f"run {finished[0].run_id} is a frozen evaluation set, and no problem statement vouches for it.",
                    "Restore the deleted problem statement in MLflow (`lifecycle_stage` deleted).",
                )
            return None
        if run.deleted:
            raise EvidenceError(
                f"the frozen evaluation set of {self.server.experiment!r}, run {run.run_id}, was deleted.",
                "Restore it in MLflow, or start a new project with `synth-mlflow define`.",
            )
        if not run.counts:
            return None
        return self.evaluation_set_of(run)

    def evaluation_set_of(self, run: StoredRun) -> EvaluationSet:
        """The evaluation set that a run recorded."""
        path = self.reader.file(run, names.A_SCHEMA)
        with reading(run, names.A_SCHEMA):
            kinds = dict(json.loads(path.read_text(encoding="utf-8")))
        table = self.table_schema(run)
        real_file = self.real_file if run.experiment_id == self.server.experiment_id else None
        return EvaluationSet(run, Schema(kinds, {} if table is None else table.schema.forms), table, real_file)

    def claimed_evaluation_run(self) -> StoredRun | None:
        """The one run that holds the project's evaluation set, though it may not be written to its end or be deleted.

        Raises
        ------
        EvidenceError
            If there is no such run at all.
        """
        claims = [run.params[names.P_EVALUATION_RUN] for run in self.problems() if names.P_EVALUATION_RUN in run.params]
        if not claims:
            return None
        run = self.reader.find(claims[0])
        if run is None:
            raise EvidenceError(f"the frozen evaluation set of {self.server.experiment!r}, run {claims[0]}, is gone.")
        return run

    def problems(self) -> list[StoredRun]:
        """Every complete problem statement, oldest first; the oldest says which evaluation set is the project's."""
        return self.reader.finished("problem")

    def evaluation_set(self) -> EvaluationSet:
        """The frozen evaluation set; a GateError before `freeze`."""
        frozen = self.find_evaluation_set()
        if frozen is None:
            raise GateError(
                f"project {self.server.experiment!r} has no frozen evaluation set; nothing is generated before.",
                "First: `synth-mlflow freeze`.",
            )
        self.reader.verify_seal(frozen.run)
        return frozen

    def evaluation_rows(self, frozen: EvaluationSet) -> pd.DataFrame:
        """The held-out rows, checked against the frozen digest."""
        return self._side(frozen, names.A_EVALUATION, "evaluation", frozen.digest)

    def training_rows(self, frozen: EvaluationSet) -> pd.DataFrame:
        """The real rows on the other side of the split, checked against their digest."""
        return self._side(frozen, names.A_TRAINING, "training", frozen.training_digest)

    def row_digests(self, run: StoredRun) -> Mapping[str, Hashes]:
        """The keyed row digests of a run, by the name of their side: kept by it, or of real rows kept by reference."""
        if names.P_KEY_FINGERPRINT in run.params and run.stage == "evaluation_set":
            return self._digests_by_reference(run)
        path = self.reader.file(run, names.A_ROW_DIGESTS)
        with reading(run, names.A_ROW_DIGESTS), np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def _digests_by_reference(self, run: StoredRun) -> Mapping[str, Hashes]:
        if run.run_id not in self._real_digests:
            frozen = self.evaluation_set_of(run)
            sides = {"training": self.training_rows(frozen), "evaluation": self.evaluation_rows(frozen)}
            if frozen.has_unused_rows:
                sides[names.UNUSED] = self._referenced(frozen, names.UNUSED)
            self._real_digests[run.run_id] = {side: row_digests(rows, frozen.salt) for side, rows in sides.items()}
        return self._real_digests[run.run_id]

    def latest_sweep(self) -> Sweep | None:
        """The newest sweep; None before `sweep`."""
        run = self.reader.latest("sweep")
        return None if run is None else Sweep(run, self.curve(self.reader.verify_seal(run)))

    def curve(self, run: StoredRun) -> Curve:
        """The curve that a sweep has kept."""
        path = self.reader.file(run, names.A_CURVE)
        with reading(run, names.A_CURVE):
            return Curve.from_json(json.loads(path.read_text(encoding="utf-8")))

    def batches(self) -> list[StoredBatch]:
        """Every batch that was written to its end, oldest first."""
        return distinct_batches(self.reader.finished("batch"))

    def batch(self, batch_id: str) -> StoredBatch:
        """One batch by its short id or run id; a UsageError if there is none."""
        known = {batch.id: batch for batch in self.batches()}
        by_run = {batch.run.run_id: batch for batch in self.batches()}
        stored = known.get(batch_id) or by_run.get(batch_id)
        if stored is None:
            raise UsageError(
                f"there is no batch {batch_id!r}. {closest(batch_id, known)}", "`synth-mlflow status` lists them."
            )
        return stored

    def batch_rows(self, batch: StoredBatch, schema: Schema) -> pd.DataFrame:
        """A batch's rows; an EvidenceError if bytes, content or record are not those that were recorded."""
        path = self.reader.file(batch.run, names.A_BATCH)
        with reading(batch.run, names.A_BATCH):
            rows = restore(read_parquet(path), schema)
        digest = table_digest(rows, schema)
        record = self.record(batch)
        if not digest == batch.digest == record.digest:
            raise EvidenceError(
                f"batch {batch.id} has content digest {digest[:12]}…, its run says {batch.digest[:12]}…, its record "
                f"{record.digest[:12]}…: someone changed it.",
                f"Restore the artifacts of run {batch.run.run_id}, or generate the batch again.",
            )
        inside = record_in_file(path)
        if inside is None or inside.sha256 != record.sha256:
            raise EvidenceError(f"the record inside the file of batch {batch.id} is not the one of its run.")
        return rows

    def rows_to_fit(self, batch: StoredBatch, frozen: EvaluationSet) -> pd.DataFrame:
        """A batch's rows that a model may be fitted on: all but those that equal an evaluation row."""
        return self.without_evaluation_rows(self.batch_rows(batch, frozen.schema), frozen)

    def without_evaluation_rows(self, rows: pd.DataFrame, frozen: EvaluationSet) -> pd.DataFrame:
        """The rows that equal no evaluation row: the one place that keeps these from a fit, however they came in.

        Coarse tables have rows that equal an evaluation row by chance; a model that is fitted on one knows its answer.
        Rows that equal a training row as well stay: every model knows that answer from the training row.
        """
        held_out = self.equal_evaluation_rows(rows, frozen)
        return taken(rows, ~held_out) if held_out.any() else rows

    def equal_evaluation_rows(self, rows: pd.DataFrame, frozen: EvaluationSet) -> npt.NDArray[np.bool_]:
        """Which rows equal an evaluation row and no training row; of shape (n_rows,)."""
        real = self.row_digests(frozen.run)
        return _are_held_out(row_digests(rows, frozen.salt), real["evaluation"], real["training"])

    def record(self, batch: StoredBatch) -> Record:
        """A batch's provenance record; an EvidenceError if it is not the one that was recorded."""
        path = self.reader.file(batch.run, names.A_RECORD)
        with reading(batch.run, names.A_RECORD):
            record = Record.from_json(path.read_text(encoding="utf-8"))
        claimed = (batch.run.params[names.P_GENERATOR], batch.run.params[names.P_GENERATOR_VERSION])
        if (
            record.sha256 != batch.run.params[names.P_RECORD]
            or (record.origin.generator, record.origin.version) != claimed
        ):
            raise EvidenceError(
                f"the record of batch {batch.id} is not the one that its run vouches for.",
                f"Restore {names.A_RECORD} of run {batch.run.run_id}, or generate the batch again.",
            )
        return record

    def recorded_rows(self, run: StoredRun) -> Place:
        """Where the real rows of this project lie, as the run of a statement or of an evaluation set says.

        Raises
        ------
        EvidenceError
            If it is a query that problem.md on this machine does not name: it would run with the rights of whoever
            reads the project, because somebody has written it to the server.
        """
        place = recorded_place(run.params[names.P_DATA_PATH])
        if isinstance(place, Address) and place.scheme == "sql" and str(place) != self._data_of_statement_here():
            raise EvidenceError(
                f"the real rows are those of a query that only the server names: {str(place)[:500]}. Nothing was run.",
                f"Read it. If it may run here, name it: `--data {shlex.quote(str(place))}`.",
            )
        return place

    def _data_of_statement_here(self) -> str:
        """The data that problem.md names on this machine, where it lies as it did when it was recorded; else empty."""
        path = Path(self.problem().run.params.get(names.P_STATEMENT_PATH, ""))
        try:
            return parse_statement(path.read_text(encoding="utf-8-sig"), str(path)).facts.data
        except (OSError, UsageError, ValueError):
            return ""

    def _side(self, frozen: EvaluationSet, artifact: str, side: str, digest: str) -> pd.DataFrame:
        stored = frozen.run.params[names.P_ROW_STORAGE] == "rows"
        if stored:
            path = self.reader.file(frozen.run, artifact)
            with reading(frozen.run, artifact):
                rows = restore(read_parquet(path), frozen.schema)
        else:
            rows = self._referenced(frozen, side)
        rows_digest = table_digest(rows, frozen.schema)
        if rows_digest != digest:
            raise EvidenceError(
                f"the {side} rows have content digest {rows_digest[:12]}…, the frozen record says {digest[:12]}…: "
                "someone changed them.",
                f"Restore them from run {frozen.run.run_id}, or start a new project with `synth-mlflow define`."
                if stored
                else f"Restore {frozen.run.params[names.P_DATA_PATH]} as it was when the set was frozen.",
            )
        return rows

    def _referenced(self, frozen: EvaluationSet, side: str) -> pd.DataFrame:
        place = frozen.real_file or self.recorded_rows(frozen.run)
        if isinstance(place, Path) and not place.exists():
            raise EvidenceError(
                f"the real rows of this project are kept by reference, and {place} is not on this machine.",
                "Run this where that file is, put it there, or name it with `--data FILE`; its key stands beside it.",
            )
        split = pq.read_table(self.reader.file(frozen.run, names.A_SPLIT)).to_pandas()
        positions = split.loc[split["side"] == side, "row"].to_numpy()
        rows = _read_again(place, frozen.table)
        if len(split) != len(rows):
            raise EvidenceError(
                f"{place} has {len(rows):,} rows, the frozen record says {len(split):,}: someone changed it."
            )
        return restore(rows.iloc[positions], frozen.schema) if frozen.table is None else taken(rows, positions)


def _read_again(place: Place, table: TableSchema | None) -> pd.DataFrame:
    """The real rows that are kept by reference; an EvidenceError where an address cannot be read any more."""
    try:
        return read_table(place) if table is None else read_real(place, table)
    except UsageError as error:
        if isinstance(place, Path):
            raise
        raise EvidenceError(
            f"the real rows of this project are kept by reference, and {error.found}",
            f"{error.fix} Rows that lie elsewhere now are named by `--data PLACE`.",
        ) from error


def _are_held_out(digests: Hashes, evaluation: Hashes, training: Hashes) -> npt.NDArray[np.bool_]:
    return are_among(digests, evaluation[~are_among(evaluation, training)])


def _folder_of(run: StoredRun) -> Path | None:
    """The folder that a statement was read from."""
    statement_path = run.params.get(names.P_STATEMENT_PATH)
    return None if statement_path is None else Path(statement_path).parent


def _silent(text: str) -> None:
    """Progress that nobody listens to."""


def _uncounted(done: int, total: int, unit: str) -> None:
    """A count that nobody listens to."""
