"""Parquet files whose bytes were compared with their digest: read fast, since nobody has to look for damage in them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synth_mlflow.data.table_files import keep_exact

FEW_BYTES = 2.5  # of a value on disk, before compression: then a column of texts holds numbers of a dictionary


def read_table(path: Path) -> pa.Table:
    """The table in such a file, with the types that it has there.

    Columns of few texts are read by their dictionaries, which takes a third of the time.
    """
    with pq.ParquetFile(path, memory_map=True) as file:
        types, few = file.schema_arrow, _columns_of_few_texts(file)
    with pq.ParquetFile(path, memory_map=True, read_dictionary=few) as file:
        table = file.read()
    for name in few:
        at = table.schema.get_field_index(name)
        table = table.set_column(at, types.field(name), pc.cast(table.column(name), types.field(name).type))
    return table.replace_schema_metadata(types.metadata)


def read_pandas(path: Path) -> pd.DataFrame:
    """As :func:`synth_mlflow.data.table_files.read_parquet`."""
    table = read_table(path)
    return keep_exact(table.to_pandas(), table.schema, table.column)


def _columns_of_few_texts(file: pq.ParquetFile) -> list[str]:
    meta, types = file.metadata, file.schema_arrow
    columns = []
    for at in range(meta.num_columns):
        name = meta.schema.column(at).path
        if name not in types.names or not _is_text(types.field(name).type):
            continue
        chunks = [meta.row_group(group).column(at) for group in range(meta.num_row_groups)]
        if sum(chunk.total_uncompressed_size for chunk in chunks) <= FEW_BYTES * meta.num_rows:
            columns.append(name)
    return columns


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
