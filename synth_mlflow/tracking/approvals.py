"""Approvals as runs tell them: which version of which name stands for which rows.

An approval counts if three runs agree: its own, the batch or sweep that it approves (which names its seal), and a
problem statement (which says whose a version number is). `@approved` is the newest that counts, found anew each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from synth_mlflow.data.approved_names import ApprovedName
from synth_mlflow.errors import EvidenceError, GateError, closest
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import Signed
from synth_mlflow.tracking.stored import StoredBatch


@dataclass(frozen=True)
class StoredApproval(Signed):
    """One version of a name."""

    subject: StoredRun
    """The run of the batch, or of the sweep whose mix it is."""

    @property
    def name(self) -> str:
        """Without the project."""
        return self.run.params[names.P_APPROVED_NAME]

    @property
    def version(self) -> int:
        """From 1 on."""
        return int(self.run.params[names.P_APPROVED_VERSION])

    @property
    def is_mix(self) -> bool:
        """Whether it is what a sweep chose, and not a batch."""
        return self.subject.stage == "sweep"

    @property
    def kind(self) -> str:
        """``batch`` or ``mix``."""
        return "mix" if self.is_mix else "batch"

    @property
    def digest(self) -> str:
        """The content digest of the rows of the batch, or of the mix."""
        return self.run.params[names.P_APPROVED_DIGEST]

    @property
    def n_rows(self) -> int:
        """How many rows it has."""
        return int(self.run.params[names.P_ROWS])

    @property
    def batches(self) -> tuple[str, ...]:
        """The short ids of the batches whose rows it holds."""
        return self.run.batches

    @property
    def dataset_digests(self) -> tuple[str, ...]:
        """Under which a run may have logged it as an input."""
        own = self.digest[: names.DATASET_DIGEST_LENGTH]
        return (own,) if self.is_mix else tuple(dict.fromkeys((own, *StoredBatch(self.subject).dataset_digests)))

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name}/{self.version}"


def counted_approvals(runs: Iterable[StoredRun]) -> list[StoredApproval]:
    """The approvals that count, by name and version.

    Parameters
    ----------
    runs : iterable of StoredRun
        The statements, batches, sweeps and approvals of one project; deleted ones may be among them.
    """
    everything = list(runs)
    by_id = {run.run_id: run for run in everything}
    approvals = [
        StoredApproval(run, by_id[run.params[names.P_APPROVED_RUN]])
        for run in everything
        if run.stage == "approval" and run.params.get(names.P_APPROVED_RUN) in by_id and not why_not(run, everything)
    ]
    return sorted(approvals, key=lambda each: (each.name, each.version))


def why_not(run: StoredRun, runs: Sequence[StoredRun]) -> str:
    """Why an approval does not count; empty if it does."""
    if run.deleted or not run.counts:
        return "its run was deleted, or was not written to its end"
    subject = next((each for each in runs if each.run_id == run.params.get(names.P_APPROVED_RUN)), None)
    if subject is None or subject.deleted or not subject.counts or subject.stage not in ("batch", "sweep"):
        return "the run of what it approves is gone"
    if subject.params.get(names.P_APPROVAL_PREFIX + run.run_id) != run.params.get(names.P_SEAL, ""):
        return f"the {subject.stage} run {subject.run_id} does not name it"
    name, version = run.params.get(names.P_APPROVED_NAME, ""), run.params.get(names.P_APPROVED_VERSION, "")
    holders = _holders(runs, f"{name}/{version}")
    if holders != {run.run_id}:
        return f"version {version} of {name!r} belongs to another run, or to none"
    return ""


def claimed_versions(runs: Iterable[StoredRun], name: str) -> list[tuple[int, str]]:
    """Every version number of a name that was ever given away, and to which run."""
    prefix = f"{names.P_APPROVED_PREFIX}{name}/"
    return [
        (int(number), run_id)
        for run in runs
        if run.stage == "problem"
        for param, run_id in run.params.items()
        if param.startswith(prefix) and (number := param.removeprefix(prefix)).isdecimal()
    ]


def _holders(runs: Iterable[StoredRun], label: str) -> set[str]:
    """The runs that statements give a version to: one, unless somebody has written another statement for it."""
    param = names.P_APPROVED_PREFIX + label
    return {run.params[param] for run in runs if run.stage == "problem" and param in run.params}


def the_approval(runs: Sequence[StoredRun], address: ApprovedName) -> StoredApproval:
    """The version that an address stands for.

    Raises
    ------
    GateError
        If the name, or this version of it, was never approved.
    EvidenceError
        If there is such a run, and it does not count.
    """
    counted = counted_approvals(runs)
    ours = {each.version: each for each in counted if each.name == address.name}
    version = address.version if address.version is not None else max(_given(runs, address.name), default=0)
    if version in ours:
        return ours[version]
    for run in _approvals_of(runs, address.name, version):
        raise EvidenceError(
            f"{address.at(version).text} (run {run.run_id}) does not count as approved: {why_not(run, runs)}.",
            "Restore its runs in MLflow, or approve the data again: `synth-mlflow approve BATCH --as "
            f"{address.name}`." + _others(address, ours),
        )
    if ours:
        raise GateError(
            f"there is no version {version} of {address.project}/{address.name}.", _others(address, ours).strip()
        )
    known = closest(address.name, {each.name for each in counted})
    raise GateError(
        f"nothing was approved as {address.name!r} in project {address.project!r}. {known}",
        f"First: `synth-mlflow approve BATCH --as {address.name} --experiment {address.project}`.",
    )


def _given(runs: Sequence[StoredRun], name: str) -> set[int]:
    """The versions of a name that were approved once, whether they count today or not.

    So a newest version that somebody has put out of force is refused, and none before it takes its place unseen.
    """
    by_id = {run.run_id: run for run in runs}
    claimed = [(version, by_id[run_id]) for version, run_id in claimed_versions(runs, name) if run_id in by_id]
    return {version for version, run in claimed if run.status == "FINISHED" and _is_named(run, by_id)}


def _is_named(run: StoredRun, by_id: Mapping[str, StoredRun]) -> bool:
    """Whether what an approval approves has named it, the last step of an approval; also if that is gone since."""
    subject = by_id.get(run.params.get(names.P_APPROVED_RUN, ""))
    return subject is None or names.P_APPROVAL_PREFIX + run.run_id in subject.params


def _approvals_of(runs: Sequence[StoredRun], name: str, version: int) -> Iterator[StoredRun]:
    """The runs that were given a version, or say that they are it."""
    holders, stated = _holders(runs, f"{name}/{version}"), (name, str(version))
    for run in runs:
        name_and_version = (run.params.get(names.P_APPROVED_NAME), run.params.get(names.P_APPROVED_VERSION))
        if run.stage == "approval" and (run.run_id in holders or name_and_version == stated):
            yield run


def _others(address: ApprovedName, ours: dict[int, StoredApproval]) -> str:
    if not ours:
        return ""
    return f" Versions that count: {', '.join(address.at(version).text for version in sorted(ours))}."
