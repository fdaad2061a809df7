"""The facts of a first problem statement, as far as a table shows them; what only people know is left open."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.addresses import Place, is_rewritable
from synth_mlflow.data.choice_sets import ChoiceSets, choice_sets_of
from synth_mlflow.data.column_facts import CsvFacts
from synth_mlflow.data.columns import NUMERIC_KINDS
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.rewriting import rows_of_repeated, rows_with, single_classes, where_it_is_made
from synth_mlflow.data.schema import NO_FEATURES, TableSchema, Wishes
from synth_mlflow.data.schema_inference import ReadTable, disguised_targets, infer_table
from synth_mlflow.data.splits import panel_of
from synth_mlflow.data.statement import Evaluation, larger_share
from synth_mlflow.data.tables import raw_table
from synth_mlflow.data.task import TaskKind
from synth_mlflow.data.text_inference import Question
from synth_mlflow.errors import UsageError, closest

N_TARGETS = 4  # candidates that are named
MAX_CLASSES = 20
RARE_CLASS = 0.1  # share below which precision says more than an area under the ROC curve
REPEATED = 0.2  # of the rows: above it, keeping equal rows together would change the split
SLICE_SHARES = (0.05, 0.35)
N_SLICES = 2
_TARGET_NAME = re.compile(
    r"(?i)(^|[_\W])(target|label|class|outcome|response|y|result|diagnosis|default|churn(ed)?|survived|quality|price|"
    r"rating|status|approved|fraud|income|salary)s?([_\W]|$)"
)
_CLASS_NAME = re.compile(
    r"(?i)(^|[_\W])(target|label|class|outcome|diagnosis|type|kind|species|cluster)(e?s)?([_\W]|$)"
)
MAX_CODES = 10  # whole numbers that may name classes
MIN_CODE_ROWS = 5  # of each
_MODELLED = {"number", "category", "boolean", "target"}


@dataclass(frozen=True)
class Proposal:
    """What a table says about its problem statement."""

    targets: tuple[str, ...]
    """Columns that may be what is predicted, likeliest first; at least one."""
    task: TaskKind
    metric: str
    slices: tuple[tuple[str, str], ...]
    """Name and condition of parts of the table."""
    questions: tuple[Question, ...]
    n_rows: int
    n_equal: int
    """Rows that equal another row."""
    group: str | None
    time: str | None
    choices: ChoiceSets | None
    """Where each group has exactly one row with one of two values of the target; as the file holds them."""
    csv: CsvFormat
    class_codes: str
    """What to look at where classes and amounts look alike; empty where they do not."""

    @property
    def target(self) -> str:
        """The likeliest one."""
        return self.targets[0]


def propose(path: Place, target: str | None = None) -> Proposal:
    """Look at a table as `define` will, and say what its facts probably are.

    Parameters
    ----------
    path : Path or Address
        Of a table.
    target : str, optional
        The column to predict, where it is known.

    Raises
    ------
    UsageError
        If the file is no table, lacks that column, or has none that a model could predict.
    """
    raw = raw_table(path, separator=CsvFacts().separator, encoding=CsvFacts().encoding)
    if target is not None and target not in raw.columns:
        raise UsageError(f"{path} has no column {target!r}. {closest(target, raw.columns)}")
    table = infer_table(raw, Wishes())
    targets = (target,) if target is not None else tuple(_targets(table.table, table.rows))
    if not targets:
        raise UsageError(
            f"{path} has no column that a model could predict: each is constant, a text, a time or an identifier.",
            "Name the column all the same: `--target COLUMN`.",
        )
    values = table.rows[targets[0]] if targets[0] in table.rows else pd.Series(dtype="object")
    task = _task(values)
    _refuse_missing(values, path, table, single_classes(values) if task == "multiclass" else [])
    panel = panel_of(table.rows, table.table.roles)
    keys = [column.name for column in table.table.columns if column.role == "group key"]
    choices = choice_sets_of(table.rows, targets[0])
    return Proposal(
        targets[:N_TARGETS],
        task,
        _metric(values, task),
        tuple(_slices(table.table, table.rows, targets[0])),
        (*table.questions, *_disguised(table, targets[0], task, panel.group if panel else None)),
        len(table.rows),
        int(table.rows.duplicated(keep=False).sum()),
        panel.group if panel else choices.group if choices else next(iter(keys), None),
        panel.time if panel else None,
        None if choices is None else choices.as_in_file(table.rows, raw.columns[targets[0]]),
        table.table.csv or CsvFormat(),
        _doubt(values, task),
    )


def _disguised(table: ReadTable, target: str, task: TaskKind, group: str | None) -> list[Question]:
    """Questions about columns that say the target of every row, which nobody has been asked about yet."""
    excluded = {group, *(question.column for question in table.questions)}
    names = [name for name, role in table.table.roles.items() if role not in NO_FEATURES and name not in excluded]
    return disguised_targets(table.rows[names], Wishes(target, task != "regression")) if target in names else []


def _refuse_missing(target: pd.Series, path: Place, table: ReadTable, single: list[Any]) -> None:
    n_missing, name = int(target.isna().sum()), str(target.name)
    if single and n_missing < len(target):
        copy = rows_of_repeated(name, str(path), form=table.table.csv or CsvFormat())
        problem = (
            f"class {', '.join(map(repr, single))} of the target {name!r} has one row; it cannot stand on both sides "
        )
        problem += "of the split"
        problem += f", and the target is missing in {n_missing:,} rows" if n_missing else ""
    elif 0 < n_missing < len(target):
        copy = rows_with(name, str(path), form=table.table.csv or CsvFormat())
        problem = (
            f"the target {name!r} is missing in {n_missing:,} of {len(target):,} rows; a row without it can neither "
        )
        problem += "train nor judge a model"
    else:
        return
    begin = f"synth-mlflow init --from {shlex.quote(copy.path)} --target {shlex.quote(name)}"
    write = f"Write a table of the other rows and begin with it:\n  {copy.command}\n  {begin}"
    raise UsageError(
        f"{path}: {problem}.",
        write if is_rewritable(str(path)) else where_it_is_made(name),
    )


def _targets(table: TableSchema, rows: pd.DataFrame) -> Iterator[str]:
    """Names that are usual for targets first, from the last to the first; then both ends, and columns of two values."""
    usable = [
        column.name
        for column in table.columns
        if column.role in _MODELLED and not column.missing
        and 1 < rows[column.name].nunique() <= (len(rows) if column.kind in NUMERIC_KINDS else MAX_CLASSES)
    ]  # fmt: skip
    named = [name for name in usable if _TARGET_NAME.search(name)]
    ends = [
        name for name in (*reversed([one.name for one in table.columns[-1:]]), table.columns[0].name) if name in usable
    ]
    two = [name for name in usable if rows[name].nunique() == 2]
    yield from dict.fromkeys([*reversed(named), *ends, *two, *usable])


def _task(values: pd.Series) -> TaskKind:
    n_values = values.nunique()
    if n_values == 2:
        return "binary"
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return "multiclass"
    return "multiclass" if _are_codes(values) and _CLASS_NAME.search(str(values.name)) else "regression"


def _are_codes(values: pd.Series) -> bool:
    """Whether numbers may name classes: few whole ones without gaps, each with rows enough to be one."""
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return False
    sizes = values.value_counts()
    codes = np.sort(sizes.index.to_numpy(dtype=np.float64))
    return bool(2 < len(codes) <= MAX_CODES and np.all(np.diff(codes) == 1) and sizes.min() >= MIN_CODE_ROWS)


def _doubt(values: pd.Series, task: TaskKind) -> str:
    if not _are_codes(values):
        return ""
    subject = f"{values.nunique()} whole numbers are"
    if task == "multiclass":
        return f"{subject} taken for classes; if they are amounts: task: regression, metric: r2"
    return f"{subject} taken for amounts; if they are classes: task: multiclass, metric: balanced_accuracy"


def _metric(values: pd.Series, task: TaskKind) -> str:
    if task == "regression":
        return "r2"
    if task == "multiclass":
        return "balanced_accuracy"
    rarest = float(values.value_counts(normalize=True).min()) if len(values) else 0.5
    return "average_precision" if rarest < RARE_CLASS else "roc_auc"


def _slices(table: TableSchema, rows: pd.DataFrame, target: str) -> Iterator[tuple[str, str]]:
    """Categories that a small part of the rows has: parts in which a gap may be."""
    candidates: list[tuple[float, str, str]] = []
    for column in table.columns:
        if column.name == target or column.kind != "string" or column.role != "category":
            continue
        shares = rows[column.name].value_counts(normalize=True)
        for value, share in shares.items():
            if SLICE_SHARES[0] <= share <= SLICE_SHARES[1] and '"' not in str(value) and "`" not in column.name:
                name = re.sub(r"\W+", "_", f"{column.name} {value}").strip("_").lower()
                candidates.append((float(share), name, f'{_name(column.name)} == "{value}"'))
    yield from ((name, condition) for _, name, condition in sorted(candidates)[:N_SLICES])


def _name(column: str) -> str:
    return column if re.fullmatch(r"[^\W\d]\w*", column) else f"`{column}`"


def facts_as_text(proposal: Proposal, name: str, data: str) -> str:
    """The front matter of problem.md: facts filled in, and blank where only people can say it.

    Parameters
    ----------
    name : str
        Of the project.
    data : str
        The path of the table, relative to problem.md.
    """
    others = f"  # or: {', '.join(proposal.targets[1:])}" if len(proposal.targets) > 1 else ""
    unit = "0.02" if proposal.task != "regression" else "0.01"
    lines = [
        "# Filled in from the table: check these lines. Blank: only you can say it; every blank must be filled.",
        f"name: {_yaml(name)}",
        f"data: {_yaml(data)}",
        f"target: {_yaml(proposal.target)}{others}",
        f"task: {proposal.task}{f'  # {proposal.class_codes}' if proposal.class_codes else ''}",
        f"metric: {proposal.metric}  # any scikit-learn scorer name; higher is better",
        f"success: {{gain_at_least: }}  # over real rows alone, such as {unit}; or {{at_least: SCORE}}",
        "gap:  # coverage hole | class imbalance | cold start | privacy block | cost target",
        'privacy:  # relevant, or "not relevant: <why>"',
        *_evaluation(proposal),
        *_columns(proposal),
    ]
    if proposal.slices:
        slices = ", ".join(
            f"{name}: {json.dumps(condition, ensure_ascii=False)}" for name, condition in proposal.slices
        )
        lines.append(f"# slices: {{{slices}}}  # parts of the table on which the score is followed")
    return "\n".join(lines)


def _evaluation(proposal: Proposal) -> Iterator[str]:
    share = larger_share(proposal.n_rows, Evaluation().share)
    parts = [f"share: {share}"] if share else []
    if proposal.group:
        inside = ", ".join([*parts, f"group: {_yaml(proposal.group)}"])
        if proposal.choices:
            yield f"# {proposal.choices.advice};"
            yield "# `init` has printed the commands. To go on with these rows all the same:"
        yield f"# {proposal.group} names groups of rows that belong together. Keep each on one side of the split:"
        yield f"evaluation: {{{inside}}}"
        return
    if proposal.n_equal > REPEATED * proposal.n_rows:
        equal = f"{proposal.n_equal:,} of {proposal.n_rows:,} rows equal another row"
        yield f"# {equal}. Were they entered twice? Then remove them."
        where = "in place of the next line" if share else "here"
        yield f"# Are they different things that look alike? Then write this {where}:"
        yield f"#   evaluation: {{{', '.join([*parts, 'equal_rows: both-sides'])}}}"
    if share:
        yield f"evaluation: {{share: {share}}}  # a quarter of {proposal.n_rows:,} rows would decide little"


def _columns(proposal: Proposal) -> Iterator[str]:
    if proposal.questions:
        yield "columns:  # these need an answer; the likeliest is chosen, check each"
    for question in proposal.questions:
        first, *others = question.lines
        yield f"  # {question.column}: {' '.join(question.found.split())}"
        alternatives = "" if not others else f"  # or: {' or: '.join(f'{{{other}}}' for other in others)}"
        yield f"  {_yaml(question.column)}: {{{first}}}{alternatives}"


def _yaml(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z][\w./-]*", text) and text.lower() not in (
        "yes",
        "no",
        "on",
        "off",
        "true",
        "false",
        "null",
        "y",
        "n",
    )
    return text if plain else json.dumps(text, ensure_ascii=False)
