"""The JSON objects in a model's answer, found in whatever stands around them: fences, remarks, reasoning, a cut."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping

import pandas as pd

from synth_mlflow.metrics.refusals import refusals

NO_ROW = "an answer without a whole row"
CUT = f"{NO_ROW}: it was cut off"
_BY_FINISH = {
    "length": CUT,
    "content_filter": f"{NO_ROW}: the server withheld it",
    "tool_calls": f"{NO_ROW}: it calls a tool",
    "function_call": f"{NO_ROW}: it calls a tool",
}
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
_NAMES = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis"
_REASONING = re.compile(
    rf"(?P<opens><(?:{_NAMES})>|\[THINK\]|◁think▷|<\|channel\|>(?:analysis|commentary))"
    rf"|</(?:{_NAMES})>|\[/THINK\]|◁/think▷|<\|channel\|>final",
    re.IGNORECASE,
)
_DECODER = json.JSONDecoder(strict=False)  # models write line breaks into strings as they are


def rows_in(text: str, columns: Collection[str] = ()) -> list[object]:
    """The JSON objects of an answer that stand there whole: of a cut answer those before the cut.

    What stands in a model's reasoning (``<think>`` and the like) is no part of its answer. Commas too many are left
    out where the answer is no JSON with them.

    Parameters
    ----------
    columns : collection of str
        Names that a row may have: an object with none of them and one list of objects is a list of rows.

    Examples
    --------
    >>> rows_in('Sure! ```json [{"a": 1}, {"a": 2,}, {"a":')
    [{'a': 1}, {'a': 2}]
    >>> rows_in('<think>perhaps {"a": 1}</think> {"rows": [{"a": 2}]}')
    [{'a': 2}]
    >>> rows_in("I cannot do that.")
    []
    """
    known = {name.casefold() for name in columns}
    tidy = _STRING_OR_COMMA.sub(lambda found: found[1] or "", text)
    each = [[row for value in _objects(one) for row in _rows_of(value, known)] for one in (text, tidy)]
    return max(each, key=len)


def why_no_row(text: str, finish_reason: str) -> str:
    """Why an answer has no row.

    Examples
    --------
    >>> why_no_row("I'm sorry, but I can't help with that.", "stop")
    'an answer without a whole row: a refusal'
    """
    if finish_reason in _BY_FINISH:
        return _BY_FINISH[finish_reason]
    if not text.strip():
        return f"{NO_ROW}: it is empty"
    return f"{NO_ROW}: a refusal" if finish_reason == "refusal" or refusals(pd.Series([text])).any() else NO_ROW


def _objects(text: str) -> Iterator[Mapping[str, object]]:
    """The objects outside of reasoning."""
    objects, at, end, reasons = list[Mapping[str, object]](), 0, 0, False
    while (at := text.find("{", at)) >= 0:
        try:
            value, after = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1  # the object around rows of which the last is cut
            continue
        for mark in _REASONING.finditer(text, end, at):
            reasons = mark["opens"] is not None
            if not reasons:
                objects.clear()
        if not reasons:
            objects.append(value)
        at = end = after
    if any(mark["opens"] is None for mark in _REASONING.finditer(text, end)):
        objects.clear()
    return iter(objects)


def _rows_of(value: Mapping[str, object], columns: Collection[str]) -> list[object]:
    rows = value.get("rows")
    if isinstance(rows, list):
        return rows
    lists = [one for one in value.values() if isinstance(one, list) and one and all(isinstance(x, dict) for x in one)]
    is_row = not columns or any(name.strip().casefold() in columns for name in value)
    return lists[0] if len(lists) == 1 and not is_row else [value]
