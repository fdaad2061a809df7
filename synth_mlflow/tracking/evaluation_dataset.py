"""Rows as an evaluation dataset of MLflow: a record for each row, with the target as what is expected.

MLflow merges records with equal inputs, so each has the number of its row among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from synth_mlflow.data.columns import Schema
from synth_mlflow.data.tables import restore
from synth_mlflow.errors import UsageError
from synth_mlflow.tracking.server import Server, guard

ROW = "synth_mlflow_row"
MOST_ROWS = 100_000
"""A record is a row of the server's database, written one by one; more take minutes."""
AT_ONCE = 1_000


@guard
def keep_rows(server: Server, name: str, rows: pd.DataFrame, target: str, tags: Mapping[str, str]) -> str:
    """Write a new evaluation dataset into the experiment; returns its id.

    Parameters
    ----------
    rows : DataFrame
        Normalised.

    Raises
    ------
    UsageError
        If there are too many rows.
    """
    if len(rows) > MOST_ROWS:
        raise UsageError(
            f"{len(rows):,} rows were to become records of an evaluation dataset, at most {MOST_ROWS:,} do.",
            "Publish them as `--format parquet`.",
        )
    made = server.client.create_dataset(name, [server.experiment_id], dict(tags))
    plain = _plain(rows)
    for at in range(0, len(plain), AT_ONCE):
        records = [
            {
                "inputs": {ROW: number, **{key: value for key, value in row.items() if key != target}},
                "expectations": {target: row[target]},
            }
            for number, row in enumerate(plain[at : at + AT_ONCE], start=at)
        ]
        _store(server).upsert_dataset_records(made.dataset_id, records)
    return str(made.dataset_id)


@guard
def rows_of(server: Server, dataset_id: str, schema: Schema) -> pd.DataFrame:
    """The rows of such a dataset, normalised and in their order."""
    records, token = [], None
    while True:
        page, token = _store(server)._load_dataset_records(dataset_id, max_results=AT_ONCE, page_token=token)
        records += page
        if not token:
            break
    records.sort(key=lambda record: record.inputs[ROW])
    rows = [{**record.inputs, **(record.expectations or {})} for record in records]
    frame = pd.DataFrame({name: [row[name] for row in rows] for name in schema})
    for name in schema.of_kind("datetime"):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601").astype("datetime64[us]")
    return restore(frame, Schema(schema.kinds))


@guard
def drop(server: Server, dataset_id: str) -> None:
    """Delete such a dataset."""
    server.client.delete_dataset(dataset_id)


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values; missing ones are null, times ISO 8601."""
    columns = {}
    for name in rows.columns:
        values = rows[name]
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            values = values.dt.strftime("%Y-%m-%dT%H:%M:%S.%f")
        columns[str(name)] = [None if pd.isna(value) else value for value in values.tolist()]
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _store(server: Server) -> Any:
    """Where MLflow keeps records: its public ways write to the server that the process has set, whichever that is."""
    return server.client._tracking_client.store
