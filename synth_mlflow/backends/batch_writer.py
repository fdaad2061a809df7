"""The rows of a batch on their way into a project: checked and written a piece at a time, so that memory stays flat.

The page of a pilot: some synthetic rows beside real ones, for a person to read before many are made.

The one place where synthetic rows enter a project, and only with their complete provenance record.
"""

from __future__ import annotations

import base64
import dataclasses
import getpass
import hashlib
import html
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.backends.real_rows import equal_rows
from synth_mlflow.data.chunks import ChunkWriter, as_pandas, distinctive_rows
from synth_mlflow.data.columns import Schema, conform
from synth_mlflow.data.constraints import Constraints
from synth_mlflow.data.digests import Hashes, canonical_json, json_digest, row_digests
from synth_mlflow.data.environment import environment
from synth_mlflow.data.markup import as_text, refuse_passwords, texts_in
from synth_mlflow.data.private import private_room
from synth_mlflow.data.provenance import METADATA_KEY, DeclaredConstraints, Origin, Record, source_in_words
from synth_mlflow.data.slices import Slice
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.gate.in_force import retracted_like
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft, now_ms
from synth_mlflow.tracking.lineage import record_input
from synth_mlflow.tracking.pandas_digest import pandas_digest
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch
from synth_mlflow.tracking.write import NewRun, create_run, writing

PREVIEW_ROWS = 200


@dataclass(frozen=True)
class RowDigests:
    """The salted digests of a batch's rows, by whether a row can be told by its values alone."""

    distinctive: Hashes
    common: Hashes


class BatchBuffer:
    """Takes the rows of one batch in pieces.

    Parameters
    ----------
    folder : Path
        Where its file is written.
    frozen : EvaluationSet
        Its columns are those that every row must have.
    origin : Origin
        Its slice holds every row.
    constraints : Constraints
        What every row keeps; with the combinations that real rows have.
    """

    def __init__(self, folder: Path, frozen: EvaluationSet, origin: Origin, constraints: Constraints) -> None:
        refuse_passwords(texts_in(dataclasses.asdict(origin)), "the record of the batch")
        self.path = folder / "rows.parquet"
        self.began = now_ms()
        self.preview = pd.DataFrame()
        """The first rows."""
        self._frozen = frozen
        self._origin = origin
        self._part = parsed_slice(origin.slice, frozen.schema)
        self._writer = ChunkWriter(self.path, frozen.schema)
        self._digests: list[Hashes] = []
        self._constraints = constraints
        self._broken: Counter[str] = Counter()

    @property
    def n_rows(self) -> int:
        """How many rows were taken in so far."""
        return self._writer.n_rows

    def add(self, frame: Any) -> None:
        """Take in further rows; any table that :func:`~synth_mlflow.data.chunks.as_pandas` takes.

        Raises
        ------
        UsageError
            If they are no table, do not have the columns of the real ones, or do not lie in the slice of the record.
        """
        rows = conform(as_pandas(frame, "the batch"), self._frozen.schema, "the batch")
        self._refuse_outside(rows)
        self._broken.update(self._constraints.broken(rows))
        self._digests.append(row_digests(rows, self._frozen.salt))
        self._writer.add(rows)
        if len(self.preview) < PREVIEW_ROWS:
            self.preview = pd.concat([self.preview, rows.head(PREVIEW_ROWS - len(self.preview))], ignore_index=True)

    def finish(self) -> str:
        """The content digest of all rows; no more can be added.

        Raises
        ------
        UsageError
            If rows break a declared constraint, with the number for each.
        """
        if self._broken:
            counts = "; ".join(f"{text!r} by {n_rows:,}" for text, n_rows in self._broken.items())
            raise UsageError(
                f"rows of the batch break declared constraints: {counts} of {self.n_rows:,} rows.",
                "Correct or drop these rows, or change `constraints` in problem.md and `synth-mlflow define` it again.",
            )
        return self._writer.finish()

    def close(self, record: Record) -> RowDigests:
        """Close the file, with the record in it; the digests of its rows."""
        self._writer.close({METADATA_KEY: record.to_json().encode()})
        alone = distinctive_rows(self.path, self._frozen.schema)
        digests = np.concatenate(self._digests)
        return RowDigests(digests[alone], digests[~alone])

    def give_up(self) -> None:
        """Close the file, whatever it holds."""
        self._writer.close()

    def _refuse_outside(self, rows: pd.DataFrame) -> None:
        outside = 0 if self._part is None else int((~self._part.mask(rows)).sum())
        if self._part is not None and outside:
            raise UsageError(
                f"{outside:,} of the {len(rows):,} rows do not lie in the slice {self._part.text!r} that the record of "
                f"{self._origin.generator!r} names.",
                "Correct the rows, or the record's slice.",
            )


@contextmanager
def spooling(frozen: EvaluationSet, origin: Origin, constraints: Constraints) -> Iterator[BatchBuffer]:
    """A spool in a temporary folder, which is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="synth-mlflow-", dir=private_room()) as folder:
        spool = BatchBuffer(Path(folder), frozen, origin, constraints)
        try:
            yield spool
        finally:
            spool.give_up()


def parsed_slice(text: str | None, schema: Schema) -> Slice | None:
    """The slice that a batch is made for, checked against the columns; None where it is for the whole table."""
    if text is None:
        return None
    part = Slice.parse(text)
    part.check(schema)
    return part


PILOT_ROWS = 25
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1a1a1a; background: #fff; }
main { display: flex; gap: 2.5rem; align-items: flex-start; flex-wrap: wrap; }
section { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
"""
_POLICY = (  # nothing but this very style sheet; a page of rows that somebody else's generator made
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)


def pilot_page(
    title: str, synthetic: pd.DataFrame, real: pd.DataFrame | None, *, absent: str = "", seed: int = 0
) -> str:
    """One HTML page, without scripts; nothing in the rows becomes markup.

    Parameters
    ----------
    synthetic, real : DataFrame
        The first `SHOWN_ROWS` synthetic rows and as many random real ones are shown; None for real rows that may
        not be.
    absent : str
        Why there are no real rows.
    seed : int
        Of the choice among the real rows.
    """
    beside = f"<p>{html.escape(absent)}</p>"
    if real is not None:
        beside = _table(real.sample(min(PILOT_ROWS, len(real)), random_state=seed))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n"
        "<p>Read them as somebody who knows the data: impossible combinations, odd texts, values that repeat, anything "
        "that gives the synthetic ones away.</p>\n"
        f"<main><section><h2>Synthetic</h2>{_table(synthetic.head(PILOT_ROWS))}</section>\n"
        f"<section><h2>Real</h2>{beside}</section></main></body></html>\n"
    )


def _table(rows: pd.DataFrame) -> str:
    with pd.option_context("display.max_colwidth", 200):
        return str(rows.to_html(index=False, escape=True, na_rep="", border=0, max_rows=None))


SHOWN_ROWS = 50


@dataclass(frozen=True)
class GenerationStats:
    """What is known of how rows were made."""

    seconds: float = 0.0
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of another Python that made them."""


@dataclass(frozen=True)
class BatchDraft:
    """What the record says of rows that were taken in."""

    rows_asked: int
    origin: Origin
    account: GenerationStats = GenerationStats()
    pilot: bool = False
    """Whether they are made to be read, beside real ones, and not to be trained on."""
    also: Callable[[RunDraft], None] | None = None
    """Adds further evidence to the run."""


def write_spooled(project: Project, spool: BatchBuffer, made: BatchDraft) -> StoredBatch:
    """Write a batch whose rows were taken in: the one place where synthetic rows enter a project, and only with their
    complete record.

    Raises
    ------
    UsageError
        If there are no rows, or some are rows of the evaluation set.
    """
    frozen = project.evaluation_set()
    refuse_row_count(spool.n_rows)
    digest = spool.finish()
    key = json_digest(["pilot" if made.pilot else "batch", digest, dataclasses.asdict(made.origin)])
    record = _record(project, frozen, made, spool.n_rows, digest, key)
    digests = spool.close(record)
    fix = "Fit it on the training rows only (`workflow.training_rows()`), and make the batch again."
    n_equal = equal_rows(project, frozen, np.concatenate([digests.distinctive, digests.common]), "the batch", fix)
    _refuse_retracted(project, frozen, digests, digest)
    existing = project.reader.recorded(key)
    if existing:
        project.say(f"this very batch is recorded already as run {existing[-1].run_id}")
        return StoredBatch(existing[-1])
    run_id = create_run(project.server, _new_run(record, key, _began(spool, made)), parent=project.workflow_run)
    with writing(project.server, run_id, "batch") as draft:
        _keep_rows(draft, record, spool, digests)
        if made.pilot:
            _keep_pilot(draft, project, record, spool.preview)
        _state(draft, record, frozen)
        draft.metric(names.M_EQUAL_ROWS, n_equal)
        draft.param(names.P_KEY, key)
        if made.also is not None:
            made.also(draft)
        draft.before_it_counts = lambda: _refuse_taken(project, record, run_id)
    return project.batch(record.batch)


def _refuse_taken(project: Project, record: Record, run_id: str) -> None:
    """Two different batches never share a short id, though their digests begin alike and they are made at once."""
    named = project.reader.finished("batch", where=f"tags.`{names.TAG_BATCH}` = '{record.batch}'")
    others = [run for run in named if run.run_id != run_id and run.params.get(names.P_BATCH_DIGEST) != record.digest]
    if others:
        raise GateError(
            f"the short id {record.batch} was taken by another batch, run {others[0].run_id}, at the same moment; "
            "nothing was recorded.",
            "Run the same command again: it will choose another id.",
        )


def refuse_row_count(n_rows: int) -> None:
    """A UsageError for a batch without rows."""
    if n_rows < 1:
        raise UsageError(f"a batch of {n_rows:,} rows was asked for, at least 1 is needed.")


def _refuse_retracted(project: Project, frozen: EvaluationSet, digests: RowDigests, digest: str) -> None:
    rows = np.concatenate([digests.distinctive, digests.common])
    reason = retracted_like(project, frozen, rows, digest)
    if reason:
        raise GateError(
            f"the batch is not written: {reason}.",
            "A retraction is for good, whatever the rows are called. Make other rows: "
            "another seed, such as `--seed 1`, or other parameters.",
        )


def _record(project: Project, frozen: EvaluationSet, made: BatchDraft, n_rows: int, digest: str, key: str) -> Record:
    account, statement = made.account, project.problem().statement
    drawn = account.notes.get("constraints", {})
    constraints = DeclaredConstraints(tuple(one.text for one in statement.constraints), drawn.get("acceptance_rate"))
    return Record(
        batch=_short_id(project, made.origin.generator, digest, key),
        origin=made.origin,
        rows_asked=made.rows_asked,
        rows=n_rows,
        columns=dict(frozen.schema.kinds),
        digest=digest,
        statement_digest=statement.digest,
        evaluation_digest=frozen.digest,
        environment={**environment(), **account.environment},
        created_by=user_name(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(account.seconds, 3),
        constraints=constraints,
        notes={**account.notes, "pilot": True} if made.pilot else account.notes,
    )


def _short_id(project: Project, generator: str, digest: str, key: str) -> str:
    stem = "".join(c if c.isalnum() else "-" for c in generator.rpartition(":")[2]).strip("-").lower() or "batch"
    taken = {run.tags.get(names.TAG_BATCH) for run in project.reader.runs("batch") if run.tags[names.TAG_KEY] != key}
    return next(name for length in range(4, 65) if (name := f"{stem}-{digest[:length]}") not in taken)


def user_name() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user entry
        return "unknown"


def _began(spool: BatchBuffer, made: BatchDraft) -> int:
    """When the work on a batch began; some rows are made before any is taken in."""
    return min(spool.began, now_ms() - round(made.account.seconds * 1000))


def _new_run(record: Record, key: str, began: int) -> NewRun:
    origin = record.origin
    seed = "" if origin.seed is None else f" · seed {origin.seed}"
    tags = {
        names.TAG_BATCH: record.batch,
        names.TAG_GENERATOR: origin.generator,
        names.TAG_GENERATOR_VERSION: origin.version,
        names.TAG_SLICE: origin.slice or "",
        names.TAG_PURPOSE: origin.purpose,
        names.TAG_VERDICT: "unvalidated",
        names.TAG_RETRACTED: "false",
    }
    return NewRun("batch", f"{record.batch} · {record.rows:,} rows{seed}", key, tags, began)


def _keep_rows(draft: RunDraft, record: Record, spool: BatchBuffer, digests: RowDigests) -> None:
    shutil.move(spool.path, draft.file(names.A_BATCH))
    draft.text(names.A_RECORD, record.to_json())
    np.savez(draft.file(names.A_ROW_DIGESTS), distinctive=digests.distinctive, common=digests.common)
    draft.frame(names.A_PREVIEW, spool.preview.head(SHOWN_ROWS))
    draft.param(names.P_PANDAS_DIGEST, pandas_digest(draft.file(names.A_BATCH)))
    draft.inputs.append(record_input(record, draft.run_id))


def _keep_pilot(draft: RunDraft, project: Project, record: Record, rows: pd.DataFrame) -> None:
    frozen, real, absent = project.evaluation_set(), None, ""
    if frozen.run.params[names.P_ROW_STORAGE] != "rows":
        absent = "The real rows of this project are kept by reference, and are not copied to the server."
    elif record.origin.source.kind == "file":
        absent = "The batch was learned from real rows elsewhere, which are not copied to the server."
    else:
        real = project.training_rows(frozen)
        part = parsed_slice(record.origin.slice, frozen.schema)
        real = real if part is None else real[part.mask(real)]
    draft.text(names.A_PILOT, pilot_page(f"Pilot {record.batch}", rows, real, absent=absent))
    draft.param(names.P_PILOT, "true")


def _state(draft: RunDraft, record: Record, frozen: EvaluationSet) -> None:
    origin = record.origin
    draft.param(names.P_BATCH, record.batch)
    draft.param(names.P_BATCH_DIGEST, record.digest)
    draft.param(names.P_RECORD, record.sha256)
    draft.param(names.P_GENERATOR, origin.generator)
    draft.param(names.P_GENERATOR_VERSION, origin.version)
    params = canonical_json(dict(origin.params))
    draft.param(names.P_GENERATOR_PARAMS, params if len(params) < 3_000 else {"in": names.A_RECORD})
    draft.param(names.P_SEED, origin.seed)
    draft.param(names.P_SLICE, origin.slice or "")
    draft.param(names.P_PURPOSE, origin.purpose[:3_000])
    draft.param(names.P_INGESTION, origin.door)
    draft.param(names.P_SOURCE, dataclasses.asdict(origin.source))
    draft.param(names.P_ROWS, record.rows)
    draft.param(names.P_EVALUATION_DIGEST, frozen.digest)
    for name in (names.P_SALT, names.P_KEY_FINGERPRINT):  # so that its digests can be read without the set's run
        if name in frozen.run.params:
            draft.param(name, frozen.run.params[name])
    draft.param(names.P_STATEMENT, record.statement_digest)
    draft.param(names.P_ENVIRONMENT, record.environment)
    draft.param(names.P_CREATED_AT, record.created_at)
    draft.param(names.P_CREATED_BY, record.created_by)
    draft.metric(names.M_ROWS, record.rows)
    draft.metric(names.M_SECONDS, record.seconds)
    draft.describe(_description(record))


def _description(record: Record) -> str:
    origin = record.origin
    seed = "none" if origin.seed is None else str(origin.seed)
    return (
        f"**Unvalidated.** A synthetic batch: {record.rows:,} rows made by {as_text(origin.generator)} "
        f"{as_text(origin.version)}. Next: `synth-mlflow validate {record.batch}`.\n\n"
        f"| purpose | slice | seed | learned from |\n|---|---|---|---|\n"
        f"| {as_text(origin.purpose)} | {as_text(origin.slice or 'the whole table')} | {seed} "
        f"| {as_text(source_in_words(origin.source))} |"
    )
