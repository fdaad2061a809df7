"""A fast way to read must give what the other one gives."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shop
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_mlflow.data.intact_files import read_pandas, read_table
from synth_mlflow.data.table_files import read_parquet

ODD = pd.DataFrame(
    {
        "few": ["a", None, "b"] * 400,
        "own": [f"text {number}" for number in range(1200)],
        "none": pd.Series([None] * 1200, dtype="str"),
        "kind": pd.Categorical(["x", "y", "x"] * 400, ["y", "x"], ordered=True),
        "large": pd.array([2**60 + 1, None, 3] * 400, "Int64"),
        "small": pd.array([1, None, 3] * 400, "Int64"),
        "day": [date(2020, 1, 2), None, date(1960, 1, 1)] * 400,
        "zone": pd.Series(pd.date_range("2020", periods=1200, freq="h", tz="Europe/Berlin")),
        "a.b": ["x"] * 1200,
    }
)


@pytest.mark.parametrize("frame", [ODD, ODD.head(0), ODD.head(1), shop.customers(3000, 1), ODD.set_index("own")])
def test_both_ways_give_the_same(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = tmp_path / "x.parquet"
    frame.to_parquet(path, row_group_size=700)
    pd.testing.assert_frame_equal(read_pandas(path), read_parquet(path))
    assert read_table(path).equals(pq.read_table(path), check_metadata=True)


@settings(max_examples=20)
@given(st.lists(st.text(max_size=3) | st.none(), min_size=1, max_size=50))
def test_any_texts(tmp_path_factory: pytest.TempPathFactory, texts: list[str | None]) -> None:
    path = tmp_path_factory.mktemp("texts") / "x.parquet"
    plain = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
    for kind in (pa.string(), pa.large_string()):
        pq.write_table(pa.table({"t": pa.array(plain * 20, kind), "n": np.arange(len(plain) * 20)}), path)
        assert read_table(path).equals(pq.read_table(path))
