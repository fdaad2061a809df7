"""JSON lines: one object a line, conversations and what stands beside them as canonical texts, and the style of a file.

A list or an object in a cell is read only where the file holds conversations; a table has one value a cell.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from synth_mlflow.data.columns import Schema
from synth_mlflow.data.conversation_text import FORMS, canonical, looks_like_conversation, problem_of
from synth_mlflow.data.json_text import JsonText
from synth_mlflow.errors import UsageError

OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
CONVERSATIONS = ("messages", "conversations")  # what such a column is called in the usual files
CHAT = "docs/how-to/conversations.md"
PROBLEMS_SHOWN = 3


def open_bytes(path: Path) -> IO[bytes]:
    """The content of a file, unpacked where its ending says that it is packed."""
    opener = OPENERS.get(path.suffix.lower())
    return path.open("rb") if opener is None else opener(path, "rb")  # type: ignore[operator]


class _Nested(str):
    """A list or an object, as its canonical text."""

    __slots__ = ()


@dataclass
class _LineReader:
    """What the lines read so far hold."""

    path: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """The line of each row."""
    nested: Counter[str] = field(default_factory=Counter)
    """Lists and objects by column."""
    conversations: dict[str, None] = field(default_factory=dict)
    """Columns of which a cell is a conversation, or should be one by its name."""
    problems: dict[str, list[str]] = field(default_factory=dict)
    """Lists that are no conversations, by column."""

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        self.rows.append({name: self._cell(number, name, value) for name, value in row.items()})
        self.numbers.append(number)

    def _cell(self, number: int, name: str, value: object) -> object:
        if not isinstance(value, list | dict):
            return value
        self.nested[name] += 1
        if name in CONVERSATIONS or looks_like_conversation(value):
            self.conversations.setdefault(name)
        problem = problem_of(value)
        if problem:
            self.problems.setdefault(name, []).append(f"line {number}: {name!r} {problem}")
        return _Nested(canonical(value))

    def refuse_others(self) -> None:
        """A UsageError for lists in a file without conversations, and for those that are none in a file with some."""
        for name in self.nested:
            if not self.conversations:
                raise UsageError(
                    f"{self.path}: column {name!r} holds lists or objects, and one value a cell was needed.",
                    "Make columns of its parts, or leave it out. Conversations are read as lists of turns, "
                    f'`{{"messages": [{{"role": "user", "content": "…"}}, …]}}`; see {CHAT}.',
                )
        problems = [text for name in self.conversations for text in self.problems.get(name, ())]
        problems += self._without() if self.conversations else []
        if problems:
            more = f"; and {len(problems) - PROBLEMS_SHOWN:,} more" if len(problems) > PROBLEMS_SHOWN else ""
            raise UsageError(
                f"{self.path} holds {len(problems):,} lines that are no conversations: "
                f"{'; '.join(problems[:PROBLEMS_SHOWN])}{more}.",
                'Correct or leave out these lines: `{"messages": [{"role": "user", "content": "…"}, …]}`; see ' + CHAT,
            )

    def _without(self) -> list[str]:
        named = " or ".join(map(repr, self.conversations))
        places = zip(self.numbers, self.rows, strict=True)
        nothing = [
            (number, [row.get(name) for name in self.conversations])
            for number, row in places
            if not any(isinstance(row.get(name), _Nested) for name in self.conversations)
        ]
        return [
            f"line {number}: it has no {named}"
            if not any(value is not None for value in values)
            else f"line {number}: {named} is no list of turns"
            for number, values in nothing
        ]


def json_lines(path: Path) -> pa.Table:
    """One object a line; a name that a line lacks is missing there. Texts stay texts: the schema says what they are.

    Raises
    ------
    UsageError
        If a line is no JSON object, a column mixes types, or lists stand where no conversations are.
    """
    reader = _LineReader(path)
    for number, row in _objects(path):
        reader.add(number, row)
    reader.refuse_others()
    names = dict.fromkeys(name for row in reader.rows for name in row)
    return pa.table({name: _column(path, name, [row.get(name) for row in reader.rows]) for name in names})


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_bytes(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, _object(path, number, line)


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


def _column(path: Path, name: str, values: list[object]) -> pa.Array:
    nested = [isinstance(value, _Nested) for value in values]
    mixed = any(nested) and any(value is not None and not is_one for value, is_one in zip(values, nested, strict=True))
    try:
        if not mixed:
            return pa.array(values, from_pandas=True)
        reason: Exception | None = None
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        reason = error
    kinds = sorted({_kind(value) for value in values if value is not None})
    raise UsageError(
        f"{path}: column {name!r} mixes types ({', '.join(kinds)}).", "Make it one type in every line."
    ) from reason


def _kind(value: object) -> str:
    if isinstance(value, _Nested):
        return "list" if value.startswith("[") else "object"
    return type(value).__name__


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
