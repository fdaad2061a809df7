"""Tables in chunks: the same file, digest and distinctive rows however the pieces come."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from synth_mlflow.data import chunks, digests
from synth_mlflow.data.chunks import ChunkWriter, distinctive_rows, file_table_digest, read_chunks
from synth_mlflow.data.columns import normalise, schema_of
from synth_mlflow.data.digests import TableDigest, file_digest, table_digest
from synth_mlflow.data.table_files import read_parquet
from synth_mlflow.data.tables import restore


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(digests, "BLOCK_ROWS", 16)
    monkeypatch.setattr(chunks, "BLOCK_ROWS", 16)


@pytest.fixture
def rows(customers):
    return normalise(customers(50, seed=3).assign(gap=lambda frame: frame["age"].where(frame["age"] > 40)))


def write(path, rows, sizes):
    schema = schema_of(rows)
    writer = ChunkWriter(path, schema)
    at = 0
    for size in sizes:
        writer.add(rows.iloc[at : at + size].reset_index(drop=True))
        at += size
    digest = writer.finish()
    writer.close({b"who": b"wir"})
    return digest


@pytest.mark.parametrize("sizes", [[50], [7] * 8, [1, 16, 33], [48, 2], [0, 50]])
def test_the_file_and_its_digest_do_not_depend_on_the_pieces(rows, tmp_path, sizes):
    whole, pieces = tmp_path / "whole.parquet", tmp_path / "pieces.parquet"
    assert write(pieces, rows, sizes) == write(whole, rows, [50]) == table_digest(rows)
    assert file_digest(pieces) == file_digest(whole)
    assert file_table_digest(pieces, schema_of(rows)) == table_digest(rows)
    pd.testing.assert_frame_equal(pd.concat(read_chunks(pieces, schema_of(rows)), ignore_index=True), rows)
    assert pq.read_schema(pieces).metadata[b"who"] == b"wir"


def test_only_a_block_is_ever_pending(rows, tmp_path):
    writer = ChunkWriter(tmp_path / "a.parquet", schema_of(rows))
    held = []
    for _ in range(40):
        writer.add(rows)
        held.append(sum(map(len, writer._pending)))
    writer.finish()
    writer.close()
    assert max(held) < 16
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 125


def test_blocks_must_be_full(rows):
    digest = TableDigest(schema_of(rows))
    digest.update(rows.head(3))
    with pytest.raises(ValueError, match="blocks must have 16 rows, found 3 rows, then 5"):
        digest.update(rows.head(5))


def test_distinctive_rows_hold_two_values_of_their_own(tmp_path):
    rows = normalise(pd.DataFrame({"a": [1, 1, 2, 3], "b": ["x", "y", "z", None], "c": [0.5, 0.5, 0.5, 0.5]}))
    write(tmp_path / "a.parquet", rows, [4])
    assert list(distinctive_rows(tmp_path / "a.parquet", schema_of(rows))) == [False, False, True, False]


def test_a_long_text_of_its_own_is_distinctive_beside_a_label(tmp_path):
    said = [f"{number} is the number of this text, which nobody else would write like this" for number in range(200)]
    rows = normalise(pd.DataFrame({"text": [*said, "short", None], "label": ["x", "y"] * 101}))
    write(tmp_path / "a.parquet", rows, [202])
    assert list(distinctive_rows(tmp_path / "a.parquet", schema_of(rows))) == [True] * 200 + [False] * 2


def test_long_texts_from_a_list_are_not_distinctive(tmp_path):
    listed = [f"Dear customer, your order will arrive within {days} days. Thank you." for days in range(12)]
    rows = normalise(pd.DataFrame({"text": [*listed, *listed[:3]], "label": ["x", "y", "z"] * 5}))
    write(tmp_path / "a.parquet", rows, [15])
    assert not distinctive_rows(tmp_path / "a.parquet", schema_of(rows)).any()


def test_distinctive_rows_are_those_of_the_whole_table(rows, tmp_path):
    write(tmp_path / "a.parquet", rows, [50])
    alone = sum((rows[name].notna() & ~rows[name].duplicated(keep=False)).to_numpy(dtype=int) for name in rows)
    assert np.array_equal(distinctive_rows(tmp_path / "a.parquet", schema_of(rows)), alone >= 2)


def test_whole_numbers_stay_exact_beside_gaps_of_another_piece(tmp_path):
    parts = [normalise(pd.DataFrame({"n": pd.array(values, "Int64")})) for values in ([2**53 + 1], [1, None])]
    writer = ChunkWriter(tmp_path / "a.parquet", schema_of(parts[0]))
    for part in parts:
        writer.add(part)
    digest = writer.finish()
    writer.close()
    again = restore(read_parquet(tmp_path / "a.parquet"), schema_of(parts[0]))
    assert again["n"].tolist() == [2**53 + 1, 1, pd.NA]
    assert digest == table_digest(again, schema_of(parts[0]))
