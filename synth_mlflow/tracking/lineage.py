"""Questions across experiments: which run made a model, and which runs read a dataset, whoever wrote them.

The tables of a project as the dataset inputs of a run: lineage that the UI shows and `trace` follows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

from synth_mlflow.data.provenance import Record
from synth_mlflow.errors import UsageError, closest
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Input
from synth_mlflow.tracking.server import Server, guard
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch

MODEL_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")
UNKNOWN = {ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)}
IDS_AT_ONCE = 100  # in one search


@dataclass(frozen=True)
class Version:
    """One version of a registered model."""

    name: str
    version: str
    run_id: str

    @property
    def uri(self) -> str:
        """What ``mlflow.pyfunc.load_model`` takes."""
        return f"models:/{self.name}/{self.version}"


@guard
def registered_version(server: Server, uri: str) -> Version:
    """The version that ``models:/name/version`` or ``models:/name@alias`` stands for.

    Raises
    ------
    UsageError
        If the text is no such address, there is no such version, or it says of no run that it made it.
    """
    parts = MODEL_URI.fullmatch(uri)
    if parts is None:
        raise UsageError(f"{uri!r} is no registered model.", "Write `models:/NAME/VERSION` or `models:/NAME@ALIAS`.")
    try:
        version = _version(server, parts)
    except MlflowException as error:
        if error.error_code not in UNKNOWN:
            raise
        raise UsageError(f"there is no model {uri!r}. {closest(uri, _known_uris(server, parts['name']))}") from error
    if not version.run_id:
        raise UsageError(f"{uri} was registered without the run that made it; nothing can be traced from it.")
    return _stored(version)


@guard
def versions_by_run(server: Server, run_ids: Sequence[str]) -> Mapping[str, list[Version]]:
    """The registered versions that each of some runs has made; one search a hundred runs."""
    by_run: dict[str, list[Version]] = {}
    for at in range(0, len(run_ids), IDS_AT_ONCE):
        listed = ", ".join(f"'{run_id}'" for run_id in run_ids[at : at + IDS_AT_ONCE])
        for version in server.client.search_model_versions(f"run_id IN ({listed})"):
            by_run.setdefault(version.run_id or "", []).append(_stored(version))
    return by_run


@guard
def inputs_of(server: Server, run_id: str) -> frozenset[str]:
    """The digests of the datasets that a run has logged as its inputs."""
    inputs = server.client.get_run(run_id).inputs
    return frozenset(item.dataset.digest for item in inputs.dataset_inputs) if inputs else frozenset()


def _version(server: Server, parts: re.Match[str]) -> ModelVersion:
    if parts["alias"]:
        return server.client.get_model_version_by_alias(parts["name"], parts["alias"])
    return server.client.get_model_version(parts["name"], parts["version"])


def _known_uris(server: Server, name: str) -> list[str]:
    """Every address of a model; where the name is unknown, one address of each model."""
    models = {model.name: model for model in server.client.search_registered_models()}
    if name not in models:
        return [f"models:/{known}/1" for known in models]
    versions = [_stored(version).uri for version in server.client.search_model_versions(f"name='{name}'")]
    return [*versions, *(f"models:/{name}@{alias}" for alias in models[name].aliases)]


def _stored(version: ModelVersion) -> Version:
    return Version(version.name, str(version.version), version.run_id or "")


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
