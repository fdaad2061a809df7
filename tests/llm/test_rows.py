"""Rows in answers: found, repaired where it is plain how, rejected with the reason otherwise."""

import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import Task
from synth_mlflow.llm.parsing import MisfitError, answer_schema, as_objects, candidates_in, columns_of, fitted

REAL = pd.DataFrame(
    {
        "age": [30] * 20,
        "income": [1.5, None] * 10,
        "region": ["north"] * 10 + ["south"] * 9 + ["Atlantis"],
        "name": [f"name {n}" for n in range(20)],
        "member": [True, False] * 10,
        "since": pd.Timestamp("2024-01-31"),
        "bought": ["yes"] * 19 + ["no"],
    }
)
COLUMNS = columns_of(normalise(REAL), Task("bought", "binary"))
ROW = as_objects(normalise(REAL).head(1))[0]


@pytest.mark.parametrize(
    ("text", "finish", "problem"),
    [
        ("", "content_filter", "an answer without a whole row: the server withheld it"),
        ('{"rows": [{"age": 3', "length", "an answer without a whole row: it was cut off"),
    ],
)
def test_an_answer_without_rows_says_why(text, finish, problem):
    (only,) = candidates_in(text, COLUMNS, finish)
    assert (only.problem, only.received) == (problem, False)


def test_only_shared_values_are_told():
    known = {column.name: column for column in COLUMNS}
    assert known["bought"].levels == ("no", "yes")  # the classes of the target
    assert known["name"].levels is known["region"].levels is None  # too few rows share them
    many = columns_of(normalise(pd.concat([REAL] * 10)), Task("bought", "binary"))
    assert next(column.levels for column in many if column.name == "region") == ("Atlantis", "north", "south")


def test_the_schema_names_every_column():
    row = answer_schema(COLUMNS)["properties"]["rows"]["items"]
    assert row["required"] == list(REAL)
    assert row["properties"]["income"] == {"type": ["number", "null"]}
    assert row["properties"]["bought"] == {"type": "string", "enum": ["no", "yes"]}
    assert row["properties"]["since"]["type"] == "string"


def test_a_good_row_is_taken_as_it_is():
    values, repaired = fitted(ROW, COLUMNS)
    assert (values["age"], values["income"], values["since"]) == (30, 1.5, pd.Timestamp("2024-01-31"))
    assert not repaired


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"age": "41"}, {"age": 41}),
        ({"age": 41.0}, {"age": 41}),
        ({"age": "1,041"}, {"age": 1041}),
        ({"income": "N/A"}, {"income": None}),
        ({"member": "Yes"}, {"member": True}),
        ({"bought": " YES "}, {"bought": "yes"}),
        ({"comment": "x"}, {"age": 30}),
        ({"since": "2024-02-01T10:00:00+01:00"}, {"since": pd.Timestamp("2024-02-01 09:00")}),
    ],
)
def test_what_is_plain_is_repaired(change, kept):
    values, repaired = fitted({**ROW, **change}, COLUMNS)
    assert {name: values[name] for name in kept} == kept
    assert repaired != ("since" in change)
    assert list(values) == list(REAL)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"age": "old"}, "'age' is no integer"),
        ({"age": 30.5}, "'age' is no whole number"),
        ({"age": True}, "'age' is no integer"),
        ({"age": None}, "'age' has no value"),
        ({"age": 1e300}, "'age' is no whole number"),
        ({"income": float("inf")}, "'income' is not finite"),
        ({"income": "much"}, "'income' is no number"),
        ({"member": "perhaps"}, "'member' is no boolean"),
        ({"bought": "maybe"}, "'bought' is none of its levels"),
        ({"name": {"first": "x"}}, "'name' is no string"),
        ({"name": "half \ud83d"}, "'name' has a character that no file of texts can keep"),
        ({"name": "nul \x00"}, "'name' has a character that no file of texts can keep"),
        ({"since": "soon"}, "'since' is no datetime"),
        ({"since": 3}, "'since' is no datetime"),
    ],
)
def test_what_is_not_is_rejected_with_the_reason(change, reason):
    with pytest.raises(MisfitError, match=reason):
        fitted({**ROW, **change}, COLUMNS)


@pytest.mark.parametrize(("row", "reason"), [(7, "is no object"), ({"age": 3}, "'income' is missing")])
def test_what_is_no_row_is_rejected(row, reason):
    with pytest.raises(MisfitError, match=reason):
        fitted(row, COLUMNS)


def test_names_may_differ_in_case():
    values, repaired = fitted({name.upper(): value for name, value in ROW.items()}, COLUMNS)
    assert (values["age"], repaired) == (30, True)
