"""Tables whose columns lie in mapped files are the same tables."""

import gc
import time
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from synth_mlflow.data import mapped
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.digests import keyed, row_hashes, table_digest
from synth_mlflow.data.large_tables import sampled_places
from synth_mlflow.data.mapped import frame_of, let_go, taken
from synth_mlflow.data.schema import Wishes
from synth_mlflow.data.schema_inference import infer_table
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.splits import cut
from synth_mlflow.data.statement import Evaluation
from synth_mlflow.data.tables import raw_table, read_as, read_table, write_parquet
from synth_mlflow.data.task import Task

N = 3_000


def table(n=N):
    at = np.arange(n)
    return normalise(
        pd.DataFrame(
            {
                "age": at % 71,
                "pay": np.where(at % 9 == 0, np.nan, at * 0.5),
                "city": pd.Series([None if i % 7 == 0 else f"city {i % 40}" for i in range(n)], dtype="str"),
                "big": pd.array([None if i % 5 == 0 else 2**53 + i for i in range(n)], dtype="Int64"),
                "yes": at % 2 == 0,
                "maybe": pd.array([None if i % 4 == 0 else i % 3 == 0 for i in range(n)], dtype="boolean"),
                "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(at, unit="h"),
                "churned": np.where(at % 11 < 4, "no", "yes"),
            }
        )
    )


ROWS = table()  # made in memory, as the limit is


@pytest.fixture
def everything_mapped(monkeypatch):
    monkeypatch.setattr(mapped, "MAPPED_BYTES", 0)


def as_mapped(rows):
    return frame_of(((name, rows[name]) for name in rows), rows.shape[1])


def n_maps():
    return len(mapped._maps)


def test_a_mapped_table_is_the_same_table(everything_mapped):
    rows = ROWS
    before = n_maps()
    found = as_mapped(rows)
    assert n_maps() > before
    let_go()
    pd.testing.assert_frame_equal(found, rows)
    assert table_digest(found) == table_digest(rows)
    assert row_hashes(found).tolist() == row_hashes(rows).tolist()
    places = np.array([5, 2, 2_999])
    pd.testing.assert_frame_equal(taken(found, places), rows.iloc[places].reset_index(drop=True))


def test_what_is_mapped_is_mapped_once_and_no_copy_shares_changes(everything_mapped):
    first = as_mapped(ROWS)
    n = n_maps()
    second = normalise(as_mapped(first))
    assert n_maps() == n
    second.loc[3, "pay"] = -1.0
    assert first["pay"].iloc[3] == 1.5


@pytest.mark.skipif(not mapped._RESIDENT.exists(), reason="the system does not say which pages a process holds")
def test_pages_that_were_read_are_given_back_by_themselves(everything_mapped, monkeypatch):
    monkeypatch.setattr(mapped, "HELD_BYTES", 0)
    column = mapped.mapped(pd.Series(np.arange(4_000_000.0)))
    given_back = []
    monkeypatch.setattr(mapped, "let_go", lambda: given_back.append(let_go()))
    column.sum()
    for _ in range(1_000):  # looked at every 50 ms; 10 s on a machine that does other things
        if given_back:
            break
        time.sleep(0.01)
    assert given_back
    assert column.iloc[-1] == 3_999_999


@pytest.mark.slow
def test_files_are_gone_with_their_table(everything_mapped):
    gc.collect()
    before = n_maps()
    found = as_mapped(ROWS)
    assert n_maps() > before
    del found
    gc.collect()
    assert n_maps() == before


@pytest.mark.parametrize("n_files", [1, 3])
def test_a_file_read_column_by_column_is_read_and_split_as_in_memory(tmp_path, monkeypatch, n_files):
    place = tmp_path / ("rows.parquet" if n_files == 1 else "rows")
    parts = np.array_split(np.arange(N), n_files)
    if n_files > 1:
        place.mkdir()
    for at, part in enumerate(parts):
        write_parquet(ROWS.iloc[part], place if n_files == 1 else place / f"{at}.parquet")
    wishes, task, plan = Wishes(target="churned", is_classification=True), Task("churned", "binary"), Evaluation()
    outcomes = []
    for limit in (2**40, 0):
        monkeypatch.setattr(mapped, "MAPPED_BYTES", limit)
        found = infer_table(raw_table(place), wishes)
        split = cut(found.rows, task, plan, {}, seed=1)
        again = read_as(place, found.table.schema)
        sides = [table_digest(taken(again, side), found.table.schema) for side in (split.training, split.evaluation)]
        questions = [one.column for one in found.questions]
        outcomes.append((found.table.digest, table_digest(found.rows, found.table.schema), *sides, questions))
        pd.testing.assert_frame_equal(read_table(place), found.rows)
    assert outcomes[0] == outcomes[1]


def test_a_parquet_file_is_written_in_groups_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("synth_mlflow.data.tables.ROWS_A_GROUP", 1_000)
    write_parquet(ROWS, tmp_path / "rows.parquet", {b"key": b"value"})
    footer = pq.read_metadata(tmp_path / "rows.parquet")
    assert (footer.num_row_groups, footer.metadata[b"key"]) == (3, b"value")
    pd.testing.assert_frame_equal(read_table(tmp_path / "rows.parquet"), ROWS)


def test_keyed_digests_of_blocks_are_those_of_the_whole(monkeypatch):
    hashes, salt = row_hashes(ROWS), "ab" * 16
    expected = keyed(hashes, salt)
    monkeypatch.setattr("synth_mlflow.data.digests.BLOCK_ROWS", 7)
    assert keyed(hashes, salt).tolist() == expected.tolist()


@pytest.mark.slow
def test_reading_takes_the_memory_of_a_few_columns(tmp_path, everything_mapped):
    n, n_columns = 50_000, 30
    rows = pd.DataFrame({f"x{at}": np.arange(n) * (at + 0.5) for at in range(n_columns)})
    write_parquet(rows, tmp_path / "rows.parquet")
    del rows
    tracemalloc.start()
    found = read_table(tmp_path / "rows.parquet")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (n, n_columns)
    assert peak < 10 * n * 8  # bytes of ten columns


def test_of_a_large_table_the_same_sample_is_taken_and_a_rare_slice_whole(monkeypatch):
    monkeypatch.setattr("synth_mlflow.data.large_tables.SAMPLE_CELLS", 100 * ROWS.shape[1])
    assert sampled_places(ROWS) is None
    monkeypatch.setattr(mapped, "MAPPED_BYTES", 0)
    places, part = sampled_places(ROWS), Slice.parse("age >= 70")
    assert len(places) == 100
    assert places.tolist() == sampled_places(ROWS).tolist()
    inside = np.flatnonzero(part.mask(ROWS))
    assert len(inside) < 50
    assert set(inside) < set(sampled_places(ROWS, part))
