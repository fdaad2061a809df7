"""Prompts: templates that may name what is given, and nothing else."""

import pytest

from synth_mlflow.errors import UsageError
from synth_mlflow.llm.prompt import Prompt


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "the prompt rows is empty"),
        ("Write {{ rws }} rows.", "names 'rws', which nothing is. Did you mean 'rows'"),
        ("{% for row in examples %}", "is no Jinja2 template"),
        ("The key is sesame-open-1.", "holds the value of the variable MY_API_KEY"),
    ],
)
def test_what_cannot_be_asked_is_refused(text, message, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "sesame-open-1")
    with pytest.raises(UsageError, match=message):
        Prompt("rows", text)


@pytest.mark.parametrize(
    "text", ["{{ rows.__class__.__mro__ }}", "{{ columns.append(1) }}", "{{ rows / 0 }}", "{{ range(10**9) }}"]
)
def test_templates_are_filled_in_a_sandbox(text):
    with pytest.raises(UsageError, match="the prompt rows cannot be filled in"):
        Prompt("rows", text).rendered({"rows": 3, "columns": [], "schema": "{}"})


def test_both_messages_are_templates():
    system, user = Prompt("rows", "Write {{ rows }}.").rendered({"rows": 3, "schema": '{"type": "object"}'})
    assert user == {"role": "user", "content": "Write 3."}
    assert '{"type": "object"}' in system["content"]
