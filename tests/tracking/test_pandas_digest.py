"""MLflow's own digest of a batch's file, without reading all of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow.data
import pandas as pd
import pytest

from synth_mlflow.data.tables import write_parquet
from synth_mlflow.tracking.pandas_digest import pandas_digest

Customers = Callable[..., pd.DataFrame]


@pytest.mark.parametrize("n_rows", [1, 300, 10_000, 25_000])
def test_it_is_what_a_script_logs(customers: Customers, tmp_path: Path, n_rows: int) -> None:
    path = tmp_path / "batch.parquet"
    write_parquet(customers(n_rows, 3), path)
    assert pandas_digest(path) == mlflow.data.from_pandas(pd.read_parquet(path)).digest


def test_a_gap_past_the_rows_that_mlflow_hashes_takes_the_column_out(customers: Customers, tmp_path: Path) -> None:
    path, frame = tmp_path / "batch.parquet", customers(12_000, 3)
    frame["region"] = frame["region"].fillna("west")
    frame.loc[11_999, "region"] = None
    write_parquet(frame, path)
    assert pandas_digest(path) == mlflow.data.from_pandas(pd.read_parquet(path)).digest
