"""Stage 3 of 6: make a synthetic batch; none is written without its complete provenance record."""

from __future__ import annotations

import dataclasses
import getpass
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import Schema, conform
from synth_mlflow.data.digests import canonical_json, json_digest, row_digests, row_hashes, table_digest
from synth_mlflow.data.environment import environment
from synth_mlflow.data.record import METADATA_KEY, Origin, Record, Source, read_origin, record_in_file
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import Statement
from synth_mlflow.data.tables import read_table, write_parquet
from synth_mlflow.errors import GeneratorError, SynthError, UsageError, closest
from synth_mlflow.generators import Generator
from synth_mlflow.plugins import find
from synth_mlflow.stages.real_rows import distinctive, refuse_synthetic
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import EvaluationSet, Project, StoredBatch
from synth_mlflow.tracking.write import Draft, Input, NewRun, create_run, writing

PREVIEW_ROWS = 50


@dataclass(frozen=True)
class Made:
    """Rows that a generator has made, and what is known about how."""

    rows: pd.DataFrame
    origin: Origin
    rows_asked: int
    seconds: float
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def generate(
    project: Project,
    generator: str,
    *,
    rows: int,
    seed: int,
    purpose: str,
    slice: str | None = None,  # noqa: A002 - the word that users know
    params: Mapping[str, Any] | None = None,
    source: Path | None = None,
) -> StoredBatch:
    """Fit an installed generator on real rows, sample a batch from it, and record both.

    Parameters
    ----------
    project : Project
    generator : str
        The name of an installed generator.
    rows : int
        How many rows to make.
    seed : int
        The same seed and inputs give the same rows.
    purpose : str
        Why this batch is made, in words.
    slice : str, optional
        The condition that every row must satisfy.
    params : mapping, optional
        The generator's parameters; those not given keep their defaults.
    source : Path, optional
        Real rows to learn from instead of the project's training rows, such as rows that may not leave their silo; recorded
        by digest.

    Raises
    ------
    GateError
        Before `freeze`.
    UsageError
        If the generator, its parameters, the slice or the source cannot be used.
    GeneratorError
        If the generator raises, or returns what it must not.
    """
    frozen = project.evaluation_set()
    statement = project.problem().statement
    _refuse_row_count(rows)
    part = _slice(slice, frozen.schema)
    made_by = _instance(generator, params or {})
    members, declared = _members(project, frozen, source)
    origin = Origin(
        generator,
        made_by.version,
        dataclasses.asdict(made_by),
        seed,
        slice,
        purpose,
        source=declared,  # type: ignore[call-overload]
    )
    project.say(f"fitting {generator} on {len(members):,} real rows")
    begun = time.monotonic()
    frame, notes = _sampled(made_by, members, statement, rows, seed, part)
    made = Made(frame, origin, rows, time.monotonic() - begun, {**notes, "leaky": made_by.leaky})
    return write_batch(project, made)


def adopt_file(project: Project, path: Path, record: Path) -> StoredBatch:
    """Take in a batch that was made elsewhere, with the record that its maker wrote.

    Raises
    ------
    UsageError
        If a field of the record is missing, or the rows do not have the columns of the real ones.
    """
    project.evaluation_set()
    origin, source = read_origin(record)
    if record_in_file(path) is not None:
        raise UsageError(f"{path} carries the record of a batch already.", "It needs no second one.")
    rows = read_table(path)
    declared = declared_source(project, source, beside=record.parent)
    return write_batch(project, Made(rows, dataclasses.replace(origin, source=declared), len(rows), 0.0))


def declared_source(project: Project, source: str | None, *, beside: Path = Path()) -> Source:
    """What a maker says about the real rows behind a batch: ``training``, ``none``, a file, or nothing at all."""
    frozen = project.evaluation_set()
    if source is None:
        return Source("not declared")
    if source == "none":
        return Source("none")
    if source == "training":
        return Source("training", frozen.training_digest, int(frozen.run.params[names.P_TRAINING_ROWS]))
    return _read_source(project, frozen, beside / source)[1]


def write_batch(project: Project, made: Made) -> StoredBatch:
    """Write a batch: the one place where synthetic rows enter a project, and only with their complete record.

    Raises
    ------
    UsageError
        If the rows do not have the columns of the real ones, or do not lie in the slice that the record names.
    """
    frozen = project.evaluation_set()
    rows = conform(made.rows, frozen.schema, "the batch")
    _refuse_row_count(len(rows))
    _refuse_outside(rows, _slice(made.origin.slice, frozen.schema), made.origin)
    digest = table_digest(rows, frozen.schema)
    key = json_digest(["batch", digest, dataclasses.asdict(made.origin)])
    existing = [run for run in project.reader.with_key(key) if run.counts]
    if existing:
        project.say(f"this very batch is recorded already as run {existing[-1].run_id}")
        return StoredBatch(existing[-1])
    record = _record(project, frozen, made, rows, digest)
    run_id = create_run(project.server, _new_run(record, key), parent=project.workflow_run)
    with writing(project.server, run_id) as draft:
        _keep_rows(draft, record, rows, frozen)
        _state(draft, record, frozen)
    return project.batch(record.batch)


def _refuse_row_count(n_rows: int) -> None:
    if n_rows < 1:
        raise UsageError(f"a batch of {n_rows:,} rows was asked for, at least 1 is needed.")


def _slice(text: str | None, schema: Schema) -> Slice | None:
    if text is None:
        return None
    part = Slice.parse(text)
    part.check(schema)
    return part


def _instance(name: str, params: Mapping[str, Any]) -> Generator:
    made_of = find("generators", name).load()
    known = [field.name for field in dataclasses.fields(made_of)]
    for key in params:
        if key not in known:
            raise UsageError(f"generator {name!r} has no parameter {key!r}. {closest(key, known)}")
    try:
        generator: Generator = made_of(**params)
    except (TypeError, ValueError) as error:
        raise UsageError(f"generator {name!r} does not take these parameters: {error}.") from error
    return generator


def _members(project: Project, frozen: EvaluationSet, source: Path | None) -> tuple[pd.DataFrame, Source]:
    if source is not None:
        return _read_source(project, frozen, source)
    members = project.training_rows(frozen)
    return members, Source("training", frozen.training_digest, len(members))


def _read_source(project: Project, frozen: EvaluationSet, path: Path) -> tuple[pd.DataFrame, Source]:
    rows = conform(read_table(path), frozen.schema, str(path))
    refuse_synthetic(project, path, rows)
    held_out = np.isin(row_digests(rows, frozen.salt), project.row_digests(frozen.run)["evaluation"])
    if held_out.any():
        raise UsageError(
            f"{path} holds {int(held_out.sum()):,} rows of the frozen evaluation set; no generator may learn from them.",
            "Take them out of the file.",
        )
    return rows, Source("file", table_digest(rows, frozen.schema), len(rows))


def _sampled(
    generator: Generator, members: pd.DataFrame, statement: Statement, rows: int, seed: int, part: Slice | None
) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    fitting, sampling = np.random.default_rng(seed).spawn(2)
    name = type(generator).__name__
    try:
        sampler = generator.fit(members, statement.task, fitting, slice=part)
        frame = sampler.sample(rows, sampling)
        notes = dict(sampler.notes)
    except SynthError:
        raise
    except Exception as error:  # a plugin may raise anything; the user gets one message, `--debug` the traceback
        raise GeneratorError(f"generator {name} raised {type(error).__name__}: {error}.") from error
    if len(frame) != rows:
        raise GeneratorError(f"generator {name} returned {len(frame):,} rows, {rows:,} were asked for.")
    return frame, notes


def _refuse_outside(rows: pd.DataFrame, part: Slice | None, origin: Origin) -> None:
    if part is None:
        return
    outside = int((~part.mask(rows)).sum())
    if outside:
        raise UsageError(
            f"{outside:,} of the {len(rows):,} rows do not lie in the slice {part.text!r} that the record of "
            f"{origin.generator!r} names.",
            "Correct the rows, or the record's slice.",
        )


def _record(project: Project, frozen: EvaluationSet, made: Made, rows: pd.DataFrame, digest: str) -> Record:
    return Record(
        batch=_short_id(project, made.origin.generator, digest),
        origin=made.origin,
        rows_asked=made.rows_asked,
        rows=len(rows),
        columns=dict(frozen.schema.kinds),
        digest=digest,
        statement_digest=project.problem().statement.digest,
        evaluation_digest=frozen.digest,
        environment=environment(),
        created_by=_user(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(made.seconds, 3),
        notes=made.notes,
    )


def _short_id(project: Project, generator: str, digest: str) -> str:
    stem = "".join(c if c.isalnum() else "-" for c in generator.rpartition(":")[2]).strip("-").lower() or "batch"
    taken = {batch.id for batch in project.batches()}
    return next(name for length in (4, 8, 16, 64) if (name := f"{stem}-{digest[:length]}") not in taken)


def _user() -> str:
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


def _keep_rows(draft: Draft, record: Record, rows: pd.DataFrame, frozen: EvaluationSet) -> None:
    text = record.to_json()
    write_parquet(rows, draft.file(names.A_BATCH), {METADATA_KEY: text.encode()})
    draft.text(names.A_RECORD, text)
    digests, alone = row_digests(rows, frozen.salt), distinctive(rows)
    np.savez(draft.file(names.A_ROW_DIGESTS), distinctive=digests[alone], common=digests[~alone])
    preview = rows.head(PREVIEW_ROWS).astype(object).where(rows.head(PREVIEW_ROWS).notna(), None)
    draft.table(
        names.A_PREVIEW, [str(name) for name in rows.columns], [[_plain(v) for v in row] for row in preview.to_numpy()]
    )
    uri = f"runs:/{draft.run_id}/{names.A_BATCH}"
    batch = f"batch {record.batch}"
    draft.inputs.append(Input(batch, record.digest, names.CONTEXT_SYNTHETIC, uri, len(rows), rows.shape[1]))


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.item() if isinstance(value, np.generic) else str(value)


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
    draft.param(names.P_SOURCE, dataclasses.asdict(origin.source))
    draft.param(names.P_ROWS, record.rows)
    draft.param(names.P_EVALUATION_DIGEST, frozen.digest)
    draft.param(names.P_STATEMENT, record.statement_digest)
    draft.metric(names.M_ROWS, record.rows)
    draft.metric(names.M_SECONDS, record.seconds)
    draft.describe(_description(record))


def _description(record: Record) -> str:
    origin = record.origin
    seed = "none" if origin.seed is None else str(origin.seed)
    return (
        f"**Unvalidated.** A synthetic batch: {record.rows:,} rows made by {origin.generator} {origin.version}. "
        f"Next: `synth-mlflow validate {record.batch}`.\n\n"
        f"| purpose | slice | seed | learned from |\n|---|---|---|---|\n"
        f"| {origin.purpose} | {origin.slice or 'the whole table'} | {seed} | {source_in_words(origin.source)} |"
    )


def source_in_words(source: Source) -> str:
    """What a batch was learned from, as a person would say it."""
    words = {
        "training": f"{source.n_rows or 0:,} real training rows",
        "file": f"{source.n_rows or 0:,} rows of another real source ({(source.digest or '')[:12]}…)",
        "none": "no real rows",
        "not declared": "its maker did not say",
    }
    return words[source.kind]
