"""Stage 3 of 6: make a synthetic batch; none is written without its complete provenance record."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from synth_mlflow.allowed_code import importable_here
from synth_mlflow.backends.base import GenerationRequest, GeneratorRunner
from synth_mlflow.backends.batch_request import FromGenerator
from synth_mlflow.backends.batch_writer import (
    BatchBuffer,
    BatchDraft,
    GenerationStats,
    parsed_slice,
    refuse_row_count,
    spooling,
    write_spooled,
)
from synth_mlflow.backends.in_process import maker_here, refuse_version
from synth_mlflow.backends.peer import is_peer, peer_maker
from synth_mlflow.backends.real_rows import declared_source, real_members
from synth_mlflow.backends.subprocess import TIMEOUT_SECONDS, in_subprocess, refuse_time_limit
from synth_mlflow.data.addresses import Place
from synth_mlflow.data.provenance import Origin, read_origin, record_in_file
from synth_mlflow.data.splits import panel_of, refuse_negative_seed
from synth_mlflow.data.tables import table_pieces
from synth_mlflow.errors import UsageError
from synth_mlflow.gate.in_force import kept_constraints
from synth_mlflow.plugins import installed
from synth_mlflow.stages.generator_search import AUTO, search_generators
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch


def generate(project: Project, request: FromGenerator) -> StoredBatch:
    """Fit a generator on real rows, sample a batch from it, and record both.

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
    refuse_row_count(request.rows)
    refuse_negative_seed(request.seed)
    if request.timeout_seconds is not None:
        refuse_time_limit(request.timeout_seconds)
    part = parsed_slice(request.slice, frozen.schema)
    chosen = ""
    if request.generator == AUTO:
        request, chosen = _searched(project, request)
    with importable_here():
        maker = _maker(request)
        if chosen:
            maker = dataclasses.replace(maker, facts={**maker.facts, "chosen_by_search": chosen})
        members, declared = real_members(project, frozen, request.source)
        origin = Origin(
            request.generator,
            maker.version,
            maker.settings,
            request.seed,
            request.slice,
            request.purpose,
            door=maker.door,
            source=declared,
        )
        if maker.door == "generator":
            _refuse_panel(frozen, members, request.generator)
        project.say(f"fitting {request.generator} on {len(members):,} real rows")
        constraints = kept_constraints(project, frozen, members)
        with spooling(frozen, origin, constraints) as spool:
            begun = time.monotonic()
            generation = GenerationRequest(request.rows, request.seed, statement.task, part, statement.constraints)
            notes = maker.run(members, generation, _counted(project, spool, request.rows))
            account = GenerationStats(time.monotonic() - begun, notes, maker.environment)
            return write_spooled(
                project, spool, BatchDraft(request.rows, origin, account, request.pilot, _linked(chosen))
            )


def _searched(project: Project, request: FromGenerator) -> tuple[FromGenerator, str]:
    """The request with the generator that fits best and its parameters, and the run of the search."""
    if request.params or request.version or request.python:
        raise UsageError(
            "`auto` chooses the generator and its parameters, and some were given.",
            "Name the generator that they belong to: `synth-mlflow list` shows them.",
        )
    frozen = project.evaluation_set()
    if request.source is None:  # a file that is read later
        _refuse_panel(frozen, project.training_rows(frozen), "a built-in generator")
    search = search_generators(project, seed=request.seed, slice=request.slice, source=request.source)
    best = search.best
    assert best is not None  # else the search has raised an error
    if len(search.attempts) > 1:
        words = f"{best.candidate.words} ({best.verdict} in its trial)"
        project.say(f"chosen among {len(search.attempts)} attempts: {words}")
    chosen = dataclasses.replace(request, generator=best.candidate.generator, params=best.candidate.params)
    return chosen, search.run_id


def _linked(search_run: str) -> Callable[[RunDraft], None] | None:
    return (lambda draft: draft.param(names.P_SEARCH, search_run)) if search_run else None


def _refuse_panel(frozen: EvaluationSet, members: pd.DataFrame, generator: str) -> None:
    """A generator that makes each row by itself would scatter the rows of a group."""
    panel = panel_of(members, frozen.table.roles if frozen.table else {})
    if panel is None:
        return
    raise UsageError(
        f"{panel.words}. {generator!r} makes each row by itself and would break that.",
        panel.ways_out,
    )


def _counted(project: Project, spool: BatchBuffer, rows: int) -> Callable[[pd.DataFrame], None]:
    """Takes rows in, and tells how many there are by now."""

    def add(frame: pd.DataFrame) -> None:
        spool.add(frame)
        project.count(min(spool.n_rows, rows), rows, "rows")

    return add


def adopt_file(project: Project, path: Place, record: Path) -> StoredBatch:
    """Take in a batch that was made elsewhere, with the record that its maker wrote.

    Raises
    ------
    UsageError
        If a field of the record is missing, or the rows do not have the columns of the real ones.
    """
    frozen = project.evaluation_set()
    origin, source = read_origin(record)
    if record_in_file(path) is not None:
        raise UsageError(f"{path} carries the record of a batch already.", "It needs no second one.")
    members, declared = declared_source(project, source, beside=record.parent)
    origin = dataclasses.replace(origin, door="file", source=declared)
    with spooling(frozen, origin, kept_constraints(project, frozen, members)) as spool:
        for rows in table_pieces(path):
            spool.add(rows)
        return write_spooled(project, spool, BatchDraft(spool.n_rows, origin))


def _maker(request: FromGenerator) -> GeneratorRunner:
    generator, params, seconds = request.generator, request.params or {}, request.timeout_seconds
    if is_peer(generator):
        refuse_version(generator, request.version)
        return peer_maker(generator, params, request.python, TIMEOUT_SECONDS if seconds is None else seconds)
    if request.python is not None:
        raise UsageError(
            f"a Python was given for {generator!r}, which is no peer with an environment of its own.",
            f"Leave it out, or name one of {', '.join(f'{name}:MODEL' for name in installed('peers'))}.",
        )
    maker = maker_here(generator, params, request.version)
    if seconds is None:
        return maker
    again = functools.partial(maker_here, generator, params, request.version)
    return dataclasses.replace(maker, make=in_subprocess(maker, again, seconds))
