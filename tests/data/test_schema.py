"""The schema: what texts mean, what is asked, what a person says of a column, how CSV files are written."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from synth_mlflow.data.column_facts import ColumnFacts
from synth_mlflow.data.identifier_forms import are_of_form, fresh, iban_digits, known_form
from synth_mlflow.data.schema import ColumnRule, TableSchema, Wishes, present, role_of
from synth_mlflow.data.schema_inference import RawTable, ReadTable, detail_of, infer_table, refuse_open_questions
from synth_mlflow.data.tables import raw_table, read_real
from synth_mlflow.data.text_forms import PLAIN
from synth_mlflow.data.value_inference import date_formats
from synth_mlflow.errors import StatementError, UsageError

RNG = np.random.default_rng(0)
NUMBERS = [f"{value:.2f}" for value in RNG.lognormal(3, 1, 200)]
DAYS = [f"{day:02d}/{month:02d}/2024" for day, month in RNG.integers(1, 13, (200, 2))]


def read(folder: Path, cells: list[str], rule: ColumnRule | None = None, *, name: str = "x") -> ReadTable:
    y = np.tile(["yes", "no"], len(cells))[: len(cells)]
    pd.DataFrame({name: cells, "y": y}).to_csv(folder / "a.csv", index=False)
    rules = {} if rule is None else {name: rule}
    return infer_table(raw_table(folder / "a.csv"), Wishes("y", rules=rules))


@pytest.mark.parametrize(
    ("cells", "found", "lines"),
    [
        (DAYS, "can be read as %d/%m/%Y and as %m/%d/%Y", ('format: "%d/%m/%Y"', 'format: "%m/%d/%Y"')),
        ([*NUMBERS, "-", "n.a."], r"200 of 202 cells .* are numbers", ('missing: ["-", "n.a."]', "role: category")),
        ([f"{n},000" for n in range(100, 200)], "can be read as 100,000 and as 100", ('format: "1,234"',)),
        (
            [*map(str, range(9))] * 20 + ["?"] * 9,
            r"180 of 189 cells .* are numbers",
            ('missing: ["?"]', "role: category"),
        ),
        ([f"{n}.{n % 9}50" for n in range(1, 99)] + ["987"] * 9, "read as 1,150 and as 1.15", ('format: "1.234.567"',)),
        ([f"POINT ({n}.5 {n}.25)" for n in range(99)], "several numbers in each cell", ("role: ignored",)),
        ([*(f"2024-01-{n:02d}" for n in range(1, 29)), *(f"{n:02d}.01.2023" for n in range(1, 29))], "of 2 forms", ()),
    ],
)
def test_what_can_be_read_in_two_ways_is_asked(tmp_path, cells, found, lines):
    (question,) = read(tmp_path, cells).questions
    assert pd.Series([question.found]).str.contains(found).all()
    assert question.lines[: len(lines)] == lines


def test_all_questions_are_one_message_whose_lines_answer_them(tmp_path):
    pd.DataFrame({"day": DAYS, "x": [*NUMBERS[:199], "?"], "y": ["yes", "no"] * 100}).to_csv(
        tmp_path / "a.csv", index=False
    )
    raw = raw_table(tmp_path / "a.csv")
    questions = infer_table(raw, Wishes("y")).questions
    with pytest.raises(
        StatementError, match=r"(?s)2 columns of a.csv .*columns:\n  \"day\": \{format: .*\"x\": \{missing"
    ):
        refuse_open_questions(questions, "a.csv", {})
    rules = {"day": ColumnRule(format="%d/%m/%Y"), "x": ColumnRule(missing=("?",))}
    answered = infer_table(raw, Wishes("y", rules=rules))
    assert not answered.questions
    assert answered.table.schema.kinds == {"day": "datetime", "x": "number", "y": "string"}
    assert answered.rows["x"].isna().sum() == 1


def test_the_target_in_disguise_is_asked_and_an_answer_ends_it(tmp_path):
    cells = ["left", "stayed"] * 50
    (question,) = read(tmp_path, cells).questions
    assert "says the target 'y' of every row" in question.found
    assert read(tmp_path, cells, ColumnRule(role="ignored")).rows.columns.tolist() == ["y"]
    assert not read(tmp_path, cells, ColumnRule(role="category")).questions


IS_YES = RNG.random(300) < 0.3
AMOUNT = RNG.lognormal(3, 1, 300).round(2)


def asked_of(column, y, *, is_classification: bool, **others) -> list[str]:
    frame = pd.DataFrame({"z": column, **others, "y": y, "noise": RNG.normal(size=300)})
    raw = RawTable({name: frame[name] for name in frame})
    return [one.column for one in infer_table(raw, Wishes("y", is_classification)).questions]


@pytest.mark.parametrize(
    ("column", "is_asked"),
    [
        (np.where(IS_YES, AMOUNT + 1, 0), True),
        (pd.Series(AMOUNT).where(IS_YES), True),
        (pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(AMOUNT // 1, "D")).where(IS_YES), True),
        (pd.Series(np.where(IS_YES, "d", "p")).where(AMOUNT > 8), True),
        ([f"{'d' if yes else 'e'}{n % 6}" for n, yes in enumerate(IS_YES)], True),
        (np.where(RNG.random(300) < 0.05, 7, np.where(IS_YES, AMOUNT + 1, 0)), False),
        ([f"{'d' if yes else 'e'}{n}" for n, yes in enumerate(IS_YES)], False),
        ([f"{'d' if yes else 'e'}{n % 30}" for n, yes in enumerate(IS_YES)], False),
        (pd.Series(np.where(IS_YES, "d", "p")).where(AMOUNT > 40), False),
    ],
)
def test_what_says_the_class_by_a_threshold_a_gap_or_finer_groups_is_asked(column, is_asked):
    found = asked_of(column, np.where(IS_YES, "yes", "no"), is_classification=True)
    assert found == ["z"] * is_asked


@pytest.mark.parametrize(
    ("column", "is_asked"),
    [
        (np.log(AMOUNT).round(2), True),
        (pd.Series(AMOUNT).rank(), True),
        (-(AMOUNT**2), True),
        ((AMOUNT / 10).round(), True),
        (pd.cut(AMOUNT, [0, 10, 20, 40, 1e9]).astype(str), True),
        (pd.Series(AMOUNT * 2).where(AMOUNT > 5), True),
        (AMOUNT + RNG.normal(0, 0.5, 300), False),
        ((AMOUNT > 20).astype(int), False),
    ],
)
def test_what_orders_rows_as_a_number_does_is_asked(column, is_asked):
    assert asked_of(column, AMOUNT, is_classification=False) == ["z"] * is_asked


def test_two_columns_whose_sum_is_the_target_are_asked():
    part = RNG.integers(0, 90, 300)
    other = RNG.integers(0, 900, 300)
    assert asked_of(part, part + other, is_classification=False, w=other) == ["z", "w"]
    assert not asked_of(part, part + other + RNG.integers(0, 2, 300), is_classification=False, w=other)


@pytest.mark.parametrize(
    ("cells", "kind", "role"),
    [
        (["02116", "10001", "94107"] * 50, "string", "category"),
        (["NA", "SA", "EU"] * 40, "string", "category"),
        ([*NUMBERS, "NA"], "number", "number"),
        ([str(n) for n in range(1, 201)], "integer", "identifier"),
        ([str(10**17 + 7919 * n**2) for n in range(200)], "integer", "identifier"),
        (["true", "", "false"] * 40, "boolean", "boolean"),
        ([*(f"PC {n}" for n in range(60)), *NUMBERS], "string", "text"),
        ([f"u{n % 30}@shop.example" for n in range(200)], "string", "identifier"),
        ([f"{n // 60:02d}:{n % 60:02d}" for n in range(200)], "integer", "time of day"),
    ],
)
def test_plain_columns_are_read_without_a_question(tmp_path, cells, kind, role):
    found = read(tmp_path, cells)
    column = found.table.columns[0]
    assert (column.kind, found.questions) == (kind, ())
    assert column.role == role or (role == "text" and column.role in {"identifier", "category"})


def test_years_and_measures_that_are_all_different_are_no_identifiers():
    assert role_of(pd.Series(range(1900, 2000), name="year"), "integer") == "number"
    assert role_of(pd.Series(RNG.choice(10**6, 60, replace=False), name="people"), "integer") == "number"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (ColumnRule(format="%d.%m.%Y"), "200 of its 200 different texts do not"),
        (ColumnRule(order=("a", "b")), "has no place there"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused_with_cells(tmp_path, rule, message):
    with pytest.raises(UsageError, match=message):
        read(tmp_path, [f"word{n}" for n in range(200)], rule)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(tmp_path, separator):
    lines = [
        f"{a},5{separator}{b}{separator}yes" if separator != "," else f"{a}.5,{b},yes"
        for a, b in RNG.integers(0, 99, (50, 2))
    ]
    (tmp_path / "a.csv").write_text("\n".join([separator.join("xzy"), *lines]))
    raw = raw_table(tmp_path / "a.csv")
    assert raw.csv is not None and raw.csv.separator == separator
    assert infer_table(raw, Wishes()).table.schema.kinds == {"x": "number", "z": "integer", "y": "string"}


def test_a_first_line_of_measurements_is_no_header(tmp_path):
    (tmp_path / "a.csv").write_text("5.1,3.5,setosa\n4.9,3.0,setosa\n")
    with pytest.raises(UsageError, match="has no header: its first line holds numbers"):
        raw_table(tmp_path / "a.csv")


def test_offsets_that_change_with_the_season_name_their_zone():
    moments = pd.Series(pd.date_range("2024-01-01", periods=60, freq="7D", tz="America/New_York"))
    texts = moments.dt.strftime("%Y-%m-%dT%H:%M:%S%z").astype("str")
    (found,) = date_formats(texts)
    assert found.zone == "America/New_York"
    assert found.write(found.parse(texts)).tolist() == texts.tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("e-mail", "ann.b@shop.example"), ("UUID", "0b0fdc1c-4b1e-4f0e-9c39-1f4cf1a5ea5d"), ("IPv4", "192.168.4.17"),
        ("IBAN", "GB82 WEST 1234 5698 7654 32"), ("phone", "+49 170 1234567"), ("IPv6", "2001:db8::8a2e:370:7334"),
        ("IPv4", "10.2.3.0/24"), ("MAC", "E6:87:24:84:07:55"),
    ],
)  # fmt: skip
def test_public_forms_are_known_and_made_afresh(name, value):
    assert known_form(pd.Series([value])) == name
    made = fresh(name, [value], 50, np.random.default_rng(0))
    assert known_form(pd.Series(made)) == name and value not in made
    assert all(are_of_form(name, pd.Series([text])) for text in made)
    assert name != "IBAN" or all(iban_digits(text) == text[2:4] for text in made)


@pytest.mark.parametrize(
    ("name", "value"), [("ISIN", "US0378331005"), ("EAN", "4006381333931"), ("card", "4539 1488 0343 6467")]
)
def test_forms_with_a_check_digit_are_known_from_a_few_values_on(name, value):
    assert not known_form(pd.Series([value]))
    made = fresh(name, [value], 50, np.random.default_rng(0))
    assert known_form(pd.Series(made)) == name and value not in made
    wrong = [f"{text[:-1]}{(int(text[-1]) + 1) % 10}" for text in made]
    assert not known_form(pd.Series(wrong))


FRENCH_DAYS = ("lun", "mar", "mer", "jeu", "ven", "sam", "dim")
MOMENTS = pd.Series(pd.date_range("2021-03-04 05:06:07", periods=120, freq="211h7min"))


@pytest.mark.parametrize(
    ("cells", "role"),
    [
        ([f"{m:%d.%m.%Y, %H:%M} Uhr" for m in MOMENTS], "datetime"),
        ([f"{m:%B %d, %Y at %I:%M %p}" for m in MOMENTS], "datetime"),
        ([f"{m:%a %b %d %H:%M:%S} +0000 {m:%Y}" for m in MOMENTS], "datetime"),
        ([f"{m:%Y-%m-%d %H:%M:%S},{n:03d}" for n, m in enumerate(MOMENTS)], "datetime"),
        ([f"{m:%Y%m%dT%H%M%SZ}" for m in MOMENTS], "datetime"),
        ([f"{m:%d%m%Y}" for m in MOMENTS], "datetime"),
        ([f"{m:%Y-%j}" for m in MOMENTS], "datetime"),
        ([f"{m.day}. {m.month}. {m.year}" for m in MOMENTS], "datetime"),
        ([f"{m:%d/%m/%Y %I:%M} {'a' if m.hour < 12 else 'p'}.m." for m in MOMENTS], "datetime"),
        ([f"{m:%I:%M}{'am' if m.hour < 12 else 'pm'}" for m in MOMENTS], "time of day"),
        ([f"{m:%H:%M:%S}+01:00" for m in MOMENTS], "time of day"),
        ([f"{m:%H:%M:%S}.{7 * n % 1000:03d}" for n, m in enumerate(MOMENTS)], "time of day"),
        ([f"{n // 9}:{7 * n % 60:02d}.{n:03d}" for n in range(120)], "duration"),
        ([f"{n // 9}d {n % 24:02d}:{7 * n % 60:02d}:00" for n in range(120)], "duration"),
        ([f"{n // 9}.{n % 24:02d}:{7 * n % 60:02d}:00" for n in range(120)], "duration"),
        ([f"{n} day{'s' if n != 1 else ''}" for n in range(120)], "duration"),
        ([f"PT{60 + n}M" for n in range(120)], "duration"),
        ([f"{n // 60}h {n % 60:02d}m" for n in range(120)], "duration"),
        ([f"1.{100 + n},50{'-' if n % 3 else ''}" for n in range(120)], "number"),
        ([f"−{n}.5" if n % 3 else f"{n}.5" for n in range(120)], "number"),
        ([f"{n}.50 €/day" for n in range(120)], "number"),
        ([f"{n},-" for n in range(100, 220)], "number"),
        ([f"{n}:-" for n in range(100, 220)], "number"),
        ([f"AED {n}.5{n % 10}" for n in range(120)], "number"),
        ([f"Rp {n}.{n}" for n in range(100, 220)] + ["Rp 987"], "number"),
        ([f"₱{n},{n}.50" for n in range(100, 220)], "number"),
        ([f"{(n - 60) / 10 or 1:+.1f} %" for n in range(120)], "number"),
        ([f"{(n - 60) / 10 or 1:+.1f}" for n in range(120)], "number"),
        ([f"{n - 60:+d}" for n in range(120)], "number"),
        ([f"{n - 60:+d}" if n != 60 else "0" for n in range(120)], "number"),
        ([f"{n} mins." for n in range(120)], "number"),
        ([f"{n} cm³" for n in range(120)], "number"),
        ([f"{m:%H%M}" for m in MOMENTS], "number"),
        ([f"{m:%H.%M} Uhr" for m in MOMENTS], "time of day"),
        ([f"{m:%H.%M}" for m in MOMENTS], "time of day"),
        ([f"{m:%H.%M.%S}" for m in MOMENTS + pd.to_timedelta(range(120), "s")], "time of day"),
        ([f"{m:%I.%M.%S %p}" for m in MOMENTS], "time of day"),
        ([f"{m:%I.%M%p}".lower() for m in MOMENTS], "time of day"),
        ([f"{m:%d-%b-%y %I.%M.%S.%f %p}".upper() for m in MOMENTS], "datetime"),
        ([f"{m:%d/%m/%Y %I.%M.%S} {'a.m.' if m.hour < 12 else 'p.m.'}" for m in MOMENTS], "datetime"),
        ([f"{m:%d%b%Y:%H:%M:%S}".upper() for m in MOMENTS], "datetime"),
        ([f"{m:%d%b%y:%H:%M}" for m in MOMENTS], "datetime"),
        ([f"{m:%Y}m{m.month}" for m in MOMENTS], "datetime"),
        ([f"{1.7**n:.1E}".replace(".", ",") for n in range(-60, 60)], "number"),
        ([f"{-(1.7**n):.3e}".replace(".", ",") for n in range(-60, 60)], "number"),
        ([f"{n // 3}h{7 * n % 60:02d}" for n in range(120)], "duration"),
        ([f"PT{n // 9}H{7 * n % 60}M" for n in range(120)], "duration"),
        ([str(timedelta(minutes=97 * n)) for n in range(120)], "duration"),
        ([f"{m.year}Q{m.quarter}" for m in MOMENTS], "datetime"),
        ([f"Q{m.quarter}/{m.year}" for m in MOMENTS], "datetime"),
        ([f"{m.quarter}. Quartal {m.year}" for m in MOMENTS], "datetime"),
        ([f"{m:%G-W%V}" for m in MOMENTS], "datetime"),
        ([f"{m.day}. {m.month}. {m.year} {m:%H:%M}" for m in MOMENTS], "datetime"),
        ([f"{FRENCH_DAYS[m.weekday()]}. {m:%d/%m/%Y}" for m in MOMENTS], "datetime"),
        ([f"{m.tz_localize('UTC').tz_convert('Europe/Berlin'):%d.%m.%Y %H:%M %Z}" for m in MOMENTS], "datetime"),
        ([f"{m.tz_localize('UTC').tz_convert('America/New_York'):%m/%d/%Y %I:%M %p %Z}" for m in MOMENTS], "datetime"),
        ([f"{m:%Y-%m-%d %H:%M} CET" for m in MOMENTS], "datetime"),
    ],
)  # fmt: skip
def test_texts_of_rarer_forms_are_values_and_come_back(tmp_path, cells, role):
    found = read(tmp_path, cells)
    assert not found.questions and found.table.columns[0].role == role
    assert list(present(found.rows, found.table.schema)["x"]) == cells
    assert TableSchema.from_json(json.loads(json.dumps(found.table.to_json()))) == found.table


@pytest.mark.parametrize(
    ("years", "first", "last"),
    [((1935, 2006), 1935, 2005), ((1980, 2011), 1980, 2010), ((2020, 2034), 2020, 2033)],
)
def test_years_of_two_digits_lie_next_to_each_other(tmp_path, years, first, last):
    cells = [f"{1 + n % 28:02d}.{1 + n % 12:02d}.{year % 100:02d}" for n, year in enumerate([*range(*years)] * 4)]
    found = read(tmp_path, cells)
    assert not found.questions
    values = found.rows["x"]
    assert (values.min().year, values.max().year) == (first, last)
    assert list(present(found.rows, found.table.schema)["x"]) == cells


@pytest.mark.parametrize("years", [range(1936, 1966), range(1926, 2024)])
def test_a_century_that_cannot_be_told_is_asked_and_may_be_said(tmp_path, years):
    cells = [f"{1 + n % 28:02d}.{1 + n % 12:02d}.{year % 100:02d}" for n, year in enumerate([*years] * 4)]
    (question,) = read(tmp_path, cells).questions
    assert "can be read as of 20" in question.found and question.lines[1].endswith("first_year: 1969")
    facts = ColumnFacts.model_validate(yaml.safe_load(f"{{{question.lines[0]}}}"))
    found = read(tmp_path, cells, facts.rule)
    assert not found.questions and found.rows["x"].max().year <= 2035
    assert list(present(found.rows, found.table.schema)["x"]) == cells
    with pytest.raises(ValueError, match="needs a `format` with years of two digits"):
        ColumnFacts.model_validate({"first_year": 1936})


@pytest.mark.slow
def test_offsets_of_several_zones_keep_their_moments_and_are_named(tmp_path):
    zones = ["Europe/Berlin", "America/New_York", "Asia/Kolkata"]
    cells = [m.tz_localize("UTC").tz_convert(zones[n % 3]).isoformat() for n, m in enumerate(MOMENTS)]
    found = read(tmp_path, cells)
    assert not found.questions and "offsets of several zones" in found.table.columns[0].detail
    assert list(found.rows["x"]) == list(MOMENTS)


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (
            [f"{n * 7}".translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")) for n in range(120)],
            "other digits than 0 to",
        ),
        ([f"{90 + 7 * n % 83}/{55 + 11 * n % 53}" for n in range(200)], "two numbers in each cell"),
        ([f"{m.isoformat()}.{n:09d}" for n, m in enumerate(MOMENTS)], "120 moments are finer than microseconds"),
        ([f"{m:%d.%m.%Y %H:%M:%S}.{n + 1:07d}" for n, m in enumerate(MOMENTS)], "are finer than microseconds"),
        ([f"{m:%Y%m%d}" if n % 20 else "00000000" for n, m in enumerate(MOMENTS)], "the others are '00000000' (6)"),
        ([f"{1.3**n:.1E}".replace(".", ",") if n > 60 else f"{n},5" for n in range(120)], "with a power of ten and"),
        ([*(f"u{n}@shop.example" for n in range(95)), *["-"] * 5], "cells hold each a name of the form e-mail"),
    ],
)
def test_what_would_be_scrambled_is_asked(tmp_path, cells, found):
    (question,) = read(tmp_path, cells).questions
    assert found in question.found


def test_codes_with_an_e_and_long_numbers_are_names_and_no_numbers(tmp_path):
    assert read(tmp_path, [f"{n}e{n % 9}" for n in range(10, 99)]).table.schema.kinds["x"] == "string"
    for cells in ([f"1{n:019d}" for n in range(90)], [f"7{n % 30:016d}{n % 30}" for n in range(90)]):
        (column, _) = read(tmp_path, cells).table.columns
        assert column.role == "identifier"


@pytest.mark.parametrize(
    ("value", "written"),
    [("9999-12-31", "9999-12-31"), ("1900-01-01", "1900-01-01")],
)
def test_a_day_that_stands_for_none_is_named_and_may_be_declared(tmp_path, value, written):
    cells = [*(f"{m:%Y-%m-%d}" for m in MOMENTS), *[value] * 4]
    detail = read(tmp_path, cells).table.columns[0].detail
    assert f'{written} in 4 rows: if it means missing, say `missing: ["{written}"]`' in detail
    assert read(tmp_path, cells, ColumnRule(missing=(value,))).table.columns[0].missing == 4


@pytest.mark.parametrize(
    "cells",
    [
        [f"2021-{n:04d}" for n in range(1, 121)],
        [f"00:{n // 10}{n % 10}:1a:2b:3c:4{n % 7}" for n in range(100)],
        [f"v{n // 20}.{n % 20}" for n in range(120)],
        ["10:20-11:40", "11:00-12:15", *(f"{8 + n % 9}:{n % 60:02d}-18:00" for n in range(100))],
    ],
)
def test_texts_with_the_marks_of_dates_and_times_stay_texts(tmp_path, cells):
    found = read(tmp_path, cells)
    assert not found.questions and found.table.schema.kinds["x"] == "string"


def test_a_number_of_nines_far_beyond_all_others_is_named_and_may_be_declared(tmp_path):
    cells = [*map(str, range(100)), *["-999"] * 20]
    assert (
        "-999 in 20 rows: if it means missing, say `missing: [-999]`" in read(tmp_path, cells).table.columns[0].detail
    )
    pd.DataFrame({"x": list(map(int, cells)), "y": ["yes", "no"] * 60}).to_parquet(tmp_path / "a.parquet")
    rules = {"x": ColumnRule(missing=tuple(ColumnFacts(missing=[-999]).missing))}
    assert read(tmp_path, cells, rules["x"]).table.columns[0].missing == 20
    found = read(tmp_path, [f"{cell}.0" for cell in cells], rules["x"])
    assert found.table.columns[0].missing == 20 == read_real(tmp_path / "a.csv", found.table)["x"].isna().sum()
    typed = infer_table(raw_table(tmp_path / "a.parquet"), Wishes("y", rules=rules))
    assert typed.table.columns[0].missing == 20 and typed.rows["x"].max() == 99


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cells", "role", "first"),
    [
        (["5. März 2024", "17. Mai 2023", "1. Oktober 2021"], "datetime", "2024-03-05"),
        (["05-APR-2024", "06-MAY-2023", "07-SEP-2021"], "datetime", "2024-04-05"),
        (["5 de abril de 2024", "6 de mayo de 2023", "7 de enero de 2021"], "datetime", "2024-04-05"),
        (["5 апреля 2024", "6 мая 2023", "7 января 2021"], "datetime", "2024-04-05"),
        (["2024年4月5日", "2023年12月6日", "2021年1月17日"], "datetime", "2024-04-05"),
        (["Apr 1st 2024", "May 2nd 2023", "Jun 11th 2021"], "datetime", "2024-04-01"),
        (["14/Apr/2024:12:06:47 +0000", "15/May/2023:02:06:47 +0000"], "datetime", "2024-04-14 12:06:47"),
        (["1h 20m", "45m", "3h 5m"], "duration", 4800),
        (["2 days 3 hours", "1 day 1 hour", "4 days 2 hours"], "duration", 183_600),
        (["12h06", "09h15", "23h59"], "time of day", 43_560),
        (["1.5k", "22.7k", "3.1k"], "number", 1.5),
    ],
)
def test_texts_of_other_languages_and_units_are_values_and_come_back(tmp_path, cells, role, first):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"c": rng.choice(cells, 60), "x": rng.normal(size=60)})
    frame.loc[0, "c"] = cells[0]
    frame.to_csv(tmp_path / "t.csv", index=False)
    # few texts that repeat are categories, so the role is named as a person would
    found = infer_table(raw_table(tmp_path / "t.csv"), Wishes(None, rules={"c": ColumnRule(role=role)}))
    assert not found.questions and found.table.columns[0].role == role
    value = found.rows["c"].iloc[0]
    assert value == (pd.Timestamp(first) if role == "datetime" else first)
    assert list(present(found.rows, found.table.schema)["c"]) == list(frame["c"])
    assert TableSchema.from_json(json.loads(json.dumps(found.table.to_json()))) == found.table


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (
            [f"{1 + n % 12:02d}/{13 + n % 15}/20{10 + n % 13}" for n in range(95)] + ["00/00/0000"] * 5,
            "'00/00/0000' (5)",
        ),
        ([f"{n}.5{'KB' if n % 2 else 'MB'}" for n in range(100)], "numbers with different units"),
        (
            [f"{1 + n % 12:02d}/{13 + n % 15}/2020 10:{n % 60:02d}" for n in range(95)]
            + [f"03/1{n}/2020" for n in range(3, 8)],
            "dates of 2 forms",
        ),
        ([f"4{n % 10}.{n:03d},8.{n:03d}" for n in range(100)], "several numbers in each cell"),
    ],
)
def test_values_beside_others_with_digits_are_asked(tmp_path, cells, found):
    pd.DataFrame({"c": cells, "x": np.arange(100.0)}).to_csv(tmp_path / "t.csv", index=False)
    (question,) = infer_table(raw_table(tmp_path / "t.csv"), Wishes(None)).questions
    assert found in question.found


def test_cells_in_single_quotes_are_read_without_them_and_lines_before_the_header_are_named(tmp_path):
    lines = [f"'{n}.5','{'it, is' if n % 2 else 'no'}','{'yes' if n % 3 else 'no'}'" for n in range(80)]
    (tmp_path / "q.csv").write_text("\n".join(["x,town,y", *lines]) + "\n")
    found = infer_table(raw_table(tmp_path / "q.csv"), Wishes("y"))
    assert found.table.roles == {"x": "number", "town": "category", "y": "target"}
    assert set(found.rows["town"]) == {"it, is", "no"}
    assert read_real(tmp_path / "q.csv", found.table).equals(found.rows)
    before = {
        "# made by us\n# 2024": "begins with a comment",
        "sep=;": "a line for Excel",
        "Sales\n": "2 lines, 'Sales'",
        "Sales;\n;": "2 lines, 'Sales;'",
    }
    for first, message in before.items():
        (tmp_path / "c.csv").write_text(f"{first}\n" + "x;y\n" + "1.5;yes\n2.5;no\n" * 20)
        with pytest.raises(UsageError, match=message) as refusal:
            raw_table(tmp_path / "c.csv")
        pasted(refusal.value.fix, tmp_path)
        assert raw_table(tmp_path / "c_whole.csv").columns.keys() == {"x", "y"}


def pasted(fix: str, folder: Path) -> None:
    """Run the command that a message offers."""
    code = fix.split('python -c "')[1].split('"` in')[0].replace("\\\\", "\\")
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "names"),
    [
        (",x,y\n" + "".join(f"{n},{n}.5,no\n" for n in range(9)), ["x", "y"]),
        ("x,x,y\n" + "1,2,no\n" * 9, ["x", "x.1", "y"]),
        ("x,y\n" + "1,no,\n" * 9, ["x", "y"]),
        ("x,z,y\ncm,kg,class\n" + "".join(f"{n},{n}.5,no\n" for n in range(30)), ["x", "z", "y"]),
        ("town  x  y\n" + "Ulm   1  no\nBonn 12  no\n" * 9, ["town", "x", "y"]),
    ],
)
def test_a_command_mends_a_header_that_cannot_be_read(tmp_path, text, names):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(UsageError) as refusal:
        raw_table(tmp_path / "c.csv")
    pasted(refusal.value.fix, tmp_path)
    assert list(raw_table(tmp_path / "c_whole.csv").columns) == names


@pytest.mark.parametrize("separator", [":", "^", "~", " ", "\x01"])
def test_rare_separators_are_found(tmp_path, separator):
    lines = [separator.join(("town", "x", "y")), *(separator.join(("Ulm", f"{n}.5", "no")) for n in range(60))]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    found = infer_table(raw_table(tmp_path / "a.csv"), Wishes("y"))
    assert found.table.csv.separator == separator and list(found.rows) == ["town", "x", "y"]


def test_a_schema_that_was_recorded_before_keeps_its_digest(tmp_path):
    found = read(tmp_path, ["1,50 €", "2,75 €"] * 40).table.to_json()
    form = found["columns"][0]["form"]
    assert found["csv"] == {"separator": ",", "encoding": "utf-8", "quote": '"'}
    assert not {"width", "lead", "widths", "not_missing"} & form.keys()
    assert not {"plus", "plus_zero", "pad"} & form.get("format", {}).keys()


def test_words_for_missing_in_the_first_row_are_no_second_header(tmp_path):
    rows = ["NA,-,no", *(f"{n},{n}.5,no" for n in range(30))]
    (tmp_path / "a.csv").write_text("\n".join(["x,z,y", *rows]) + "\n")
    assert len(next(iter(raw_table(tmp_path / "a.csv").columns.values()))) == 31


def test_nothing_at_the_ends_of_lines_is_no_column(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,\n" + "1.5,no,\n" * 60)
    assert list(raw_table(tmp_path / "a.csv").columns) == ["x", "y"]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_quotes_behind_a_backslash_are_read(tmp_path, quoting, separator):
    frame = pd.DataFrame({"said": ['He said "x", twice', "nothing", '"'] * 20, "y": ["yes", "no", "no"] * 20})
    frame.to_csv(tmp_path / "a.csv", index=False, sep=separator, quoting=quoting, doublequote=False, escapechar="\\")
    found = infer_table(raw_table(tmp_path / "a.csv"), Wishes("y"))
    assert read_real(tmp_path / "a.csv", found.table).equals(found.rows)
    assert list(found.rows["said"]) == list(frame["said"]) and found.table.csv.escape == "\\"
    assert TableSchema.from_json(json.loads(json.dumps(found.table.to_json()))) == found.table


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1250", ["Dvořák", "Świat", "Žižka", "Łódź"]),
        ("cp1252", ["Müller", "5 €", "“so”", "Señor"]),
        ("mac_roman", ["Grün", "Jäger", "Weiß"]),
        ("utf-16-le", ["Grün", "Dvořák"]),
        ("utf-16-be", ["plain", "letters"]),
    ],
)
def test_encodings_without_a_mark_are_found(tmp_path, encoding, words):
    text = pd.DataFrame({"town": words * 20, "y": (["yes", "no"] * 80)[: 20 * len(words)]}).to_csv(index=False)
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    assert set(infer_table(raw_table(tmp_path / "a.csv"), Wishes("y")).rows["town"]) == set(words)


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ([2023, 2024] * 20, "whole numbers, 2023 to 2024"),
        ([1_234_561, *[1_234_564, 1_234_565] * 20, 1_234_568], "whole numbers, 1,234,560 to 1,234,569"),
        ([0, *range(1, 60)], "whole numbers, 0 to 60"),
        ([18, *range(20, 60)], "whole numbers, 10 to 60"),
    ],
)
def test_the_ends_of_a_range_are_no_value_of_a_few_rows(values: list[int], detail: str) -> None:
    assert detail_of(pd.Series(values), "integer", "number", PLAIN) == detail


@pytest.mark.parametrize(("word", "is_named"), [("NA", True), ("None", True), ("n.a.", False)])
def test_a_category_that_readers_take_for_missing_is_named_with_how_to_read(tmp_path, word, is_named):
    table = read(tmp_path, [*["north", "south", word] * 30]).table
    detail, words = table.columns[0].detail, table.how_to_read
    options = 'keep_default_na=False, na_values=[""]'
    assert (f"'{word}' not missing: read with {options}" in detail) == is_named
    command = f"`pd.read_csv(FILE, {options})`"
    said = f"Read CSV files with {command}: other readers take categories for missing values (x: '{word}')."
    assert words == (said if is_named else "") and table.columns[0].missing == 0
