"""The tables of a project as the dataset inputs of a run: lineage that the UI shows and `trace` follows."""

from __future__ import annotations

from synth_mlflow.data.record import Record
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Input
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch


def real_input(digest: str, uri: str, n_rows: int, n_columns: int) -> Input:
    """The real training rows."""
    return Input("real training rows", digest, names.CONTEXT_REAL, uri, n_rows, n_columns)


def evaluation_input(digest: str, uri: str, n_rows: int, n_columns: int) -> Input:
    """The frozen evaluation set."""
    return Input("frozen evaluation set", digest, names.CONTEXT_EVALUATION, uri, n_rows, n_columns)


def frozen_inputs(frozen: EvaluationSet) -> list[Input]:
    """Both sides of a project's cut."""
    params, uri, n_columns = frozen.run.params, f"runs:/{frozen.run.run_id}/", len(frozen.schema.kinds)
    return [
        real_input(frozen.training_digest, uri, int(params[names.P_TRAINING_ROWS]), n_columns),
        evaluation_input(frozen.digest, uri, int(params[names.P_EVALUATION_ROWS]), n_columns),
    ]


def batch_input(batch: StoredBatch, n_columns: int) -> Input:
    """A batch that stands on the server."""
    return _batch_input(batch.id, batch.digest, batch.run.run_id, batch.n_rows, n_columns)


def record_input(record: Record, run_id: str) -> Input:
    """A batch that is being written to a run."""
    return _batch_input(record.batch, record.digest, run_id, record.rows, len(record.columns))


def _batch_input(batch: str, digest: str, run_id: str, n_rows: int, n_columns: int) -> Input:
    uri = f"runs:/{run_id}/{names.A_BATCH}"
    return Input(f"batch {batch}", digest, names.CONTEXT_SYNTHETIC, uri, n_rows, n_columns, batch)
