"""Infer the schema of a table, follow what a person said of its columns, and ask about what is ambiguous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from synth_mlflow.data.column_inference import Inferred, own_column, text_column
from synth_mlflow.data.columns import check_names, normalise
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.disguise import disguised_targets
from synth_mlflow.data.roles import FEW_GROUPS, Role, role_of
from synth_mlflow.data.schema import ColumnRule, ColumnSchema, TableSchema, Wishes, values_role
from synth_mlflow.data.schema_words import detail_of
from synth_mlflow.data.text_inference import Question, quoted
from synth_mlflow.errors import StatementError, UsageError, closest


@dataclass(frozen=True)
class RawTable:
    """A table as its file holds it."""

    columns: Mapping[str, pd.Series | pa.ChunkedArray]
    """Arrow texts of a CSV file, which knows no types; else pandas columns."""
    csv: CsvFormat | None = None


@dataclass(frozen=True)
class ReadTable:
    """A table that was read by an inferred schema."""

    table: TableSchema
    rows: pd.DataFrame
    """Normalised, without the ignored columns."""
    questions: tuple[Question, ...]


def infer_table(raw: RawTable, wishes: Wishes) -> ReadTable:
    """The schema and the values of a table.

    Raises
    ------
    UsageError
        If a column cannot be read at all, or a rule does not fit its column.
    """
    _refuse_unknown(raw, wishes)
    check_names(list(raw.columns))
    found = {name: _column(name, column, wishes) for name, column in raw.columns.items()}
    columns, questions = [], [one.question for one in found.values() if one.question is not None]
    for name, one in found.items():
        role = _role(name, one, wishes)
        columns.append(_described(name, one, role))
    kept = [column.name for column in columns if column.role != "ignored"]
    rows = normalise(pd.DataFrame({name: found[name].values for name in kept}, index=_index(found)))
    questions += disguised_targets(rows, wishes)
    table = TableSchema(tuple(columns), raw.csv, wishes.group, wishes.time)
    return ReadTable(table, rows, tuple(questions))


def refuse_open_questions(questions: Sequence[Question], what: str, rules: Mapping[str, ColumnRule]) -> None:
    """One StatementError that asks everything, with the lines to paste."""
    if not questions:
        return
    shown = "\n".join(f"  - column {one.column!r}: {one.found}" for one in questions)
    lines = "\n".join(_line(one) for one in questions)
    where = "under `columns:` of problem.md, beside what stands there" if rules else "into the facts of problem.md"
    head = "" if rules else "columns:\n"
    n = len(questions)
    raise StatementError(
        f"{'a column' if n == 1 else f'{n} columns'} of {what} can be read in more than one way:\n{shown}",
        f"Choose, and paste {where}:\n{head}{lines}",
    )


def _line(question: Question) -> str:
    first, *others = question.lines
    told = "" if not others else "  # or: " + " or: ".join(f"{{{other}}}" for other in others)
    return f"  {quoted(question.column)}: {{{first}}}{told}"


def _refuse_unknown(raw: RawTable, wishes: Wishes) -> None:
    unknown = [name for name in wishes.rules if name not in raw.columns]
    if unknown:
        raise UsageError(
            f"`columns` names {unknown[0]!r}, which the data lack. {closest(unknown[0], raw.columns)}",
            "Correct the name in problem.md, or leave the line out.",
        )


def _column(name: str, column: pd.Series | pa.ChunkedArray, wishes: Wishes) -> Inferred:
    rule = wishes.rules.get(name, ColumnRule())
    wanted = wishes.wants_values(name)
    if rule.role == "ignored":
        values = pd.Series([None] * len(column), name=name, dtype="str")
        return Inferred(values, "string")
    if isinstance(column, pd.Series):
        return own_column(column.rename(name).reset_index(drop=True), rule, wanted=wanted)
    return text_column(name, column, rule, wanted=wanted, is_csv=True)


def _role(name: str, found: Inferred, wishes: Wishes) -> Role:
    stated = wishes.rules.get(name, ColumnRule()).role
    if name == wishes.target:
        return "target"
    if stated is not None:
        return stated
    if name == wishes.group and found.values.nunique() > FEW_GROUPS:
        return "group key"
    role = role_of(found.values, found.kind)
    if role == "identifier" and name == wishes.time:
        return "number"
    return values_role(role, found.form)


def _described(name: str, found: Inferred, role: Role) -> ColumnSchema:
    if role == "ignored":
        return ColumnSchema(name, found.kind, role)
    return ColumnSchema(
        name,
        found.kind,
        role,
        found.form,
        detail_of(found.values, found.kind, role, found.form),
        int(found.values.isna().sum()),
        int(found.values.nunique()),
    )


def _index(found: Mapping[str, Inferred]) -> pd.RangeIndex:
    return pd.RangeIndex(len(next(iter(found.values())).values) if found else 0)
