"""Make a recorded sweep's rows, or a batch's, again from what was recorded.

A sweep that was recorded, with the very rows, batches, settings and plan that it was made with.

The rows of a recorded batch, made again from its record alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import pandas as pd

from synth_mlflow.allowed_code import importable_here
from synth_mlflow.backends.base import GenerationRequest, GeneratorRunner, installed_maker
from synth_mlflow.backends.batch_writer import BatchBuffer, parsed_slice, spooling
from synth_mlflow.backends.command import command_again
from synth_mlflow.backends.in_process import own_maker
from synth_mlflow.backends.llm import llm_again
from synth_mlflow.backends.peer import peer_maker
from synth_mlflow.backends.subprocess import TIMEOUT_SECONDS
from synth_mlflow.data.mixing import Mix, Places
from synth_mlflow.data.private import Rare, as_missing
from synth_mlflow.data.provenance import LEARNED_ROWS, Origin
from synth_mlflow.data.table_files import read_parquet
from synth_mlflow.data.tables import restore
from synth_mlflow.data.task import ModelSpec
from synth_mlflow.errors import EvidenceError, GateError, PluginError, SynthError, UsageError, closest
from synth_mlflow.gate.in_force import kept_constraints
from synth_mlflow.generators import is_external
from synth_mlflow.plugins import BUILT_IN, find, installed
from synth_mlflow.stages.fit_commands import recorded_spec
from synth_mlflow.stages.hidden_labels import hidden_labels
from synth_mlflow.stages.sweep_inputs import settled_model
from synth_mlflow.sweep.curve import Curve
from synth_mlflow.sweep.plan import EVERYTHING, Rule, Sources, SweepPlan
from synth_mlflow.sweep.runner import rows_inside
from synth_mlflow.sweep.sampled_rows import sampled_added, sampled_rows
from synth_mlflow.sweep.selection import RULE_WORDS
from synth_mlflow.tracking import lineage, names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun, expand_run_id
from synth_mlflow.tracking.stored import EvaluationSet, Problem, StoredBatch


@dataclass(frozen=True)
class FittedTables:
    """Real and synthetic rows, and the batch of each synthetic one."""

    real: pd.DataFrame
    synthetic: pd.DataFrame
    origin: np.ndarray[tuple[int], np.dtype[np.object_]]

    def sample(self, real: Places) -> FittedTables:
        """Some of the real rows, and as large a share of the others."""
        added = sampled_added(pd.Series(self.origin), len(real) / len(self.real))
        taken = self.real.iloc[real].reset_index(drop=True), self.synthetic.iloc[added].reset_index(drop=True)
        return FittedTables(*taken, self.origin[added])


@dataclass(frozen=True)
class RecordedSweep:
    """A sweep as it stands on the server; its rows are read when they are asked for, and checked against digests."""

    project: Project
    run: StoredRun
    final: StoredRun
    problem: Problem
    frozen: EvaluationSet
    batches: tuple[StoredBatch, ...]
    """In the order in which the sweep took them, whatever their gates say today."""

    @cached_property
    def curve(self) -> Curve:
        """What the sweep found."""
        return self.project.curve(self.run)

    @cached_property
    def training(self) -> pd.DataFrame:
        """The real training rows, as models saw them."""
        return as_missing(self.project.training_rows(self.frozen), self._hidden)

    @cached_property
    def evaluation(self) -> pd.DataFrame:
        """The frozen evaluation rows, as models saw them."""
        return as_missing(self.project.evaluation_rows(self.frozen), self._hidden)

    @cached_property
    def _hidden(self) -> Rare:
        if not self.frozen.keeps_values:
            return {}
        real = (self.project.training_rows(self.frozen), self.project.evaluation_rows(self.frozen))
        return hidden_labels(self.frozen, self.problem.statement, *real)

    @cached_property
    def tables(self) -> tuple[pd.DataFrame, ...]:
        """The rows of each batch that the sweep fitted models on."""
        return tuple(self.rows_to_fit(self.project.batch_rows(batch, self.frozen.schema)) for batch in self.batches)

    def rows_to_fit(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Without those that equal an evaluation row; older sweeps, which do not say so, fitted models on all."""
        left_out = names.P_LEFT_OUT in self.run.params
        real_rows = self.project.without_evaluation_rows(rows, self.frozen) if left_out else rows
        return as_missing(real_rows, self._hidden)

    @property
    def synthetic(self) -> pd.DataFrame:
        """The rows of all batches, one under the other."""
        return pd.concat(self.tables, ignore_index=True)

    @property
    def origin(self) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
        """The batch of each synthetic row."""
        ids = np.array([batch.id for batch in self.batches], dtype=object)
        return np.repeat(ids, [len(table) for table in self.tables])

    @property
    def spec(self) -> ModelSpec:
        """The model as it was settled on real rows alone, or the commands that fitted it.

        A UsageError is raised for commands that nobody here has allowed.
        """
        if names.P_COMMANDS in self.run.params:
            self.project.reader.verify_seal(self.run)
            return recorded_spec(self.run.params[names.P_COMMANDS])
        return settled_model(self.project, self.frozen)

    def plan(self, *, n_jobs: int = -1) -> SweepPlan:
        """What the sweep did."""
        params = self.run.params
        mix = next(mix for mix in get_args(Mix) if mix == params[names.P_MIX])
        axis = self.curve.axis
        rule: Rule = next(rule for rule, words in RULE_WORDS.items() if axis.spoken(words) == params[names.P_RULE])
        by_source, repeats = self.curve.by_source(), int(params[names.P_REPEATS])
        # of mixes the one that led was swept at more ratios than any other
        leading = max(by_source.values(), key=len) if axis.name == "mix" else self.curve.points
        sources = sorted(by_source, key=lambda source: (by_source[source] is not leading, source))
        return SweepPlan(
            tuple(point.ratio for point in leading),
            repeats,
            mix,
            rule,
            int(params[names.P_SEED]),
            n_jobs,
            self.problem.statement.guardrail,
            tuple(sources if axis.name == "mix" else sorted(by_source)),
            axis,
            len(self.training) if names.P_FIT_ROWS in params else None,
        )

    @cached_property
    def fitted(self) -> FittedTables:
        """The rows that the fits of the curve took: all of them, or a sample."""
        every = FittedTables(self.training, self.synthetic, self.origin)
        if names.P_FIT_ROWS not in self.run.params:
            return every
        statement = self.problem.statement
        real = sampled_rows(self.training, self.frozen.task_of(statement), self.spec, statement.slices)
        return every if real is None else every.sample(real)

    @property
    def sources(self) -> Sources:
        """Places of the fitted synthetic rows of each generator that was swept on its own, or of the slice."""
        inside = rows_inside(self.plan(), self.fitted.synthetic, self.problem.statement.slices)
        if inside is not None:
            return {EVERYTHING: np.flatnonzero(inside)}
        if self.curve.axis.name == "mix":
            return {}
        generators = {batch.id: batch.generator for batch in self.batches}
        of_row = np.array([generators[batch] for batch in self.fitted.origin], dtype=object)
        return {source: np.flatnonzero(of_row == source) for source in self.curve.by_source() if source}

    @property
    def inside(self) -> tuple[StoredBatch, ...]:
        """The batches that the model was mixed from: all of them, or those of the generator that won."""
        named = set(self.final.batches)
        return tuple(batch for batch in self.batches if batch.id in named)


def recorded_sweep(project: Project, what: str | None = None) -> RecordedSweep:
    """A sweep by its run, its final model's or a handoff's run, or the model that it registered; by default the newest.

    Raises
    ------
    GateError
        If there is no sweep yet.
    UsageError
        If nothing of this project is called so.
    EvidenceError
        If its final model or one of its batches is gone.
    """
    sweeps = {run.run_id: run for run in project.reader.finished("sweep")}
    if not sweeps:
        raise GateError(f"project {project.server.experiment!r} has no model yet.", "First: `synth-mlflow sweep`.")
    run = list(sweeps.values())[-1] if what is None else _named(project, sweeps, what)
    finals = [child for child in project.reader.children(run.run_id) if child.stage == "final" and child.counts]
    if not finals:
        raise EvidenceError(f"the final model of sweep {run.run_id} is gone.", "Restore its run in MLflow.")
    return RecordedSweep(project, run, finals[-1], project.problem(), project.evaluation_set(), _batches(project, run))


def _named(project: Project, sweeps: dict[str, StoredRun], what: str) -> StoredRun:
    run_id = lineage.registered_version(project.server, what).run_id if what.startswith("models:") else what
    run_id = expand_run_id(run_id, [*sweeps, *(run.run_id for run in project.reader.finished("final", "handoff"))])
    run = sweeps.get(run_id) or project.reader.find(run_id)
    sweep = run and (sweeps.get(run.run_id) or sweeps.get(run.params.get(names.P_SWEEP, "")))
    if not sweep:
        raise UsageError(
            f"{what!r} is no sweep, model or handoff of project {project.server.experiment!r}. {closest(what, sweeps)}",
            "Give a run id or `models:/NAME/VERSION`; without one, the newest model is meant.",
        )
    return sweep


def _batches(project: Project, run: StoredRun) -> tuple[StoredBatch, ...]:
    held = {batch.id: batch for batch in project.batches()}
    gone = [batch for batch in run.batches if batch not in held]
    if gone:
        raise EvidenceError(f"sweep {run.run_id} used batch {', '.join(gone)}, whose run is gone.", "Restore it.")
    return tuple(held[batch] for batch in run.batches)


EXTERNAL = {
    "command": "runs a command",
    "code": "runs code that the record names",
    "peer": "runs in another Python",
    "llm": "asks a language model",
}
"""What a source of rows does that nobody may be made to do by a record alone."""


class CannotError(SynthError):
    """A step that cannot be done here, and why."""


@dataclass(frozen=True)
class ReplayedBatch:
    """Rows that were made again."""

    rows: pd.DataFrame
    digest: str
    version: str
    """Of the generator that is installed here."""


@dataclass(frozen=True)
class BatchReplayer:
    """Where batches are made again."""

    project: Project
    frozen: EvaluationSet
    sources: Mapping[str, pd.DataFrame]
    """Real rows that the server does not hold, by content digest."""
    allow_external: bool
    """Whether commands may run, services be called, and code be loaded that only the record names."""
    python: str | None = None
    """The Python of the environment of a peer."""

    def remake(self, batch: StoredBatch) -> ReplayedBatch:
        """Make a batch again.

        Raises
        ------
        CannotError
            If it was made elsewhere, its generator or the rows that it learned from are not here, or it may not run.
        SynthError
            If the generator fails, or makes what it must not.
        """
        origin = self.project.record(batch).origin
        self._refuse(origin)
        members = self._members(origin)
        constraints = kept_constraints(self.project, self.frozen, members)
        with spooling(self.frozen, origin, constraints) as spool:
            version = self._fill(spool, batch, origin, members)
            digest = spool.finish()
            spool.give_up()
            return ReplayedBatch(restore(read_parquet(spool.path), self.frozen.schema), digest, version)

    def _fill(self, spool: BatchBuffer, batch: StoredBatch, origin: Origin, members: pd.DataFrame | None) -> str:
        shown = self._training() if members is None else members
        if origin.door == "command":
            command_again(origin, batch.n_rows, members, spool)
            return origin.version
        if origin.door == "llm":
            return llm_again(self.project, self.project.record(batch), shown, spool)
        statement = self.project.problem().statement
        part = parsed_slice(origin.slice, self.frozen.schema)
        sampled = LEARNED_ROWS in self.project.record(batch).notes
        request = GenerationRequest(
            batch.n_rows, origin.seed or 0, statement.task, part, statement.constraints, may_sample=sampled
        )
        with importable_here():
            maker = _maker(origin, self.python)
            maker.run(shown, request, spool.add)
        return maker.version

    def _refuse(self, origin: Origin) -> None:
        made = f"{origin.generator} {origin.version}"
        if origin.door in {"python", "file"}:
            raise CannotError(f"{made} made it elsewhere: its code is not known here, its rows are on the server")
        if origin.door == "generator" and origin.generator not in installed("generators"):
            raise CannotError(f"generator {origin.generator!r} is not installed here; {made} made it")
        plugin = find("generators", origin.generator) if origin.door == "generator" else None
        external = plugin is None or plugin.origin != BUILT_IN or is_external(_loaded(origin.generator))
        if external and not self.allow_external:
            does = EXTERNAL.get(origin.door, "calls a service")
            if plugin is not None and plugin.origin != BUILT_IN:
                does = f"runs code of package {plugin.origin}"
            raise CannotError(f"{made} {does}: only with `--allow-external`")

    def _members(self, origin: Origin) -> pd.DataFrame | None:
        source = origin.source
        if source.kind == "training":
            return self._training()
        if source.kind != "file":
            return None
        if source.digest is None or source.digest not in self.sources:
            raise CannotError(
                f"it learned from {source.n_rows or 0:,} real rows that the server does not hold: give them with "
                f"`--source FILE`, digest {(source.digest or '')[:12]}…"
            )
        return self.sources[source.digest]

    def _training(self) -> pd.DataFrame:
        return self.project.training_rows(self.frozen)


def _maker(origin: Origin, python: str | None) -> GeneratorRunner:
    if origin.door == "peer":
        return peer_maker(origin.generator, origin.params, python, TIMEOUT_SECONDS)
    if origin.door == "code":
        try:
            return own_maker(origin.generator, origin.params, None)
        except UsageError:  # a version that cannot be measured was given by hand: the rows will tell
            return own_maker(origin.generator, origin.params, origin.version)
    return installed_maker(origin.generator, origin.params)


def _loaded(generator: str) -> object:
    """An installed generator; a CannotError if it cannot be loaded."""
    try:
        return find("generators", generator).load()
    except PluginError as error:
        raise CannotError(error.found) from error
