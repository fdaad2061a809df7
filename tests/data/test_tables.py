"""Tables: what can be read, and one clear message for every kind of file that cannot."""

import gzip
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.tables import file_metadata, read_table, restore, table_pieces, write_parquet
from synth_mlflow.errors import UsageError

ROWS = b"age,region\n" + b"".join(b"%d,north\n" % age for age in range(2_000))


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.csv.gz", "a b ü.csv"])
def test_csv_is_read_also_gzipped(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(ROWS) if name.endswith("gz") else ROWS)
    table = read_table(tmp_path / name)
    assert (table.shape, schema_of(table).kinds) == ((2_000, 2), {"age": "integer", "region": "string"})


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + ROWS)
    assert list(read_table(tmp_path / "a.csv")) == ["age", "region"]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("2024-01-01", ""), "datetime"),
        (("2024-01-01T10:00:00+02:00", "2024-01-02 10:00"), "datetime"),
        (("2024-01-01", "2024-13-01"), "string"),
        (("2024-01-01", "soon"), "string"),
        (("01/02/2024", "02/02/2024"), "string"),
        (("20240101", "20240102"), "integer"),
        (("True", "False"), "boolean"),
        (("true", ""), "boolean"),
        (("", ""), "number"),
    ],
)
def test_only_columns_full_of_iso_dates_become_dates(tmp_path, texts, kind):
    (tmp_path / "a.csv").write_text("n,x\n" + "".join(f"1,{text}\n" for text in texts))
    assert schema_of(read_table(tmp_path / "a.csv"))["x"] == kind


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig", "cp1251"])
def test_other_encodings_are_found(tmp_path, encoding):
    words = ["größe", "straße", "fußgänger"] if encoding != "cp1251" else ["Привет мир", "Москва река", "Хорошо дела"]
    lines = "\n".join(f"{word} und {word},{n}" for n, word in enumerate(words * 20))
    (tmp_path / "a.csv").write_bytes(f"wort,n\n{lines}\n".encode(encoding))
    assert set(read_table(tmp_path / "a.csv")["wort"]) == {f"{word} und {word}" for word in words}


DAMAGED_GZIP = bytearray(gzip.compress(ROWS, mtime=0))
DAMAGED_GZIP[30] ^= 0xFF


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "cannot be read: No columns to parse"),
        ("a.csv", b"age,region\n", "holds no rows"),
        ("a.csv", b"age,age\n1,2\n", "stand more than once: 'age'"),
        ("a.csv", b"age,region\n1,2\n1,2,3\n", "2 cells a row were needed, and line 3 has 3"),
        ("a.csv", b"age,region\n1,2,3\n4,5,6\n", "its header names 2 columns, its first row has 3"),
        ("a.csv", b"\nage,region\n1,2,3\n", "its header names 2 columns"),
        ("a.csv", b",age\n0,1\n", "column 1 has no name in the header"),
        ("a.csv", b"age, \n0,1\n", "column 2 has no name in the header"),
        ("a.csv", b"x\n1.5\ninf\n", "'x' holds 1 infinite values"),
        (
            "a.csv",
            b"x\n18446744073709551615\n12\n",
            "such as 18446744073709551615, at most 9223372036854775807 fits 64 bits",
        ),
        ("a.csv.gz", ROWS, "cannot be read: Not a gzipped file"),
        ("a.csv.gz", gzip.compress(ROWS, mtime=0)[:40], "cannot be read: Compressed file ended"),
        ("a.csv.gz", bytes(DAMAGED_GZIP), "cannot be read: Error -3 while decompressing"),
        ("a.parquet", b"", "cannot be read"),
        ("a.parquet", ROWS, "cannot be read"),
        ("a.xlsx", ROWS, r"is not a kind of table that is read here.\nConvert it to one of .csv, .tsv"),
        ("a", ROWS, "is not a kind of table"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_table(tmp_path / name)


@pytest.mark.parametrize("name", ["missing.csv", "missing/"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(UsageError, match="there is no file"):
        read_table(tmp_path / name)


@pytest.mark.slow
def test_no_damaged_byte_of_a_parquet_file_ends_in_a_traceback(tmp_path):
    write_parquet(pd.DataFrame({"a": [1, 2], "s": pd.Series(["x", None], dtype="str")}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        (tmp_path / "b.parquet").write_bytes(damaged)
        _read_or_refuse(tmp_path / "b.parquet")


@pytest.mark.parametrize("use_dictionary", [True, False])
def test_texts_of_a_parquet_file_that_are_no_utf_8_are_refused(tmp_path, use_dictionary):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"s": ["north", "south"] * 5}).to_parquet(path, use_dictionary=use_dictionary)
    path.write_bytes(path.read_bytes().replace(b"north", b"\xfforth"))
    for read in (read_table, lambda file: list(table_pieces(file))):
        with pytest.raises(UsageError, match="cannot be read"):
            read(path)


def _read_or_refuse(path):
    try:
        read_table(path)
    except UsageError as error:
        assert str(path) in error.found or "column" in error.found


@pytest.mark.parametrize(
    "frame", [pd.DataFrame({"a": [1]})[[]], pd.DataFrame({"a": pd.Series([], dtype="int64")}), pd.DataFrame()]
)
def test_empty_parquet_is_refused(tmp_path, frame):
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="holds no rows"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.parquet", "a.PARQUET"])
def test_metadata_travels_in_the_file(tmp_path, name):
    write_parquet(pd.DataFrame({"a": [1]}), tmp_path / name, {b"who": b"wir"})
    assert file_metadata(tmp_path / name)[b"who"] == b"wir"


def test_metadata_of_other_files_is_empty_and_of_missing_ones_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(ROWS)
    assert file_metadata(tmp_path / "a.csv") == {}
    with pytest.raises(UsageError, match="cannot be read"):
        file_metadata(tmp_path / "missing.parquet")


def test_restore_keeps_order_and_types(tmp_path):
    frame = pd.DataFrame({"b": pd.array([True, None], dtype="boolean"), "x": [1.0, np.nan]})
    write_parquet(frame, tmp_path / "a.parquet")
    again = restore(pd.read_parquet(tmp_path / "a.parquet")[["x", "b"]], schema_of(frame))
    pd.testing.assert_frame_equal(again, frame)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "reading"), [("a,b,c\n1,2,3\n4,5\n\n6,7,8\n", ""), ("a;b;c\n1;2;3\n4;5\n\n6;7;8\n", ", sep=';'")]
)
def test_rows_with_fewer_cells_than_the_header_are_named_with_a_command_that_writes_the_cells(tmp_path, text, reading):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(
        UsageError, match=r"header has 3 cells; rows with fewer \(1 in all\): line 3 \(2 cells\)"
    ) as refusal:
        read_table(tmp_path / "rows.csv")
    assert reading in refusal.value.fix
    code = refusal.value.fix.split('python -c "')[1].split('"` in')[0]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert read_table(tmp_path / "rows_whole.csv")["c"].isna().tolist() == [False, True, False]
