"""A Delta table is the files of one version, not all files of its folder."""

from __future__ import annotations

import pandas as pd
import pytest

from synth_mlflow.data.addresses import place_of
from synth_mlflow.data.sources.copies import copy_of
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import UsageError

deltalake = pytest.importorskip("deltalake")


@pytest.fixture
def table(tmp_path):
    rows = pd.DataFrame({"age": range(40), "town": ["Ulm", "Bonn"] * 20})
    deltalake.write_deltalake(str(tmp_path / "rows"), rows, partition_by=["town"])
    deltalake.DeltaTable(str(tmp_path / "rows")).delete("age < 10")
    return tmp_path / "rows"


def test_the_newest_version_is_read_and_named(table, command):
    assert sorted(read_table(table)["age"]) == list(range(10, 40))
    assert str(copy_of(place_of(table)).pinned) == f"delta:{table}@v1"
    assert copy_of(place_of(table)).facts == {"version": 1, "rows": 30}


def test_an_older_version_is_read_as_it_was(table):
    assert sorted(read_table(place_of(f"{table}@v0"))["age"]) == list(range(40))


def test_a_version_that_is_not_there_or_not_whole_is_told(table):
    with pytest.raises(UsageError, match="there is no version 9 of it, the newest is 1"):
        read_table(place_of(f"{table}@v9"))
    found = deltalake.DeltaTable(str(table))
    found.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(UsageError, match="files of version 0 are gone"):
        read_table(place_of(f"{table}@v0"))


def test_a_folder_without_a_log_is_no_delta_table(tmp_path):
    with pytest.raises(UsageError, match="is no Delta table that can be read"):
        read_table(place_of(f"delta:{tmp_path}"))
