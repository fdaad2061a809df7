"""Conversations as JSON texts: the two usual forms, one canonical text for equal ones, and what is said in each turn.

A conversation is a list of turns: ``{"role": "user", "content": "Hello"}`` (the form of OpenAI) or ``{"from": "human",
"value": "Hello"}`` (that of ShareGPT). This file travels with saved models, as ``value_formats`` does, and imports
nothing else of the package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

FORMS = (("role", "content"), ("from", "value"))
"""The names of speaker and text: of OpenAI, of ShareGPT."""
USUAL = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant",
    "tool": "tool", "function": "tool", "function_call": "assistant", "observation": "tool", "ipython": "tool",
}  # fmt: skip
"""What the speakers of the usual data sets are, by the names that they have there."""
Role = Literal["system", "user", "assistant", "tool", "unknown"]


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation."""

    speaker: str
    """As the file names it."""
    text: str
    """What is said; of a list of parts the texts of them, with ``[image_url]`` and the like for the others."""
    calls: str = ""
    """The calls of tools, as JSON; empty where there are none."""

    @property
    def role(self) -> Role:
        """What the speaker is."""
        found: Any = USUAL.get(self.speaker, "unknown")
        return found  # type: ignore[no-any-return]

    @property
    def said(self) -> str:
        """The text and the calls."""
        return "\n".join(part for part in (self.text, self.calls) if part)


def canonical(value: object) -> str:
    """One text for equal JSON values: no spaces, no escapes that are not needed, the speaker of a turn before its text.

    Examples
    --------
    >>> canonical([{"content": "Grüße", "role": "user"}])
    '[{"role":"user","content":"Grüße"}]'
    """
    return json.dumps(_in_order(value), ensure_ascii=False, separators=(",", ":"))


def _in_order(value: object) -> object:
    return [_speaker_first(turn) for turn in value] if isinstance(value, list) else value


def _speaker_first(turn: object) -> object:
    return _swapped(turn, by_speaker=True)


def _text_first(turn: object) -> object:
    return _swapped(turn, by_speaker=False)


def _swapped(turn: object, *, by_speaker: bool) -> object:
    """A turn whose speaker stands before its text, or behind it; the other keys stay where they are."""
    names = next((names for names in FORMS if names[0] in turn), None) if isinstance(turn, dict) else None
    if names is None or not isinstance(turn, dict) or names[1] not in turn:
        return turn
    keys = list(turn)
    speaker, text = (keys.index(name) for name in names)
    if (speaker < text) == by_speaker:
        return turn
    keys[speaker], keys[text] = keys[text], keys[speaker]
    return {key: turn[key] for key in keys}


def without_gaps(value: Any) -> Any:
    """A value out of Arrow as JSON has it: without the keys that only other objects have, which Arrow fills with null.

    Examples
    --------
    >>> without_gaps([{"role": "user", "content": None, "name": None}])
    [{'role': 'user', 'content': None}]
    """
    if isinstance(value, dict):
        texts = {text for _, text in FORMS}
        return {name: without_gaps(one) for name, one in value.items() if one is not None or name in texts}
    if isinstance(value, list | tuple | np.ndarray):
        return [without_gaps(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def problem_of(value: object) -> str:
    """Why a JSON value is no conversation; empty if it is one.

    Examples
    --------
    >>> problem_of([{"role": "user", "content": "Hello"}]), problem_of([{"role": "user"}])
    ('', "turn 1 has no 'content'")
    """
    if not isinstance(value, list):
        return f"is {_kind(value)}, a list of turns was needed"
    if not value:
        return "is an empty list, one turn or more was needed"
    return next((f"turn {at} {found}" for at, turn in enumerate(value, start=1) if (found := _turn_problem(turn))), "")


def _turn_problem(turn: object) -> str:
    if not isinstance(turn, dict):
        return f"is {_kind(turn)}, an object with a speaker and a text was needed"
    names = next((names for names in FORMS if names[0] in turn), None)
    if names is None:
        return f"has no 'role' (or 'from'); it has {', '.join(map(repr, turn)) or 'nothing'}"
    speaker, text = turn[names[0]], turn.get(names[1])
    if not isinstance(speaker, str) or not speaker:
        return f"has {_kind(speaker)} as {names[0]!r}, a text was needed"
    if names[1] not in turn and not _calls(turn):
        return f"has no {names[1]!r}"
    if isinstance(text, list):
        odd = [part for part in text if not isinstance(part, str | dict)]
        return f"has a list with {_kind(odd[0])} as {names[1]!r}; its parts are texts or objects" if odd else ""
    return "" if text is None or isinstance(text, str) else f"has {_kind(text)} as {names[1]!r}, a text was needed"


def _kind(value: object) -> str:
    kinds = {"NoneType": "null", "bool": "true or false", "int": "a number", "float": "a number", "str": "a text"}
    return {**kinds, "list": "a list", "dict": "an object"}.get(type(value).__name__, type(value).__name__)


def looks_like_conversation(value: object) -> bool:
    """Whether a JSON value is a list whose first item names a speaker, be it sound or not."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and _has_speaker(value[0])


def _has_speaker(turn: Mapping[str, Any]) -> bool:
    return any(names[0] in turn for names in FORMS)


def turns_of(text: str) -> tuple[Turn, ...]:
    """The turns of a conversation that is given as JSON text.

    Examples
    --------
    >>> [turn.role for turn in turns_of('[{"from":"human","value":"Hello"},{"from":"gpt","value":"Good day"}]')]
    ['user', 'assistant']
    """
    return tuple(_turn(turn) for turn in json.loads(text))


def _turn(turn: Mapping[str, Any]) -> Turn:
    names = next(names for names in FORMS if names[0] in turn)
    return Turn(turn[names[0]], _said(turn.get(names[1])), _calls(turn))


def _said(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(_part(part) for part in content)
    return content if isinstance(content, str) else ""


def _part(part: object) -> str:
    if isinstance(part, dict):
        text = part.get("text", part.get("refusal"))
        return text if isinstance(text, str) else f"[{part.get('type', 'part')}]"
    return str(part)


def _calls(turn: Mapping[str, Any]) -> str:
    found = turn.get("tool_calls") or turn.get("function_call")
    return canonical(found) if found else ""


def spoken(texts: pd.Series) -> pd.Series:
    """What is said in conversations, turn after turn, without the names of the speakers; missing where they are.

    Examples
    --------
    >>> spoken(pd.Series(['[{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi"}]'])).tolist()
    ['Hello\\nHi']
    """
    said = [np.nan if pd.isna(text) else "\n".join(turn.said for turn in turns_of(text)) for text in texts]
    return pd.Series(said, index=texts.index, name=texts.name, dtype="str")


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
            value = [_text_first(turn) for turn in value]
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


MAX_SPEAKERS = 10


def speakers_of(values: Iterable[Sequence[Mapping[str, Any]]]) -> tuple[str, ...]:
    """Who speaks in conversations, in the order in which they occur; the first ten."""
    found: dict[str, None] = {}
    for turns in values:
        for turn in turns:
            found.setdefault(next(str(turn[names[0]]) for names in FORMS if names[0] in turn))
        if len(found) >= MAX_SPEAKERS:
            break
    return tuple(found)[:MAX_SPEAKERS]
