"""Infer the schema of a table, follow what a person said of its columns, and ask about what is ambiguous.

Columns that are the target under another name: a model that sees them needs nothing else.

What the values of a column keep to, in a few words: range, decimals, grid, categories.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from synth_mlflow.data.column_inference import Inferred, own_column, text_column
from synth_mlflow.data.columns import NUMERIC_KINDS, Kind, check_names, normalise, schema_of
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.grids import DateNumbers, MomentNumbers, YearDayNumbers, whole_numbers_grid
from synth_mlflow.data.identifier_forms import known_form
from synth_mlflow.data.json_text import JsonText
from synth_mlflow.data.private import FEWEST_ROWS
from synth_mlflow.data.schema import (
    FEW_GROUPS,
    ColumnRule,
    ColumnSchema,
    Role,
    TableSchema,
    Wishes,
    is_constant,
    role_of,
    values_role,
)
from synth_mlflow.data.text_forms import Form
from synth_mlflow.data.text_inference import Question, quoted
from synth_mlflow.data.value_formats import DAY_SECONDS, ClockText, DurationText
from synth_mlflow.errors import StatementError, UsageError, closest

PROMPTS = ("prompt", "completion")  # the other usual form of JSON lines for language models


@dataclass(frozen=True)
class RawTable:
    """A table as its file holds it."""

    columns: Mapping[str, pd.Series | pa.ChunkedArray]
    """Arrow texts of a CSV file, which knows no types; else pandas columns."""
    csv: CsvFormat | None = None
    lines: JsonText | None = None
    """How a file of JSON lines is written."""


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
    found = {name: _column(name, column, wishes, raw.lines) for name, column in raw.columns.items()}
    columns, questions = [], [one.question for one in found.values() if one.question is not None]
    for name, one in found.items():
        role = _role(name, one, wishes)
        if _is_prompt(name, one, role, raw):
            role = "text"
        columns.append(_described(name, one, role))
    kept = [column.name for column in columns if column.role != "ignored"]
    rows = normalise(pd.DataFrame({name: found[name].values for name in kept}, index=_index(found)))
    questions += disguised_targets(rows, wishes)
    table = TableSchema(tuple(columns), raw.csv, wishes.group, wishes.time, raw.lines)
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


def _column(name: str, column: pd.Series | pa.ChunkedArray, wishes: Wishes, lines: JsonText | None) -> Inferred:
    rule = wishes.rules.get(name, ColumnRule())
    wanted = wishes.wants_values(name)
    if rule.role == "ignored":
        values = pd.Series([None] * len(column), name=name, dtype="str")
        return Inferred(values, "string")
    if isinstance(column, pd.Series):
        return own_column(column.rename(name).reset_index(drop=True), rule, wanted=wanted, lines=lines)
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


def _is_prompt(name: str, found: Inferred, role: Role, raw: RawTable) -> bool:
    """Whether a column is a prompt or its answer, which are texts also where they are short or repeat."""
    if raw.lines is None or name not in PROMPTS or not raw.columns.keys() >= set(PROMPTS) or found.kind != "string":
        return False
    return role == "identifier" or (role == "category" and found.values.nunique() > MAX_LEVELS)


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


MIN_ROWS = 50
MAX_LEVELS = 10
MIN_LEVEL_ROWS = 5
EQUAL = 1e-9  # of the correlation's distance from 1: rounding alone


def disguised_targets(rows: pd.DataFrame, wishes: Wishes) -> list[Question]:
    """Questions about columns that say the target of every row; those that a person gave a role are left out."""
    if wishes.target not in rows or len(rows) < MIN_ROWS:
        return []
    target = rows[wishes.target]
    others = [name for name in rows.columns if name != wishes.target and not _answered(str(name), wishes)]
    same = _same_class if wishes.is_classification else _same_number
    return [_question(str(name), str(wishes.target), rows[name], target) for name in others if same(rows[name], target)]


def _answered(name: str, wishes: Wishes) -> bool:
    return name in wishes.rules and wishes.rules[name].role is not None


def _same_class(column: pd.Series, target: pd.Series) -> bool:
    """Whether each of a column's few values stands beside one class only, and each class beside one value at least."""
    if target.nunique() < 2 or column.nunique(dropna=False) > MAX_LEVELS or column.nunique(dropna=False) < 2:
        return False
    counts = pd.crosstab(column.astype("str").fillna("(missing)"), target.astype("str")).to_numpy()
    return bool(((counts > 0).sum(axis=1) == 1).all() and (counts.sum(axis=1) >= MIN_LEVEL_ROWS).all())


def _same_number(column: pd.Series, target: pd.Series) -> bool:
    """Whether a column is the target in another unit."""
    kinds = schema_of(pd.DataFrame({"column": column, "target": target}))
    if {kinds["column"], kinds["target"]} - NUMERIC_KINDS or column.isna().any():
        return False
    x, y = (side.to_numpy(dtype="float64") for side in (column, target))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return False
    return bool(1 - abs(float(np.corrcoef(x, y)[0, 1])) < EQUAL)


def _question(name: str, target: str, column: pd.Series, values: pd.Series) -> Question:
    pairs = pd.DataFrame({"a": column, "b": values}).dropna().drop_duplicates("a").head(3)
    shown = ", ".join(f"{a!s} where it is {b!s}" for a, b in pairs.itertuples(index=False))
    found = f"it says the target {target!r} of every row ({shown}): is it known before the target is?"
    return Question(name, found, ("role: ignored", f"role: {'category' if column.dtype == 'str' else 'number'}"))


MAX_DECIMALS = 6


def detail_of(values: pd.Series, kind: Kind, role: Role, form: Form) -> str:
    """A few words on a column's values, and on the words that were taken for missing ones."""
    present = values.dropna()
    parts = []
    if form.format is not None:
        parts.append(form.format.words)
    if present.empty:
        parts.append("no value at all")
    elif role == "constant" or is_constant(values):
        parts.append(f"always {str(present.iloc[0])[:40]}")
    elif kind == "string":
        parts += _texts(present, role)
    elif kind == "datetime":
        parts += _moments(present)
    elif role == "identifier" and (name := known_form(present)):
        parts += [name, *_numbers(present, kind, form)]
    elif kind in {"integer", "number"}:
        parts += [*_numbers(present, kind, form), *_nines(present)]
    if form.words:
        parts.append(f"missing where it says {', '.join(map(repr, form.words))}")
    return ", ".join(parts)


def _texts(present: pd.Series, role: Role) -> list[str]:
    if role == "conversation":
        return [_turns(present)]
    if role in {"identifier", "group key"}:
        share = present.nunique() / len(present)
        name = known_form(present)
        return [*([name] if name else []), "unique" if share == 1 else f"{share:.0%} distinct"]
    return [f"{present.nunique():,} categories"] if role != "text" else []


def _turns(present: pd.Series) -> str:
    counts = [len(json.loads(text)) for text in present]
    least, greatest = min(counts), max(counts)
    return f"{least:,} to {greatest:,} turns" if least < greatest else f"{least:,} turns each"


def _moments(present: pd.Series) -> list[str]:
    days = present.dt.normalize()
    found = []
    if (days == present).all():
        found.append("days")
    if (present.dt.day == 1).all():
        found = ["starts of months"]
    elif present.dt.is_month_end.all():
        found = ["ends of months"]
    elif (present.dt.day_of_week < 5).all():
        found.append("weekdays only")
    first, last = present.min().year, present.max().year
    return [*found, f"{first}" if first == last else f"{first} to {last}"]


def _outward(present: pd.Series, unit_of: Callable[[float], float]) -> tuple[float, float]:
    """Least and greatest value to one unit of their distance, outward.

    An end that the unit leaves as it is, that is not 0, and that fewer than ten rows have, goes one unit further.
    """
    low, high = float(present.min()), float(present.max())
    if not sys.float_info.min < high - low < math.inf:
        return low, high
    unit = unit_of(high - low)
    below, above = math.floor(low / unit) * unit, math.ceil(high / unit) * unit
    ends = ((low, below), (high, above))
    is_theirs = [end == rounded != 0 and (present == end).sum() < FEWEST_ROWS for end, rounded in ends]
    return below - is_theirs[0] * unit, above + is_theirs[1] * unit


def _digit(distance: float) -> float:
    return 10.0 ** math.floor(math.log10(distance))


def _unit_of_time(distance: float) -> float:
    """In seconds."""
    return max((unit for unit in (1, 60, 3600, DAY_SECONDS) if unit <= distance), default=1)


def _in_words(value: float) -> str:
    return f"{value:,.10g}" if abs(value) >= 10_000 else f"{value:.10g}"


def _numbers(present: pd.Series, kind: Kind, form: Form) -> list[str]:
    written = form.text_format
    if isinstance(written, ClockText | DurationText):
        low, high = _outward(present, _unit_of_time)
        last = DAY_SECONDS - 1 if isinstance(written, ClockText) else math.inf
        return [" to ".join(written.write(pd.Series([low, min(high, last)])))]
    span = " to ".join(map(_in_words, _outward(present, _digit)))
    if form.format is not None:
        return [span]
    if kind == "integer":
        return _dates_as_numbers(present) or [f"whole numbers, {span}"]
    values = present.to_numpy(dtype="float64")
    decimals = next((n for n in range(MAX_DECIMALS + 1) if np.array_equal(np.round(values, n), values)), None)
    if decimals == 0:
        return [f"whole numbers, {span}"]
    return [f"{decimals} decimal{'s' if decimals != 1 else ''}, {span}" if decimals is not None else span]


FEW_NINES = 3
FAR = 2  # times the greatest other value


def _nines(present: pd.Series) -> list[str]:
    """A word on a number such as -999 far beyond all others, in which a missing value may have been written."""
    for value in (present.min(), present.max()):
        is_it, others = present == value, present[present != value].abs()
        is_nines = re.fullmatch(r"-9{2,}(?:\.[09]0*)?|9{3,}(?:\.[09]0*)?", str(value)) is not None
        if is_nines and is_it.sum() >= FEW_NINES and len(others) and abs(value) > FAR * others.max():
            return [f"{value:g} in {is_it.sum():,} rows: if it means missing, say `missing: [{value:g}]`"]
    return []


def _dates_as_numbers(present: pd.Series) -> list[str]:
    """Such as ``dates like 20240229, 2023 to 2024``; empty for other whole numbers."""
    distinct, counts = np.unique(present.to_numpy(dtype="int64"), return_counts=True)
    grid = whole_numbers_grid(distinct, counts)
    dates = grid.grids[0] if grid is not None else None
    if not isinstance(dates, DateNumbers | MomentNumbers | YearDayNumbers):
        return []
    like = {MomentNumbers(2): "hours like 2024022913", MomentNumbers(4): "moments like 202402291345",
            MomentNumbers(6): "moments like 20240229134500", YearDayNumbers(): "days of years like 2024060",
            DateNumbers(has_day=False): "months like 202402"}.get(dates, "dates like 20240229")  # fmt: skip
    first, last = (str(distinct[end])[:4] for end in (0, -1))
    return [f"{like}, {first} to {last}"]
