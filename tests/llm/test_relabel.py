"""Second labels: agreement, and what becomes of rows without it."""

import pytest

from synth_mlflow.errors import UsageError
from synth_mlflow.llm.parsing import Column
from synth_mlflow.llm.prompt import Prompt
from synth_mlflow.llm.relabel import NONE, OTHER, TEXT, Agreement, Relabeller
from synth_mlflow.llm.settings import Settings

COLUMNS = (Column("text", "string", None, False), Column("mood", "string", ("bad", "good"), False))
ROWS = [{"text": "fine", "mood": "good"}, {"text": "dull", "mood": "good"}, {"text": "odd", "mood": "bad"}]
ANSWER = '{"rows": [{"row": 2, "mood": "bad"}, {"row": 1, "mood": "GOOD"}, {"row": 9, "mood": "bad"}]}'


def second(rule="reject", columns=COLUMNS, target="mood"):
    return Relabeller("judge", rule, Prompt("x", TEXT), columns, target, Settings(temperature=0.7))


@pytest.mark.parametrize(("rule", "reasons"), [("reject", [None, OTHER, NONE]), ("keep", [None, None, None])])
def test_rows_are_judged_by_their_numbers_and_the_rule(rule, reasons):
    judge = second(rule)
    assert judge.judged(ROWS, ANSWER) == reasons
    summary = judge.agreement.summary()
    assert (summary["labelled"], summary["agreed"], summary["without_label"], summary["share"]) == (2, 1, 1, 0.5)


def test_the_second_model_does_not_see_the_first_label():
    body = second().body(ROWS)
    asked = body["messages"][1]["content"]
    assert '{"row": 1, "text": "fine"}' in asked and '"mood"' not in asked and "bad, good" in asked
    assert (body["model"], body["temperature"]) == ("judge", 0.0)
    assert body["response_format"]["json_schema"]["schema"]["properties"]["rows"]["items"]["required"] == [
        "row",
        "mood",
    ]


def test_an_answer_without_rows_labels_nothing():
    judge = second()
    assert judge.judged(ROWS, "I cannot say.") == [NONE] * 3
    assert judge.agreement.summary() == {"labelled": 0, "agreed": 0, "without_label": 3}


def test_one_label_alone_has_no_kappa():
    assert "kappa" not in Agreement([("a", "a"), ("a", "a")]).summary()


def test_numbers_are_no_labels():
    with pytest.raises(UsageError, match="labels classes, and the target 'price' has none"):
        second(columns=(Column("price", "number", None, False),), target="price")
