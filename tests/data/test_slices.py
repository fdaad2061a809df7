"""Slices: the grammar against a reference that knows rows as dicts, and texts that mean harm."""

import operator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_mlflow.data.columns import normalise, schema_of
from synth_mlflow.data.slices import MAX_DEPTH, MAX_LENGTH, Slice
from synth_mlflow.errors import UsageError

COLUMNS = {"age": "number", "my region": "string", "member": "boolean", "since": "datetime"}
VALUES = {
    "number": st.sampled_from([-1.5, 0.0, 2.0, 1e300]),
    "string": st.sampled_from(["", "north", 'so"uth', "back\\slash", "and"]),
    "boolean": st.booleans(),
    "datetime": st.sampled_from([pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02 03:04:05")]),
}
COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@st.composite
def conditions_on_one_column(draw):
    """One test as (text, function of a row that is a dict)."""
    name = draw(st.sampled_from(list(COLUMNS)))
    values = draw(st.lists(VALUES[COLUMNS[name]], min_size=1, max_size=3))
    word = f"`{name}`" if " " in name else name
    form = draw(st.sampled_from([*COMPARISONS, "in", "not in", "is missing", "is not missing"]))
    if form.startswith("is"):
        return f"{word} {form}", lambda row: (row[name] is None) == (form == "is missing")
    if form in COMPARISONS:
        compare = COMPARISONS[form]
        return (
            f"{word} {form} {_written(values[0])}",
            lambda row: form == "!=" if row[name] is None else compare(row[name], values[0]),
        )
    listed = ", ".join(map(_written, values))
    return f"{word} {form.upper()} ({listed})", lambda row: (row[name] in values) == (form == "in")


def _written(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _combined(conditions):
    negated = conditions.map(lambda c: (f"not ({c[0]})", lambda row: not c[1](row)))
    pairs = st.tuples(conditions, conditions)
    both = pairs.map(lambda p: (f"({p[0][0]}) and ({p[1][0]})", lambda row: p[0][1](row) and p[1][1](row)))
    either = pairs.map(lambda p: (f"{p[0][0]} or {p[1][0]}", lambda row: p[0][1](row) or p[1][1](row)))
    return negated | both | either


ROWS = st.lists(st.fixed_dictionaries({n: st.none() | VALUES[k] for n, k in COLUMNS.items()}), min_size=1, max_size=5)


def table_of(rows):
    dtypes = {"age": "float64", "my region": "str", "member": "boolean", "since": "datetime64[us]"}
    return normalise(pd.DataFrame(rows, columns=list(COLUMNS)).astype(dtypes))


@given(st.recursive(conditions_on_one_column(), _combined, max_leaves=5), ROWS)
def test_masks_are_those_of_the_reference(condition, rows):
    text, reference = condition
    assert list(Slice.parse(text).mask(table_of(rows))) == [reference(row) for row in rows]


FRAME = table_of([{"age": age, "my region": None, "member": age > 2, "since": None} for age in (1.0, 2.0, 3.0)])


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("age == 1 or age == 2 and age == 3", [True, False, False]),  # and binds closer than or
        ("(age == 1 or age == 2) and age == 3", [False, False, False]),
        ("not age == 1 and age < 3", [False, True, False]),  # not binds closer than and
        ("not not age == 1", [True, False, False]),
        ("age>=2 AND(age<3)", [False, True, False]),
        ("age > -1e400", [True, True, True]),
        ("member == TRUE", [False, False, True]),
        ("`age` in (.5, 3., 2e0)", [False, True, True]),
        ("since < '2024-01-01' or since is missing", [True, True, True]),
    ],
)
def test_precedence_and_forms(text, mask):
    assert list(Slice.parse(text).mask(FRAME)) == mask


def test_moments_with_a_zone_are_compared_in_utc():
    rows = normalise(pd.DataFrame({"t": pd.to_datetime(["2024-01-01 00:30", "2024-01-01 02:30"])}))
    assert list(Slice.parse('t < "2024-01-01T02:00:00+01:00"').mask(rows)) == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age",
        "age <",
        "age < 25 and",
        "age < 25 region == 'x'",
        "age == 'open",
        "(age < 1",
        "age < 1)",
        "age in ()",
        "age in 1",
        "age not < 1",
        "age is 1",
        "and == 1",
        "age = 1",
        "age < 1; drop table runs",
        "__import__('os').system('x')",
        "age.real < 1",
        "age < 0x10",
        "age < 1_000",
        "age < nan",
        "age < age",
        "1 < age",
        "`` == 1",
        "@age < 1",
        "age < 1 # fine",
        "\x00",
    ],
)
def test_texts_outside_of_the_grammar_are_refused(text):
    with pytest.raises(UsageError, match=r"slice .*(cannot be read at|needed|single `=`)"):
        Slice.parse(text)


def test_a_refusal_points_at_the_place():
    with pytest.raises(UsageError, match=r"slice 'age < < 25': found '<' at character 7, needed a number"):
        Slice.parse("age < < 25")


def test_a_column_name_of_two_words_is_told_to_go_in_backticks():
    with pytest.raises(UsageError, match=r"found 'at' at character 8, needed .*goes in `backticks`"):
        Slice.parse("opened at < 3")


@pytest.mark.parametrize("text", ["(" * 3_000 + "age < 1", "not " * 900 + "age < 1", "age < " + "9" * MAX_LENGTH])
def test_texts_that_would_exhaust_the_parser_are_refused(text):
    with pytest.raises(UsageError, match=r"nested more than|at most 4,000 are read"):
        Slice.parse(text)


def test_what_a_person_writes_at_most_is_read():
    inner = "(" * (MAX_DEPTH - 1) + "age < 2" + ")" * (MAX_DEPTH - 1)
    assert list(Slice.parse(inner).mask(FRAME)) == [True, False, False]
    assert list(Slice.parse(" or ".join(["age < 2"] * 350)).mask(FRAME)) == [True, False, False]


@given(st.text(max_size=80) | st.text("age<>=!()`\"'.,\\ 019andortisin", max_size=80))
def test_any_text_is_read_or_refused(text):
    try:
        mask = Slice.parse(text).mask(FRAME)
    except UsageError:
        return
    assert (mask.dtype, mask.shape) == (np.bool_, (3,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agee < 1", "names column 'agee', which the table lacks. Did you mean 'age'?"),
        ("age < '1'", "column 'age', which holds number values, with '1'"),
        ("age == true", "column 'age', which holds number values, with True"),
        ("member == 1", "column 'member', which holds boolean values, with 1.0"),
        ("`my region` in ('a', 1)", "column 'my region', which holds string values, with 1.0"),
        ("since < 2024", "column 'since', which holds datetime values, with 2024.0"),
        ("since < 'now'", "column 'since', which holds datetime values, with 'now'"),
        ("since < '2024'", "with '2024'"),
        ("since < '2024-02-30'", "with '2024-02-30'"),
        ("not (age < 1 or since < 'soon')", "with 'soon'"),
    ],
)
def test_columns_and_values_that_do_not_fit_are_refused(text, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        Slice.parse(text).check(schema_of(FRAME))


def test_columns_of_a_condition():
    assert Slice.parse("age < 1 and not (b is missing or `c d` in (1))").columns == {"age", "b", "c d"}
