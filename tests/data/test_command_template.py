"""Commands with places: what goes where, and what is refused before anything runs."""

import pytest

from synth_mlflow.backends.command import CommandTemplate
from synth_mlflow.errors import UsageError


def test_values_stay_one_word_whatever_they_hold():
    template = CommandTemplate(
        "run 'my file.py' --out={output} --slice {slice} --note {note}", {"note": "a; {rows} 'b"}
    )
    words = template.words({"output": "/tmp/x.parquet", "slice": "age < 25"})
    assert words == ["run", "my file.py", "--out=/tmp/x.parquet", "--slice", "age < 25", "--note", "a; {rows} 'b"]


def test_a_place_without_a_value_stays():
    assert CommandTemplate("make {output}.csv {seed}").words({"seed": 3}) == ["make", "{output}.csv", "3"]


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("x {output}", ".parquet"),
        ("x {output}.csv", ".csv"),
        ("x {output}.csv.gz", ".csv.gz"),
        ("x {output}/", ".parquet"),
    ],
)
def test_the_ending_says_the_kind_of_file(text, ending):
    assert CommandTemplate(text).ending == ending


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (0.5, "0.5"), (True, "true"), ("a b", "a b"), ([1], "[1]")])
def test_parameters_are_written_as_text(value, text):
    assert CommandTemplate("x {output} {rate}", {"rate": value}).words({})[2] == text


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("make", {}, "has no place for the rows that it makes"),
        ("", {}, "has no place for the rows that it makes"),
        ("make '{output}", {}, "cannot be split into words: No closing quotation"),
        ("make {output} {sed}", {}, r"has a place \{sed\} that nothing belongs to. Did you mean 'seed'"),
        ("make {output}", {"rate": 3}, "parameter 'rate' has no place in the command"),
        ("make {output} {rows}", {"rows": 3}, "'rows' cannot be the name of a parameter"),
        ("make {output} {command}", {"command": 3}, "'command' cannot be the name of a parameter"),
        ("make {output}.json", {}, r"output ends in .json.\nLet it write one of .csv"),
        ("make {output}.csv {output}", {}, "the command writes one file"),
    ],
)
def test_what_cannot_run_is_refused(text, params, message):
    with pytest.raises(UsageError, match=message):
        CommandTemplate(text, params)
