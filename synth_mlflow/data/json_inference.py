"""Infer whether the texts of a column are conversations, or other lists and objects in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from synth_mlflow.data.conversation_text import canonical, problem_of, speakers_of
from synth_mlflow.data.json_lines import written_style
from synth_mlflow.data.json_text import JsonText
from synth_mlflow.data.schema import ColumnRule
from synth_mlflow.errors import UsageError


@dataclass(frozen=True)
class JsonCells:
    """A column of JSON as it was understood."""

    cells: pd.Series
    """Canonical texts; missing where the column is."""
    format: JsonText


def json_column(name: str, texts: pa.ChunkedArray, rule: ColumnRule, lines: JsonText | None) -> JsonCells | None:
    """A column of conversations, or of other lists and objects in a file of JSON lines; None where it is none.

    Raises
    ------
    UsageError
        If a person says that it holds conversations, and a cell is none.
    """
    is_conversation = rule.role == "conversation"
    first = next((text.as_py() for text in texts if text.is_valid), "")
    if not is_conversation and not first.lstrip().startswith(("[", "{") if lines else "["):
        return None
    values: list[Any] = [None if text is None else _json(text) for text in texts.to_pylist()]
    present = [value for value in values if value is not None]
    problems = [problem_of(value) for value in present]
    if is_conversation and any(problems):
        _refuse_other_than_turns(name, problems)
    if any(problems) and (lines is None or any(isinstance(value, _NoJson) for value in present)):
        return None
    style = lines or written_style((text.encode() for text in texts.to_pylist() if text), are_objects=False)
    json_cells = replace(style, turns=not any(problems), speakers=() if any(problems) else speakers_of(present))
    cells = [None if value is None else canonical(value) for value in values]
    return JsonCells(pd.Series(cells, name=name, dtype="str"), json_cells)


class _NoJson:
    """Stands for a text that is no list or object in JSON."""


def _json(text: str) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _NoJson()
    return value if isinstance(value, list | dict) else _NoJson()


def _refuse_other_than_turns(name: str, problems: list[str]) -> None:
    places = [at for at, problem in enumerate(problems) if problem]
    why = problems[places[0]].replace("is _NoJson", "is no JSON")
    raise UsageError(
        f"`columns` says that {name!r} is a conversation, and {len(places):,} of its {len(problems):,} cells are none: "
        f"the first {why}.",
        'Write each as a list of turns, `[{"role": "user", "content": "…"}, …]`, or leave the line out.',
    )
