"""Measures of a form that is not read are asked about; names, categories and bands of the same look are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.schema import ColumnRule, Wishes
from synth_mlflow.data.schema_inference import RawTable, ReadTable, infer_table
from synth_mlflow.data.tables import raw_table


def table_of(cells: list[str], rule: ColumnRule | None = None) -> ReadTable:
    """Texts beside a target, as a typed file holds them."""
    y = pd.Series(np.tile(["yes", "no"], len(cells))[: len(cells)])
    return infer_table(
        RawTable({"x": pd.Series(cells, dtype="str"), "y": y}), Wishes("y", rules={"x": rule} if rule else {})
    )


def drawn(make, n: int = 200) -> list[str]:
    rng = np.random.default_rng(0)
    return [make(lambda low, high: int(rng.integers(low, high))) for _ in range(n)]


def season(year: int) -> str:
    return f"{year}/{(year + 1) % 100:02d}"


def span(low: int, width: int) -> str:
    return f"{low}-{low + width}"


MEASURES = {
    "coordinates": lambda i: f"""{i(0, 90)}°{i(0, 60):02d}'{i(0, 60):02d}"{"NS"[i(0, 2)]}""",
    "degrees": lambda i: f"{i(0, 90)}.{i(1000, 9999)}° {'NS'[i(0, 2)]}",
    "crores": lambda i: f"{i(1, 5000):,}.{i(10, 99)} {('Cr', 'Lakh')[i(0, 2)]}",
    "dollars": lambda i: f"${i(1, 9)}.{i(0, 10)}{'MK'[i(0, 2)]}",
    "thousands": lambda i: f"{i(1, 99)}.{i(0, 10)}k" if i(0, 2) else str(i(1, 1000)),
    "days behind": lambda i: f"{i(0, 24):02d}:{i(0, 60):02d}{('', '+1')[i(0, 2)]}",
    "about": lambda i: f"{('', '~')[i(0, 2)]}{i(1, 100)}",
    "below": lambda i: f"{('', '<')[i(0, 2)]}{i(1, 9)}.{i(10, 99)}",
    "footnote": lambda i: f"{i(1, 999)}.{i(0, 9)}{('', '*', '†')[i(0, 3)]}",
    "height": lambda i: f"""{i(4, 7)}'{i(0, 12)}\"""",
    "weight": lambda i: f"{i(1, 200)} lbs {i(0, 16)} oz",
    "ages": lambda i: f"{i(1, 9)} {('days', 'weeks', 'months', 'years')[i(0, 4)]}",
    "temperatures": lambda i: f"{i(-10, 40)}°C / {i(20, 99)}°F",
    "ranges": lambda i: span(i(10, 90), i(1, 9)),
    "boxes": lambda i: f"{i(1, 99)}x{i(1, 99)}x{i(1, 99)}",
    "halves": lambda i: f"{i(2000, 2025)}H{i(1, 3)}",
    "amounts beyond 64 bits": lambda i: f"{i(1, 900)}" + "0" * i(17, 20),
    "Thai years": lambda i: f"{i(1, 29):02d}/{i(1, 13):02d}/{i(2540, 2568)}",
    "Islamic years": lambda i: f"{i(1400, 1446)}-{i(1, 13):02d}-{i(1, 29):02d}",
    "estimate with its interval": lambda i: f"{i(2, 4)}.{i(10, 99)} (1.{i(10, 99)}-5.{i(10, 99)})",
}


@pytest.mark.parametrize("name", MEASURES)
def test_measures_that_are_not_read_are_asked_about_and_an_answer_ends_it(name):
    cells = drawn(MEASURES[name])
    (question,) = table_of(cells).questions
    assert any(repr(cell) in question.found for cell in cells)
    for line in question.lines:
        key, _, answer = line.partition(": ")
        rule = ColumnRule(**{key: answer.strip('"')})
        assert not [one for one in table_of(cells, rule).questions if one.column == "x"]


NAMES = {
    "orders": lambda i: f"ORD-{i(1, 10**6):06d}",
    "flights": lambda i: f"LH{i(100, 9999)}",
    "houses": lambda i: f"{i(1, 140)}{('', 'A', 'B', 'C')[i(0, 4)]}",
    "telephones": lambda i: f"{i(200, 999)}-{i(1000, 9999)}",
    "lots": lambda i: f"{i(1, 99)}-{i(1, 9999)}",
    "cabins": lambda i: f"{'ABCDEF'[i(0, 6)]}{i(1, 150)}",
    "diagnoses": lambda i: f"{'ABCDEF'[i(0, 6)]}{i(10, 99)}.{i(0, 10)}",
    "versions": lambda i: f"{i(0, 9)}.{i(0, 20)}.{i(0, 9)}",
    "phones": lambda i: f"Galaxy S{i(1, 40)}",
    "postcodes": lambda i: f"{i(10000, 99999)}-{i(1000, 9999)}",
    "hashes": lambda i: str(2**63 + i(0, 2**62)),
    "bands": lambda i: (lambda low: span(low, 4))(5 * i(2, 60)),
    "cars": lambda i: f"{i(1, 40)}M-{i(100, 999)}",
    "days": lambda i: f"{i(1990, 2025)}-{i(1, 13):02d}-{i(1, 29):02d}",
    "words": lambda i: f"under {('oak', 'elm')[i(0, 2)]} {i(1, 50)}",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_categories_and_bands_are_not_asked_about(name):
    assert not table_of(drawn(NAMES[name])).questions


@pytest.mark.parametrize(
    ("make", "kind", "detail"),
    [
        (lambda i: season(i(1990, 2025)), "datetime", "%Y/%n, starts of years"),
        (lambda i: f"FY{season(i(2000, 2025))}", "datetime", "FY%Y/%n, starts of years"),
        (lambda i: span(i(1990, 2025), 1), "datetime", "%Y-%N, starts of years"),
        (lambda i: f"FY{i(10, 25)}", "datetime", "FY%y, starts of years"),
        (lambda i: f"KW {i(1, 53):02d}/{i(2020, 2025)}", "datetime", "KW %V/%G"),
        (lambda i: f"W{i(1, 53)} {i(2020, 2025)}", "datetime", "W%V %G"),
        (lambda i: f"~{i(1, 900)}", "integer", "like ~1234"),
        (lambda i: f"c. {i(1500, 1900)}", "integer", "like c. 1234"),
        (lambda i: f">={i(1, 900)}", "integer", "like >=1234"),
        (lambda i: f"{i(1, 900):,}+", "integer", "like 1234+"),
        (lambda i: f'{i(10, 20)}.{i(0, 10)}"', "number", 'like 1234.6"'),
    ],
)
def test_periods_and_marked_numbers_are_read_and_written_back(make, kind, detail):
    cells = drawn(make)
    read = table_of(cells)
    (column, _) = read.table.columns
    assert not read.questions and column.kind == kind and column.detail.startswith(detail)
    assert column.form.format.write(read.rows["x"]).tolist() == cells


def test_few_seasons_that_may_be_months_are_asked_about():
    """Four different ones; ten would be read as seasons, whatever month they could be."""
    few = table_of([season(year) for year in range(2001, 2005)] * 3)
    assert "can be read as %Y/%m and as %Y/%n" in few.questions[0].found
    assert table_of([season(year) for year in range(2001, 2012)] * 3).table.columns[0].detail.startswith("%Y/%n")
    assert table_of([f"{2001 + n % 9}/{1 + n % 12:02d}" for n in range(60)]).table.columns[0].detail.startswith("%Y/%m")


def test_a_rare_mark_behind_many_plain_numbers_is_seen(tmp_path: Path):
    cells = [f"{n}.5" for n in range(3_000)] + [f"<0.{n}" for n in range(10, 30)]
    pd.DataFrame({"x": cells, "y": np.tile(["a", "b"], 1_510)}).to_csv(tmp_path / "a.csv", index=False)
    (question,) = infer_table(raw_table(tmp_path / "a.csv"), Wishes("y")).questions
    assert "some with a mark" in question.found
