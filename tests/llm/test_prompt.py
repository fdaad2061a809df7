"""Prompts: templates that may name what is given, and nothing else."""

import pytest

from synth_mlflow.errors import UsageError
from synth_mlflow.llm.prompt import Prompt, PromptFile


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


STEPS = """
relabel: judge
steps:
  - columns: [persona]
    prompt: Invent {{ rows }} people.
  - columns: [age, bought]
    prompt: "What do they buy?{% for row in given %} {{ row }}{% endfor %}"
"""


def read(tmp_path, text):
    path = tmp_path / "people.yaml"
    path.write_text(text)
    return PromptFile.read(path)


def test_steps_name_their_columns_and_helpers_are_no_part_of_a_row(tmp_path):
    found = read(tmp_path, STEPS)
    assert [step.columns for step in found.steps] == [("persona",), ("age", "bought")]
    assert (found.helpers(["age", "bought"]), found.relabel, len(found.messages)) == (("persona",), "judge", 3)
    with pytest.raises(UsageError, match=r"no step of the prompt people asks for region.\n.*`columns: \[region\]`"):
        found.helpers(["age", "region"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{% for row in given %} {{ row }}{% endfor %}", "", "step 2 of the prompt people does not name `given`"),
        ("Invent {{ rows }} people", "Invent {{ given }}", "step 1 of the prompt people names `given`"),
        ("[persona]", "[age]", r"ask for the columns \['age', 'age', 'bought'\]"),
        ("[persona]", "[]", "Give each step its `columns`"),
        ("[persona]", "persona", "`columns` of a step of .* is 'persona', a list of names was needed"),
        ("steps:", "stages:", "has an unknown field 'stages'. Did you mean 'steps'"),
        ("columns: [persona]", "column: [persona]", "has an unknown field 'column'. Did you mean 'columns'"),
        ("relabel: judge", "relabel: 7", "`relabel` of .* is 7, a text was needed"),
        ("relabel: judge", "relabel_prompt: Label them.", "does not name `given`, the rows to label"),
        (STEPS, "steps: []", "has no steps"),
        (STEPS, "- a", "holds no mapping"),
        (STEPS, "steps: [a]", "a mapping with `columns` and `prompt` was needed"),
        (STEPS, "a: [", "cannot be read"),
    ],
)
def test_a_file_of_steps_that_cannot_be_asked_is_refused(tmp_path, old, new, message):
    with pytest.raises(UsageError, match=message):
        read(tmp_path, STEPS.replace(old, new))
