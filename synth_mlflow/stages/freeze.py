"""Stage 2 of 6: freeze a strictly real evaluation set, and measure the real-only baseline on it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import Schema, schema_of
from synth_mlflow.data.digests import canonical_json, json_digest, row_digests, table_digest
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.splits import Split, cut
from synth_mlflow.data.statement import Evaluation
from synth_mlflow.data.tables import read_table, write_parquet
from synth_mlflow.errors import EvidenceError, GateError, StatementError, UsageError, closest
from synth_mlflow.model.baseline import Baseline, measure_baseline, power_words
from synth_mlflow.model.plan import REPEATS
from synth_mlflow.model.settings import Settings, settle
from synth_mlflow.stages.dataset_inputs import evaluation_input, real_input
from synth_mlflow.stages.own_model import allowed_model
from synth_mlflow.stages.real_rows import refuse_synthetic
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Draft
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.signposts import describe_project
from synth_mlflow.tracking.stored import EvaluationSet, Problem
from synth_mlflow.tracking.write import NewRun, claim, create_run, discard_run, end_run, writing

Store = Literal["rows", "reference"]
STORES: tuple[Store, ...] = get_args(Store)


@dataclass(frozen=True)
class Cut:
    """The two sides of a frozen cut, ready to be written."""

    training: pd.DataFrame
    evaluation: pd.DataFrame
    split: Split
    schema: Schema
    seed: int
    plan: Evaluation

    @property
    def key(self) -> str:
        """The idempotency key of the evaluation set's run."""
        digests = (table_digest(side, self.schema) for side in (self.training, self.evaluation))
        return json_digest(["evalset", *digests, self.split.how])


def freeze(
    project: Project,
    *,
    data: Path | None = None,
    group: str | None = None,
    time: str | None = None,
    store: Store = "rows",
    seed: int = 0,
) -> EvaluationSet:
    """Cut the evaluation set, record it with its digest, and measure the baseline on it.

    Parameters
    ----------
    project : Project
    data : Path, optional
        Where the real rows are now, if not where `define` found them.
    group, time : str, optional
        Cut by whole groups of a column, or hold out the latest rows; instead of what the statement says.
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
    """
    problem = project.problem()
    frozen = project.find_evaluation_set()
    if frozen is not None:
        raise _frozen_already(project, frozen)
    path = (data or Path(problem.run.params[names.P_DATA_PATH])).resolve()
    rows = _same_rows(problem, path)
    refuse_synthetic(project, path, rows)
    allowed_model(problem.statement.model)
    refuse_negative_seed(seed)
    if store not in STORES:
        raise UsageError(f"store {store!r} is unknown. {closest(store, STORES)}", "`rows` keeps them on the server.")
    plan = _plan(problem.statement.facts.evaluation, group, time)
    split = cut(rows, problem.statement.task, plan, problem.statement.slices, seed)
    sides = Cut(_take(rows, split.training), _take(rows, split.evaluation), split, schema_of(rows), seed, plan)
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


def refuse_negative_seed(seed: int) -> None:
    """A UsageError for a seed that no random number generator takes."""
    if seed < 0:
        raise UsageError(f"seed {seed} was given, a whole number of at least 0 is needed.")


def _same_rows(problem: Problem, path: Path) -> pd.DataFrame:
    rows = read_table(path)
    found, recorded = table_digest(rows), problem.run.params[names.P_DATA_DIGEST]
    if found != recorded:
        raise EvidenceError(
            f"{path} has content digest {found[:12]}…, the problem statement was written about {recorded[:12]}…: "
            "the data changed since.",
            "Restore the file, or run `synth-mlflow define` again.",
        )
    return rows


def _plan(stated: Evaluation, group: str | None, time: str | None) -> Evaluation:
    if group and time:
        raise UsageError("both --group and --time were given, one way to cut was needed.")
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
    new = NewRun("evalset", f"evaluation set · {len(sides.evaluation):,} rows", sides.key)
    run_id = create_run(project.server, new, parent=project.workflow_run)
    with writing(project.server, run_id) as draft:
        settings = settle(statement.model, statement.task, statement.facts.metric, sides.training, seed=sides.seed)
        baseline = measure_baseline(
            sides.training,
            sides.evaluation,
            statement.task,
            statement.facts.metric,
            settings.spec,
            repeats=REPEATS,
            seed=sides.seed,
            slices=statement.slices,
        )
        _state(draft, problem, sides, path, store)
        _keep_rows(draft, sides, store)
        draft.text(names.A_SLICES, canonical_json(_slice_sizes(statement.slices, sides)))
        baseline_run = _write_baseline(project, problem, sides, baseline, settings, run_id)
        draft.before_it_counts = lambda: _claim(project, run_id, baseline_run)
        draft.metric(names.M_SCORE, baseline.score)
        draft.metric(names.M_SCORE_LOW, baseline.low)
        draft.metric(names.M_SCORE_HIGH, baseline.high)
        draft.metric(names.M_SMALLEST_GAIN, baseline.smallest_detectable)
        draft.describe(_description(problem, sides, baseline, store))


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


def _state(draft: Draft, problem: Problem, sides: Cut, path: Path, store: Store) -> None:
    digest, training = (table_digest(side, sides.schema) for side in (sides.evaluation, sides.training))
    draft.param(names.P_EVALUATION_DIGEST, digest)
    draft.param(names.P_EVALUATION_ROWS, len(sides.evaluation))
    draft.param(names.P_TRAINING_DIGEST, training)
    draft.param(names.P_TRAINING_ROWS, len(sides.training))
    draft.param(names.P_HOW, sides.split.how)
    draft.param(names.P_CUT, sides.plan.model_dump(exclude_none=True))
    draft.param(names.P_DUPLICATES, sides.split.n_duplicates)
    draft.param(names.P_STORE, store)
    draft.param(names.P_DATA_PATH, str(path))
    draft.param(names.P_METRIC, problem.statement.facts.metric)
    draft.param(names.P_STATEMENT, problem.statement.digest)
    draft.param(names.P_TASK_DIGEST, problem.statement.task_digest)
    draft.param(names.P_SEED, sides.seed)
    draft.metric(names.M_ROWS, len(sides.evaluation))
    n_columns, uri = sides.training.shape[1], path.as_uri()
    draft.inputs.append(real_input(training, uri, len(sides.training), n_columns))
    draft.inputs.append(evaluation_input(digest, uri, len(sides.evaluation), n_columns))


def _slice_sizes(slices: Mapping[str, Slice], sides: Cut) -> dict[str, dict[str, int]]:
    """How many rows of each side lie in each slice of the statement."""
    return {
        name: {"training": int(part.mask(sides.training).sum()), "evaluation": int(part.mask(sides.evaluation).sum())}
        for name, part in slices.items()
    }


def _keep_rows(draft: Draft, sides: Cut, store: Store) -> None:
    salt = secrets.token_hex(16)
    draft.param(names.P_SALT, salt)
    draft.text(names.A_SCHEMA, json.dumps(dict(sides.schema.kinds), ensure_ascii=False))
    training, evaluation = (row_digests(side, salt) for side in (sides.training, sides.evaluation))
    np.savez(draft.file(names.A_ROW_DIGESTS), training=training, evaluation=evaluation)
    if store == "rows":
        write_parquet(sides.training, draft.file(names.A_TRAINING))
        write_parquet(sides.evaluation, draft.file(names.A_EVALUATION))
        return
    side = np.full(len(sides.training) + len(sides.evaluation), "training", dtype=object)
    side[sides.split.evaluation] = "evaluation"
    pd.DataFrame({"row": np.arange(len(side)), "side": side}).to_parquet(draft.file(names.A_SPLIT), index=False)


def _write_baseline(
    project: Project, problem: Problem, sides: Cut, baseline: Baseline, settings: Settings, evalset: str
) -> str:
    key = json_digest(["baseline", sides.key])
    new = NewRun("baseline", "baseline · real rows only", key)
    run_id = create_run(project.server, new, parent=evalset)
    with writing(project.server, run_id) as draft:
        draft.param(names.P_EVALUATION_DIGEST, table_digest(sides.evaluation, sides.schema))
        draft.param(names.P_TRAINING_DIGEST, table_digest(sides.training, sides.schema))
        draft.param(names.P_METRIC, problem.statement.facts.metric)
        draft.param(names.P_REPEATS, len(baseline.repeats))
        draft.param(names.P_SEED, sides.seed)
        draft.param(names.P_SETTINGS, {"estimator": settings.spec.estimator, "params": dict(settings.spec.params)})
        draft.metric(names.M_RATIO, 0.0)
        draft.metric(names.M_SCORE, baseline.score)
        draft.metric(names.M_SCORE_LOW, baseline.low)
        draft.metric(names.M_SCORE_HIGH, baseline.high)
        for step, value in enumerate(baseline.repeats):
            draft.metric(names.M_REPEAT_SCORE, value, step)
        metric_of = names.apart(names.slice_metric, baseline.slices)
        for name, value in baseline.slices.items():
            if np.isfinite(value):
                draft.metric(metric_of[name], value)
        draft.describe(
            f"**{problem.statement.facts.metric} = {baseline.score:.4f}** (95 % interval {baseline.low:.4f} to "
            f"{baseline.high:.4f}): what real rows alone reach on the frozen set. Synthetic rows have to beat this. "
            f"{settings.words}"
        )
    return run_id


def _description(problem: Problem, sides: Cut, baseline: Baseline, store: Store) -> str:
    kept = "stored on this run" if store == "rows" else "kept by reference: only digests and positions are here"
    return (
        "**The frozen evaluation set**: real rows that no generator ever sees; nobody changes them mid-project. "
        f"Next: `synth-mlflow generate`.\n\n| evaluation rows | training rows | cut | rows are |\n|---|---|---|---|\n"
        f"| {len(sides.evaluation):,} | {len(sides.training):,} | {sides.split.how} | {kept} |\n\n"
        f"Real-only baseline: **{problem.statement.facts.metric} {baseline.score:.4f}** "
        f"({baseline.low:.4f} to {baseline.high:.4f}). "
        f"{power_words(baseline.smallest_detectable, problem.statement.facts.success.gain_at_least)}"
    )
