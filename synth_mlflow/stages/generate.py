"""Stage 3 of 6: make a synthetic batch; none is written without its complete provenance record."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import conform
from synth_mlflow.data.digests import row_digests, table_digest
from synth_mlflow.data.record import Origin, Source, read_origin, record_in_file
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import Statement
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import GeneratorError, SynthError, UsageError, closest
from synth_mlflow.generators import Generator
from synth_mlflow.plugins import find
from synth_mlflow.stages.batch import Made, parsed_slice, refuse_row_count, write_batch
from synth_mlflow.stages.freeze import refuse_negative_seed
from synth_mlflow.stages.real_rows import refuse_synthetic
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import EvaluationSet, Project, StoredBatch


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
        Real rows to learn from instead of the project's training rows, such as rows that may not leave their silo;
        recorded by digest.

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
    refuse_row_count(rows)
    refuse_negative_seed(seed)
    part = parsed_slice(slice, frozen.schema)
    made_by = _instance(generator, params or {})
    members, declared = _members(project, frozen, source)
    settings = dataclasses.asdict(made_by)
    origin = Origin(generator, made_by.version, settings, seed, slice, purpose, door="generator", source=declared)
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
    return write_batch(project, Made(rows, dataclasses.replace(origin, door="file", source=declared), len(rows), 0.0))


def declared_source(project: Project, source: str | None, *, beside: Path = Path()) -> Source:
    """What a maker says about the real rows behind a batch: ``training``, ``none``, a file, or nothing at all."""
    frozen = project.evaluation_set()
    if source is None:
        return Source("not declared")
    if source == "none":
        return Source("none")
    if source == "training":
        return Source("training", frozen.training_digest, int(frozen.run.params[names.P_TRAINING_ROWS]))
    return read_source(project, frozen, beside / source)[1]


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
        return read_source(project, frozen, source)
    members = project.training_rows(frozen)
    return members, Source("training", frozen.training_digest, len(members))


def read_source(project: Project, frozen: EvaluationSet, path: Path) -> tuple[pd.DataFrame, Source]:
    """Real rows from another file; a UsageError if any are synthetic or stand in the evaluation set."""
    rows = conform(read_table(path), frozen.schema, str(path))
    refuse_synthetic(project, path, rows)
    held_out = np.isin(row_digests(rows, frozen.salt), project.row_digests(frozen.run)["evaluation"])
    if held_out.any():
        raise UsageError(
            f"{path} holds {int(held_out.sum()):,} rows of the frozen evaluation set; none may be learned from.",
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
        frame: object = sampler.sample(rows, sampling)
        notes = dict(sampler.notes)
    except SynthError:
        raise
    except Exception as error:  # a plugin may raise anything; the user gets one message, `--debug` the traceback
        raise GeneratorError(f"generator {name} raised {type(error).__name__}: {error}.") from error
    if not isinstance(frame, pd.DataFrame):
        raise GeneratorError(f"generator {name} returned a {type(frame).__name__}, a DataFrame was needed.")
    if len(frame) != rows:
        raise GeneratorError(f"generator {name} returned {len(frame):,} rows, {rows:,} were asked for.")
    return frame, notes
