"""A sweep that was recorded, with the very rows, batches, settings and plan that it was made with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import pandas as pd

from synth_mlflow.data.mixes import Mix
from synth_mlflow.data.rare_labels import Rare, as_missing
from synth_mlflow.data.task import ModelSpec
from synth_mlflow.errors import EvidenceError, GateError, UsageError, closest
from synth_mlflow.model.choice import RULE_WORDS
from synth_mlflow.model.curve import Curve
from synth_mlflow.model.plan import EVERYTHING, Rule, Sources, SweepPlan
from synth_mlflow.model.sweep import rows_inside
from synth_mlflow.stages.fit_commands import recorded_spec
from synth_mlflow.stages.hidden_labels import hidden_labels
from synth_mlflow.stages.ingredients import settled_model
from synth_mlflow.tracking import lineage, names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.run_ids import spelled_out
from synth_mlflow.tracking.stored import EvaluationSet, Problem, StoredBatch


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
        kept = self.project.without_evaluation_rows(rows, self.frozen) if left_out else rows
        return as_missing(kept, self._hidden)

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
            self.project.reader.vouch(self.run)
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
        )

    @property
    def sources(self) -> Sources:
        """Places of the synthetic rows of each generator that was swept on its own, or of the slice that was."""
        inside = rows_inside(self.plan(), self.synthetic, self.problem.statement.slices)
        if inside is not None:
            return {EVERYTHING: np.flatnonzero(inside)}
        if self.curve.axis.name == "mix":
            return {}
        generators = {batch.id: batch.generator for batch in self.batches}
        of_row = np.array([generators[batch] for batch in self.origin], dtype=object)
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
    run_id = spelled_out(run_id, [*sweeps, *(run.run_id for run in project.reader.finished("final", "handoff"))])
    run = sweeps.get(run_id) or project.reader.find(run_id)
    found = run and (sweeps.get(run.run_id) or sweeps.get(run.params.get(names.P_SWEEP, "")))
    if not found:
        raise UsageError(
            f"{what!r} is no sweep, model or handoff of project {project.server.experiment!r}. {closest(what, sweeps)}",
            "Give a run id or `models:/NAME/VERSION`; without one, the newest model is meant.",
        )
    return found


def _batches(project: Project, run: StoredRun) -> tuple[StoredBatch, ...]:
    held = {batch.id: batch for batch in project.batches()}
    gone = [batch for batch in run.batches if batch not in held]
    if gone:
        raise EvidenceError(f"sweep {run.run_id} used batch {', '.join(gone)}, whose run is gone.", "Restore it.")
    return tuple(held[batch] for batch in run.batches)
