"""How lists and objects are written as JSON, and rows as JSON lines.

This file travels with saved models, as ``conversation_text`` does, and imports nothing else of the package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd

from .conversation_text import canonical, problem_of, text_first


@dataclass(frozen=True)
class JsonText:
    """How the lists and objects of JSON lines are written: as Python, JavaScript or pandas write them.

    >>> JsonText(spaced=True, escaped=True).written('[{"role":"user","content":"é"}]')
    '[{"role": "user", "content": "\\\\u00e9"}]'
    """

    name: ClassVar[str] = "json"
    turns: bool = True
    """Whether the values are conversations."""
    spaced: bool = False
    """Whether a space stands behind each comma and colon."""
    escaped: bool = False
    """Whether letters beyond ASCII are escaped."""
    slashes: bool = False
    """Whether slashes are escaped, as pandas does."""
    text_first: bool = False
    """Whether the text of a turn stands before its speaker."""
    nulls: bool = False
    """Whether a line names the columns that are missing there, as null."""
    speakers: tuple[str, ...] = ()
    """The names of the speakers, in the order in which they occur; the first ten."""

    @property
    def kind(self) -> Literal["string"]:
        """Always a text."""
        return "string"

    @property
    def words(self) -> str:
        """The form, and who speaks."""
        if not self.turns:
            return "JSON"
        return f"turns of {', '.join(self.speakers)}" if self.speakers else "turns"

    def parse(self, texts: pd.Series) -> pd.Series:
        """The canonical texts; missing where a text is no value of this kind."""
        return pd.Series([self._read(text) for text in texts], index=texts.index, dtype="str")

    def write(self, values: pd.Series) -> pd.Series:
        """The texts as the file had them."""
        return pd.Series([self.written(text) for text in values], index=values.index, dtype="str")

    def problem(self, text: object) -> str:
        """Why a text is no value of this kind; empty if it is one."""
        try:
            value = json.loads(str(text))
        except (ValueError, RecursionError) as error:
            return f"is no JSON: {error}"
        return problem_of(value) if self.turns else ""

    def _read(self, text: object) -> str | None:
        return None if self.problem(text) else canonical(json.loads(str(text)))

    def written(self, text: str) -> str:
        """A canonical text as the file had it."""
        if self == _canonical_like(self):
            return text
        value = json.loads(text)
        if self.text_first and isinstance(value, list):
            value = [text_first(turn) for turn in value]
        return self.dumps(value)

    def dumps(self, value: object) -> str:
        """Any JSON value in this style."""
        separators = (", ", ": ") if self.spaced else (",", ":")
        text = json.dumps(value, ensure_ascii=self.escaped, separators=separators)
        return text.replace("/", "\\/") if self.slashes else text


def _canonical_like(form: JsonText) -> JsonText:
    return JsonText(turns=form.turns, nulls=form.nulls, speakers=form.speakers)


def json_line(cells: Mapping[str, Any], json_columns: Iterable[str], style: JsonText) -> str:
    """One row as a JSON object; the cells of ``json_columns`` are canonical JSON texts.

    Examples
    --------
    >>> json_line({"messages": '[{"role":"user","content":"Hi"}]', "n": 2, "note": None}, ["messages"], JsonText())
    '{"messages":[{"role":"user","content":"Hi"}],"n":2}'
    """
    nested, colon = set(json_columns), ": " if style.spaced else ":"
    parts = []
    for name, cell in cells.items():
        if cell is None and not style.nulls:
            continue
        text = style.written(cell) if name in nested and cell is not None else style.dumps(cell)
        parts.append(f"{style.dumps(name)}{colon}{text}")
    return "{" + (", " if style.spaced else ",").join(parts) + "}"


def write_json_lines(
    rows: pd.DataFrame, path: Path, json_columns: Mapping[str, JsonText], style: JsonText | None = None
) -> None:
    """Write rows as JSON lines.

    Parameters
    ----------
    rows : DataFrame
        Cells of the columns of JSON are JSON texts.
    path : Path
    json_columns : mapping of str to JsonText
        Those columns, and how they are written.
    style : JsonText, optional
        How the lines are written; by default as the first of these columns, else as Python's ``json.dumps`` does.
    """
    style = style or next(iter(json_columns.values()), JsonText(spaced=True))
    columns = {str(name): _cells(rows[name]) for name in rows.columns}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for at in range(len(rows)):
            file.write(json_line({name: cells[at] for name, cells in columns.items()}, json_columns, style) + "\n")


def _cells(values: pd.Series) -> list[Any]:
    """The values of a column as JSON has them: moments as ISO 8601, missing ones as None."""
    return [None if pd.isna(value) else _plain(value) for value in values]


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") and not isinstance(value, pd.Timestamp) else value
    return value if isinstance(value, bool | int | float | str) else str(value)


def json_columns_of(rows: pd.DataFrame) -> dict[str, JsonText]:
    """The columns of which every text is a list or an object in its canonical form."""
    names = [str(name) for name in rows if pd.api.types.is_string_dtype(rows[name].dtype) and _is_json(rows[name])]
    return dict.fromkeys(names, JsonText(spaced=True))


def _is_json(values: pd.Series) -> bool:
    texts = values.dropna()
    return len(texts) > 0 and bool(texts.str.match(r"[\[{]").all()) and all(map(_is_canonical, texts))


def _is_canonical(text: str) -> bool:
    try:
        return canonical(json.loads(text)) == text
    except (ValueError, RecursionError):
        return False
