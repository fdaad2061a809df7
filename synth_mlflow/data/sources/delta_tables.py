"""One version of a Delta table, as one Parquet file; its files are read in the order of their names.

Needs the library `deltalake`. Credentials come from the environment alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq

from synth_mlflow.data.addresses import Address, versioned
from synth_mlflow.data.other_libraries import library
from synth_mlflow.data.sources.copies import Copy
from synth_mlflow.data.table_files import PARQUET, PIECE_ROWS
from synth_mlflow.errors import UsageError


def fetch(address: Address, folder: Path) -> Copy:
    """Copy a version: the one that the address names, else the newest.

    Raises
    ------
    UsageError
        If `deltalake` is not installed, there is no such table or version, or it has a feature that is not read.
    """
    uri, version = versioned(address.text.removeprefix("delta:"))
    table = _table(address, uri, version)
    path = folder / f"{Path(uri).name}{PARQUET}"
    try:
        n_rows = _written(table, path)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or "not found" in str(error).lower():
            raise UsageError(
                f"{address}: files of version {table.version()} are gone; `VACUUM` removes those of old versions.",
                "Name a version that is whole, such as the newest.",
            ) from None
        raise
    except Exception as error:  # noqa: BLE001 - the library has errors of its own for each feature
        raise UsageError(
            f"{address} cannot be read: {_words(error)}.", "Write it again without that feature, or as Parquet."
        ) from None
    pinned = Address(f"delta:{uri}@v{table.version()}")
    return Copy(path, folder, pinned, {"version": int(table.version()), "rows": n_rows})


def _table(address: Address, uri: str, version: int | None) -> Any:
    deltalake = library("deltalake", "deltalake", "a Delta table")
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    options = {"AWS_ALLOW_HTTP": "true"} if uri.startswith("s3") and endpoint.startswith("http:") else None
    try:
        return deltalake.DeltaTable(uri, version=version, storage_options=options)
    except Exception as error:  # noqa: BLE001 - as above
        if version is not None:
            newest = _newest(deltalake, uri, options)
            if newest is not None:
                raise UsageError(
                    f"{address}: there is no version {version} of it, the newest is {newest}.", f"Name @v{newest}."
                ) from None
        raise UsageError(f"{address} is no Delta table that can be read: {_words(error)}.", "Correct it.") from None


def _newest(deltalake: Any, uri: str, options: dict[str, str] | None) -> int | None:
    try:
        return int(deltalake.DeltaTable(uri, storage_options=options).version())
    except Exception:  # noqa: BLE001 - what is wrong with it is told by the first error
        return None


def _written(table: Any, path: Path) -> int:
    whole = table.to_pyarrow_dataset()
    parts = sorted(whole.get_fragments(), key=lambda part: part.path)
    n_rows = 0
    with pq.ParquetWriter(path, whole.schema) as file:
        for part in parts:
            one = pa_dataset.FileSystemDataset([part], whole.schema, whole.format, whole.filesystem)
            for batch in one.to_batches(batch_size=PIECE_ROWS, use_threads=False):
                file.write_batch(batch)
                n_rows += batch.num_rows
    return n_rows


def _words(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
