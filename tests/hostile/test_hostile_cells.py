"""Cells made to slow down their reader, or too large for what they say: read at once, as texts.

A pattern that tries each start of a run anew, or splits a run in each way, takes minutes for these.
"""

from __future__ import annotations

import pandas as pd
import pytest

from synth_mlflow.data.tables import read_table
from synth_mlflow.data.text_forms import read_texts_as
from synth_mlflow.data.value_formats import ClockText, DateText, DurationText, NumberText, unit_style
from synth_mlflow.errors import UsageError
from synth_mlflow.triggers import _values

LENGTH = 200_000
PIECES = ("7", "a", "A", "(", "[", "{", ".", "-", " ", "<!--", "`", '"', "1.", "1 ", "1 h ", "AB12 ", "a@", "12:", "1e")
FORMATS = (
    NumberText(prefix="$", thousands=","),
    NumberText(suffix=" kg", decimal=",", thousands=".", lakhs=True),
    DateText("%d.%m.%Y", ordinal=True),
    DateText("%d %b %Y", months=tuple("abcdefghijkl")),
    ClockText("%H:%M:%S"),
    DurationText("clock"),
    DurationText("days"),
    DurationText("iso"),
    DurationText("units"),
)


@pytest.mark.parametrize("piece", PIECES)
def test_a_hostile_cell_is_read_at_once(tmp_path, piece):
    cell = piece * (LENGTH // len(piece)) + "!"
    pd.DataFrame({"n": range(4), "t": [cell, "1 h", "3 h 20 m", f"x{cell}"]}).to_parquet(tmp_path / "rows.parquet")
    assert read_table(tmp_path / "rows.parquet")["t"].tolist()[0] == cell


@pytest.mark.slow
def test_a_cell_of_digits_and_a_letter_is_read_at_once(tmp_path):
    for end in ("x", "!", ".", "e"):
        cells = ["1", *(f"{sign}{'7' * LENGTH}{end}" for sign in ("", "-", "+", "$"))]
        pd.DataFrame({"n": range(5), "t": cells}).to_csv(tmp_path / "rows.csv", index=False)
        assert len(read_table(tmp_path / "rows.csv")) == 5


@pytest.mark.parametrize("piece", ["a", "a-", "é-", "a.b-", "a@b.c"])
def test_a_hostile_first_line_is_read_at_once(tmp_path, piece):
    (tmp_path / "rows.csv").write_text(f"{piece * (LENGTH // len(piece))},b\n1,2\n")
    with pytest.raises(UsageError, match="200,000 characters, at most 250"):
        read_table(tmp_path / "rows.csv")


@pytest.mark.parametrize("end", ["", "x", " ", ":00", " days", "h", "D", " h 1 m"])
def test_no_form_is_slow_or_raises(end):
    texts = pd.Series([f"{start}{'9' * LENGTH}{end}" for start in ("", "-", "P", "$", "1.", "1 h ")])
    for format_ in FORMATS:
        format_.parse(texts)
    for kind in ("integer", "number", "datetime", "boolean"):
        read_texts_as(texts, kind, None)
    assert unit_style(texts) is None


@pytest.mark.parametrize(
    "cell", ["999999999 days", f"{'9' * 5_000}:00:00", f"P{'9' * 5_000}D", "1 days 9999999999:00:00"]
)
def test_durations_beyond_all_calendars_are_read(tmp_path, cell):
    """They ended in a traceback: Python converts 4,300 digits at most, and pandas counts to the year 2262."""
    pd.DataFrame({"n": range(3), "t": [cell, f"-{cell}", f"{cell}"]}).to_csv(tmp_path / "rows.csv", index=False)
    assert len(read_table(tmp_path / "rows.csv")) == 3


@pytest.mark.slow
def test_a_version_of_zeros_is_compared_at_once():
    assert _values.same("1", "1" + ".0" * LENGTH, "any")
    assert not _values.same("1", "1" + ".0" * LENGTH + "x", "any")
