"""Conversations as JSON texts: the two usual forms, one canonical text for equal ones, and what is said in each turn.

A conversation is a list of turns: ``{"role": "user", "content": "Hello"}`` (the form of OpenAI) or ``{"from": "human",
"value": "Hello"}`` (that of ShareGPT). This file travels with saved models, as ``value_formats`` does, and imports
nothing else of the package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
        usual: Any = USUAL.get(self.speaker, "unknown")
        return usual  # type: ignore[no-any-return]

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


def text_first(turn: object) -> object:
    """A turn whose text stands before its speaker."""
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
    return next(
        (f"turn {at} {problem}" for at, turn in enumerate(value, start=1) if (problem := _turn_problem(turn))), ""
    )


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
    calls = turn.get("tool_calls") or turn.get("function_call")
    return canonical(calls) if calls else ""


def spoken(texts: pd.Series) -> pd.Series:
    """What is said in conversations, turn after turn, without the names of the speakers; missing where they are.

    Examples
    --------
    >>> spoken(pd.Series(['[{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi"}]'])).tolist()
    ['Hello\\nHi']
    """
    said = [np.nan if pd.isna(text) else "\n".join(turn.said for turn in turns_of(text)) for text in texts]
    return pd.Series(said, index=texts.index, name=texts.name, dtype="str")


MAX_SPEAKERS = 10


def speakers_of(values: Iterable[Sequence[Mapping[str, Any]]]) -> tuple[str, ...]:
    """Who speaks in conversations, in the order in which they occur; the first ten."""
    speakers: dict[str, None] = {}
    for turns in values:
        for turn in turns:
            speakers.setdefault(next(str(turn[names[0]]) for names in FORMS if names[0] in turn))
        if len(speakers) >= MAX_SPEAKERS:
            break
    return tuple(speakers)[:MAX_SPEAKERS]
