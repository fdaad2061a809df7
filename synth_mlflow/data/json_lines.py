"""JSON lines: one object a line, conversations and what stands beside them as canonical texts, and the style of a file.

A list or an object in a cell is read only where the file holds conversations; a table has one value a cell.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from synth_mlflow.data.columns import Schema
from synth_mlflow.data.conversation_text import FORMS, canonical, looks_like_conversation, problem_of
from synth_mlflow.data.json_text import JsonText
from synth_mlflow.data.mapped import mapped_table
from synth_mlflow.errors import UsageError

OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
CONVERSATIONS = ("messages", "conversations")  # what such a column is called in the usual files
CHAT = "docs/how-to/conversations.md"
PROBLEMS_SHOWN = 3
LONG_BYTES = 32 * 2**20  # of a file of texts, from which on they are not held in memory
UNFOLDED = 10  # times a packed file, about
PIECE_BYTES = 8 * 2**20  # of lines that are objects at the same time: about ten times as much


def open_bytes(path: Path) -> IO[bytes]:
    """The content of a file, unpacked where its ending says that it is packed."""
    opener = OPENERS.get(path.suffix.lower())
    return path.open("rb") if opener is None else opener(path, "rb")  # type: ignore[operator]


def is_long(path: Path) -> bool:
    """Whether a file of texts is read in blocks into a mapped file, and never held in memory."""
    return path.stat().st_size * (UNFOLDED if path.suffix.lower() in OPENERS else 1) > LONG_BYTES


_Rows = list[tuple[int, dict[str, Any]]]  # with the line of each
_Arrays = dict[str, pa.Array | None]  # None for a column that mixes types


@dataclass
class _Lines:
    """What the lines of a file hold, taken in block by block."""

    path: Path
    types: dict[str, pa.DataType | None] = field(default_factory=dict)
    """Of each column in the order of their first cells; None for one that mixes them."""
    nested: Counter[str] = field(default_factory=Counter)
    """Lists and objects by column."""
    plain: Counter[str] = field(default_factory=Counter)
    """Other values of those columns."""
    conversations: dict[str, None] = field(default_factory=dict)
    """Columns of which a cell is a conversation, or should be one by its name."""
    problems: dict[str, _Problems] = field(default_factory=dict)
    """Lists that are no conversations, by column."""

    def add(self, rows: _Rows) -> _Arrays:
        """Take in the next rows, and give their columns."""
        plain: Counter[str] = Counter()
        for number, row in rows:
            for name, value in row.items():
                self.types.setdefault(name, pa.null())
                if isinstance(value, list | dict):
                    self._look(number, name, value)
                elif value is not None:
                    plain[name] += 1
        self.plain += plain
        arrays = _arrays(rows, self.types)
        self.types = {name: _joint_type(self.types[name], array) for name, array in arrays.items()}
        return arrays

    def _look(self, number: int, name: str, value: object) -> None:
        self.nested[name] += 1
        if name in CONVERSATIONS or looks_like_conversation(value):
            self.conversations.setdefault(name)
        problem = problem_of(value)
        if problem:
            self.problems.setdefault(name, _Problems()).add(f"line {number}: {name!r} {problem}")

    def refuse_others(self) -> None:
        """A UsageError for lists in a file without conversations, and for those that are none in a file with some."""
        for name in self.nested:
            if not self.conversations:
                raise UsageError(
                    f"{self.path}: column {name!r} holds lists or objects, and one value a cell was needed.",
                    "Make columns of its parts, or leave it out. Conversations are read as lists of turns, "
                    f'`{{"messages": [{{"role": "user", "content": "…"}}, …]}}`; see {CHAT}.',
                )
        each = [self.problems[name] for name in self.conversations if name in self.problems]
        each += [self._without()] if self.conversations else []
        n_problems = sum(one.number for one in each)
        if n_problems:
            more = f"; and {n_problems - PROBLEMS_SHOWN:,} more" if n_problems > PROBLEMS_SHOWN else ""
            shown = [text for one in each for text in one.first][:PROBLEMS_SHOWN]
            raise UsageError(
                f"{self.path} holds {n_problems:,} lines that are no conversations: {'; '.join(shown)}{more}.",
                'Correct or leave out these lines: `{"messages": [{"role": "user", "content": "…"}, …]}`; see ' + CHAT,
            )

    def _without(self) -> _Problems:
        """Lines without any conversation."""
        named, problems = " or ".join(map(repr, self.conversations)), _Problems()
        for number, row in _objects(self.path):
            values = [row.get(name) for name in self.conversations]
            if any(isinstance(value, list | dict) for value in values):
                continue
            is_empty = all(value is None for value in values)
            what = f"it has no {named}" if is_empty else f"{named} is no list of turns"
            problems.add(f"line {number}: {what}")
        return problems

    def refuse_mixed(self) -> None:
        """A UsageError that names the first column of several types."""
        for name, kind in self.types.items():
            if kind is None or (self.nested[name] and self.plain[name]):
                raise self.mixed(name)

    def mixed(self, name: str) -> UsageError:
        """What is said of a column of several types."""
        values = (row.get(name) for _, row in _objects(self.path))
        kinds = sorted({_kind(value) for value in values if value is not None})
        return UsageError(
            f"{self.path}: column {name!r} mixes types ({', '.join(kinds)}).", "Make it one type in every line."
        )

    def table(self, arrays: _Arrays) -> pa.Table:
        """Some of the rows as a table of the types that all of them have."""
        cast = {}
        for name, kind in self.types.items():
            try:
                cast[name] = arrays[name].cast(kind)  # type: ignore[union-attr]
            except pa.ArrowInvalid:  # whole numbers that no float holds, and floats elsewhere
                raise self.mixed(name) from None
        return pa.table(cast)


@dataclass
class _Problems:
    """How many lines have a problem, and the first of them in words."""

    number: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, words: str) -> None:
        self.number += 1
        if len(self.first) < PROBLEMS_SHOWN:
            self.first.append(words)


def json_lines(path: Path) -> pa.Table:
    """One object a line; a name that a line lacks is missing there. Texts stay texts: the schema says what they are.

    A long file is read twice, in blocks of lines, and lies in a mapped one.

    Raises
    ------
    UsageError
        If a line is no JSON object, a column mixes types, or lists stand where no conversations are.
    """
    lines, arrays = _Lines(path), dict[str, pa.Array | None]()
    for rows in _blocks(path):
        arrays = lines.add(rows)
    lines.refuse_others()
    lines.refuse_mixed()
    if not is_long(path):
        return lines.table(arrays)
    tables = (lines.table(_arrays(rows, lines.types)) for rows in _blocks(path))
    return mapped_table(tables, pa.schema(list(lines.types.items())))


def _blocks(path: Path) -> Iterator[_Rows]:
    """The rows of a file with the numbers of their lines, a part of them at a time where it is long."""
    most, rows, n_bytes = PIECE_BYTES if is_long(path) else math.inf, list[tuple[int, dict[str, Any]]](), 0
    for number, line in _lines(path):
        rows.append((number, _object(path, number, line)))
        n_bytes += len(line)
        if n_bytes >= most:
            yield rows
            rows, n_bytes = [], 0
    if rows:
        yield rows


def _arrays(rows: _Rows, names: Iterable[str]) -> _Arrays:
    return {name: _array([row.get(name) for _, row in rows]) for name in names}


def _array(values: list[Any]) -> pa.Array | None:
    """The values of a column, lists and objects as canonical texts; None where Arrow has no type for all of them."""
    cells = [canonical(value) if isinstance(value, list | dict) else value for value in values]
    try:
        array = pa.array(cells, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None
    is_number = pa.types.is_floating(array.type) or pa.types.is_integer(array.type)
    return None if is_number and bool in map(type, cells) else array  # Arrow takes a boolean behind a number for one


def _joint_type(known: pa.DataType | None, array: pa.Array | None) -> pa.DataType | None:
    """The type of a column as of all its values at once: whole numbers beside floats are floats."""
    if known is None or array is None or pa.types.is_null(array.type):
        return None if array is None else known
    if pa.types.is_null(known) or array.type == known:
        return array.type
    return pa.float64() if {known, array.type} == {pa.int64(), pa.float64()} else None


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((number, _object(path, number, line)) for number, line in _lines(path))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with open_bytes(path) as lines:
        yield from ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    as_lines = _AS_LINES if line.lstrip().startswith(b"[") else ""
    try:
        row = json.loads(line, object_pairs_hook=_once)
        json.dumps(row, ensure_ascii=False).encode() if b"\\ud" in line.lower() else None
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{path}: line {number} holds half a character: {error}.", "Save it again as UTF-8."
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}: line {number} is no JSON: {error}.", f"Write one object in braces a line.{as_lines}"
        ) from error
    if not isinstance(row, dict):
        raise UsageError(
            f"{path}: line {number} holds no object in braces, and one a line was needed.",
            f"pandas writes such lines by `frame.to_json(FILE, orient='records', lines=True)`.{as_lines}",
        )
    return row


_AS_LINES = (
    ' A list of all of them becomes lines by `python -c "import json, sys; [print(json.dumps(row)) for row in '
    'json.load(open(sys.argv[1]))]" FILE > FILE.jsonl`.'
)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, none of whose keys stands twice: the first would be lost."""
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f"the key {twice!r} stands twice in an object")
    return members


def _kind(value: object) -> str:
    return "object" if isinstance(value, dict) else type(value).__name__


def line_style(path: Path) -> JsonText:
    """How the lines of a file are written; what is in doubt is as Python's ``json.dumps`` writes it."""
    with open_bytes(path) as lines:
        return written_style(lines, are_objects=True)


def written_style(texts: Iterable[bytes], *, are_objects: bool) -> JsonText:
    """How texts of JSON are written, which may be the lines of a file, or the cells of a column.

    Parameters
    ----------
    are_objects : bool
        Whether each is one object, so that a key without a value says that missing values are written as ``null``.
    """
    spaced, slashes, escapes, others, nulls, text_first = True, False, False, False, False, False
    is_first, named = True, [tuple(f'"{name}"'.encode() for name in names) for names in FORMS]
    for text in texts:
        if is_first and text.strip():
            spaced, is_first = b'": ' in text, False
            text_first = any(0 <= text.find(said) < text.find(role) for role, said in named)
        slashes = slashes or b"\\/" in text
        escapes = escapes or b"\\u" in text
        others = others or not text.isascii()
        nulls = nulls or (are_objects and b"null" in text and None in json.loads(text).values())
    return JsonText(spaced=spaced, escaped=escapes and not others, slashes=slashes, text_first=text_first, nulls=nulls)


def json_forms(schema: Schema) -> dict[str, JsonText]:
    """The columns that hold JSON texts, and how they are written."""
    return {name: form.format for name, form in schema.forms.items() if isinstance(form.format, JsonText)}
