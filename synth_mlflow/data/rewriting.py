"""Commands that write a changed copy of a table: what a message offers where rows or columns must be left out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from synth_mlflow.data.addresses import Address, place_of
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.table_files import FEATHER_SUFFIXES, JSON_SUFFIXES, TEXT_SUFFIXES

PLAIN = CsvFormat()
N_NAMED = 2  # columns that the new file's name tells


@dataclass(frozen=True)
class Rewriting:
    """A command, and the file that it writes beside the table."""

    command: str
    path: str


def rows_with(column: str, path: str, *, missing: Collection[str] = (), form: CsvFormat = PLAIN) -> Rewriting:
    """Keep the rows whose value in a column is present.

    Parameters
    ----------
    column : str
    path : str
        The table, as the reader may name it.
    missing : collection of str
        Texts that stand for a missing value in this column, beside the empty one.
    form : CsvFormat, optional
        Of a table of texts.

    Examples
    --------
    >>> rows_with("wage", "people.parquet").path
    'people_with_wage.parquet'
    """
    name = _quoted(column)
    change = f".dropna(subset=[{name}])"
    if path.lower().endswith(TEXT_SUFFIXES):
        change = f"[lambda rows: ~rows[{name}].isin({_quoted(['', *missing])})]"
    return _rewriting(path, f"with_{column}", change, form)


def single_classes(target: pd.Series) -> list[Any]:
    """Classes that one row has, where others have more; a target of many such is no class at all."""
    counts = target.value_counts()
    single = counts.index[counts == 1]
    return [] if 2 * len(counts) > len(target) else list(single)


def rows_of_repeated(column: str, path: str, *, missing: Collection[str] = (), form: CsvFormat = PLAIN) -> Rewriting:
    """Keep the rows whose value in a column is present and stands in another row as well.

    Examples
    --------
    >>> rows_of_repeated("grade", "people.parquet").path
    'people_with_repeated_grade.parquet'
    """
    name = _quoted(column)
    repeated = f"(rows[{name}].map(rows[{name}].value_counts()) > 1)"
    present = f" & ~rows[{name}].isin({_quoted(['', *missing])})" if path.lower().endswith(TEXT_SUFFIXES) else ""
    return _rewriting(path, f"with_repeated_{column}", f"[lambda rows: {repeated}{present}]", form)


def where_it_is_made(column: str) -> str:
    """What helps in place of a command where a table is a query or a Delta table.

    >>> where_it_is_made("wage")
    'Leave such rows out where the table is made; in a query: `where "wage" is not null`.'
    """
    return f'Leave such rows out where the table is made; in a query: `where "{column}" is not null`.'


def without_columns(columns: Collection[str], path: str, form: CsvFormat = PLAIN) -> Rewriting:
    """Leave some columns out.

    Examples
    --------
    >>> without_columns(["id", "name"], "data/people.csv").path
    'data/people_without_id_name.csv'
    """
    label = "_".join(list(columns)[:N_NAMED])
    return _rewriting(path, f"without_{label}", f".drop(columns={_quoted(list(columns))})", form)


def only_columns(columns: Collection[str], path: str, form: CsvFormat = PLAIN) -> Rewriting:
    """Keep some columns.

    Examples
    --------
    >>> only_columns(["age", "bought"], "data/people.csv").path
    'data/people_fewer_columns.csv'
    """
    return _rewriting(path, "fewer_columns", f"[{_quoted(list(columns))}]", form)


class Pivot(Protocol):
    """Which rows become one."""

    @property
    def group(self) -> str:
        """The column whose values get one row each."""

    @property
    def alternative(self) -> str:
        """The column that names the rows of a group."""

    @property
    def target(self) -> str:
        """The column that marks one row of each group."""

    @property
    def chosen(self) -> Any:
        """Its value there."""

    @property
    def constant(self) -> tuple[str, ...]:
        """Columns that are kept once for each group."""

    @property
    def varying(self) -> tuple[str, ...]:
        """Columns that are kept once for each row of a group."""


def pivoted(rows: Pivot, path: str, form: CsvFormat = PLAIN) -> Rewriting:
    """Write one row for each group; the target becomes the alternative that was chosen, as a word."""
    chosen = f"[lambda rows: rows[{_quoted(rows.target)}].isin([{_value(rows.chosen)}])]"
    parts = (
        f"one = rows{chosen}.set_index({_quoted(rows.group)})",
        f"wide = rows.pivot(index={_quoted(rows.group)}, columns={_quoted(rows.alternative)}, "
        f"values={_quoted(list(rows.varying))})",
        'wide.columns = [f"{name}_{which}" for name, which in wide.columns]',
    )
    word = f'"{rows.alternative} " + one[{_quoted(rows.alternative)}].astype(str)'
    change = f"one[{_quoted(list(rows.constant))}].join(wide).assign(**{{{_quoted(rows.target)}: {word}}})"
    return _rewriting(path, f"one_row_each_{rows.group}", change, form, before=parts)


def _value(value: object) -> str:
    """A cell as Python writes it, in double quotes."""
    return _quoted(value) if isinstance(value, str) else repr(value.item() if isinstance(value, np.generic) else value)


def _rewriting(path: str, change_in_words: str, change: str, form: CsvFormat, before: Sequence[str] = ()) -> Rewriting:
    """Read, change, write; where statements come ``before``, they call the table ``rows``, and so does the change."""
    place = place_of(path)
    stem = place.name.partition(".")[0]
    read, write, suffix = _calls(path.lower(), form)
    word = re.sub(r"\W+", "_", change_in_words)
    name = f"{stem}_{word}{suffix}"
    written = name if isinstance(place, Address) else str(place.with_name(name))
    table = f"pd.{read.format(_quoted(path))}"
    parts = ["import pandas as pd", *((f"rows = {table}", *before, change) if before else (f"{table}{change}",))]
    code = f"{'; '.join(parts)}.reset_index(drop=True).{write.format(_quoted(written))}"
    return Rewriting(f"python -c {shlex.quote(code)}", written)


def _calls(path: str, form: CsvFormat) -> tuple[str, str, str]:
    """How pandas reads and writes such a table with every cell as it is; {} stands for the path."""
    if path.endswith(JSON_SUFFIXES):
        read = "read_json({}, lines=True, dtype=False, convert_dates=False)"
        return read, 'to_json({}, orient="records", lines=True, force_ascii=False)', ".jsonl"
    if path.endswith(FEATHER_SUFFIXES):
        return "read_feather({})", "to_feather({})", ".feather"
    if not path.endswith(TEXT_SUFFIXES):
        return "read_parquet({})", "to_parquet({}, index=False)", ".parquet"
    separator = "\t" if ".tsv" in path and form == PLAIN else form.separator
    options = ", dtype=str, keep_default_na=False"
    options += "" if separator == "," else f", sep={_quoted(separator)}"
    options += "" if form.encoding == "utf-8" else f", encoding={_quoted(form.encoding)}"
    options += "" if form.quote == '"' else f", quotechar={_quoted(form.quote)}"
    options += f", escapechar={_quoted(form.escape)}, doublequote=False" if form.escape else ""
    return f"read_csv({{}}{options})", "to_csv({}, index=False)", ".csv"


def _quoted(value: object) -> str:
    """As Python writes it, in double quotes: a shell then takes the whole code in single ones."""
    return json.dumps(value, ensure_ascii=False)
