"""Stage 2 of 6: freeze a strictly real evaluation set, and measure the real-only baseline on it.

Both sides of a frozen split, and what the run of the evaluation set records and says of them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from synth_mlflow.backends.real_rows import refuse_synthetic
from synth_mlflow.data.addresses import Address, Place, absolute, uri_of
from synth_mlflow.data.columns import Schema, schema_of
from synth_mlflow.data.digests import (
    canonical_json,
    fingerprint,
    json_digest,
    key_path,
    make_key,
    row_digests,
    table_digest,
)
from synth_mlflow.data.mapped import taken
from synth_mlflow.data.markup import as_text
from synth_mlflow.data.private import as_missing, rare_labels
from synth_mlflow.data.schema import TableSchema, present
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.sources.frames import Frame
from synth_mlflow.data.splits import (
    Balance,
    Positions,
    Split,
    balance_of,
    cut,
    n_shared,
    panel_words,
    refuse_moved,
    refuse_negative_seed,
)
from synth_mlflow.data.statement import BOTH_SIDES, Evaluation, Statement
from synth_mlflow.data.tables import read_real, read_table, write_parquet
from synth_mlflow.data.task import SCORED, ModelSpec, Task
from synth_mlflow.errors import EvidenceError, GateError, StatementError, UsageError, closest
from synth_mlflow.gate.policy import policy_of
from synth_mlflow.models.embedding import Embedding
from synth_mlflow.models.estimator import allowed_model
from synth_mlflow.models.tuning import Settings, settle
from synth_mlflow.stages.define import record_place
from synth_mlflow.stages.fit_commands import FEW_REPEATS, command_spec, on_this_machine
from synth_mlflow.stages.requests import FreezeRequest, NamedCommands
from synth_mlflow.sweep.baseline import (
    Baseline,
    baseline_warning,
    best_columns,
    few_rows,
    in_words,
    measure_baseline,
    needed_by,
    power_words,
    rare_class_words,
    sample_loss,
    utility_outlook,
)
from synth_mlflow.sweep.executors import Engine, open_engine
from synth_mlflow.sweep.plan import REPEATS
from synth_mlflow.sweep.sampled_rows import sample_words, sampled_rows
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft, now_ms
from synth_mlflow.tracking.embeddings import embedding_of
from synth_mlflow.tracking.lineage import evaluation_input, real_input
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet, Problem, caveat_words
from synth_mlflow.tracking.ui import describe_project
from synth_mlflow.tracking.write import NewRun, create_run, discard_run, end_run, set_param_once, writing

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
    balance: Balance
    n_shared: int
    """Evaluation rows that equal a training row."""
    unused: pd.DataFrame
    """Real rows of neither side, which a split by group and time leaves."""
    embedding: Embedding | None = None
    """What turns texts into vectors, where the statement names it."""

    @property
    def caveat(self) -> str:
        """What every page says where equal rows stand on both sides."""
        if self.plan.equal_rows != BOTH_SIDES:
            return ""
        return caveat_words(self.n_shared, len(self.evaluation))

    @cached_property
    def training_digest(self) -> str:
        """The content digest of the training rows."""
        return table_digest(self.training, self.schema)

    @cached_property
    def evaluation_digest(self) -> str:
        """The content digest of the evaluation rows."""
        return table_digest(self.evaluation, self.schema)

    @property
    def key(self) -> str:
        """The idempotency key of the evaluation set's run."""
        return json_digest(["evaluation_set", self.training_digest, self.evaluation_digest, self.split.how])


def record_split(draft: RunDraft, problem: Problem, sides: Cut, place: Place, store: Store) -> None:
    """Record both sides: digests, sizes, how they were split, and the rows or what stands for them."""
    draft.param(names.P_EVALUATION_DIGEST, sides.evaluation_digest)
    draft.param(names.P_EVALUATION_ROWS, len(sides.evaluation))
    draft.param(names.P_TRAINING_DIGEST, sides.training_digest)
    draft.param(names.P_TRAINING_ROWS, len(sides.training))
    draft.param(names.P_SPLIT_METHOD, sides.split.how)
    draft.param(names.P_SPLIT_PARAMS, sides.plan.model_dump(exclude_none=True))
    draft.param(names.P_DUPLICATES, sides.split.n_duplicates)
    draft.param(names.P_SHARED_ROWS, sides.n_shared)
    draft.param(names.P_BALANCE, sides.balance.words)
    if sides.embedding is not None:
        draft.param(names.P_EMBEDDING, sides.embedding.to_json())
    draft.metric(names.M_SHARE, sides.balance.share)
    draft.param(names.P_ROW_STORAGE, store)
    record_place(draft, place)
    draft.param(names.P_METRIC, problem.statement.facts.metric)
    draft.param(names.P_STATEMENT, problem.statement.digest)
    draft.param(names.P_TASK_DIGEST, problem.statement.task_digest)
    draft.param(names.P_SEED, sides.seed)
    draft.metric(names.M_ROWS, len(sides.evaluation))
    n_columns, uri = sides.training.shape[1], uri_of(place)
    draft.inputs.append(real_input(sides.training_digest, uri, len(sides.training), n_columns))
    draft.inputs.append(evaluation_input(sides.evaluation_digest, uri, len(sides.evaluation), n_columns))
    _keep_schema(draft, sides, problem.statement.table)
    if store == "rows":
        _keep_rows(draft, sides)
    else:
        _keep_positions(draft, sides, _beside(problem, place))
        if isinstance(place, Address):
            draft.param(names.P_KEY_PATH, str(key_path(_beside(problem, place))))
    draft.text(names.A_SLICES, canonical_json(_slice_sizes(problem.statement.slices, sides)))


def _slice_sizes(slices: Mapping[str, Slice], sides: Cut) -> dict[str, dict[str, int]]:
    """How many rows of each side lie in each slice of the statement."""
    return {
        name: {"training": int(part.mask(sides.training).sum()), "evaluation": int(part.mask(sides.evaluation).sum())}
        for name, part in slices.items()
    }


def _keep_schema(draft: RunDraft, sides: Cut, table: TableSchema | None) -> None:
    draft.text(names.A_SCHEMA, json.dumps(dict(sides.schema.kinds), ensure_ascii=False))
    if table is not None:
        draft.text(names.A_COLUMNS, table.text())
        draft.param(names.P_TABLE_SCHEMA, table.digest)


def _keep_rows(draft: RunDraft, sides: Cut) -> None:
    salt = secrets.token_hex(16)
    draft.param(names.P_SALT, salt)
    parts = {"training": sides.training, "evaluation": sides.evaluation}
    parts |= {names.UNUSED: sides.unused} if len(sides.unused) else {}
    digests: dict[str, Any] = {side: row_digests(rows, salt) for side, rows in parts.items()}
    np.savez(draft.file(names.A_ROW_DIGESTS), **digests)
    write_parquet(present(sides.training, sides.schema), draft.file(names.A_TRAINING))
    write_parquet(present(sides.evaluation, sides.schema), draft.file(names.A_EVALUATION))


def _beside(problem: Problem, place: Place) -> Path:
    """Where the key of the row digests stands beside: the data, or problem.md where these are on no machine of ours."""
    if isinstance(place, Path):
        return place
    return Path(problem.run.params[names.P_STATEMENT_PATH]).with_name(place.name)


def _keep_positions(draft: RunDraft, sides: Cut, path: Path) -> None:
    """On which side the row at each position stands; the key of the row digests stays beside the data."""
    draft.param(names.P_KEY_FINGERPRINT, fingerprint(make_key(path)))
    side = np.full(len(sides.training) + len(sides.evaluation) + len(sides.unused), "training", dtype=object)
    side[sides.split.evaluation] = "evaluation"
    side[sides.split.unused] = names.UNUSED
    pd.DataFrame({"row": np.arange(len(side)), "side": side}).to_parquet(draft.file(names.A_SPLIT), index=False)


def describe_split(problem: Problem, sides: Cut, baseline: Baseline, store: Store, warning: str) -> str:
    """The page of the evaluation set's run."""
    storage_text = (
        "stored on this run" if store == "rows" else "kept by reference: only positions are here, no digest of a row"
    )
    notes = "".join(f"\n\n**{note}**" for note in (sides.caveat, warning) if note)
    return (
        "**The frozen evaluation set**: real rows that no generator ever sees; nobody changes them mid-project. "
        f"Next: `synth-mlflow generate`.\n\n| evaluation rows | training rows | split | rows are |\n|---|---|---|---|\n"
        f"| {len(sides.evaluation):,} | {len(sides.training):,} | {as_text(sides.split.how)} | {storage_text} |\n\n"
        f"Held out: {sides.balance.words}.\n\n"
        f"Real-only baseline: **{problem.statement.facts.metric} {baseline.score:.4f}** "
        f"({baseline.low:.4f} to {baseline.high:.4f}). "
        f"{power_words(baseline.smallest_detectable, problem.statement.facts.success.gain_at_least)}{notes}"
    )


EqualRows = Literal["together", "both-sides"]
EQUAL_ROWS: tuple[EqualRows, ...] = get_args(EqualRows)


def freeze(project: Project, request: FreezeRequest) -> EvaluationSet:
    """Split the evaluation set, record it with its digest, and measure the baseline on it.

    Raises
    ------
    GateError
        Before `define`, and when the project has a frozen set already.
    EvidenceError
        If the data are no longer those that `define` read.
    UsageError
        If rows cannot be split this way, or keeping equal rows together moves the split by more than a fifth.
    """
    began = now_ms()
    problem = project.problem()
    frozen = project.find_evaluation_set()
    if frozen is not None:
        raise _frozen_already(project, frozen)
    place = absolute(request.data or project.recorded_rows(problem.run))
    table, rows = _same_rows(problem, place)
    refuse_synthetic(project, place, rows)
    allowed_model(problem.statement.model)
    embedding = embedding_of(problem.statement)
    refuse_negative_seed(request.seed)
    spec = _commands(problem.statement, request.commands, request.engine)
    engine = open_engine(request.engine, n_jobs=-1 if spec is None else 1, scheduler=request.scheduler)
    store = request.store
    if store not in STORES:
        raise UsageError(f"store {store!r} is unknown. {closest(store, STORES)}", "`rows` keeps them on the server.")
    if store == "reference" and isinstance(place, Frame):
        raise UsageError(
            "rows were given in memory, and `reference` keeps where rows lie, to read them again.",
            "Write them to a file, and give its path.",
        )
    plan = _plan(problem.statement.facts.evaluation, request)
    table = table if table is None else table.cut_by(plan.group, plan.time)
    problem = replace(problem, statement=replace(problem.statement, table=table))
    task, slices = problem.statement.task, problem.statement.slices
    split = cut(rows, task, plan, slices, request.seed)
    refuse_moved(rows, task, plan, slices, request.seed, split)
    schema = schema_of(rows) if table is None else table.schema
    looks = balance_of(rows, task, split), n_shared(rows, split)
    training, evaluation, unused = (taken(rows, side) for side in (split.training, split.evaluation, split.unused))
    sides = Cut(training, evaluation, split, schema, request.seed, plan, *looks, unused, embedding)
    del rows  # both sides are copies, and fits need the memory
    _refuse_lost_classes(problem, sides)
    begun = project.claimed_evaluation_run()
    if begun is None:
        new = NewRun("evaluation_set", f"evaluation set · {len(sides.evaluation):,} rows", sides.key, began=began)
        _write(project, new, problem, sides, place, store, spec, engine)
        describe_project(project)
        return project.evaluation_set()
    end_run(project.server, begun.run_id, "FINISHED")  # its process was killed with nothing but this left to do
    frozen = project.evaluation_set()
    if frozen.digest != sides.evaluation_digest:
        raise _frozen_already(project, frozen)
    return frozen


def _frozen_already(project: Project, frozen: EvaluationSet) -> GateError:
    return GateError(
        f"the evaluation set of {project.server.experiment!r} is frozen (run {frozen.run.run_id}, digest "
        f"{frozen.digest[:12]}…); nobody changes it mid-project.",
        "Go on with `synth-mlflow generate`, or start a new project with `synth-mlflow define`.",
    )


def _same_rows(problem: Problem, place: Place) -> tuple[TableSchema | None, pd.DataFrame]:
    table = problem.statement.table
    rows = read_table(place) if table is None else read_real(place, table)
    recorded = problem.run.params[names.P_DATA_DIGEST]
    digest = table_digest(rows) if table is None else table_digest(rows, table.schema)
    if digest != recorded:
        raise EvidenceError(
            f"{place} has content digest {digest[:12]}…, the problem statement was written about {recorded[:12]}…: "
            "the data changed since.",
            _what_now(place),
        )
    return table, rows


def _what_now(place: Place) -> str:
    if isinstance(place, Path):
        return "Restore the file, or run `synth-mlflow define` again."
    return "Run `synth-mlflow define` again with the rows of today, or name the ones of then: `--data PLACE`."


def _plan(stated: Evaluation, request: FreezeRequest) -> Evaluation:
    group, time, equal_rows = request.group, request.time, request.equal_rows
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


def _refuse_lost_classes(problem: Problem, sides: Cut) -> None:
    task = problem.statement.task
    if not task.is_classification:
        return
    training, evaluation = (side[task.target].value_counts().to_dict() for side in (sides.training, sides.evaluation))
    if len(evaluation) < 2 or set(evaluation) - set(training):
        raise StatementError(
            f"after the split one side lacks a class: training has {training}, evaluation {evaluation}.",
            "Cut another way (`evaluation` in problem.md), or give more rows of the rare class.",
        )


def _commands(statement: Statement, named: NamedCommands, engine: str) -> ModelSpec | None:
    """The model that measures the baseline of a scored task; None for every other task.

    Raises
    ------
    UsageError
        If commands are missing, given for a task that has a target, or to run on another engine.
    """
    if statement.facts.task == SCORED:
        on_this_machine(engine)
        return command_spec(named.train, named.predict, named.timeout_seconds)
    if named.train or named.predict:
        raise UsageError(
            f"commands were given for a {statement.facts.task} task, whose baseline the model of problem.md measures.",
            "Leave them out here; `sweep` takes them.",
        )
    return None


def _write(
    project: Project,
    new: NewRun,
    problem: Problem,
    sides: Cut,
    place: Place,
    store: Store,
    by_command: ModelSpec | None,
    engine: Engine,
) -> None:
    project.say("measuring the real-only baseline")
    statement = problem.statement
    run_id = create_run(project.server, new, parent=project.workflow_run)
    with writing(project.server, run_id, new.stage) as draft:
        measured_from = now_ms()
        training, evaluation = _for_models(statement, sides, store)
        settings = _settings(statement, training, sides.seed, by_command)
        task = replace(statement.task, group=sides.plan.group)
        repeats = REPEATS if by_command is None else FEW_REPEATS

        def measure(real: pd.DataFrame, *, is_sample: bool = False) -> Baseline:
            return measure_baseline(
                real,
                evaluation,
                task,
                statement.facts.metric,
                settings.spec,
                repeats=repeats,
                seed=sides.seed,
                slices=statement.slices,
                is_sample=is_sample,
                engine=engine,
            )

        places = sampled_rows(training, task, settings.spec, statement.slices)
        baseline = measure(training) if places is None else _by_sample(project, training, places, measure)
        measured = measured_from, now_ms()
        _refuse_out_of_reach(
            statement, baseline, lambda: best_columns(baseline, training, evaluation, task, sides.seed)
        )
        warning = baseline_warning(baseline, training, evaluation, task, sides.seed)
        record_split(draft, problem, sides, place, store)
        draft.param(names.P_WARNING, warning)
        rare = _rare_class(draft, task, sides, baseline, statement.facts.metric) or _outlook(
            draft, statement, baseline, sides
        )
        panel = panel_words(sides.training, task.roles)
        if panel:
            draft.param(names.P_PANEL, panel)
        baseline_run = _write_baseline(project, problem, sides, baseline, settings, run_id, measured)
        draft.before_it_counts = lambda: _claim(project, run_id, baseline_run)
        draft.score(problem.statement.facts.metric, baseline.score, baseline.low, baseline.high)
        draft.metric(names.M_SMALLEST_GAIN, baseline.smallest_detectable)
        draft.describe(f"{describe_split(problem, sides, baseline, store, warning)}\n\n{rare}\n\n{panel}".strip())


def _by_sample(
    project: Project, training: pd.DataFrame, places: Positions, measure: Callable[..., Baseline]
) -> Baseline:
    """The baseline on a sample of many rows; on all of them where the sample loses what matters.

    That is more than a sweep can see, and more than `LOST_SHARE` of what real rows teach beyond a constant.
    """
    baseline = measure(taken(training, places), is_sample=True)
    loss = sample_loss(baseline, len(training))
    words = f"a sample of {len(places):,} of the {len(training):,} training rows loses about {loss:.2g}"
    allowed = max(baseline.smallest_detectable, LOST_SHARE * (baseline.score - baseline.chance))
    if loss <= allowed:
        project.say(f"{words}: fits take the sample")
        return baseline
    project.say(f"{words}, which is more than {allowed:.2g}: fits take every row")
    return measure(training)


def _settings(statement: Statement, training: pd.DataFrame, seed: int, by_command: ModelSpec | None) -> Settings:
    if by_command is None:
        return settle(statement.model, statement.task, statement.facts.metric, training, seed=seed)
    return Settings(by_command, "Measured by the commands that `freeze` was given.", ())


LOST_SHARE = 0.03  # of what real rows teach, that fits on a sample may lose
NEARLY_ALL = 0.95  # of what real rows teach: a column that alone gives as much is named as one to leave out
TINY = 1e-6


def _refuse_out_of_reach(statement: Statement, baseline: Baseline, look: Callable[[], list[tuple[str, float]]]) -> None:
    """A StatementError where the best score there is would be too small a gain: the sweep could only answer no."""
    required_gain, left = statement.facts.success.gain_at_least, baseline.best - baseline.score
    if required_gain is None or not required_gain > left:
        return
    best = look()
    near = baseline.chance + NEARLY_ALL * (baseline.score - baseline.chance)
    named = [name for name, score in best if score >= near] or [name for name, _ in best[:1]]
    ignored = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {{role: ignored}}" for name in named)
    less = f"Ask for less than {left:.2g} in problem.md, or " if left > TINY else "In problem.md, "
    raise StatementError(
        f"real rows alone reach {statement.facts.metric} {baseline.score:.4f} on this evaluation set, of "
        f"{baseline.best:g} at most: a gain of {required_gain:g}, which the statement asks for, is out of "
        "reach. Nothing was frozen.",
        f"{less}take another metric. Single columns alone score: {in_words(best)}. If one holds what is known only "
        f"together with the target, leave it out in problem.md: `columns: {{{ignored}}}`. Then run "
        "`synth-mlflow define` again.",
    )


def _rare_class(draft: RunDraft, task: Task, sides: Cut, baseline: Baseline, metric: str) -> str:
    """What is said of a class with few rows, and recorded with the number that utility says again; or nothing."""
    warning = few_rows(task, task.targets(sides.evaluation))
    if warning is None:
        return ""
    label, n_rows = warning
    needed = needed_by(baseline, metric, n_rows)
    words = rare_class_words(label, int((sides.training[task.target] == label).sum()), n_rows, needed)
    draft.param(names.P_RARE, words)
    draft.param(names.P_RARE_NEEDED, needed)
    return words


def _outlook(draft: RunDraft, statement: Statement, baseline: Baseline, sides: Cut) -> str:
    """Whether utility will be able to decide, recorded where it will probably not; or nothing."""
    thresholds = policy_of(statement).thresholds.get("utility")
    if thresholds is None:
        return ""
    n_rows = len(sides.evaluation) + len(sides.training)
    share = len(sides.evaluation) / n_rows
    words = utility_outlook(baseline, thresholds["alpha"], thresholds["detectable_share"], share)
    if words:
        draft.param(names.P_OUTLOOK, words)
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
    winner = set_param_once(project.server, project.problems()[0].run_id, names.P_EVALUATION_RUN, run_id)
    if winner == run_id:
        return
    discard_run(project.server, baseline)
    raise GateError(
        f"somebody else froze the evaluation set of {project.server.experiment!r} at the same moment: run {winner} "
        f"holds, and run {run_id} does not count.",
        "Go on with `synth-mlflow generate`.",
    )


def _write_baseline(
    project: Project,
    problem: Problem,
    sides: Cut,
    baseline: Baseline,
    settings: Settings,
    evaluation_run: str,
    measured: tuple[int, int],
) -> str:
    key, (began, ended) = json_digest(["baseline", sides.key]), measured
    new = NewRun("baseline", "baseline · real rows only", key, began=began)
    run_id = create_run(project.server, new, parent=evaluation_run)
    with writing(project.server, run_id, new.stage, ended) as draft:
        draft.param(names.P_EVALUATION_DIGEST, sides.evaluation_digest)
        draft.param(names.P_TRAINING_DIGEST, sides.training_digest)
        draft.param(names.P_METRIC, problem.statement.facts.metric)
        draft.param(names.P_REPEATS, len(baseline.repeats))
        sample = ""
        if baseline.n_real < len(sides.training):
            draft.param(names.P_FIT_ROWS, baseline.n_real)
            loss = sample_loss(baseline, len(sides.training))
            draft.param(names.P_FIT_LOSS, loss)
            sample = (
                f" {sample_words(baseline.n_real, len(sides.training))} By its learning curve, all rows would score "
                f"about {loss:.2g} more."
            )
        draft.param(names.P_SEED, sides.seed)
        draft.param(names.P_SETTINGS, settings.spec.to_json())
        if sides.embedding is not None:
            draft.param(names.P_EMBEDDING, sides.embedding.to_json())
        draft.metric(names.M_RATIO, 0.0)
        draft.score(problem.statement.facts.metric, baseline.score, baseline.low, baseline.high)
        for step, value in enumerate(baseline.repeats):
            draft.metric(names.M_REPEAT_SCORE, value, step)
        metric_of = names.unique_metric_names(names.slice_metric, baseline.slices)
        for name, value in baseline.slices.items():
            if np.isfinite(value):
                draft.metric(metric_of[name], value)
        draft.describe(
            f"**{problem.statement.facts.metric} = {baseline.score:.4f}** (95 % interval {baseline.low:.4f} to "
            f"{baseline.high:.4f}): what real rows alone reach on the frozen set. Synthetic rows have to beat this. "
            f"{settings.words}{sample}{f' {sides.caveat}' if sides.caveat else ''}"
        )
    return run_id
