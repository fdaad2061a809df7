"""The blind sheet: half and half, the same each time, and nothing that gives a row away but its values."""

from __future__ import annotations

import csv
import html
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.review.page import sheet_csv, sheet_page
from synth_mlflow.review.sheet import SheetKey, cells_of

TASK = Task("y", "binary", roles={"id": "identifier", "chat": "conversation"})
KEY = SheetKey("a" * 64, "b" * 64, 40)


def table(values, **more):
    frame = pd.DataFrame({"x": values, "y": ["yes", "no"] * (len(values) // 2), **more})
    return frame.astype({"y": "str"})


def shown(sheet, column="x"):
    at = sheet.columns.index(column)
    return [row[at].plain for row in sheet.rows]


def test_half_of_the_rows_are_real_and_the_key_says_which():
    sheet = KEY.made_of(table(np.arange(100)), table(np.arange(1000, 1100)), TASK)
    assert [int(text) < 1000 for text in shown(sheet)] == list(KEY.is_real)
    assert sum(KEY.is_real) == 20 and len(set(shown(sheet))) == 40
    assert sheet == KEY.made_of(table(np.arange(100)), table(np.arange(1000, 1100)), TASK)


@given(st.integers(0, 2**64), st.integers(1, 200).map(lambda n: 2 * n))
def test_order_and_id_depend_on_every_part_of_the_key(seed, n_rows):
    key, other = (SheetKey(f"{number:064x}", "b" * 64, n_rows) for number in (seed, seed + 1))
    assert sum(key.is_real) * 2 == n_rows and key.sheet_id != other.sheet_id


def test_the_place_of_a_row_says_nothing():
    """Of many sheets, each place is real as often as not, whatever the place before it is."""
    keys = np.array([SheetKey(f"{number:064x}", "b" * 64, 20).is_real for number in range(2000)])
    assert np.abs(keys.mean(axis=0) - 0.5).max() < 0.05
    following = (keys[:, 1:] == keys[:, :-1]).mean()
    assert abs(following - 9 / 19) < 0.01


@pytest.mark.parametrize("n_rows", [0, 7, -2])
def test_an_odd_number_of_rows_is_refused(n_rows):
    with pytest.raises(UsageError, match="an even number from 2 on was needed"):
        SheetKey("a", "b", n_rows)


def test_too_few_rows_say_how_many_would_do():
    with pytest.raises(UsageError, match="there are 6 training rows and 100 synthetic rows") as refused:
        KEY.made_of(table(np.arange(6)), table(np.arange(100)), TASK)
    assert "--review 12" in refused.value.fix


def test_rows_with_equal_values_look_equal_however_they_are_stored():
    """Numbers computed in two ways, whole numbers among decimals, missing values of any kind, times of day."""
    real = pd.DataFrame(
        {
            "number": [0.3, 3.0, np.nan, 0.0, 12345678901.0],
            "whole": pd.array([1, 2, 3, 4, 5], dtype="int64"),
            "flag": [True, False, True, False, True],
            "day": pd.to_datetime(["2020-01-01"] * 5).astype("datetime64[us]"),
            "text": pd.Series(["a", None, "", " b", "c"], dtype="str"),
        }
    )
    synthetic = pd.DataFrame(
        {
            "number": [0.1 + 0.2, 3, None, -0.0, 12345678901],
            "whole": pd.array([1, 2, 3, 4, 5], dtype="Int64"),
            "flag": pd.array([True, False, True, False, True], dtype="boolean"),
            "day": pd.to_datetime(["2020-01-01 00:00:00"] * 5).astype("datetime64[us]"),
            "text": pd.Series(["a", np.nan, "", " b", "c"], dtype="str"),
        }
    )
    rows = list(cells_of(pd.concat([real, synthetic], ignore_index=True)))
    assert rows[:5] == rows[5:]
    assert [cell.plain for cell in rows[2]] == ["(missing)", "3", "true", "2020-01-01", "(empty)"]
    assert rows[4][0].plain == "12345678901" and rows[3][4].text == " b"


def test_a_time_of_day_stands_in_all_cells_or_in_none():
    days = pd.Series([pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02 10:30:00.500")]).astype("datetime64[us]")
    assert [cell.plain for (cell,) in cells_of(pd.DataFrame({"at": days}))] == [
        "2020-01-01 00:00:00",
        "2020-01-02 10:30:00.5",
    ]


def test_columns_that_name_rows_are_left_out():
    numbers = np.arange(100)
    sheet = KEY.made_of(table(numbers, id=numbers), table(numbers, id=numbers + 5_000), TASK)
    assert sheet.columns == ("x", "y")


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=HYPERLINK(1)", "a\u202eb", "{{ 7*7 }}"]


def hostile_sheet():
    texts = pd.Series(HOSTILE * 8, dtype="str")
    chat = pd.Series([json.dumps([{"role": "<b>", "content": text}]) for text in texts], dtype="str")
    return KEY.made_of(table(texts, chat=chat), table(texts, chat=chat), TASK)


def test_nothing_in_a_row_becomes_markup_or_a_formula():
    page = sheet_page(hostile_sheet())
    assert page.count("<script>") == 1 and "<img" not in page and "<b>" not in page and "49" not in page
    lines = list(csv.reader(io.StringIO(sheet_csv(hostile_sheet()))))
    assert not any(cell.startswith(("=", "+", "@")) for line in lines for cell in line)


def test_page_and_table_of_equal_rows_are_equal_but_for_the_order():
    """An attacker who reads the files beyond what is shown finds no mark: exchange both sides, and only rows move."""
    real, synthetic = table(np.arange(40) * 0.1), table(np.arange(40) * 0.1 + 100)
    one, other = KEY.made_of(real, synthetic, TASK), KEY.made_of(synthetic, real, TASK)
    for write in (sheet_page, sheet_csv):
        shapes = [re.sub(r"\d+(\.\d+)?", "0", write(sheet)) for sheet in (one, other)]
        assert shapes[0] == shapes[1]
    pieces = re.split(r"<fieldset", sheet_page(one))[1:-1]
    assert len({re.sub(r"\d+(\.\d+)?|yes|no(?=<)", "0", html.unescape(piece)) for piece in pieces}) == 1
