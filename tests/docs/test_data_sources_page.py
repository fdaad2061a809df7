"""The page on data sources: its code runs, its forms of `data` are taken, its messages are those that are raised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from synth_mlflow.data.addresses import data_text, place_of
from synth_mlflow.data.markup import read_plain

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "data-sources.md").read_text(encoding="utf-8")
CODE = (Path(__file__).parents[2] / "synth_mlflow" / "data" / "sources").glob("*.py")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_its_code_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_DB", "")
    known: dict[str, object] = {}
    exec(compile("".join(blocks("python")), "data-sources.md", "exec"), known)
    assert known["rows"]["age"].tolist() == [31, 44]
    assert known["rows"]["town"].isna().tolist() == [False, True]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_its_forms_of_data_are_taken(text):
    assert str(place_of(data_text(read_plain(text)["data"])))


def test_its_messages_are_raised():
    source = "".join(path.read_text(encoding="utf-8") for path in CODE)
    quoted = re.findall(r"^\| `([a-z][^`]+)` \|", PAGE.partition("## If it fails")[2], re.MULTILINE)
    assert len(quoted) == 6
    for message in quoted:
        assert re.sub(r"version \d+", "version {table.version()}", message) in source
