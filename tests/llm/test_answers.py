"""The objects in a model's answer: found in whatever stands around them, and nothing in them changed."""

import pytest

from synth_mlflow.llm.answers import CUT, rows_in, why_no_row

TWO = [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"rows": [{"a": 1}, {"a": 2}]}', TWO),
        ('[{"a": 1}, {"a": 2}]', TWO),
        ('{"a": 1}\n{"a": 2}\n', TWO),
        ('{"rows": [{"a": 1}]} and {"rows": [{"a": 2}]}', TWO),
        ('Here you are:\n```json\n{"rows": [{"a": 1}, {"a": 2}]}\n```\nEnjoy!', TWO),
        ('{"rows": [{"a": 1}, {"a": 2}, {"a": 3', TWO),
        ('{"rows": [{"a": 1,}, {"a": 2},]}', TWO),
        ('{"reviews": [{"a": 1}, {"a": 2}], "count": 2}', TWO),
        ('{"a": [{"b": 1}]}', [{"a": [{"b": 1}]}]),
        ('{"rows": [1, {"a": 2}]}', [1, {"a": 2}]),
        ('{"rows": []}', []),
        ("I cannot do that.", []),
        ("", []),
        ("{" * 5_000, []),
        ('{"a": "one,] two,} \\" three"}', [{"a": 'one,] two,} " three'}]),
        ('{"a": "one,] two",}', [{"a": "one,] two"}]),
        ('{"a": "one\ntwo\tthree"}', [{"a": "one\ntwo\tthree"}]),
    ],
)
def test_objects_are_found_in_whatever_stands_around_them(text, rows):
    assert rows_in(text, ["a"]) == rows


@pytest.mark.parametrize(
    "text",
    [
        '<think>{"a": 8} or {"a": 9}?</think>{"rows": [{"a": 1}, {"a": 2}]}',
        'Perhaps {"a": 9}.\n</think>\n[{"a": 1}, {"a": 2}]',
        '{"a": 1} {"a": 2} <THINKING>or {"a": 9}',
        '[THINK]{"a": 9}[/THINK]{"a": 1}{"a": 2}',
        '<|channel|>analysis<|message|>{"a": 9}<|end|><|start|>assistant<|channel|>final<|message|>{"a": 1}{"a": 2}',
    ],
)
def test_what_stands_in_reasoning_is_no_row(text):
    assert rows_in(text, ["a"]) == TWO


def test_reasoning_that_was_cut_off_gives_no_row():
    assert rows_in('<think>{"a": 1} or', ["a"]) == []
    assert rows_in('{"a": "say <think> and </think>"}', ["a"]) == [{"a": "say <think> and </think>"}]


@pytest.mark.parametrize(
    ("text", "finish", "why"),
    [
        ("I'm sorry, but I can't help with that.", "stop", "a refusal"),
        ("Not this.", "refusal", "a refusal"),
        ("", "stop", "it is empty"),
        ("", "tool_calls", "it calls a tool"),
        ("<think>hm", "length", CUT.partition(": ")[2]),
    ],
)
def test_why_there_is_no_row(text, finish, why):
    assert why_no_row(text, finish) == f"an answer without a whole row: {why}"
