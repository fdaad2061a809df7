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
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from synth_mlflow.data.column_inference import Inferred, own_column, text_column
from synth_mlflow.data.columns import Kind, check_names, n_distinct, normalise
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.grids import (
    ClockNumbers,
    DateNumbers,
    MomentNumbers,
    ShortDateNumbers,
    YearDayNumbers,
    whole_numbers_grid,
)
from synth_mlflow.data.identifier_forms import known_form
from synth_mlflow.data.json_text import JsonText
from synth_mlflow.data.mapped import frame_of, is_large, let_go, mapped, taken
from synth_mlflow.data.private import FEWEST_ROWS
from synth_mlflow.data.schema import (
    FEW_GROUPS,
    KEEP_WORDS,
    NO_FEATURES,
    ColumnRule,
    ColumnSchema,
    Role,
    TableSchema,
    Wishes,
    is_constant,
    is_named_as_key,
    role_of,
    values_role,
)
from synth_mlflow.data.text_forms import Form
from synth_mlflow.data.text_inference import Question, quoted
from synth_mlflow.data.value_formats import DAY_SECONDS, ClockText, DurationText, NumberText
from synth_mlflow.errors import StatementError, UsageError, closest

Floats = npt.NDArray[np.float64]
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
    inferred = {name: _kept(_column(name, column, wishes, raw.lines), raw) for name, column in raw.columns.items()}
    columns, questions = [], [one.question for one in inferred.values() if one.question is not None]
    for name, one in inferred.items():
        role = _role(name, one, wishes)
        if _is_prompt(name, one, role, raw):
            role = "text"
        columns.append(_described(name, one, role))
        let_go()
    used = [column.name for column in columns if column.role != "ignored"]
    values = ((name, inferred[name].values) for name in used)
    rows = normalise(frame_of(values, len(used), _index(inferred)))
    features = [column.name for column in columns if column.role not in NO_FEATURES]
    questions += disguised_targets(rows[features], wishes)
    table = TableSchema(tuple(columns), raw.csv, wishes.group, wishes.time, raw.lines)
    return ReadTable(table, rows, tuple(questions))


def _kept(inferred: Inferred, raw: RawTable) -> Inferred:
    """A column that was read, mapped where the table is large."""
    if not is_large(len(inferred.values), len(raw.columns)):
        return inferred
    let_go()
    return replace(inferred, values=mapped(inferred.values))


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
        f"{'a column' if n == 1 else f'{n} columns'} of {what} {'needs' if n == 1 else 'need'} an answer:\n{shown}",
        f"Choose, and paste {where}:\n{head}{lines}",
    )


def _line(question: Question) -> str:
    first, *others = question.lines
    alternatives = "" if not others else "  # or: " + " or: ".join(f"{{{other}}}" for other in others)
    return f"  {quoted(question.column)}: {{{first}}}{alternatives}"


def _refuse_unknown(raw: RawTable, wishes: Wishes) -> None:
    unknown = [name for name in wishes.rules if name not in raw.columns]
    if unknown:
        raise UsageError(
            f"`columns` names {unknown[0]!r}, which the data lack. {closest(unknown[0], raw.columns)}",
            "Correct the name in problem.md, or leave the line out.",
        )


def _column(name: str, column: pd.Series | pa.ChunkedArray, wishes: Wishes, lines: JsonText | None) -> Inferred:
    rule = wishes.rules.get(name, ColumnRule())
    values_wanted = wishes.wants_values(name)
    if rule.role == "ignored":
        values = pd.Series([None] * len(column), name=name, dtype="str")
        return Inferred(values, "string")
    if isinstance(column, pd.Series):
        return own_column(column.rename(name).reset_index(drop=True), rule, values_wanted=values_wanted, lines=lines)
    return text_column(name, column, rule, values_wanted=values_wanted, is_csv=True)


def _role(name: str, inferred: Inferred, wishes: Wishes) -> Role:
    stated = wishes.rules.get(name, ColumnRule()).role
    if name == wishes.target:
        return "target"
    if stated is not None:
        return stated
    if name == wishes.group and inferred.values.nunique() > FEW_GROUPS:
        return "group key"
    role = role_of(inferred.values, inferred.kind)
    if role == "identifier" and name == wishes.time:
        return "number"
    return values_role(role, inferred.form)


def _is_prompt(name: str, inferred: Inferred, role: Role, raw: RawTable) -> bool:
    """Whether a column is a prompt or its answer, which are texts also where they are short or repeat."""
    if raw.lines is None or name not in PROMPTS or not raw.columns.keys() >= set(PROMPTS) or inferred.kind != "string":
        return False
    return role == "identifier" or (role == "category" and inferred.values.nunique() > MAX_LEVELS)


def _described(name: str, inferred: Inferred, role: Role) -> ColumnSchema:
    if role == "ignored":
        return ColumnSchema(name, inferred.kind, role)
    return ColumnSchema(
        name,
        inferred.kind,
        role,
        inferred.form,
        detail_of(inferred.values, inferred.kind, role, inferred.form),
        int(inferred.values.isna().sum()),
        n_distinct(inferred.values),
    )


def _index(columns: Mapping[str, Inferred]) -> pd.RangeIndex:
    return pd.RangeIndex(len(next(iter(columns.values())).values) if columns else 0)


MIN_ROWS = 50
MAX_LEVELS = 10
MIN_LEVEL_ROWS = 5
MANY_ROWS = 20  # of a value on average, where there are more than MAX_LEVELS
FIRST_ROWS = 2_000  # looked at first: hardly any column says the target of all of these
MAX_PAIRED = 60  # columns of numbers whose pairs are looked at
CHANCE = 1e-9  # that a column which knows nothing of the classes says the class of every row
EQUAL = 1e-9  # of the share of variance that is left: rounding alone


def disguised_targets(rows: pd.DataFrame, wishes: Wishes) -> list[Question]:
    """Questions about features that say the target of every row; those that a person gave a role are left out.

    Keys are too: what says the target of whole groups of rows belongs into `evaluation: {group: …}`.
    """
    if wishes.target not in rows:
        return []
    if rows[wishes.target].isna().any():
        rows = taken(rows, rows[wishes.target].notna().to_numpy())
    names = [str(name) for name in rows.columns if name != wishes.target]
    others = [name for name in names if not (_answered(name, wishes) or is_named_as_key(name))]
    is_learnable = wishes.is_classification or pd.api.types.is_numeric_dtype(rows[wishes.target].dtype)
    if len(rows) < MIN_ROWS or not is_learnable:  # a target of another kind is refused with its name
        return []
    says = _says_class if wishes.is_classification else _says_number
    first = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, FIRST_ROWS).astype(np.int64))]
    doubts = [
        name
        for name in others
        if says(first[name], first[wishes.target])
        and (len(first) == len(rows) or says(rows[name], rows[wishes.target]))
    ]
    questions = [_question(name, rows[name], rows[wishes.target], wishes) for name in doubts]
    if wishes.is_classification:
        return questions
    numbers = [*(name for name in others if name not in doubts), wishes.target]
    if is_large(*rows.shape) and not _parts_of_target(first[numbers], str(wishes.target)):
        return questions  # what makes the target of every row makes that of the first rows
    return questions + _parts_of_target(rows[numbers], str(wishes.target))


def _answered(name: str, wishes: Wishes) -> bool:
    return name in wishes.rules and wishes.rules[name].role is not None


def _says_class(column: pd.Series, target: pd.Series) -> bool:
    """Whether a column's values, or that it has one, stand beside one class only in every row."""
    there = column.notna()
    if not there.all() and _are_pure(there, target):
        return True
    if 2 * there.sum() < len(column) or target[there].nunique() < max(target.nunique(), 2):
        return False
    values, classes = column[there], target[there]
    if values.nunique() > MAX_LEVELS and _is_ordered(values):
        return _are_separate(values, classes)
    return _are_pure(values, classes)


def _is_ordered(values: pd.Series) -> bool:
    return values.dtype.kind in "iufM" or str(values.dtype) == "Int64"


def _are_pure(values: pd.Series, classes: pd.Series) -> bool:
    """Whether each value has one class, which would hardly happen by chance; each class has several rows."""
    n_levels = values.nunique()
    if n_levels < 2 or classes.nunique() < 2 or (n_levels > MAX_LEVELS and MANY_ROWS * n_levels > len(values)):
        return False
    counts = pd.crosstab(pd.factorize(values)[0], pd.factorize(classes)[0]).to_numpy()
    if not ((counts > 0).sum(axis=1) == 1).all() or counts.sum(axis=0).min() < MIN_LEVEL_ROWS:
        return False
    shares, sizes = counts.sum(axis=0) / counts.sum(), counts.sum(axis=1)
    log_chance = np.log(np.power(shares[None, :], sizes[:, None]).sum(axis=1)).sum()
    return bool(log_chance < np.log(CHANCE))


def _are_separate(values: pd.Series, classes: pd.Series) -> bool:
    """Whether each class has a range of its own."""
    codes, _ = pd.factorize(classes)
    if np.bincount(codes).min() < MIN_LEVEL_ROWS:
        return False
    numbers = values.to_numpy().astype(np.int64) if values.dtype.kind == "M" else values.to_numpy(dtype="float64")
    order = np.lexsort((codes, numbers))
    changes = np.flatnonzero(np.diff(codes[order]))
    is_clear = numbers[order][changes] < numbers[order][changes + 1]
    return bool(len(changes) == len(np.unique(codes)) - 1 and is_clear.all())


def _says_number(column: pd.Series, target: pd.Series) -> bool:
    """Whether a column orders the rows as the target does: in another unit, its logarithm, its rank, its bands."""
    there = column.notna() & target.notna()
    levels, y = column[there], target[there].to_numpy(dtype="float64")
    if 2 * there.sum() < len(column) or levels.nunique() < 3 or np.ptp(y) == 0:
        return False
    if not _is_ordered(levels):
        sizes = levels.value_counts()
        if len(sizes) > MAX_LEVELS or sizes.min() < MIN_LEVEL_ROWS:
            return False
        x = levels.map(pd.Series(y, levels.index).groupby(levels).min()).to_numpy(dtype="float64")
        return _goes_with(x, y)
    x = levels.to_numpy().astype(np.int64) if levels.dtype.kind == "M" else levels.to_numpy(dtype="float64")
    x = np.asarray(x, dtype="float64")
    return _goes_with(x, y) or _goes_with(-x, y)


def _goes_with(x: Floats, y: Floats) -> bool:
    """Whether rows of a greater ``x`` never have a lower ``y``."""
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    starts = np.flatnonzero(np.diff(x)) + 1
    highest = np.maximum.accumulate(y)[starts - 1] if len(starts) else y[:0]
    return bool((y[starts] >= highest - EQUAL * np.ptp(y)).all())


def _parts_of_target(rows: pd.DataFrame, target: str) -> list[Question]:
    """Questions about two columns of numbers that make the target together, as a sum or a difference."""
    numbers = rows.select_dtypes("number").dropna(axis=1)
    names = [str(name) for name in numbers.columns if name != target and numbers[name].nunique() > 2][:MAX_PAIRED]
    if target not in numbers or len(names) < 2:
        return []
    r = np.corrcoef(numbers[[*names, target]].to_numpy(dtype="float64"), rowvar=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        y, between = r[-1, :-1], r[:-1, :-1]
        explained = (y[:, None] ** 2 + y**2 - 2 * np.outer(y, y) * between) / (1 - between**2)
    explained[np.abs(between) > 1 - EQUAL] = np.nan
    pairs = np.argwhere(np.triu(explained > 1 - EQUAL, 1))
    text = "with {other!r} it makes the target {target!r} of every row: is it known before the target is?"
    pair = [(names[first], names[second]) for first, second in pairs[:1]]
    return [
        Question(name, text.format(other=other, target=target), ("role: ignored", "role: number"))
        for both in pair
        for name, other in (both, both[::-1])
    ]


def _question(name: str, column: pd.Series, values: pd.Series, wishes: Wishes) -> Question:
    is_text = column.dtype == "str"
    shown_column = column.astype("str").fillna("(missing)")
    by = "b" if wishes.is_classification else "a"
    pairs = pd.DataFrame({"a": shown_column, "b": values}).dropna().drop_duplicates(by).head(3)
    shown = ", ".join(f"{_shown(a)} where it is {_shown(b)}" for a, b in pairs.itertuples(index=False))
    text = f"it says the target {wishes.target!r} of every row ({shown}): is it known before the target is?"
    role = "category" if is_text else "datetime" if column.dtype.kind == "M" else "number"
    return Question(name, text, ("role: ignored", f"role: {role}"))


def _shown(value: object) -> str:
    """A value for people: of a number with many decimals, six digits.

    >>> _shown("6.003887176513673"), _shown(405), _shown("north")
    ('6.00389', '405', 'north')
    """
    text = str(value)
    return f"{float(text):.6g}" if re.fullmatch(r"-?\d+\.\d{6,}", text) else text


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
        if form.not_missing and role not in NO_FEATURES:
            parts.append(f"{', '.join(map(repr, form.not_missing))} not missing: read with {KEEP_WORDS}")
    elif kind == "datetime":
        parts += [*_moments(present), *_far_dates(present, form)]
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
    moments = []
    if (days == present).all():
        moments.append("days")
    if (present.dt.day == 1).all():
        months = present.dt.month
        is_year, is_quarter = (months == 1).all() and present.dt.year.nunique() > 1, (months % 3 == 1).all()
        moments = ["starts of years" if is_year else "starts of quarters" if is_quarter else "starts of months"]
    elif present.dt.is_month_end.all():
        moments = ["ends of months"]
    elif (present.dt.day_of_week < 5).all():
        moments.append("weekdays only")
    first, last = present.min().year, present.max().year
    return [*moments, f"{first}" if first == last else f"{first} to {last}"]


_NO_DATES = frozenset(
    {"0001-01-01", "1753-01-01", "1800-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1901-01-01", "1970-01-01",
     "2099-12-31", "2100-01-01", "2999-12-31", "3000-01-01", "4712-12-31", "9999-12-31", "9999-01-01"}
)  # fmt: skip
"""Days that databases and spreadsheets write for no day."""


def _far_dates(present: pd.Series, form: Form) -> list[str]:
    """A word on such a day, in three rows or more and further from all others than these are from each other."""
    lines = []
    for day in (present.min(), present.max()):
        is_it = present == day
        others = present[~is_it]
        if str(day)[:10] not in _NO_DATES or is_it.sum() < FEW_NINES or others.empty:
            continue
        if min(abs(others.min() - day), abs(others.max() - day)) > others.max() - others.min():
            written = str(day.date()) if form.format is None else form.format.write(pd.Series([day])).iloc[0]
            lines.append(f"{written} in {is_it.sum():,} rows: if it means missing, say `missing: [{quoted(written)}]`")
    return lines


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
    if isinstance(written, NumberText) and written.pad:
        return _dates_as_numbers(present) or [span]
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
    if isinstance(dates, ClockNumbers):
        return [f"times like {'135945' if dates.has_seconds else '1359'}"]
    if isinstance(dates, ShortDateNumbers):
        return ["dates like 240229"]
    if not isinstance(dates, DateNumbers | MomentNumbers | YearDayNumbers):
        return []
    like = {MomentNumbers(2): "hours like 2024022913", MomentNumbers(4): "moments like 202402291345",
            MomentNumbers(6): "moments like 20240229134500", YearDayNumbers(): "days of years like 2024060",
            DateNumbers(has_day=False): "months like 202402"}.get(dates, "dates like 20240229")  # fmt: skip
    first, last = (str(distinct[end])[:4] for end in (0, -1))
    return [f"{like}, {first} to {last}"]
