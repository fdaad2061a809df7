"""Digests: the same content gives the same one whatever the file; anything else another."""

import hashlib
import math
from hashlib import blake2b

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_mlflow.data.columns import normalise, schema_of
from synth_mlflow.data.digests import canonical_json, file_digest, json_digest, row_digests, row_hashes, table_digest
from synth_mlflow.data.tables import read_table, restore, write_parquet

SALT, OTHER_SALT = "00" * 16, "01" * 16
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1).map(lambda word: f"w{word}w")
VALUES = {
    "n": st.integers(-(2**62), 2**62),
    "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "b": st.booleans(),
    "s": st.none() | WORDS,
    "d": st.none() | st.datetimes(min_value=pd.Timestamp("1900-01-01"), max_value=pd.Timestamp("2200-01-01")),
}


@st.composite
def tables(draw, min_rows=1):
    rows = draw(st.lists(st.fixed_dictionaries(VALUES), min_size=min_rows, max_size=6))
    frame = pd.DataFrame(rows, columns=list(VALUES))
    dtypes = {"n": "int64", "x": "float64", "b": "bool", "s": "str", "d": "datetime64[us]"}
    return normalise(frame.astype(dtypes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.mark.slow
@given(table=tables())
def test_parquet_keeps_both_digests(folder, table):
    write_parquet(table, folder / "a.parquet")
    again = restore(pd.read_parquet(folder / "a.parquet"), schema_of(table))
    assert table_digest(again) == table_digest(table)
    assert np.array_equal(row_hashes(again), row_hashes(table))


@pytest.mark.slow
@given(table=tables())
def test_csv_keeps_the_digests_of_rows(folder, table):
    table.to_csv(folder / "a.csv", index=False)
    again = read_table(folder / "a.csv")
    present = [name for name in table if table[name].notna().any()]  # CSV forgets the kind of an empty column
    assert np.array_equal(row_digests(again[present], SALT), row_digests(table[present], SALT))


@given(tables())
def test_row_digests_do_not_depend_on_the_order_of_columns_and_table_digests_do(table):
    turned = table[list(table)[::-1]]
    assert np.array_equal(row_hashes(turned), row_hashes(table))
    assert table_digest(turned) != table_digest(table)


@pytest.mark.slow
@given(tables(), st.data())
def test_a_changed_cell_changes_its_row_alone(table, data):
    row = data.draw(st.integers(0, len(table) - 1))
    name = data.draw(st.sampled_from(list(table)))
    other = data.draw(VALUES[name].filter(lambda value: value is not None and value != table.at[row, name]))
    changed = table.copy()
    changed.loc[row, name] = other
    assert table_digest(changed) != table_digest(table)
    assert list(np.flatnonzero(row_hashes(changed) != row_hashes(table))) == [row]


@given(tables(min_rows=2))
def test_row_digests_follow_their_rows(table):
    assert np.array_equal(row_hashes(normalise(table[::-1])), row_hashes(table)[::-1])


A = pd.DataFrame({"x": [1, 2]})


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (pd.DataFrame({"y": [1, 2]}), "another name"),
        (pd.DataFrame({"x": [1.0, 2.0]}), "another kind"),
        (pd.DataFrame({"x": [2, 1]}), "another order"),
        (pd.DataFrame({"x": [1, 2, 2]}), "another row"),
        (pd.DataFrame({"x": ["1", "2"]}), "text"),
    ],
)
def test_tables_that_differ_have_other_digests(other, why):
    assert table_digest(normalise(other)) != table_digest(A), why


def test_texts_cannot_be_moved_across_cells():
    ab, ba = (normalise(pd.DataFrame({"s": pair})) for pair in (["ab", "c"], ["a", "bc"]))
    assert table_digest(ab) != table_digest(ba)


def test_missing_is_neither_empty_nor_zero():
    def digest(*values):
        return table_digest(normalise(pd.DataFrame({"x": pd.Series(values)})))

    assert digest("", "a") != digest(None, "a")
    assert digest(0.0, 1.5) != digest(None, 1.5)
    assert digest(0.0) == digest(-0.0)


def test_integers_and_equal_numbers_are_the_same_row():
    assert np.array_equal(row_hashes(A), row_hashes(A.astype("float64")))


def test_whole_numbers_with_gaps_are_read_with_their_schema():
    schema = schema_of(A)
    with_gap = pd.DataFrame({"x": [1.0, np.nan]})
    assert table_digest(with_gap, schema) not in {table_digest(A, schema), table_digest(with_gap)}


def test_a_slice_of_a_table_is_digested_as_if_it_stood_alone():
    texts = normalise(pd.DataFrame({"s": ["long", "", None, "ü", "end"]}))
    part = texts.iloc[1:4].reset_index(drop=True)
    assert table_digest(part) == table_digest(normalise(pd.DataFrame({"s": ["", None, "ü"]})))


@pytest.mark.parametrize("values", [[], [None, None], ["", ""]])
def test_columns_without_text_have_a_digest(values):
    frame = normalise(pd.DataFrame({"s": pd.Series(values, dtype="str")}))
    assert len(table_digest(frame)) == 64
    assert row_hashes(frame).shape == row_digests(frame, SALT).shape == (len(values),)


def test_row_digests_are_keyed_blake2b_of_the_hashes():
    hashes = row_hashes(A)
    each = [blake2b(one.tobytes(), digest_size=8, key=bytes.fromhex(SALT)).digest() for one in hashes]
    assert row_digests(A, SALT).tolist() == [int.from_bytes(digest, "little") for digest in each]


def test_row_digests_need_the_salt():
    digests = row_digests(A, SALT)
    assert not set(digests) & (set(row_hashes(A)) | set(row_digests(A, OTHER_SALT)))


@pytest.mark.slow
def test_a_million_different_rows_have_different_hashes():
    grid = pd.DataFrame({"a": np.repeat(np.arange(1000), 1000), "b": np.tile(np.arange(1000), 1000)})
    assert len(np.unique(row_hashes(grid))) == len(grid)


def test_swapped_cells_are_another_row():
    ab, ba = (row_hashes(pd.DataFrame({"a": [x], "b": [y]}))[0] for x, y in [(1, 2), (2, 1)])
    assert ab != ba


def test_json_is_canonical():
    assert canonical_json({"b": 1, "a": [None, "ü"]}) == '{"a":[null,"ü"],"b":1}'
    assert json_digest({"b": 1, "a": 2}) == json_digest({"a": 2, "b": 1})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_json_without_a_value_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"x": value})


def test_files_are_digested_by_their_bytes(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()
