"""`watch`: the versions of an approved name, whether each may still be loaded, and which runs have read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from synth_mlflow.data.approved_names import ApprovedName, checked_name
from synth_mlflow.errors import GateError, closest
from synth_mlflow.tracking import names
from synth_mlflow.tracking.approvals import StoredApproval, counted_approvals
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.ui import run_url
from synth_mlflow.tracking.webhooks import shown, webhooks_of


@dataclass(frozen=True)
class ReadingRun:
    """A run, of whatever tool and experiment, that says that it read approved rows."""

    run_id: str
    name: str
    experiment: str
    by: str
    status: str
    address: str | None
    """Its page; None where the tracking URI is no HTTP server."""


@dataclass(frozen=True)
class WatchedVersion:
    """One version."""

    address: str
    """``project/NAME/VERSION``."""
    kind: str
    """``batch`` or ``mix``."""
    rows: int
    digest: str
    batches: tuple[str, ...]
    by: str
    role: str
    at: str
    retracted: str
    """Which of its batches were retracted, by whom and why; empty where none was."""
    read_by: tuple[ReadingRun, ...]
    """By name or otherwise: every run that logged these rows as a dataset input, but the project's own."""


@dataclass(frozen=True)
class Watched:
    """What became of a name."""

    name: str
    """``project/NAME``."""
    versions: tuple[WatchedVersion, ...]
    webhooks: tuple[str, ...]
    """What is called on a retraction, without paths, which are often secrets."""


def watch(project: Project, name: str) -> Watched:
    """Who has loaded the versions of a name.

    Raises
    ------
    GateError
        If nothing was approved under it.
    """
    runs = approval_runs(project)
    known = counted_approvals(runs)
    ours = [each for each in known if each.name == checked_name(name)]
    if not ours:
        raise GateError(
            f"nothing was approved as {name!r} in project {project.server.experiment!r}. "
            f"{closest(name, {each.name for each in known})}",
            f"First: `synth-mlflow approve BATCH --as {name}`.",
        )
    batches = {batch.id: batch for batch in project.batches()}
    readers = _Readers(project)
    versions = tuple(_version(project, each, batches, readers.of([each])) for each in ours)
    hooks = tuple(map(shown, webhooks_of(runs, name)))
    return Watched(f"{project.server.experiment}/{name}", versions, hooks)


def approval_runs(project: Project) -> list[StoredRun]:
    """The runs that say what is approved."""
    return project.reader.runs("problem", "batch", "sweep", "approval")


def readers_of(project: Project, approvals: Sequence[StoredApproval]) -> tuple[ReadingRun, ...]:
    """The runs outside of the project that have read any of some versions."""
    return _Readers(project).of(approvals)


class _Readers:
    """Asks the server once for each content."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._found: dict[str, list[StoredRun]] = {}
        self._experiments = project.reader.experiment_names()

    def of(self, approvals: Iterable[StoredApproval]) -> tuple[ReadingRun, ...]:
        digests = dict.fromkeys(digest for each in approvals for digest in each.dataset_digests)
        runs = {run.run_id: run for digest in digests for run in self._reading(digest) if not self._is_own(run)}
        return tuple(map(self._shown, runs.values()))

    def _reading(self, digest: str) -> list[StoredRun]:
        if digest not in self._found:
            self._found[digest] = self._project.reader.runs_reading(digest)
        return self._found[digest]

    def _is_own(self, run: StoredRun) -> bool:
        return names.TAG_SCHEMA in run.tags and run.experiment_id == self._project.server.experiment_id

    def _shown(self, run: StoredRun) -> ReadingRun:
        return ReadingRun(
            run.run_id,
            run.name,
            self._experiments.get(run.experiment_id, run.experiment_id),
            run.tags.get("mlflow.user", "unknown"),
            run.status,
            run_url(self._project.server, run.run_id, run.experiment_id),
        )


def _version(
    project: Project, each: StoredApproval, batches: dict[str, StoredBatch], readers: tuple[ReadingRun, ...]
) -> WatchedVersion:
    inside = [StoredBatch(each.subject)] if not each.is_mix else [batches[b] for b in each.batches if b in batches]
    retractions = [_retracted_words(batch) for batch in inside if batch.retracted]
    return WatchedVersion(
        address=ApprovedName(project.server.experiment, each.name, each.version).text,
        kind=each.kind,
        rows=each.n_rows,
        digest=each.digest,
        batches=each.batches,
        by=each.by,
        role=each.role,
        at=each.at,
        retracted="; ".join(retractions),
        read_by=readers,
    )


def _retracted_words(batch: StoredBatch) -> str:
    retraction = batch.taken_back
    return f"batch {batch.id} {retraction.words}" if retraction else f"batch {batch.id}"
