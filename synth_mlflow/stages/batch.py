"""The one place where synthetic rows enter a project, and only with their complete provenance record."""

from __future__ import annotations

import dataclasses
import getpass
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.data.environment import environment
from synth_mlflow.data.markdown_text import as_text
from synth_mlflow.data.record import DeclaredConstraints, Origin, Record, source_in_words
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.gate.standing import retracted_like
from synth_mlflow.stages.dataset_inputs import record_input
from synth_mlflow.stages.held_out_rows import equal_rows
from synth_mlflow.stages.pilot_page import pilot_page
from synth_mlflow.stages.spool import RowDigests, Spool, parsed_slice
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Draft
from synth_mlflow.tracking.pandas_digest import pandas_digest
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch
from synth_mlflow.tracking.write import NewRun, create_run, writing

SHOWN_ROWS = 50


@dataclass(frozen=True)
class Account:
    """What is known of how rows were made."""

    seconds: float = 0.0
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of another Python that made them."""


@dataclass(frozen=True)
class Made:
    """What the record says of rows that were taken in."""

    rows_asked: int
    origin: Origin
    account: Account = Account()
    pilot: bool = False
    """Whether they are made to be read, beside real ones, and not to be trained on."""
    also: Callable[[Draft], None] | None = None
    """Adds further evidence to the run."""


def write_spooled(project: Project, spool: Spool, made: Made) -> StoredBatch:
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
    run_id = create_run(project.server, _new_run(record, key), parent=project.workflow_run)
    with writing(project.server, run_id) as draft:
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
            "A retraction is for good, whatever the rows are called. Make other rows: another seed, other parameters.",
        )


def _record(project: Project, frozen: EvaluationSet, made: Made, n_rows: int, digest: str, key: str) -> Record:
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


def _new_run(record: Record, key: str) -> NewRun:
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
    return NewRun("batch", f"{record.batch} · {record.rows:,} rows{seed}", key, tags)


def _keep_rows(draft: Draft, record: Record, spool: Spool, digests: RowDigests) -> None:
    shutil.move(spool.path, draft.file(names.A_BATCH))
    draft.text(names.A_RECORD, record.to_json())
    np.savez(draft.file(names.A_ROW_DIGESTS), distinctive=digests.distinctive, common=digests.common)
    draft.frame(names.A_PREVIEW, spool.preview.head(SHOWN_ROWS))
    draft.param(names.P_PANDAS_DIGEST, pandas_digest(draft.file(names.A_BATCH)))
    draft.inputs.append(record_input(record, draft.run_id))


def _keep_pilot(draft: Draft, project: Project, record: Record, rows: pd.DataFrame) -> None:
    frozen, real, absent = project.evaluation_set(), None, ""
    if frozen.run.params[names.P_STORE] != "rows":
        absent = "The real rows of this project are kept by reference, and are not copied to the server."
    elif record.origin.source.kind == "file":
        absent = "The batch was learned from real rows elsewhere, which are not copied to the server."
    else:
        real = project.training_rows(frozen)
        part = parsed_slice(record.origin.slice, frozen.schema)
        real = real if part is None else real[part.mask(real)]
    draft.text(names.A_PILOT, pilot_page(f"Pilot {record.batch}", rows, real, absent=absent))
    draft.param(names.P_PILOT, "true")


def _state(draft: Draft, record: Record, frozen: EvaluationSet) -> None:
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
    draft.param(names.P_DOOR, origin.door)
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
