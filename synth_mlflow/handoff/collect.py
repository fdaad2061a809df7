"""The runs that a handoff speaks of, read in a few queries, none a run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synth_mlflow.errors import GateError
from synth_mlflow.gate.in_force import readable_policy, refuse_other_set
from synth_mlflow.gate.policy import Policy
from synth_mlflow.gate.rerun_conditions import production_values
from synth_mlflow.gate.revisions import Loosened, Revision, loosened_after, revisions_of
from synth_mlflow.gate.verdicts import Verdict, check_runs, recorded_verdict, verdicts_under
from synth_mlflow.handoff.integrity import require_intact
from synth_mlflow.handoff.summary import spelt_out
from synth_mlflow.sweep.curve import Curve
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import StoredRating, ratings_by_batch
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import StoredSignOff, recorded_sign_offs
from synth_mlflow.tracking.stored import EvaluationSet, Problem, StoredBatch, distinct_batches
from synth_mlflow.tracking.stored_run import reading
from synth_mlflow.triggers import ProductionValue


@dataclass(frozen=True)
class HandoffInputs:
    """The runs that a handoff speaks of, read in one go."""

    problem: Problem
    frozen: EvaluationSet
    policy: Policy
    baseline: StoredRun
    batches: Sequence[StoredBatch]
    checks: Mapping[str, list[StoredRun]]
    """Of the batches that the pages spell out, by the run id of their batch."""
    verdicts: Mapping[str, Verdict]
    """Of every batch, by its short id."""
    sweeps: Sequence[StoredRun]
    """Oldest first; the newest is the one handed over."""
    ratios: Sequence[StoredRun]
    """Of the newest sweep."""
    final: StoredRun
    curve: Curve
    inside: set[str]
    """The short ids of the batches in the model."""
    slice_sizes: Mapping[str, tuple[int, int]]
    """Training and evaluation rows of each slice; empty where nobody counted them."""
    production: tuple[ProductionValue, ...]
    """What was measured since the model was made, oldest first."""
    revisions: Sequence[Revision]
    """Every statement of the project, oldest first; the newest is in force."""
    loosened: Sequence[Loosened]
    """The checks that failed and of which a later statement asked less."""
    ratings: Mapping[str, Sequence[StoredRating]]
    """What people and judge models answered to blind sheets, by the run id of the batch."""
    sign_offs: Sequence[StoredSignOff]
    """Of earlier handoffs of the newest sweep, oldest first."""

    @property
    def sweep(self) -> StoredRun:
        """The sweep that is handed over."""
        return self.sweeps[-1]

    @property
    def retracted(self) -> tuple[str, ...]:
        """The short ids of the batches that were swept and taken back since; in the model or not."""
        swept = {*self.sweep.batches, *self.inside}
        return tuple(batch.id for batch in self.batches if batch.retracted and batch.id in swept)


def gather_material(project: Project) -> HandoffInputs:
    """Read every run that the document speaks of in a few paged queries, and the few files that the document quotes.

    Raises
    ------
    GateError
        If a stage before this one is missing.
    EvidenceError
        If what the model rests on is no longer what was recorded.
    """
    problem, frozen = project.problem(), project.evaluation_set()
    runs = [run for run in project.reader.runs_without_children() if run.counts]
    sweeps = [run for run in runs if run.stage == "sweep"]
    if not sweeps:
        raise GateError(
            f"project {project.server.experiment!r} has no sweep to hand over.", "First: `synth-mlflow sweep`."
        )
    refuse_other_set(frozen, sweeps[-1], "the newest sweep", "synth-mlflow sweep")
    newest = [run for run in project.reader.children(sweeps[-1].run_id) if run.counts]
    final, policy = _only(newest, "final", sweeps[-1].run_id), readable_policy(project, problem)
    curve = project.curve(sweeps[-1])
    batches = distinct_batches(run for run in runs if run.stage == "batch")
    inside = set(final.batches) if curve.chosen else set()
    detailed, summarised = _parted(batches, inside)
    checks = check_runs(project, policy, detailed)
    revisions = revisions_of(project)
    verdicts = [*verdicts_under(project, policy, summarised), *_verdicts(policy, detailed, checks)]
    material = HandoffInputs(
        problem=problem,
        frozen=frozen,
        policy=policy,
        baseline=_only(runs, "baseline", frozen.run.run_id),
        batches=batches,
        checks=checks,
        verdicts={verdict.batch: verdict for verdict in verdicts},
        sweeps=sweeps,
        ratios=[run for run in newest if run.stage == "ratio"],
        final=final,
        curve=curve,
        inside=inside,
        production=production_values(runs, final),
        slice_sizes=_slice_sizes(project, frozen),
        revisions=revisions,
        loosened=_loosened(project, revisions),
        ratings=ratings_by_batch(project, batches),
        sign_offs=_sign_offs(runs, sweeps[-1].run_id),
    )
    judging = itertools.chain.from_iterable(checks.values())
    require_intact(project, material.final, _vouched_for(material), [*runs, *newest, *judging])
    return material


def _loosened(project: Project, revisions: Sequence[Revision]) -> list[Loosened]:
    """Nothing is asked of the server where there is one statement: nobody can have asked less later."""
    if len(revisions) < 2:
        return []
    failed = project.reader.finished(where=f"params.`{names.P_VERDICT}` = 'fail'")
    return loosened_after(revisions, [run for run in failed if names.P_CHECK in run.params])


def _parted(batches: Sequence[StoredBatch], inside: set[str]) -> tuple[list[StoredBatch], list[StoredBatch]]:
    """The batches that the pages spell out, and those that they tell of in a line."""
    parts: tuple[list[StoredBatch], list[StoredBatch]] = ([], [])
    for batch in batches:
        parts[0 if spelt_out(batch.id in inside, len(batches)) else 1].append(batch)
    return parts


def _verdicts(policy: Policy, batches: Sequence[StoredBatch], checks: Mapping[str, list[StoredRun]]) -> list[Verdict]:
    return [recorded_verdict(batch, policy, checks.get(batch.run.run_id, [])) for batch in batches]


def _vouched_for(material: HandoffInputs) -> list[StoredRun]:
    """What the document says of the model rests on these runs."""
    inside = [batch.run for batch in material.batches if batch.id in material.inside]
    checks = [check for run in inside for check in material.checks.get(run.run_id, [])]
    fixed = [material.problem.run, material.frozen.run, material.baseline, material.sweep]
    return [*fixed, *material.ratios, *inside, *checks]


def _slice_sizes(project: Project, frozen: EvaluationSet) -> dict[str, tuple[int, int]]:
    if names.A_SLICES not in frozen.run.artifacts:
        return {}
    path = project.reader.file(frozen.run, names.A_SLICES)
    with reading(frozen.run, names.A_SLICES):
        counted = json.loads(path.read_text(encoding="utf-8"))
        return {name: (sizes["training"], sizes["evaluation"]) for name, sizes in counted.items()}


def _sign_offs(runs: Sequence[StoredRun], sweep: str) -> list[StoredSignOff]:
    handoffs = {run.run_id for run in runs if run.stage == "handoff" and run.params[names.P_SWEEP] == sweep}
    by_run = recorded_sign_offs(runs)
    return [signed for run_id in by_run if run_id in handoffs for signed in by_run[run_id]]


def _only(runs: Sequence[StoredRun], stage: str, parent: str) -> StoredRun:
    matches = [run for run in runs if run.stage == stage and run.parent == parent]
    if not matches:
        raise GateError(f"run {parent} has no finished {stage} run under it.", "Run its stage again.")
    return matches[-1]
