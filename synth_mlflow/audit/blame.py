"""`blame`: a model got worse; which of its batches did it? Each is left out, and others' rows stand in for it."""

from __future__ import annotations

import dataclasses
import html
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.allowed_code import allowing_external
from synth_mlflow.audit.replay import RecordedSweep, recorded_sweep
from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.data.markup import html_table
from synth_mlflow.data.mixing import percent
from synth_mlflow.errors import UsageError, closest
from synth_mlflow.handoff.formatting import count
from synth_mlflow.queries.run_index import model_uri
from synth_mlflow.sweep.axes import RATIO
from synth_mlflow.sweep.leave_one_out import BatchEffect, LeaveOneOutResult, leave_out
from synth_mlflow.sweep.plan import BLAME_REPEATS, EVERYTHING, SweepPlan
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft, now_ms
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored_run import reading
from synth_mlflow.tracking.write import NewRun, create_run, writing


@dataclass(frozen=True)
class Blame:
    """What each batch does to the score of one model, and the run that keeps it."""

    run_id: str
    sweep_run: str
    model: str
    """As ``models:/name/version``."""
    result: LeaveOneOutResult

    @property
    def named(self) -> tuple[str, ...]:
        """The batches to blame, the most harmful one first."""
        return self.result.to_blame

    @property
    def words(self) -> str:
        """The answer in one or two sentences, with the numbers."""
        guilty = [each for each in self.result.effects if each.batch in self.named]
        texts = [_guilty_words(each, self.result.metric) for each in guilty] or [_nobody_words(self.result)]
        slices = [
            f"On slice {name!r}, {each.batch} costs {-part.effect:.4f} ({-part.high:.4f} to {-part.low:.4f})."
            for each in self.result.effects
            for name, part in each.slices.items()
            if part is not None and part.verdict == "to blame"
        ]
        return " ".join([*texts, *slices])

    def frame(self) -> pd.DataFrame:
        """One row a batch, the most harmful one first; the effect on each slice follows."""
        return self.result.frame()

    def _repr_html_(self) -> str:
        frame = self.frame()
        rows = [[f"{cell:.4g}" if isinstance(cell, float) else cell for cell in row] for row in frame.to_numpy()]
        return f"{html_table(list(frame.columns), rows)}<p>{html.escape(self.words)}</p>"


def blame(
    project: Project,
    what: str | None = None,
    *,
    ratio: float | None = None,
    batches: Sequence[str] = (),
    repeats: int = BLAME_REPEATS,
    n_jobs: int = -1,
    allow_external: bool = False,
) -> Blame:
    """Fit the mix of a recorded model again, with all of its batches and without each, and record what that did.

    Everything is read from the tracking server: rows, batches, settings and seed. Gates play no part, so that a batch
    that was retracted since can be looked at too.

    Parameters
    ----------
    project : Project
    what : str, optional
        The model: its address, or the run of its sweep or handoff; by default the newest.
    ratio : float, optional
        The share of synthetic rows to look at; by default the model's own.
    batches : sequence of str
        Short ids of the batches to leave out, each in turn; by default every one. Fewer suspects have more power.
    repeats : int
        Draws of the rows, the first of which are those of the sweep; more tell smaller harm from noise.
    n_jobs : int
        Fits at a time; -1 takes every core.
    allow_external : bool
        Whether the commands may run that the record of the model names.

    Raises
    ------
    GateError
        Before `sweep`, or if the ratio needs more synthetic rows than there are.
    UsageError
        If the model was fitted on real rows alone and no ratio was given, or it does not hold a named batch.
    EvidenceError
        If any table is no longer what was recorded.
    """
    began = now_ms()
    sweep = recorded_sweep(project, what)
    suspects = _suspects(sweep, batches)
    plan = _plan(sweep, ratio, repeats, n_jobs)
    key = json_digest(["blame", sweep.run.run_id, sorted(suspects), plan.to_json()])
    existing = [run for run in project.reader.find_by_key(key) if run.counts]
    if existing:
        project.say(f"this very question is answered already by run {existing[-1].run_id}")
        return recorded_blame(project, existing[-1], sweep)
    with allowing_external(allow_external):
        result = _leave_out(sweep, plan, suspects)
    new = NewRun("blame", f"blame · {', '.join(result.to_blame) or 'nobody'}", key, began=began)
    run_id = create_run(project.server, new, parent=project.workflow_run or sweep.run.run_id)
    blamed = Blame(run_id, sweep.run.run_id, model_uri(sweep.final), result)
    with writing(project.server, run_id, "blame") as draft:
        _write(draft, sweep, blamed)
    return blamed


def recorded_blame(project: Project, run: StoredRun, sweep: RecordedSweep) -> Blame:
    """An answer that was given before."""
    path = project.reader.file(run, names.A_BLAME)
    with reading(run, names.A_BLAME):
        result = LeaveOneOutResult.from_json(json.loads(path.read_text(encoding="utf-8")))
    return Blame(run.run_id, sweep.run.run_id, model_uri(sweep.final), result)


def _suspects(sweep: RecordedSweep, named: Sequence[str]) -> tuple[str, ...]:
    known = [batch.id for batch in sweep.inside]
    for batch in named:
        if batch not in known:
            raise UsageError(
                f"batch {batch!r} is none of those of {model_uri(sweep.final)}. {closest(batch, known)}",
                "`synth-mlflow trace` of the model lists them.",
            )
    return tuple(dict.fromkeys(named)) or tuple(known)


def _plan(sweep: RecordedSweep, ratio: float | None, repeats: int, n_jobs: int) -> SweepPlan:
    plan, chosen = sweep.plan(n_jobs=n_jobs), sweep.curve.chosen
    if ratio is None and plan.axis.name != "ratio":
        raise UsageError(
            f"{model_uri(sweep.final)} was chosen on the axis {plan.axis.name}, where leaving out a batch changes more "
            "than its rows.",
            f"Ask at a ratio of all batches: `synth-mlflow blame --ratio {100 * sweep.curve.chosen_share or 50:.0f}`.",
        )
    if ratio is None and not chosen:
        raise UsageError(
            f"{model_uri(sweep.final)} was fitted on real rows alone: no batch is inside that could be to blame.",
            f"To look at another ratio: `synth-mlflow blame --ratio {100 * sweep.curve.points[-1].ratio:g}`.",
        )
    return dataclasses.replace(plan, ratios=(ratio or chosen,), repeats=repeats, sources=(EVERYTHING,), axis=RATIO)


def _leave_out(sweep: RecordedSweep, plan: SweepPlan, suspects: Sequence[str]) -> LeaveOneOutResult:
    statement, project, done = sweep.problem.statement, sweep.project, itertools.count(1)
    inside = np.isin(sweep.origin, [batch.id for batch in sweep.inside])
    n_fits = 2 * len(suspects) * plan.repeats
    project.say(
        f"leaving out {count(len(suspects), 'batch')}, {plan.repeats} repeats, at {percent(plan.ratios[-1])}: "
        f"at most {n_fits} fits"
    )
    return leave_out(
        sweep.training,
        sweep.synthetic[inside].reset_index(drop=True),
        sweep.evaluation,
        sweep.frozen.task_of(statement),
        statement.facts.metric,
        sweep.spec,
        plan,
        batches=sweep.origin[inside],
        suspects=suspects,
        slices=statement.slices,
        on_fit=lambda *_: project.count(next(done), n_fits, "fits"),
    )


def _write(draft: RunDraft, sweep: RecordedSweep, blamed: Blame) -> None:
    result = blamed.result
    digests = {batch.id: batch.digest[:16] for batch in sweep.batches}
    left_out = [each.batch for each in result.effects]
    draft.param(names.P_SWEEP, sweep.run.run_id)
    draft.param(names.P_EVALUATION_DIGEST, sweep.frozen.digest)
    draft.param(names.P_TRAINING_DIGEST, sweep.frozen.training_digest)
    draft.param(names.P_STATEMENT, sweep.run.params[names.P_STATEMENT])
    draft.param(names.P_METRIC, result.metric)
    draft.param(names.P_MIX, result.mix)
    draft.param(names.P_REPEATS, result.n_repeats)
    draft.param(names.P_SEED, result.seed)
    draft.words(names.P_BATCHES, left_out)
    draft.words(names.P_BATCH_DIGESTS, (digests[batch] for batch in left_out))
    draft.words(names.P_HARMFUL, blamed.named)
    draft.metric(names.M_RATIO, result.ratio)
    for each in result.effects:
        draft.metric(names.effect_metric(each.batch), each.overall.effect)
    draft.text(names.A_BLAME, canonical_json(result.to_json()))
    draft.frame(names.A_BLAME_TABLE, result.frame())
    draft.describe(_description(blamed))


def _description(blamed: Blame) -> str:
    rows = "\n".join(
        f"| {each.batch} | {each.overall.verdict} | {each.overall.effect:+.4f} "
        f"| {each.overall.low:+.4f} to {each.overall.high:+.4f} |"
        for each in blamed.result.effects
    )
    following = f"`synth-mlflow retract {blamed.named[0]}`" if blamed.named else "`synth-mlflow status`"
    return (
        f"**Which batch made {blamed.model} worse?** {blamed.words} Next: {following}.\n\n"
        f"| batch | verdict | effect on {blamed.result.metric} | simultaneous 95 % interval "
        f"|\n|---|---|---|---|\n{rows}"
    )


def _guilty_words(each: BatchEffect, metric: str) -> str:
    part = each.overall
    return (
        f"{each.batch} costs {-part.effect:.4f} of {metric} ({-part.high:.4f} to {-part.low:.4f}): without it, "
        f"{part.without:.4f} instead of {part.score:.4f} at {percent(each.ratio)} synthetic."
    )


def _nobody_words(result: LeaveOneOutResult) -> str:
    seen = max(each.overall.detectable for each in result.effects)
    nobody = "the only one does not lower" if len(result.effects) == 1 else f"none of {len(result.effects):,} lowers"
    return (
        f"No batch is to blame at {percent(result.ratio)} synthetic: {nobody} {result.metric} "
        f"by more than noise does; a harm of {seen:.2g} would have been found with 80 % probability."
    )
