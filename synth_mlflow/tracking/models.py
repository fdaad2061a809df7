"""Keep a fitted model on the server: in a format without code if there is one, a signature, a loader of raw columns."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_ALREADY_EXISTS, ErrorCode

from synth_mlflow.data.digests import canonical_json, file_digest, text_digest
from synth_mlflow.data.private import private_room
from synth_mlflow.data.text_forms import Form
from synth_mlflow.errors import EvidenceError, UsageError
from synth_mlflow.models.base import Model as FittedModel
from synth_mlflow.models.command import CommandModel
from synth_mlflow.tracking import names
from synth_mlflow.tracking.command_files import COMMAND, save_command
from synth_mlflow.tracking.model_files import CLOUDPICKLE, LIGHTGBM, SKOPS, save_model
from synth_mlflow.tracking.moved import beside_database
from synth_mlflow.tracking.read import GONE
from synth_mlflow.tracking.server import Server, guard

DESCRIPTION_MAX = 5_000  # characters
LOGGED_MAX = 250  # characters of a parameter of a logged model that every server takes
MODEL_TYPE = "trained on a mix of real and synthetic rows"
VERSIONS = (
    "mlflow.modelVersions"  # what the page of a logged model lists; MLflow sets it for models that it logs itself
)
PUT_AWAY = "Put away: the sweep that made this version was not written to its end, and a later run took its place."
UC_SCHEMA = "SYNTH_MLFLOW_UC_SCHEMA"
THREE_PARTS, TWO_PARTS = re.compile(r"[^./\s]+\.[^./\s]+\.[^./\s]+"), re.compile(r"[^./\s]+\.[^./\s]+")
UC_REFUSES = re.compile(r"[./\s\x00-\x1f\x7f]")  # in a part of a name
FORMAT_WORDS = {
    LIGHTGBM: "The model is kept in LightGBM's own text format, which holds no code",
    SKOPS: "The model is kept in the format of skops, which holds no code",
    CLOUDPICKLE: "**Loading this model runs code that is in its file**: it is pickled, since skops cannot keep it",
    COMMAND: "The model is what a command has fitted. It predicts by a recorded command, and only where that is "
    "allowed",
}
UNITY_CATALOG = re.compile(r"(databricks-uc|uc)(:|$)")


@dataclass(frozen=True)
class KeptModel:
    """A model on the server."""

    model_id: str
    name: str
    version: str
    sha256: str
    """Digest over the model's files."""
    format: str
    """``lightgbm``, ``skops`` or ``cloudpickle``; the last one runs code when it is loaded."""

    @property
    def uri(self) -> str:
        """What ``mlflow.pyfunc.load_model`` takes."""
        return f"models:/{self.name}/{self.version}"


@guard
def keep_model(
    server: Server,
    run_id: str,
    model: FittedModel,
    features: pd.DataFrame,
    *,
    name: str,
    tags: Mapping[str, str],
    forms: Mapping[str, Form] | None = None,
) -> KeptModel:
    """Log a model under a run and register it.

    Parameters
    ----------
    server : Server
    run_id : str
        The run that the model comes from.
    model : Model
        LightGBM is kept as its own text, a scikit-learn pipeline by skops or, where skops cannot, by cloudpickle.
    features : DataFrame
        The features of all real training rows, for the signature.
    name : str
        Of the model; see :func:`registered_name`.
    tags : mapping
        For the registered version.
    forms : mapping, optional
        How columns are written outside the product, as far as it is no plain way.
    """
    client, logged_name, name = server.client, _plain_name(name), registered_name(server, name)
    _registered(server, name)
    left = sorted(_versions_of(server, run_id), key=lambda found: int(found.version))
    if left:  # a killed process got as far as this
        sha256 = left[0].tags.get(names.P_MODEL_SHA256, "")
        return KeptModel(left[0].model_id or "", name, left[0].version, sha256, left[0].tags.get(names.TAG_FORMAT, ""))
    short_tags = {name: value for name, value in tags.items() if len(value) <= LOGGED_MAX}
    logged = client.create_logged_model(
        server.experiment_id, name=logged_name, source_run_id=run_id, params=short_tags, model_type=MODEL_TYPE
    )
    with tempfile.TemporaryDirectory(prefix="synth-mlflow-", dir=private_room()) as parent:
        folder = Path(parent) / "model"
        meta = Model(model_id=logged.model_id, run_id=run_id)
        if isinstance(model, CommandModel):
            kept_as = save_command(model, features, folder, meta, forms)
        else:
            kept_as = save_model(model, features, folder, meta, forms)
        sha256 = folder_digest(folder)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    version = client.create_model_version(
        name,
        logged.artifact_location,
        run_id,
        tags={**tags, names.P_MODEL_SHA256: sha256, names.TAG_FORMAT: kept_as},
        model_id=logged.model_id,
    )
    listed = canonical_json([{"name": name, "version": str(version.version)}])
    client.set_logged_model_tags(logged.model_id, {VERSIONS: listed})
    for twin in _versions_of(server, run_id):  # of requests whose answer was lost and that MLflow sent again
        if str(twin.version) != str(version.version):
            client.delete_model_version(name, twin.version)
    return KeptModel(logged.model_id, name, str(version.version), sha256, kept_as)


def registered_name(server: Server, name: str) -> str:
    """The name under which a project's model is registered.

    Characters that MLflow refuses become hyphens. Unity Catalog takes names of three parts: the name is kept if it has
    them, else its last part is put under the catalog and the schema that the environment names.

    Raises
    ------
    UsageError
        If the registry is a Unity Catalog, and nobody has said in which catalog and schema.
    """
    registry = str(server.client._registry_uri)  # what the caller has set, else the default; no public way
    if not UNITY_CATALOG.match(registry):
        return _plain_name(name)
    if THREE_PARTS.fullmatch(name):
        return name
    schema = os.environ.get(UC_SCHEMA, "")
    if not TWO_PARTS.fullmatch(schema):
        raise UsageError(
            f"models are registered in the Unity Catalog {registry}, whose names have three parts, and {UC_SCHEMA} is "
            f"{schema!r}.",
            f"Say where they go: `export {UC_SCHEMA}=CATALOG.SCHEMA`.",
        )
    return f"{schema}.{UC_REFUSES.sub('-', name.rstrip('/').rpartition('/')[2])}"


@guard
def archive_models(server: Server, run_id: str) -> None:
    """Mark what a run has registered as put away: its versions say so and are archived, its logged models are deleted.

    The versions stay, with the tags that name their batches: somebody may have used one in the meantime.
    """
    for version in _versions_of(server, run_id):
        server.client.set_model_version_tag(version.name, version.version, names.TAG_DISCARDED, "true")
        server.client.update_model_version(version.name, version.version, PUT_AWAY)
        if not UNITY_CATALOG.match(str(server.client._registry_uri)):  # which knows no stages
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                server.client.transition_model_version_stage(version.name, version.version, "Archived")
        if version.model_id:
            _delete_logged_model(server, version.model_id)


def _delete_logged_model(server: Server, model_id: str) -> None:
    """Delete a logged model, as MLflow deletes; one that is deleted already is no error."""
    try:
        server.client.delete_logged_model(model_id)
    except MlflowException as error:
        if error.error_code != GONE:
            raise


@guard
def versions_that_hold(server: Server, batch: str) -> list[tuple[str, str]]:
    """The versions of the project's model whose own tags name a batch: name and version, oldest first."""
    try:
        name = registered_name(server, server.experiment)
    except UsageError:  # nobody said where models go, so none was registered from here
        return []
    versions = [
        (int(version.version), version.name)
        for version in server.client.search_model_versions(f"name='{name}'")
        if batch in version.tags.get(names.TAG_BATCHES, "").split()
    ]
    return [(name, str(version)) for version, name in sorted(versions)]


def _versions_of(server: Server, run_id: str) -> list[ModelVersion]:
    """The versions that a run has registered under the project's name."""
    name = registered_name(server, server.experiment)
    return [version for version in server.client.search_model_versions(f"name='{name}'") if version.run_id == run_id]


@guard
def model_digest(server: Server, name: str, version: str) -> str:
    """The digest of a registered model's files as they are now.

    Raises
    ------
    EvidenceError
        If the version or its files are gone.
    """
    with tempfile.TemporaryDirectory(prefix="synth-mlflow-", dir=private_room()) as folder:
        try:
            uri = server.client.get_model_version_download_uri(name, version)
            moved = beside_database(server.tracking_uri, uri)
            if moved is not None and moved.is_dir():
                return folder_digest(moved)
            local = download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=server.tracking_uri)
        except (OSError, MlflowException) as error:
            if isinstance(error, MlflowException) and error.error_code != GONE:
                raise
            raise EvidenceError(
                f"the registered model models:/{name}/{version} cannot be fetched: {str(error).rstrip('.')}.",
                "Restore its files in the artifact store.",
            ) from error
        return folder_digest(Path(local))


@guard
def logged_model(server: Server, run_id: str) -> str:
    """The id of the logged model that a run has made, or nothing; versions do not name it in every store."""
    outputs = server.client.get_run(run_id).outputs
    return outputs.model_outputs[0].model_id if outputs and outputs.model_outputs else ""


@guard
def champion(server: Server, name: str) -> str | None:
    """The version of a registered model that carries the alias `champion`; None if none does."""
    try:
        return str(server.client.get_model_version_by_alias(name, names.CHAMPION).version)
    except MlflowException as error:
        if error.error_code not in (GONE, ErrorCode.Name(INVALID_PARAMETER_VALUE)):  # the latter: no such alias
            raise
        return None


@guard
def make_champion(server: Server, name: str, version: str) -> None:
    """Move the alias `champion` of a registered model to one version."""
    server.client.set_registered_model_alias(name, names.CHAMPION, version)


@guard
def describe_model(server: Server, name: str, version: str, markdown: str, tags: Mapping[str, str]) -> None:
    """What the UI shows on top of a registered version, with tags of the version, and on top of its model."""
    for tag, value in tags.items():
        server.client.set_model_version_tag(name, version, tag, value)
    server.client.update_model_version(name, version, markdown[:DESCRIPTION_MAX])
    server.client.update_registered_model(name, f"Version {version}: {markdown}"[:DESCRIPTION_MAX])


def format_words(kept_as: str) -> str:
    """Whether loading a model runs code, for its pages; ``kept_as`` is its format.

    >>> format_words("pickle")
    ''
    """
    if kept_as not in FORMAT_WORDS:
        return ""
    return (
        f"{FORMAT_WORDS[kept_as]}. `mlflow.pyfunc.load_model` also runs the code in its folder `code`, which reads raw "
        "columns: load it if you trust everybody who may write to this server."
    )


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of every file of a model's folder, but for what loading it leaves there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _left_by_loading(path))
    return text_digest("".join(f"{path.relative_to(folder).as_posix()} {file_digest(path)}\n" for path in files))


def _left_by_loading(path: Path) -> bool:
    """Whether MLflow or Python wrote the file when somebody loaded the model from a store on their own disk."""
    return path.name == "registered_model_meta" or path.parent.name == "__pycache__"


def _registered(server: Server, name: str) -> None:
    try:
        server.client.create_registered_model(name, tags={names.TAG_PROJECT: server.experiment})
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def _plain_name(name: str) -> str:
    """A name that MLflow takes for logged and registered models: it refuses ``/ : . % " '`` in one or the other."""
    return "".join("-" if letter in "/:.%\"'" else letter for letter in name)
