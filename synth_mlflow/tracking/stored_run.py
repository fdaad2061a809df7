"""One run as it stands on the server.

Fetch a run's files, also where a database and its files were moved to another folder together.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.client import NOT_FOUND
from pathlib import Path
from zipfile import BadZipFile

import pyarrow as pa
import requests
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, RESOURCE_DOES_NOT_EXIST, ErrorCode

from synth_mlflow.errors import EvidenceError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.long_lists import words_of
from synth_mlflow.tracking.moved import beside_database
from synth_mlflow.tracking.server import Server, object_store_failures, server_failures

PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class StoredRun:
    """One run as it stands on the server."""

    run_id: str
    name: str
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    started: int
    """Milliseconds since 1970."""
    ended: int | None
    experiment_id: str = ""
    artifact_uri: str = ""
    """Where its files lie."""
    deleted: bool = False
    steps: Mapping[str, int] = field(default_factory=dict)
    """The step of the value of each metric."""

    @property
    def stage(self) -> str:
        """Which part of the run tree this is."""
        return self.tags.get(names.TAG_STAGE, "")

    @property
    def parent(self) -> str | None:
        """The id of the run that this one hangs under."""
        return self.tags.get(PARENT)

    @property
    def counts(self) -> bool:
        """Whether the run was written to its end, by this product, and was not put away since."""
        return self.status == "FINISHED" and not self.discarded and not self.lacks

    @property
    def discarded(self) -> bool:
        """Whether a later command has put the run away, since what it was a part of was not written to its end."""
        return self.tags.get(names.TAG_DISCARDED) == "true"

    @cached_property
    def lacks(self) -> tuple[str, ...]:
        """The parameters without which a run of its stage is not one of ours; none of a run that has a seal."""
        required = () if names.P_SEAL in self.params else names.REQUIRED.get(self.stage, ())
        return tuple(name for name in required if name not in self.params)

    @cached_property
    def batches(self) -> tuple[str, ...]:
        """The short ids of the batches that a sweep, ratio, model, handoff or blame names."""
        return words_of(self.params, names.P_BATCHES)

    @cached_property
    def batch_digests(self) -> tuple[str, ...]:
        """How the digest of each of them begins; empty where the run does not say."""
        return words_of(self.params, names.P_BATCH_DIGESTS)

    @property
    def artifacts(self) -> dict[str, str]:
        """Every file that the run vouches for, and its SHA-256."""
        prefix = names.P_ARTIFACT_PREFIX
        return {key.removeprefix(prefix): value for key, value in self.params.items() if key.startswith(prefix)}


GONE = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)
UNEXPLAINED = ErrorCode.Name(INTERNAL_ERROR)  # MLflow gathers the failures of a download under it


def fetch(server: Server, run: StoredRun, path: str, folder: Path) -> Path:
    """A local copy of one of a run's files, in a new folder under ``folder``; the caller compares its digest.

    Raises
    ------
    EvidenceError
        If the store says that there is no such file.
    """
    moved = beside_database(server.tracking_uri, run.artifact_uri)
    if moved is not None and (moved / path).is_file():
        return moved / path
    target = tempfile.mkdtemp(dir=folder)
    failures: tuple[type[Exception], ...] = (ValueError, OSError, MlflowException, *object_store_failures())
    try:
        uri = f"{run.artifact_uri}/{path}"  # by the run's id, MLflow asks six times for each file
        local = Path(download_artifacts(uri, dst_path=target, tracking_uri=server.tracking_uri))
    except failures as error:
        if not (_is_absence(error) or _is_not_listed(server, run, path, error)):
            raise
        raise EvidenceError(
            f"{path} of run {run.run_id} ({run.name}) cannot be fetched: {error}.", _cure(run, moved)
        ) from error
    if not local.is_file():
        raise EvidenceError(f"{path} of run {run.run_id} ({run.name}) is gone.", _cure(run, moved))
    return local


def _cure(run: StoredRun, moved: Path | None) -> str:
    if moved is None:
        return "Restore the file in the artifact store."
    return (
        f"It is looked for in {moved} and in {run.artifact_uri}. If the database was moved, move the folder of its "
        f"artifacts too, and put it beside the database as {moved.parents[2].name}."
    )


def _is_not_listed(server: Server, run: StoredRun, path: str, error: Exception) -> bool:
    """Whether a file that could not be fetched, without a reason that can be read, is missing from its folder."""
    if not isinstance(error, MlflowException) or error.error_code != UNEXPLAINED:
        return False
    parent = Path(path).parent.as_posix()
    try:
        listed = server.client.list_artifacts(run.run_id, None if parent == "." else parent)
    except server_failures():
        return False
    return path not in {file.path for file in listed}


def _is_absence(error: BaseException) -> bool:
    """Whether a store says that there is no such file, and not that the store, the way to it or the disk failed."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # an object store's
        return answer.get("Error", {}).get("Code") in ("404", "NoSuchKey")
    if isinstance(error, MlflowException):
        return bool(error.error_code == GONE)
    if isinstance(error, requests.RequestException):
        return isinstance(answer, requests.Response) and answer.status_code == NOT_FOUND
    return not isinstance(error, OSError) or error.errno in (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


UNREADABLE = (
    pa.ArrowException, ArithmeticError, AttributeError, BadZipFile, EOFError, LookupError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""What is raised by evidence that somebody made up: of another type or form, nested a thousand times, encrypted."""


@contextmanager
def reading(run: StoredRun, path: str) -> Iterator[None]:
    """Whoever may write runs can vouch for a file that is no such file: an EvidenceError says whose it is."""
    try:
        yield
    except UNREADABLE as error:
        raise EvidenceError(
            f"{path} of run {run.run_id} ({run.name}) cannot be read, though it has the recorded sha256: "
            f"{type(error).__name__}.",
            "Another version of synth_mlflow wrote this run, or somebody else did: then delete it in MLflow.",
        ) from error
