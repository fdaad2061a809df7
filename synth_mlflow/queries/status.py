"""`status`: six ticks, what is missing, and the next command.

`status --repair`: runs whose process is dead say so, instead of RUNNING for ever.

What a project has recorded, as tables: its batches, and the checks of each.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from synth_mlflow.data.markup import html_table
from synth_mlflow.data.mixing import percent
from synth_mlflow.errors import EvidenceError
from synth_mlflow.gate.verdicts import Verdict, checks_by_batch, recorded_verdicts
from synth_mlflow.queries.rerun_check import check
from synth_mlflow.sweep.curve import Curve, Point
from synth_mlflow.tracking import names
from synth_mlflow.tracking.moved import settle
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import ratings_by_batch, review_lines
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import recorded_sign_offs
from synth_mlflow.tracking.stored import StoredBatch, distinct_batches
from synth_mlflow.tracking.write import OPEN, end_run, is_abandoned
from synth_mlflow.triggers import TriggerState


@dataclass(frozen=True)
class StageStatus:
    """One of the six stages."""

    stage: str
    done: bool
    words: str


@dataclass(frozen=True)
class CurvePoint:
    """One ratio of the newest sweep."""

    ratio: float
    score: float
    low: float
    high: float
    placebo: float
    """The score with duplicated real rows in place of the synthetic ones."""
    chosen: bool
    words: str = ""
    """Its place on the axis: ``25 %``, ``weight 0.25``."""


@dataclass(frozen=True)
class Status:
    """How far a project is."""

    project: str
    stages: tuple[StageStatus, ...]
    verdicts: tuple[Verdict, ...]
    reviews: tuple[str, ...]
    """What people and judge models answered to blind sheets, each with its batch."""
    retracted: tuple[str, ...]
    """Each batch that was taken back: by whom, when and why."""
    unfinished: tuple[str, ...]
    """Runs that a killed or failed process left behind; they count as no evidence."""
    curve: tuple[CurvePoint, ...]
    """Of the newest sweep; empty before one."""
    triggers: tuple[TriggerState, ...]
    """What can be said of the rerun conditions without being given anything; empty before a sweep."""
    broken: tuple[str, ...]
    """Evidence that could not be read; `verify` says more."""
    next_command: str

    def _repr_html_(self) -> str:
        rows = [["✓" if stage.done else "·", stage.stage, stage.words] for stage in self.stages]
        return f"{html_table(['', 'stage', 'state'], rows)}<p>Next: <code>{html.escape(self.next_command)}</code></p>"


def status(project: Project) -> Status:
    """Read how far a project is, from its runs alone."""
    with project.reader.at_one_moment():
        return _status(project)


def _status(project: Project) -> Status:
    runs = project.reader.runs_without_children()
    done = {stage: [run for run in runs if run.stage == stage and run.counts] for stage in names.STAGES}
    batches = distinct_batches(done["batch"])
    verdicts = recorded_verdicts(project, batches)
    unjudged = [verdict for verdict in verdicts if verdict.verdict == "unvalidated" and not verdict.retracted]
    bad = _rests_on_retracted(done["sweep"], batches)
    stages = (
        StageStatus("define", bool(done["problem"]), _define_words(done["problem"])),
        StageStatus("freeze", bool(done["evaluation_set"]), _freeze_words(done["evaluation_set"])),
        StageStatus("generate", bool(batches), f"batches: {len(batches)}, rows: {sum(b.n_rows for b in batches):,}"),
        StageStatus("validate", bool(batches) and not unjudged, _validate_words(verdicts)),
        _decided("sweep", done["sweep"], bad, _sweep_words(done["sweep"])),
        _decided("report", done["handoff"], bad, _report_words(done["handoff"], runs)),
    )
    sweep_ids = {sweep.run_id for sweep in done["sweep"]}  # which say of each ratio that failed why it did
    left = tuple(
        f"{run.name} ({run.status.lower()}, run {run.run_id})"
        for run in project.reader.runs(where="attributes.status != 'FINISHED'")
        if run.stage != "workflow" and (run.status in OPEN or run.parent not in sweep_ids) and not run.discarded
    )
    left += tuple(
        f"{run.name} (no run of this package: it carries the tag {names.TAG_STAGE}, and lacks the parameter "
        f"{run.lacks[0]}; run {run.run_id})"
        for run in runs
        if run.status == "FINISHED" and run.lacks
    )
    taken = tuple(_taken_back(batch) for batch in batches if batch.retracted)
    curve_and_triggers = _curve_and_triggers(project) if done["sweep"] else ((), (), ())
    reviews, following = _reviews(project, batches), _next(stages, verdicts, len(taken))
    return Status(project.server.experiment, stages, verdicts, reviews, taken, left, *curve_and_triggers, following)


def _reviews(project: Project, batches: Sequence[StoredBatch]) -> tuple[str, ...]:
    ratings = ratings_by_batch(project, batches)
    return tuple(
        f"{batch.id}: {line}" for batch in batches for line in review_lines(batch.run, ratings[batch.run.run_id])
    )


def _curve_and_triggers(
    project: Project,
) -> tuple[tuple[CurvePoint, ...], tuple[TriggerState, ...], tuple[str, ...]]:
    try:
        sweep = project.latest_sweep()
        curve = () if sweep is None else tuple(_point(point, sweep.curve) for point in sweep.curve.points)
        return curve, tuple(check(project)), ()
    except EvidenceError as error:
        return (), (), (error.found,)


def _point(point: Point, curve: Curve) -> CurvePoint:
    is_chosen, words = point.ratio == curve.chosen, curve.words(point.ratio)
    return CurvePoint(point.ratio, point.score, point.low, point.high, point.placebo, is_chosen, words)


def _rests_on_retracted(sweeps: list[StoredRun], batches: list[StoredBatch]) -> dict[str, list[str]]:
    """By the run id of each sweep that used one: the batches that were taken back since."""
    bad = {batch.id for batch in batches if batch.retracted}
    used = {run.run_id: sorted(bad & set(run.batches)) for run in sweeps}
    return {run_id: retracted for run_id, retracted in used.items() if retracted}


def _decided(stage: str, runs: list[StoredRun], bad: Mapping[str, list[str]], words: str) -> StageStatus:
    """A stage that is done, unless its newest run rests on a retracted batch."""
    sweep = runs[-1].params.get(names.P_SWEEP, runs[-1].run_id) if runs else ""
    if sweep in bad:
        return StageStatus(stage, False, f"{words}; rests on retracted {', '.join(bad[sweep])}")
    return StageStatus(stage, bool(runs), words)


def _taken_back(batch: StoredBatch) -> str:
    retraction = batch.taken_back
    return f"{batch.id} {retraction.words if retraction else '(by a tag; nobody said why)'}"


def _define_words(runs: list[StoredRun]) -> str:
    if not runs:
        return "the problem is not written down"
    params = runs[-1].params
    return f"{params[names.P_GAP]}; {params[names.P_METRIC]} of {params[names.P_TARGET] or 'a program'}"


def _freeze_words(runs: list[StoredRun]) -> str:
    if not runs:
        return "no evaluation set is frozen"
    run = runs[0]
    n_evaluation, n_training = (int(run.params[name]) for name in (names.P_EVALUATION_ROWS, names.P_TRAINING_ROWS))
    score = run.metrics[names.M_SCORE]
    return f"{n_evaluation:,} evaluation rows, {n_training:,} training rows; real-only baseline {score:.4f}"


def _validate_words(verdicts: tuple[Verdict, ...]) -> str:
    counts: dict[str, int] = {}
    for verdict in verdicts:
        word = "retracted" if verdict.retracted else verdict.verdict
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items())) or "nothing to validate"


def _sweep_words(runs: list[StoredRun]) -> str:
    if not runs:
        return "no ratio is chosen"
    params = runs[-1].params
    shape = {"no peak": "no peak"}.get(params[names.P_FRAGILITY], f"{params[names.P_FRAGILITY]} peak")
    return f"{percent(float(params[names.P_CHOSEN]))} synthetic chosen, {shape}"


def _report_words(handoffs: list[StoredRun], runs: list[StoredRun]) -> str:
    if not handoffs:
        return "no handoff is written"
    if handoffs[-1].tags.get(names.TAG_DRAFT) == "true":
        return "a draft: something is missing"
    signed = recorded_sign_offs(runs).get(handoffs[-1].run_id, [])
    return f"final, {'signed by ' + ', '.join(each.words for each in signed) if signed else 'not signed'}"


def _next(stages: tuple[StageStatus, ...], verdicts: tuple[Verdict, ...], n_retracted: int) -> str:
    """The command that goes on; after a retraction with another seed, since the same rows are not taken again."""
    seed = f" --seed {n_retracted}" if n_retracted else ""
    commands = {
        "define": "synth-mlflow define problem.md",
        "freeze": "synth-mlflow freeze",
        "generate": f'synth-mlflow generate auto --purpose "…"{seed}',
        "validate": "synth-mlflow validate",
        "sweep": "synth-mlflow sweep",
        "report": "synth-mlflow report --output handoff.html",
    }
    awaits = next((each.batch for each in verdicts if each.awaits_review and not each.retracted), None)
    n_passed = sum(verdict.gate_open for verdict in verdicts)
    if awaits and not n_passed:
        commands["validate"] = commands["generate"] = f"synth-mlflow validate {awaits} --review 100"
    for stage in stages:
        if stage.stage == "sweep" and not stage.done and not n_passed:
            return commands["generate"]
        if not stage.done:
            return commands[stage.stage]
    return commands["report"] if "draft" in stages[-1].words else "synth-mlflow check"


REASON = "its process ended without a word; marked by `synth-mlflow status --repair`"


@dataclass(frozen=True)
class Repaired:
    """What was done about the open runs of a project."""

    killed: tuple[str, ...]
    """Run ids that are marked KILLED now; they counted as no evidence before, and do not now."""
    left: tuple[str, ...]
    """Run ids that somebody may still be writing: a live process here, or one elsewhere within a day."""
    n_paths: int = 0
    """Paths in the database of a moved project that name the files beside it now."""


def repair(project: Project) -> Repaired:
    """Mark as KILLED every open run that nobody can finish any more.

    Raises
    ------
    ServerError
        If this user may not write.
    """
    n_paths = settle(project.server)
    still_open = [run for run in project.reader.runs() if run.status in OPEN and not run.discarded]
    claimed = project.claimed_evaluation_run()
    killed = [run for run in still_open if is_abandoned(run) and not _is_only_unmarked(run, claimed)]
    for run in killed:
        end_run(project.server, run.run_id, "KILLED", REASON)
    ids = {run.run_id for run in killed}
    return Repaired(tuple(ids), tuple(run.run_id for run in still_open if run.run_id not in ids), n_paths)


def _is_only_unmarked(run: StoredRun, claimed: StoredRun | None) -> bool:
    """Whether a run is the project's evaluation set, written in full: `freeze` gives it the status that it lacks."""
    return claimed is not None and run.run_id == claimed.run_id


BATCH_COLUMNS = (
    "batch",
    "run_id",
    "generator",
    "generator_version",
    "rows",
    "seed",
    "slice",
    "purpose",
    "verdict",
    "retracted",
    "digest",
)
CHECK_COLUMNS = ("batch", "generator", "check", "verdict", "reason", "run_id")


def batches_table(project: Project) -> pd.DataFrame:
    """Every batch, one a row, with the columns ``BATCH_COLUMNS``."""
    batches = project.batches()
    verdicts = recorded_verdicts(project, batches)
    rows = [_batch_row(batch, verdict) for batch, verdict in zip(batches, verdicts, strict=True)]
    return pd.DataFrame(rows, columns=BATCH_COLUMNS)


def checks_table(project: Project) -> pd.DataFrame:
    """The newest run of each check of each batch, one a row, with the columns ``CHECK_COLUMNS``."""
    by_batch = checks_by_batch(project)
    rows = []
    for batch in project.batches():
        newest = {run.params[names.P_CHECK]: run for run in by_batch.get(batch.run.run_id, [])}
        for name, run in newest.items():
            reason = run.tags.get(names.TAG_REASON, "")
            verdict = run.params[names.P_VERDICT]
            rows.append([batch.id, batch.run.params[names.P_GENERATOR], name, verdict, reason, run.run_id])
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)


def _batch_row(batch: StoredBatch, verdict: Verdict) -> list[object]:
    params = batch.run.params
    seed = None if params[names.P_SEED] == "null" else int(params[names.P_SEED])
    return [
        batch.id,
        batch.run.run_id,
        params[names.P_GENERATOR],
        params[names.P_GENERATOR_VERSION],
        batch.n_rows,
        seed,
        params[names.P_SLICE] or None,
        params[names.P_PURPOSE],
        verdict.verdict,
        batch.retracted,
        batch.digest,
    ]
