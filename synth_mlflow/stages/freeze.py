"""Stage 2 of 6: freeze a strictly real evaluation set, and measure the real-only baseline on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.digests import json_digest, table_digest
from synth_mlflow.data.equal_rows import balance_of, n_shared, refuse_moved
from synth_mlflow.data.panels import panel_words
from synth_mlflow.data.rare_labels import as_missing, rare_labels
from synth_mlflow.data.schema import TableSchema
from synth_mlflow.data.splits import cut, refuse_negative_seed
from synth_mlflow.data.statement import BOTH_SIDES, Evaluation, Statement
from synth_mlflow.data.tables import read_real, read_table
from synth_mlflow.data.task import Task
from synth_mlflow.errors import EvidenceError, GateError, StatementError, UsageError, closest
from synth_mlflow.model.baseline import Baseline, measure_baseline
from synth_mlflow.model.baseline_warning import baseline_warning
from synth_mlflow.model.plan import REPEATS
from synth_mlflow.model.rare_classes import few_rows, needed_by, rare_class_words
from synth_mlflow.model.settings import Settings, settle
from synth_mlflow.stages.frozen_split import STORES, Cut, Store, describe_split, record_split
from synth_mlflow.stages.own_model import allowed_model
from synth_mlflow.stages.real_rows import refuse_synthetic
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Draft
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.signposts import describe_project
from synth_mlflow.tracking.stored import EvaluationSet, Problem
from synth_mlflow.tracking.write import NewRun, claim, create_run, discard_run, end_run, writing

EqualRows = Literal["together", "both-sides"]
EQUAL_ROWS: tuple[EqualRows, ...] = get_args(EqualRows)


def freeze(
    project: Project,
    *,
    data: Path | None = None,
    group: str | None = None,
    time: str | None = None,
    equal_rows: EqualRows | None = None,
    store: Store = "rows",
    seed: int = 0,
) -> EvaluationSet:
    """Split the evaluation set, record it with its digest, and measure the baseline on it.

    Parameters
    ----------
    project : Project
    data : Path, optional
        Where the real rows are now, if not where `define` found them.
    group, time : str, optional
        Split by whole groups of a column, hold out the latest rows, or both: evaluation rows are then of other groups
        and later than all training rows. Instead of what the statement says.
    equal_rows : {"together", "both-sides"}, optional
        Of a random split: whether equal rows stay on one side, or are split as all others are.
    store : {"rows", "reference"}
        Keep the rows on the server, or only digests, positions and the path where rows must not be uploaded.
    seed : int
        Of the random cut.

    Raises
    ------
    GateError
        Before `define`, and when the project has a frozen set already.
    EvidenceError
        If the data are no longer those that `define` read.
    UsageError
        If rows cannot be split this way, or keeping equal rows together moves the split by more than a fifth.
    """
    problem = project.problem()
    frozen = project.find_evaluation_set()
    if frozen is not None:
        raise _frozen_already(project, frozen)
    path = (data or Path(problem.run.params[names.P_DATA_PATH])).resolve()
    table, rows = _same_rows(problem, path)
    refuse_synthetic(project, path, rows)
    allowed_model(problem.statement.model)
    refuse_negative_seed(seed)
    if store not in STORES:
        raise UsageError(f"store {store!r} is unknown. {closest(store, STORES)}", "`rows` keeps them on the server.")
    plan = _plan(problem.statement.facts.evaluation, group, time, equal_rows)
    table = table if table is None else table.cut_by(plan.group, plan.time)
    problem = replace(problem, statement=replace(problem.statement, table=table))
    task, slices = problem.statement.task, problem.statement.slices
    split = cut(rows, task, plan, slices, seed)
    refuse_moved(rows, task, plan, slices, seed, split)
    schema = schema_of(rows) if table is None else table.schema
    looks = balance_of(rows, task, split), n_shared(rows, split)
    training, evaluation, unused = (_take(rows, side) for side in (split.training, split.evaluation, split.unused))
    sides = Cut(training, evaluation, split, schema, seed, plan, *looks, unused)
    _refuse_lost_classes(problem, sides)
    begun = project.claimed_evaluation_run()
    if begun is None:
        _write(project, problem, sides, path, store)
        describe_project(project)
        return project.evaluation_set()
    end_run(project.server, begun.run_id, "FINISHED")  # its process was killed with nothing but this left to do
    frozen = project.evaluation_set()
    if frozen.digest != table_digest(sides.evaluation, sides.schema):
        raise _frozen_already(project, frozen)
    return frozen


def _frozen_already(project: Project, frozen: EvaluationSet) -> GateError:
    return GateError(
        f"the evaluation set of {project.server.experiment!r} is frozen (run {frozen.run.run_id}, digest "
        f"{frozen.digest[:12]}…); nobody changes it mid-project.",
        "Go on with `synth-mlflow generate`, or start a new project with `synth-mlflow define`.",
    )


def _same_rows(problem: Problem, path: Path) -> tuple[TableSchema | None, pd.DataFrame]:
    table = problem.statement.table
    rows = read_table(path) if table is None else read_real(path, table)
    recorded = problem.run.params[names.P_DATA_DIGEST]
    found = table_digest(rows) if table is None else table_digest(rows, table.schema)
    if found != recorded:
        raise EvidenceError(
            f"{path} has content digest {found[:12]}…, the problem statement was written about {recorded[:12]}…: "
            "the data changed since.",
            "Restore the file, or run `synth-mlflow define` again.",
        )
    return table, rows


def _plan(stated: Evaluation, group: str | None, time: str | None, equal_rows: EqualRows | None) -> Evaluation:
    if equal_rows is not None and equal_rows not in EQUAL_ROWS:
        raise UsageError(f"--equal-rows {equal_rows} is unknown. {closest(equal_rows, EQUAL_ROWS)}")
    if equal_rows == BOTH_SIDES:
        if group or time or stated.group or stated.time:
            raise UsageError(
                f"--equal-rows {BOTH_SIDES} was given for a split by group or time: it needs one at random.",
                "Leave it out, or take `group` and `time` out of `evaluation` in problem.md.",
            )
        return Evaluation(share=stated.share, stratify=stated.stratify, equal_rows=BOTH_SIDES)
    if group or time:
        return Evaluation(share=stated.share, group=group, time=time)
    return stated


def _take(rows: pd.DataFrame, positions: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pd.DataFrame:
    return rows.iloc[positions].reset_index(drop=True)


def _refuse_lost_classes(problem: Problem, sides: Cut) -> None:
    task = problem.statement.task
    if not task.is_classification:
        return
    training, evaluation = (side[task.target].value_counts().to_dict() for side in (sides.training, sides.evaluation))
    if len(evaluation) < 2 or set(evaluation) - set(training):
        raise StatementError(
            f"after the cut one side lacks a class: training has {training}, evaluation {evaluation}.",
            "Cut another way (`evaluation` in problem.md), or give more rows of the rare class.",
        )


def _write(project: Project, problem: Problem, sides: Cut, path: Path, store: Store) -> None:
    project.say("measuring the real-only baseline")
    statement = problem.statement
    new = NewRun("evaluation_set", f"evaluation set · {len(sides.evaluation):,} rows", sides.key)
    run_id = create_run(project.server, new, parent=project.workflow_run)
    with writing(project.server, run_id) as draft:
        training, evaluation = _for_models(statement, sides, store)
        settings = settle(statement.model, statement.task, statement.facts.metric, training, seed=sides.seed)
        task = replace(statement.task, group=sides.plan.group)
        baseline = measure_baseline(
            training,
            evaluation,
            task,
            statement.facts.metric,
            settings.spec,
            repeats=REPEATS,
            seed=sides.seed,
            slices=statement.slices,
        )
        warning = baseline_warning(baseline, training, evaluation, task, sides.seed)
        record_split(draft, problem, sides, path, store)
        draft.param(names.P_WARNING, warning)
        rare = _rare_class(draft, task, sides, baseline, statement.facts.metric)
        panel = panel_words(sides.training, task.roles)
        if panel:
            draft.param(names.P_PANEL, panel)
        baseline_run = _write_baseline(project, problem, sides, baseline, settings, run_id)
        draft.before_it_counts = lambda: _claim(project, run_id, baseline_run)
        draft.score(problem.statement.facts.metric, baseline.score, baseline.low, baseline.high)
        draft.metric(names.M_SMALLEST_GAIN, baseline.smallest_detectable)
        draft.describe(f"{describe_split(problem, sides, baseline, store, warning)}\n\n{rare}\n\n{panel}".strip())


def _rare_class(draft: Draft, task: Task, sides: Cut, baseline: Baseline, metric: str) -> str:
    """What is said of a class with few rows, and recorded with the number that utility says again; or nothing."""
    found = few_rows(task, sides.evaluation[task.target])
    if found is None:
        return ""
    label, n_rows = found
    needed = needed_by(baseline, metric, n_rows)
    words = rare_class_words(label, int((sides.training[task.target] == label).sum()), n_rows, needed)
    draft.param(names.P_RARE, words)
    draft.param(names.P_RARE_NEEDED, needed)
    return words


def _for_models(statement: Statement, sides: Cut, store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both sides as every model of the project sees them; rare labels stay where the rows stay."""
    if store == "rows":
        return sides.training, sides.evaluation
    task = replace(statement.task, group=sides.plan.group)
    rare = rare_labels([sides.training, sides.evaluation], task, statement.text)
    return as_missing(sides.training, rare), as_missing(sides.evaluation, rare)


def _claim(project: Project, run_id: str, baseline: str) -> None:
    """Make this run the project's one evaluation set, or learn that somebody else's was faster."""
    winner = claim(project.server, project.problems()[0].run_id, names.P_EVALUATION_RUN, run_id)
    if winner == run_id:
        return
    discard_run(project.server, baseline)
    raise GateError(
        f"somebody else froze the evaluation set of {project.server.experiment!r} at the same moment: run {winner} "
        f"holds, and run {run_id} does not count.",
        "Go on with `synth-mlflow generate`.",
    )


def _write_baseline(
    project: Project, problem: Problem, sides: Cut, baseline: Baseline, settings: Settings, evaluation_run: str
) -> str:
    key = json_digest(["baseline", sides.key])
    new = NewRun("baseline", "baseline · real rows only", key)
    run_id = create_run(project.server, new, parent=evaluation_run)
    with writing(project.server, run_id) as draft:
        draft.param(names.P_EVALUATION_DIGEST, table_digest(sides.evaluation, sides.schema))
        draft.param(names.P_TRAINING_DIGEST, table_digest(sides.training, sides.schema))
        draft.param(names.P_METRIC, problem.statement.facts.metric)
        draft.param(names.P_REPEATS, len(baseline.repeats))
        draft.param(names.P_SEED, sides.seed)
        draft.param(names.P_SETTINGS, settings.spec.to_json())
        draft.metric(names.M_RATIO, 0.0)
        draft.score(problem.statement.facts.metric, baseline.score, baseline.low, baseline.high)
        for step, value in enumerate(baseline.repeats):
            draft.metric(names.M_REPEAT_SCORE, value, step)
        metric_of = names.apart(names.slice_metric, baseline.slices)
        for name, value in baseline.slices.items():
            if np.isfinite(value):
                draft.metric(metric_of[name], value)
        draft.describe(
            f"**{problem.statement.facts.metric} = {baseline.score:.4f}** (95 % interval {baseline.low:.4f} to "
            f"{baseline.high:.4f}): what real rows alone reach on the frozen set. Synthetic rows have to beat this. "
            f"{settings.words}{f' {sides.caveat}' if sides.caveat else ''}"
        )
    return run_id
