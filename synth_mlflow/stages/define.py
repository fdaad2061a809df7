"""Stage 1 of 6: put the problem in writing, and refuse a statement that leaves anything open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from synth_mlflow.backends.real_rows import refuse_synthetic
from synth_mlflow.data.addresses import Address, Place, absolute, is_rewritable, place_of
from synth_mlflow.data.choice_sets import ChoiceSets, choice_sets_of
from synth_mlflow.data.column_facts import CsvFacts
from synth_mlflow.data.columns import NAME_MAX, NUMERIC_KINDS, schema_of
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.digests import canonical_json, json_digest, table_digest
from synth_mlflow.data.markup import as_lines, as_text
from synth_mlflow.data.rewriting import rows_of_repeated, rows_with, single_classes, where_it_is_made
from synth_mlflow.data.schema import ColumnRule, TableSchema
from synth_mlflow.data.schema_inference import ReadTable, infer_table, refuse_open_questions
from synth_mlflow.data.sources.copies import copy_of
from synth_mlflow.data.splits import panel_words
from synth_mlflow.data.statement import FROZEN_FACTS, Statement, read_statement, success_in_words
from synth_mlflow.data.tables import raw_table
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GateError, StatementError, SynthError, UsageError, closest
from synth_mlflow.gate.policy import policy_of
from synth_mlflow.models.scoring import ceiling, check_metric, floor
from synth_mlflow.plugins import find, provenance
from synth_mlflow.stages.benchmarks import benchmark_texts
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft, now_ms
from synth_mlflow.tracking.long_lists import pages
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import Problem
from synth_mlflow.tracking.ui import describe_project
from synth_mlflow.tracking.write import NewRun, create_run, writing

COLUMNS_DESCRIBED = 40  # on the run's page; all of them are in its artifact


def define(project: Project, path: Path) -> Problem:
    """Record the problem statement of a project.

    Parameters
    ----------
    project : Project
    path : Path
        problem.md; the data file that it names is read and checked against it.

    Raises
    ------
    StatementError
        If anything is blank, unknown or does not fit the data; all of it is named at once.
    GateError
        If the evaluation set is frozen and the statement changes what may not change any more.
    """
    began = now_ms()
    statement = read_statement(path)
    place = absolute(place_of(statement.facts.data, path.parent))
    table, choices = _read(statement, place)
    rows = table.rows
    _refuse_misfits(statement, table)
    benchmark_texts(statement.facts.benchmarks, path.parent)  # refused before anything is recorded
    refuse_open_questions(table.questions, statement.facts.data, statement.wishes.rules)
    refuse_synthetic(project, place, rows)
    digest = table_digest(rows, table.table.schema)
    _refuse_moving_goalposts(project, statement, digest)
    key = json_digest(["problem", statement.digest, digest, table.table.digest])
    existing = project.find_problem()
    if existing is not None and (existing.statement.digest, existing.run.params[names.P_DATA_DIGEST]) == (
        statement.digest,
        digest,
    ):
        project.say("this very statement is recorded already")
        return existing
    new = NewRun("problem", f"problem · {statement.facts.name}", key, began=began)
    run_id = _write(project, new, statement, table, (path.resolve(), place), digest, choices)
    return _in_force(project, run_id)


def _read(statement: Statement, place: Place) -> tuple[ReadTable, ChoiceSets | None]:
    csv = statement.facts.csv or CsvFacts()
    raw = raw_table(place, separator=csv.separator, encoding=csv.encoding)
    table, target = infer_table(raw, statement.wishes), statement.facts.target
    choices = choice_sets_of(table.rows, target)
    return table, None if choices is None else choices.as_in_file(table.rows, raw.columns[choices.target])


def _write(
    project: Project,
    new: NewRun,
    statement: Statement,
    read: ReadTable,
    paths: tuple[Path, Place],
    digest: str,
    choices: ChoiceSets | None,
) -> str:
    facts, rows, table = statement.facts, read.rows, read.table
    superseded = [run.run_id for run in project.problems()]
    run_id = create_run(project.server, new, parent=project.workflow_run)
    with writing(project.server, run_id, "problem") as draft:
        for name, value in pages(names.P_SUPERSEDES, superseded).items():
            draft.param(name, value)
        draft.text(names.A_STATEMENT, statement.text)
        draft.param(names.P_STATEMENT, statement.digest)
        draft.param(names.P_TASK_DIGEST, statement.task_digest)
        draft.param(names.P_STATEMENT_PATH, str(paths[0]))
        record_place(draft, paths[1])
        draft.param(names.P_DATA_DIGEST, digest)
        draft.text(names.A_COLUMNS, table.text())
        draft.param(names.P_TABLE_SCHEMA, table.digest)
        draft.param(names.P_DATA_ROWS, len(rows))
        panel = panel_words(rows, table.roles)
        if panel:
            draft.param(names.P_PANEL, panel)
        if choices:
            lines = choices.commands(str(paths[1]), table.csv or CsvFormat())
            draft.param(names.P_CHOICES, {"words": choices.advice, "lines": lines})
        draft.param(names.P_TARGET, facts.target or "")
        draft.param(names.P_TASK, facts.task)
        draft.param(names.P_METRIC, facts.metric)
        draft.param(names.P_SUCCESS, facts.success.model_dump(exclude_none=True))
        draft.param(names.P_GAP, facts.gap)
        draft.param(names.P_PRIVACY, facts.privacy)
        policy = policy_of(statement)
        draft.param(names.P_POLICY, policy.digest)
        draft.text(names.A_POLICY, canonical_json(policy.to_json()))
        used = {"checks": provenance("checks", policy.required), "triggers": provenance("triggers", facts.rerun_when)}
        if any(used.values()):
            draft.param(names.P_PLUGINS, used)
        draft.metric(names.M_ROWS, len(rows))
        draft.describe(_description(statement, rows, table))
    describe_project(project)
    return run_id


def record_place(draft: RunDraft, place: Place) -> None:
    """Record where rows were read from, without secrets; of an address also what its source says of itself."""
    if isinstance(place, Address):
        copy = copy_of(place)
        draft.param(names.P_DATA_SOURCE, dict(copy.facts))
        place = copy.pinned
    draft.param(names.P_DATA_PATH, str(place))


def _in_force(project: Project, run_id: str) -> Problem:
    """The statement that was written, if the server gives it back as the one in force."""
    problem = project.problem()
    if problem.run.run_id != run_id:
        raise GateError(
            f"the statement was recorded as run {run_id}, and run {problem.run.run_id} is in force: somebody wrote it "
            "at the same time.",
            "Read that one, agree on a statement, and run `synth-mlflow define` again.",
        )
    return problem


def _description(statement: Statement, rows: pd.DataFrame, table: TableSchema) -> str:
    prose = "\n\n".join(f"### {question}\n{as_lines(answer)}" for question, answer in statement.answers.items())
    facts = statement.facts
    return (
        f"**The problem**, written by people before anything was generated. Next: the frozen evaluation set.\n\n"
        f"| gap | metric | success | real rows |\n|---|---|---|---|\n"
        f"| {facts.gap} | {as_text(facts.metric)} | {success_in_words(statement)} | {len(rows):,} |\n\n"
        f"### What each column is\n{table.markdown(COLUMNS_DESCRIBED)}\n\n{prose}"
    )


def _refuse_moving_goalposts(project: Project, statement: Statement, data_digest: str) -> None:
    existing, frozen = project.find_problem(), project.find_evaluation_set()
    if existing is None or frozen is None:
        return
    before, now = existing.statement.facts.model_dump(), statement.facts.model_dump()
    changed = [name for name in FROZEN_FACTS if before[name] != now[name]]
    if existing.run.params[names.P_DATA_DIGEST] != data_digest:
        changed.append("the rows of the data file")
    if changed:
        raise GateError(
            f"the evaluation set is frozen, and the statement changes {', '.join(changed)}.",
            "Undo the change, or start a new project under another name.",
        )


def _refuse_misfits(statement: Statement, table: ReadTable) -> None:
    """Everything in which statement and data disagree, in one message."""
    problems = [problem for look in _LOOKS for problem in look(statement, table.rows)]
    for attempt in (
        lambda: check_metric(statement.facts.metric, statement.task),
        lambda: policy_of(statement),
        *(_trigger_check(name, threshold) for name, threshold in statement.facts.rerun_when.items()),
    ):
        try:
            attempt()
        except SynthError as error:
            problems.append(" ".join(filter(None, (error.found, error.fix))))
    if problems:
        shown = "\n".join(f"  - {problem}" for problem in problems)
        raise StatementError(
            f"the statement and {statement.facts.data} do not fit together:\n{shown}",
            f"Correct problem.md or the data.{_with_target(statement, table)}",
        )


def _with_target(statement: Statement, table: ReadTable) -> str:
    """What helps where the target is missing in some rows, or has a class of one row."""
    target, rows = statement.facts.target, table.rows
    if target is None or target not in rows or rows[target].isna().all():
        return ""
    is_single = statement.task.is_classification and single_classes(rows[target])
    if not (is_single or rows[target].isna().any()):
        return ""
    if not is_rewritable(statement.facts.data):
        return f" {where_it_is_made(target)}"
    missing = statement.wishes.rules.get(target, ColumnRule()).missing
    leave = rows_of_repeated if is_single else rows_with
    copy = leave(target, statement.facts.data, missing=missing, form=table.table.csv or CsvFormat())
    if is_single:
        return (
            f" Join such a class with another, or leave its row out: beside problem.md, this writes the other rows, "
            f"which are named there by `data: {copy.path}`:\n  {copy.command}"
        )
    return (
        " A row without its target can neither train nor judge a model. Beside problem.md, this writes the other rows, "
        f"which are named there by `data: {copy.path}`:\n  {copy.command}"
    )


def _trigger_check(name: str, threshold: object) -> Callable[[], None]:
    def check() -> None:
        plugin = find("triggers", name)
        with plugin.guarded():
            try:
                plugin.load().condition(threshold)
            except ValueError as error:
                raise StatementError(f"`rerun_when.{name}`: {error} (found {threshold!r}).") from error

    return check


def _named_columns(statement: Statement, rows: pd.DataFrame) -> list[str]:
    facts = statement.facts
    columns = {
        "target": facts.target,
        "evaluation.group": facts.evaluation.group,
        "evaluation.time": facts.evaluation.time,
    }
    columns |= {f"sensitive[{at}]": name for at, name in enumerate(facts.sensitive)}
    twice = sorted({name for name in facts.sensitive if facts.sensitive.count(name) > 1})
    return [f"`sensitive` names column {name!r} more than once" for name in twice] + [
        f"`{where}` names column {name!r}, which the data lack. {closest(name, map(str, rows.columns))}"
        for where, name in columns.items()
        if name is not None and name not in rows
    ]


def _success(statement: Statement, _rows: pd.DataFrame) -> list[str]:
    metric, success = statement.facts.metric, statement.facts.success
    best, worst = ceiling(metric), floor(metric)
    if success.at_least is not None and success.at_least > best:
        return [f"`success.at_least` is {success.at_least:g}, and {metric} is at most {best:g}: no model reaches it"]
    if success.gain_at_least is not None and success.gain_at_least > best - worst:
        return [
            f"`success.gain_at_least` is {success.gain_at_least:g}, and {metric} lies between {worst:g} and {best:g}: "
            f"no model gains that much; a gain of {success.gain_at_least:g} percent is {success.gain_at_least / 100:g}"
        ]
    return []


def _features(statement: Statement, rows: pd.DataFrame) -> list[str]:
    others = [name for name in rows.columns if name != statement.facts.target]
    return (
        [] if others else [f"the table has no column beside the target {statement.facts.target!r} to predict it from"]
    )


def _slices(statement: Statement, rows: pd.DataFrame) -> list[str]:
    problems = []
    for name, part in statement.slices.items():
        try:
            if not part.mask(rows).any():
                problems.append(f"slice {name!r} ({part.text}) holds none of the {len(rows):,} rows")
        except UsageError as error:
            problems.append(error.found)
    return problems


def _target(statement: Statement, rows: pd.DataFrame) -> list[str]:
    task = statement.task
    if task.target not in rows:
        return []
    target = rows[task.target]
    if target.isna().any():
        return [f"target {task.target!r} is missing in {int(target.isna().sum()):,} of {len(rows):,} rows"]
    if target.nunique() < 2:
        return [f"target {task.target!r} is constant: every row says {target.iloc[0]!r}"]
    if pd.api.types.is_datetime64_any_dtype(target.dtype):
        return [_moments(task)]
    return _classes(task, target) if task.is_classification else _numbers(task, rows)


def _moments(task: Task) -> str:
    what = "classes" if task.is_classification else "numbers"
    return (
        f"target {task.target!r} holds moments in time, which are no {what}; make it text or a number, "
        f"or, where its texts name classes, write `columns: {{{task.target}: {{role: category}}}}`"
    )


def _classes(task: Task, target: pd.Series) -> list[str]:
    counts = target.value_counts()
    if task.kind == "binary" and len(counts) != 2:
        return [f"a binary target needs 2 classes, {task.target!r} has {len(counts):,}: use `task: multiclass`"]
    if task.kind == "multiclass" and len(counts) < 3:
        return [f"a multiclass target needs 3 classes or more, {task.target!r} has {len(counts)}: use `task: binary`"]
    longest = max(map(str, counts.index), key=len)
    if len(longest) > NAME_MAX:
        return [
            f"class {longest[:40]!r}… of {task.target!r} has {len(longest):,} characters, at most {NAME_MAX} are read"
        ]
    if len(counts) > len(target) / 2:
        return [f"target {task.target!r} has {len(counts):,} classes in {len(target):,} rows: use `task: regression`?"]
    single = ", ".join(map(repr, single_classes(target)))
    return (
        [f"class {single} of {task.target!r} has one row; it cannot stand on both sides of the split"] if single else []
    )


def _numbers(task: Task, rows: pd.DataFrame) -> list[str]:
    kind = schema_of(rows)[task.target]
    return [] if kind in NUMERIC_KINDS else [f"a regression target needs numbers, {task.target!r} holds {kind} values"]


def _constraints(statement: Statement, rows: pd.DataFrame) -> list[str]:
    return statement.constraints.problems(rows)


_LOOKS = (_named_columns, _target, _features, _success, _slices, _constraints)
