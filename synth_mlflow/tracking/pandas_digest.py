"""MLflow's own digest of a batch's file, under which scripts that do not know this product log it as input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.data.digest_utils import MAX_ROWS, get_normalized_md5_digest


def pandas_digest(path: Path) -> str:
    """What ``mlflow.data.from_pandas(pd.read_parquet(path)).digest`` is, without reading the whole file.

    Notes
    -----
    MLflow looks at the numbers and the texts without gaps of the first 10,000 rows, at the column names and at the
    number of rows (``mlflow.data.digest_utils.compute_pandas_digest``): two batches may share it, so that it finds
    candidates and proves nothing.
    """
    with pq.ParquetFile(path) as file:
        n_rows, batches = file.metadata.num_rows, file.iter_batches(batch_size=MAX_ROWS)
        first = next(batches, None)
        head = (pa.Table.from_batches([first]) if first is not None else file.schema_arrow.empty_table()).to_pandas()
        gaps = _columns_with_gaps(file)
    columns = head.columns
    numbers = head.select_dtypes(include=[np.number]).columns
    texts = [name for name in columns if name not in gaps and head[name].map(lambda cell: isinstance(cell, str)).all()]
    looked_at = head[pd.Index(texts, dtype=columns.dtype).union(numbers)]
    hashed = pd.util.hash_pandas_object(looked_at).to_numpy()
    return str(get_normalized_md5_digest([hashed, np.int64(n_rows), *(str(name).encode() for name in columns)]))


def _columns_with_gaps(file: pq.ParquetFile) -> set[str]:
    """The columns of which any row is missing, from the file's own statistics."""
    groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
    parts = [group.column(at) for group in groups for at in range(group.num_columns)]
    return {part.path_in_schema for part in parts if part.statistics is not None and part.statistics.null_count}
