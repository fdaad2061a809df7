"""Log the datasets that a run read."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.exceptions import MlflowException

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Input
from synth_mlflow.tracking.server import Server

COLLISIONS_MAX = 4  # of datasets that others log in the same moment
CONTEXT = "mlflow.data.context"


def log_inputs(server: Server, run_id: str, inputs: Sequence[Input]) -> None:
    """Two that log a dataset first, in one moment, collide in MLflow's table; asked again, it finds the other's."""
    datasets = [_dataset_input(item) for item in inputs]
    for left in reversed(range(COLLISIONS_MAX)):
        try:
            server.client.log_inputs(run_id, datasets)
        except MlflowException as error:
            if not left or "dataset" not in str(error):
                raise
        else:
            return


def _dataset_input(item: Input) -> DatasetInput:
    batch = {"batch": item.batch, "digest": item.digest} if item.batch else {}
    dataset = Dataset(
        name=item.name,
        digest=item.digest[: names.DATASET_DIGEST_LENGTH],
        source_type=names.SOURCE_TYPE if batch else "artifact",
        source=canonical_json({"uri": item.uri, **batch}),
        profile=canonical_json({"num_rows": item.n_rows, "num_columns": item.n_columns}),
    )
    return DatasetInput(dataset, [InputTag(CONTEXT, item.context)])
