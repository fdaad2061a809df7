"""Kinds of files: the same table from each, and one clear message for what is none."""

import bz2
import gzip
import json
import lzma
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth_mlflow.data.columns import conform, schema_of
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.schema import ColumnRule, TableSchema, Wishes, arrow_schema, present
from synth_mlflow.data.schema_inference import infer_table
from synth_mlflow.data.tables import (
    memory,
    raw_table,
    read_known,
    read_real,
    read_table,
    refuse_larger_than_memory,
    table_pieces,
)
from synth_mlflow.errors import UsageError

N_ROWS = 60
TABLE = pd.DataFrame(
    {
        "age": [20 + i % 37 for i in range(N_ROWS)],
        "income": [1000.25 + i if i % 9 else None for i in range(N_ROWS)],
        "region": [("north", "south", None)[i % 3] for i in range(N_ROWS)],
        "account": pd.array([2**60 + i if i % 7 else None for i in range(N_ROWS)], dtype="Int64"),
        "seen": [f"2024-01-{1 + i % 28:02d}" for i in range(N_ROWS)],
        "late": [i % 4 == 0 for i in range(N_ROWS)],
    }
)


def as_lines(frame):
    rows = json.loads(frame.to_json(orient="records", lines=False))
    for row, account in zip(rows, frame["account"], strict=True):
        row["account"] = None if account is pd.NA else int(account)
    return "".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows)


def hive(frame, folder):
    for late, part in frame.groupby("late"):
        place = folder / f"late={str(late).lower()}"
        place.mkdir(parents=True)
        part.drop(columns="late").to_parquet(place / "part-0.parquet")
    (folder / "_SUCCESS").touch()


def folder_of(frame, folder):
    folder.mkdir()
    for at, start in enumerate(range(0, N_ROWS, 25)):
        frame.iloc[start : start + 25].to_parquet(folder / f"part-{at}.parquet")
    (folder / "_metadata.parquet").write_bytes(b"of another tool")


WRITERS = {
    "a.csv": lambda path: TABLE.to_csv(path, index=False),
    "a.csv.bz2": lambda path: path.write_bytes(bz2.compress(TABLE.to_csv(index=False).encode())),
    "a.csv.xz": lambda path: path.write_bytes(lzma.compress(TABLE.to_csv(index=False).encode())),
    "a.tsv": lambda path: TABLE.to_csv(path, index=False, sep="\t"),
    "a.TSV.gz": lambda path: TABLE.to_csv(path, index=False, sep="\t", compression="gzip"),
    "a.feather": lambda path: TABLE.to_feather(path),
    "a.jsonl": lambda path: path.write_text(as_lines(TABLE)),
    "a.ndjson.gz": lambda path: path.write_bytes(gzip.compress(as_lines(TABLE).encode())),
    "folder": lambda path: folder_of(TABLE, path),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("expected") / "a.parquet"
    TABLE.to_parquet(path)
    table = read_table(path)
    return table_digest(table, schema_of(table))


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_is_the_same_from_every_kind_of_file(tmp_path, expected, name):
    WRITERS[name](tmp_path / name)
    table = read_table(tmp_path / name)[list(TABLE)]  # a column comes where it is seen first
    assert table_digest(table, schema_of(table)) == expected
    pieces = list(table_pieces(tmp_path / name))
    assert sum(map(len, pieces)) == N_ROWS


def test_a_pattern_names_several_files(tmp_path, expected):
    folder_of(TABLE, tmp_path / "folder")
    table = read_table(tmp_path / "folder" / "part-*.parquet")
    assert table_digest(table, schema_of(table)) == expected


def test_folders_named_after_values_give_a_column(tmp_path):
    hive(TABLE, tmp_path / "rows")
    table = read_table(tmp_path / "rows")
    assert sorted(table.columns) == sorted(TABLE.columns)
    assert table["late"].value_counts().to_dict() == TABLE["late"].astype(str).str.lower().value_counts().to_dict()


def test_only_known_columns_are_read(tmp_path):
    table = read_table(_written(tmp_path, "a.jsonl"))
    rows, others = read_known(_written(tmp_path, "folder"), schema_of(table[["age", "late"]]))
    assert (list(rows), others) == (["age", "late"], ("income", "region", "account", "seen"))


def _written(folder, name):
    WRITERS[name](folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2 is no JSON"),
        ("a.jsonl", "[1, 2]\n", "line 1 holds no object"),
        ("a.jsonl", '{"a": 1}\n{"a": "x"}\n', "column 'a' mixes types"),
        ("a.feather", "no feather", "cannot be read"),
        ("a.csv.xz", "no xz", "cannot be read"),
        ("a.jsonl", "", "holds no rows"),
        ("a.orc", "", "is not a kind of table"),
    ],
)
def test_what_is_damaged_is_named(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=found):
        read_table(tmp_path / name)


def test_a_folder_without_parquet_and_a_pattern_without_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no Parquet file"):
        read_table(tmp_path)
    with pytest.raises(UsageError, match="no file has this pattern"):
        read_table(tmp_path / "*.parquet")
    (tmp_path / "a.csv").touch()
    with pytest.raises(UsageError, match="of several files only Parquet"):
        read_table(tmp_path / "a*")


def test_the_files_of_a_folder_must_fit_into_memory_together(tmp_path):
    for name in "ab":
        pq.write_table(pa.table({"x": list(range(1000))}), tmp_path / f"{name}.parquet")
    refuse_larger_than_memory(tmp_path / "a.parquet", room=12_000)
    with pytest.raises(UsageError, match=r"unfolds to 18,\d+ bytes"):
        refuse_larger_than_memory(tmp_path, room=12_000)


def test_a_partition_with_a_leading_zero_is_a_text_and_a_whole_number_a_number(tmp_path):
    for at, code in enumerate(["01067", "10115", "__HIVE_DEFAULT_PARTITION__"]):
        place = tmp_path / "rows" / f"zip={code}" / f"year={2020 + at}"
        place.mkdir(parents=True)
        TABLE.head(20).to_parquet(place / "part.parquet")
    rows = read_table(tmp_path / "rows")
    assert rows["zip"].dropna().unique().tolist() == ["01067", "10115"]
    assert rows["zip"].isna().sum() == 20
    assert rows["year"].unique().tolist() == [2020, 2021, 2022]
    assert list(rows)[-2:] == ["zip", "year"]


def test_decimals_and_whole_numbers_with_gaps_keep_type_and_value(tmp_path):
    table = pa.table(
        {
            "price": pa.array([Decimal("84.50"), None, Decimal("-3.07")] * 30, pa.decimal128(10, 2)),
            "key": pa.array([Decimal(10**17 + n) for n in range(90)], pa.decimal128(38, 0)),
            "few": pa.array([None, 3, 4] * 30, pa.int32()),
            "y": ["a", "b", "b"] * 30,
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    found = infer_table(raw_table(tmp_path / "a.parquet"), Wishes("y"))
    assert found.table.roles == {"price": "number", "key": "identifier", "few": "number", "y": "target"}
    assert found.rows["key"].iloc[-1] == 10**17 + 89 and found.rows["price"].iloc[2] == -3.07
    schema = TableSchema.from_json(json.loads(json.dumps(found.table.to_json()))).schema
    own = present(found.rows, schema)
    again = pa.Table.from_pandas(own, arrow_schema(schema), preserve_index=False)
    for name in ("price", "key", "few"):
        assert again.column(name).type == table.column(name).type and again.column(name).equals(table.column(name))
    pd.testing.assert_frame_equal(conform(own, schema), found.rows)
    new = conform(found.rows.assign(price=1.23456), schema)
    assert new["price"].iloc[0] == 1.23


def test_decimals_beyond_64_bits_are_refused_with_a_line_to_paste(tmp_path):
    key = pa.array([Decimal(10**20 + n) for n in range(60)], pa.decimal128(38, 0))
    pq.write_table(pa.table({"key": key, "y": ["a", "b"] * 30}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="beyond 9223372036854775807") as refusal:
        infer_table(raw_table(tmp_path / "a.parquet"), Wishes("y"))
    assert "frame['key'].astype(str)" in refusal.value.fix
    rules = {"key": ColumnRule(role="ignored")}
    assert list(infer_table(raw_table(tmp_path / "a.parquet"), Wishes("y", rules=rules)).rows) == ["y"]


def test_periods_are_dates_and_come_back(tmp_path):
    months = pd.period_range("2020-01", periods=60, freq="M")
    pd.DataFrame({"month": months, "y": ["a", "b"] * 30}).to_parquet(tmp_path / "a.parquet")
    found = infer_table(raw_table(tmp_path / "a.parquet"), Wishes("y"))
    assert found.table.roles["month"] == "datetime"
    assert list(present(found.rows, found.table.schema)["month"]) == list(months)
    pd.read_parquet(tmp_path / "a.parquet").to_csv(tmp_path / "a.csv", index=False)
    assert read_real(tmp_path / "a.csv", found.table)["month"].tolist() == found.rows["month"].tolist()


def test_a_table_that_is_mapped_is_refused_by_its_rows_and_by_the_room_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("synth_mlflow.data.mapped.MAPPED_BYTES", 0)
    pq.write_table(pa.table({"x": list(range(1000)), "y": list(range(1000))}), tmp_path / "a.parquet")
    at_least = 400 * 2**20
    refuse_larger_than_memory(tmp_path / "a.parquet", room=at_least + 130_000, disk=10**6)
    with pytest.raises(UsageError, match=r"1,000 rows of 2 columns: they take about 0\.4 GiB of memory"):
        refuse_larger_than_memory(tmp_path / "a.parquet", room=at_least, disk=10**6)
    with pytest.raises(UsageError, match=r"GiB of temporary files, and .* has 0\.0 GiB free"):
        refuse_larger_than_memory(tmp_path / "a.parquet", room=2**40, disk=39_000)


def test_memory_is_that_of_the_container(tmp_path, monkeypatch):
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text("12345\n")
    monkeypatch.setattr("synth_mlflow.data.tables.LIMITS", (str(tmp_path / "max"), str(tmp_path / "none")))
    assert memory() > 2**20
    monkeypatch.setattr("synth_mlflow.data.tables.LIMITS", (str(tmp_path / "max"), str(tmp_path / "limit")))
    assert memory() == 12_345
