"""Tables for other libraries: types, missing values, and what is said where a library is not installed."""

from __future__ import annotations

import sys
from datetime import date, datetime
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from synth_mlflow.data.other_libraries import as_hugging_face, as_polars, numpy_batches, torch_batches
from synth_mlflow.errors import UsageError

MIXED = pa.table(
    {
        "whole": pa.array([1, 2, 3]),
        "gaps": pa.array([1, None, 3]),
        "flag": pa.array([True, False, None]),
        "yes": pa.array([True, False, True]),
        "text": pa.array(["a", None, "c"]),
        "at": pa.array([datetime(2020, 1, 1), None, datetime(1969, 12, 31)], pa.timestamp("us")),
        "zone": pa.array([datetime(2020, 1, 1)] * 3, pa.timestamp("ms", "Europe/Berlin")),
        "ns": pa.array([1001, None, 2], pa.timestamp("ns")),
        "day": pa.array([date(1970, 1, 2)] * 3),
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
    }
)


def test_arrays_have_the_types_that_tensors_take() -> None:
    first, second = numpy_batches(MIXED, 2)
    kinds = {name: values.dtype.kind for name, values in first.items()}
    expected = {
        "whole": "i",
        "gaps": "f",
        "flag": "f",
        "yes": "b",
        "text": "O",
        "at": "i",
        "zone": "i",
        "day": "i",
        "ns": "i",
    }
    assert kinds == {**expected, "kind": "O"}
    assert np.isnan(first["gaps"][1]) and np.isnan(second["flag"][0]) and first["text"].tolist() == ["a", None]
    assert first["at"].tolist() == [1577836800000000, np.iinfo(np.int64).min] and second["at"].tolist() == [
        -86400000000
    ]
    assert first["day"].tolist() == [86400000000] * 2


def test_a_seed_shuffles_every_column_alike() -> None:
    table = pa.table({"a": range(100), "b": range(100)})
    one, other = ([*numpy_batches(table, 30, seed)] for seed in (1, 1))
    rows = np.concatenate([batch["a"] for batch in one])
    assert sorted(rows) == list(range(100)) and rows.tolist() != list(range(100))
    assert all((batch["a"] == batch["b"]).all() for batch in one)
    assert all((x["a"] == y["a"]).all() for x, y in zip(one, other, strict=True))
    assert [*numpy_batches(table.slice(0, 0), 30)] == []
    with pytest.raises(UsageError, match="batches of 0 rows"):
        next(numpy_batches(table, 0))


def test_polars() -> None:
    assert as_polars(MIXED.select(["whole", "text"])).equals(
        pl.DataFrame({"whole": [1, 2, 3], "text": ["a", None, "c"]})
    )


@pytest.mark.parametrize(
    ("module", "call"),
    [("polars", as_polars), ("datasets", as_hugging_face), ("torch", lambda table: next(torch_batches(table, 2)))],
)
def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, module: str, call) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=f"needs {module}, which is not installed here.*\n.*pip install {module}"):
        call(MIXED)


def test_tensors_are_made_of_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch takes hundreds of megabytes: what stands for it here says which arrays it was given."""
    torch = SimpleNamespace(from_numpy=lambda values: ("tensor", values.tolist()))
    monkeypatch.setitem(sys.modules, "torch", torch)
    batch = next(torch_batches(MIXED, 2))
    assert batch["whole"] == ("tensor", [1, 2]) and batch["text"] == ["a", None] and batch["kind"] == ["x", "y"]
