"""What goes into a sweep: real rows, gated batches and the settled model, each checked against its record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synth_mlflow.backends.real_rows import read_source
from synth_mlflow.data.addresses import Place
from synth_mlflow.data.digests import are_among, json_digest, row_digests, table_digest
from synth_mlflow.data.mapped import taken
from synth_mlflow.data.mixing import read_shares
from synth_mlflow.data.private import as_missing
from synth_mlflow.data.task import SCORED, ModelSpec
from synth_mlflow.errors import EvidenceError, GateError, UsageError
from synth_mlflow.gate.in_force import policy_in_force
from synth_mlflow.gate.verdicts import checks_by_batch, recomputed_verdict, require_open
from synth_mlflow.handoff.holdout_score import runs_on_evaluation_set
from synth_mlflow.models.estimator import allowed_model
from synth_mlflow.stages.hidden_labels import hidden_labels
from synth_mlflow.stages.requests import SweepRequest
from synth_mlflow.sweep.plan import EVERYTHING, Sources, SweepPlan
from synth_mlflow.sweep.runner import rows_inside
from synth_mlflow.sweep.sampled_rows import sampled_added, sampled_rows
from synth_mlflow.tracking import names
from synth_mlflow.tracking.embeddings import embedding_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import EvaluationSet, Problem, StoredBatch


@dataclass(frozen=True)
class SweepInputs:
    """Everything that goes into a sweep, checked and ready."""

    problem: Problem
    frozen: EvaluationSet
    batches: tuple[StoredBatch, ...]
    training: pd.DataFrame
    evaluation: pd.DataFrame
    synthetic: pd.DataFrame
    origin: pd.Series
    """The short id of the batch of each synthetic row."""
    extra_real: pd.DataFrame | None
    """Real rows that were held back, to show what they would have done in place of the synthetic ones."""
    n_left_out: int
    """Synthetic rows that equal an evaluation row and no training row, and are therefore in no table here."""
    n_earlier_sweeps: int
    """How many sweeps have chosen on the frozen set before."""
    refine: bool
    """Whether the midpoints around the peak are swept too."""
    spec: ModelSpec
    plan: SweepPlan
    takes_sample: bool = False
    """Whether the baseline was measured on a sample of the training rows."""
    whole: SweepInputs | None = None
    """The same with every row, for the final model, where fits take a sample."""

    def sampled(self) -> SweepInputs:
        """The same with the rows that fits take: the sample that the baseline took, if it took one.

        Other axes than the ratio take every row.
        """
        if not self.takes_sample or self.plan.axis.name != "ratio":
            return self
        task, slices = self.frozen.task_of(self.problem.statement), self.problem.statement.slices
        real = sampled_rows(self.training, task, self.spec, slices)
        if real is None:
            return self
        added = sampled_added(self.origin, len(real) / len(self.training))
        return replace(
            self,
            training=taken(self.training, real),
            synthetic=self.synthetic.iloc[added].reset_index(drop=True),
            origin=self.origin.iloc[added].reset_index(drop=True),
            plan=replace(self.plan, n_whole=len(self.training)),
            whole=self,
        )

    @property
    def sources(self) -> Sources:
        """Places of the synthetic rows of each source that the plan sweeps on its own, or of the slice that it sweeps.

        A mix needs none: it says each batch's share.
        """
        inside = rows_inside(self.plan, self.synthetic, self.problem.statement.slices)
        if inside is not None:
            return {EVERYTHING: np.flatnonzero(inside)}
        return {
            source: np.flatnonzero(self.origin.isin([batch.id for batch in self.of(source)]))
            for source in self.plan.sources
            if source != EVERYTHING and not read_shares(source)
        }

    @property
    def sizes(self) -> dict[str, int]:
        """The synthetic rows of each batch."""
        return {str(batch): int(n) for batch, n in self.origin.value_counts(sort=False).items()}

    def of(self, source: str) -> tuple[StoredBatch, ...]:
        """The batches of one source, or of one mix."""
        shares = read_shares(source)
        if shares:
            return tuple(batch for batch in self.batches if batch.id in shares)
        return tuple(batch for batch in self.batches if source in (EVERYTHING, batch.generator))

    @property
    def key(self) -> str:
        """The idempotency key of the sweep's run."""
        digests = [self.frozen.digest, self.frozen.training_digest, *sorted(batch.digest for batch in self.batches)]
        extra = None if self.extra_real is None else table_digest(self.extra_real, self.frozen.schema)
        model = [self.spec.estimator, dict(self.spec.params), *([self.spec.columns] if self.spec.columns else [])]
        model += [] if self.spec.commands is None else [self.spec.commands.to_json()]
        return json_digest(["sweep", digests, extra, self.plan.to_json(), self.refine, model])


def load_sweep_inputs(project: Project, plan: SweepPlan, request: SweepRequest) -> SweepInputs:
    """Read everything that a sweep takes: its batches, or all but pilots whose gate is open, and every real row.

    Raises
    ------
    GateError
        If a named batch has not passed its gate, or none has.
    UsageError
        If generators are to be compared and there is only one, or the held-back rows are the training rows.
    EvidenceError
        If any table is no longer what was recorded.
    """
    problem, frozen = project.problem(), project.evaluation_set()
    batches = open_batches(project, request.batches)
    training, evaluation = project.training_rows(frozen), project.evaluation_rows(frozen)
    refuse_overlap(frozen, training, evaluation)
    for batch in batches:
        project.reader.verify_seal(batch.run)
    tables = [project.rows_to_fit(batch, frozen) for batch in batches]
    held_back = None if request.extra_real is None else _held_back(project, frozen, training, request.extra_real)
    n_left_out = sum(batch.n_rows for batch in batches) - sum(map(len, tables))
    rare = hidden_labels(frozen, problem.statement, training, evaluation)
    if n_left_out:
        project.say(f"left out: {n_left_out:,} synthetic rows that equal an evaluation row and no training row")
    return SweepInputs(
        problem=problem,
        frozen=frozen,
        batches=batches,
        training=as_missing(training, rare),
        evaluation=as_missing(evaluation, rare),
        synthetic=as_missing(pd.concat(tables, ignore_index=True), rare),
        origin=pd.Series(np.repeat([batch.id for batch in batches], [len(table) for table in tables]), name="origin"),
        extra_real=None if held_back is None else as_missing(held_back, rare),
        n_left_out=n_left_out,
        refine=request.refine,
        n_earlier_sweeps=len(
            {run.params.get(names.P_KEY, run.run_id) for run in runs_on_evaluation_set(project, "sweep")}
        ),
        spec=settled_model(project, frozen),
        plan=replace(plan, sources=_generators(batches)) if request.by == "generator" else plan,
        takes_sample=names.P_FIT_ROWS in real_only_baseline(project, frozen).params,
    )


def _held_back(project: Project, frozen: EvaluationSet, training: pd.DataFrame, path: Place) -> pd.DataFrame:
    """Real rows that no mix holds. Some may equal training rows by chance; a file of nothing else is the wrong one."""
    rows, _ = read_source(project, frozen, path)
    known = are_among(row_digests(rows, frozen.salt), row_digests(training, frozen.salt))
    if known.all():
        raise UsageError(
            f"every one of the {len(rows):,} rows of {path} is a training row already: what they show is what "
            "duplicates show, not what further real rows would.",
            "Give rows that were held back, or leave `--extra-real` out.",
        )
    if known.any():
        project.say(f"{int(known.sum()):,} of the {len(rows):,} held-back rows equal training rows")
    return rows


def _generators(batches: Sequence[StoredBatch]) -> tuple[str, ...]:
    """All together, then each generator."""
    generators = sorted({batch.generator for batch in batches})
    if len(generators) < 2:
        raise UsageError(
            f"a sweep by generator compares at least two, and all batches are of {generators[0]!r}.",
            "Generate and validate batches of another one, or sweep without `--by generator`.",
        )
    return (EVERYTHING, *generators)


def open_batches(project: Project, batch_ids: Sequence[str] = ()) -> tuple[StoredBatch, ...]:
    """The batches that may enter training, each content once; those that were named must all be among them.

    Raises
    ------
    GateError
        If a named batch may not, or none may.
    UsageError
        If two named batches hold the same rows.
    """
    policy = policy_in_force(project.problem())
    if batch_ids:
        named = tuple(project.batch(name) for name in dict.fromkeys(batch_ids))
        require_open(project, named, policy)
        for again, first in _twins(named).items():
            raise UsageError(
                f"{again} and {first} hold the same rows: together they would be a batch and its duplicates.",
                "Name one of them.",
            )
        return named
    checks = checks_by_batch(project)
    everyone = [batch for batch in project.batches() if not batch.is_pilot]
    passed = [b for b in everyone if recomputed_verdict(project, b, policy, checks.get(b.run.run_id, [])).gate_open]
    if not passed:
        if everyone:
            require_open(project, everyone, policy)
        but = " but pilots" if project.batches() else ""
        raise GateError(
            f"this project has no synthetic batch{but}.", "First: `synth-mlflow generate GENERATOR --rows N`."
        )
    for batch in everyone:
        if batch not in passed:
            project.say(f"left out: {batch.id}, whose gate is closed")
    twins = _twins(passed)
    for again, first in twins.items():
        project.say(f"left out: {again}, which holds the same rows as {first}")
    return tuple(batch for batch in passed if batch.id not in twins)


def _twins(batches: Sequence[StoredBatch]) -> dict[str, str]:
    """Batches whose very rows an earlier one holds, as other commands or versions of code may make them: by which."""
    first: dict[str, str] = {}
    return {batch.id: known for batch in batches if (known := first.setdefault(batch.digest, batch.id)) != batch.id}


def refuse_overlap(frozen: EvaluationSet, training: pd.DataFrame, evaluation: pd.DataFrame) -> None:
    """An EvidenceError if a training row also stands in the evaluation set, and the split did not say so."""
    if frozen.caveat:
        return
    shared = are_among(row_digests(training, frozen.salt), row_digests(evaluation, frozen.salt))
    if shared.any():
        raise EvidenceError(
            f"{int(shared.sum()):,} training rows also stand in the evaluation set.",
            "Start a new project: `synth-mlflow define`.",
        )


def real_only_baseline(project: Project, frozen: EvaluationSet) -> StoredRun:
    """The run of the baseline of an evaluation set; an EvidenceError if it is not what `freeze` has recorded."""
    baselines = [run for run in project.reader.children(frozen.run.run_id) if run.stage == "baseline" and run.counts]
    if not baselines:
        raise EvidenceError(
            f"the real-only baseline of evaluation set {frozen.run.run_id} is gone; nothing is compared without it.",
            "Restore its run in MLflow.",
        )
    if len(baselines) > 1:
        raise EvidenceError(
            f"evaluation set {frozen.run.run_id} has {len(baselines)} baselines, one was measured: "
            f"{', '.join(run.run_id for run in baselines)}.",
            "Delete in MLflow the one that somebody has restored or added.",
        )
    project.reader.verify_seal(baselines[0])
    if baselines[-1].params[names.P_EVALUATION_DIGEST] != frozen.digest:
        raise EvidenceError(
            f"baseline {baselines[-1].run_id} was measured on another evaluation set; scores are compared on one only."
        )
    return baselines[0]


def settled_model(project: Project, frozen: EvaluationSet) -> ModelSpec:
    """The model as it was settled on real rows when the baseline was measured; the same at every ratio."""
    baseline = real_only_baseline(project, frozen)
    statement = project.problem().statement
    if statement.facts.task == SCORED:  # what a record names is never run by a sweep
        return statement.model
    settings = json.loads(baseline.params[names.P_SETTINGS])
    stated = statement.model.estimator
    if settings["estimator"] != stated:
        raise EvidenceError(
            f"baseline {baseline.run_id} says that it was measured with {settings['estimator']!r}, the problem "
            f"statement names {stated!r}: someone changed it. Nothing was imported.",
            "Delete that run in MLflow and restore the baseline that `freeze` wrote, or start a new project.",
        )
    embedding_of(statement, frozen)
    columns, embedding = settings.get("columns"), statement.embedding
    return allowed_model(ModelSpec(settings["estimator"], settings["params"], columns, embedding=embedding))
