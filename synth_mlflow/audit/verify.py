"""`verify`: recompute every digest and every verdict of a project, and say what depends on each that does not match."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from synth_mlflow.audit.recheck import recheck
from synth_mlflow.audit.recompute import contradictions
from synth_mlflow.data.addresses import Place
from synth_mlflow.data.markup import html_table
from synth_mlflow.errors import EvidenceError, GateError, UsageError, closest
from synth_mlflow.gate.references import ReferenceIndex
from synth_mlflow.queries.run_index import dependents_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import seal_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun, expand_run_id
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.stored_run import UNREADABLE


@dataclass(frozen=True)
class Finding:
    """Something recorded that no longer matches."""

    run_id: str
    run_name: str
    what: str
    """What was found and what was recorded."""
    affects: tuple[str, ...]
    """What depends on it: checks, batches, sweeps, models, handoffs."""


@dataclass(frozen=True)
class Verification:
    """What was looked at, and what does not match."""

    runs: Mapping[str, int]
    """How many runs of each stage."""
    n_files: int
    n_params: int
    n_metrics: int
    findings: tuple[Finding, ...]
    rechecked: tuple[str, ...] = ()
    """The check runs that were run again from rows and seed: all of them if that was asked for, else one by chance."""
    not_rechecked: Mapping[str, str] = field(default_factory=dict)
    """Check runs that could not be run again here, and why."""

    @property
    def holds(self) -> bool:
        """Whether everything matches."""
        return not self.findings

    @property
    def words(self) -> str:
        """Whether everything matches, after what was looked at, in a sentence."""
        seen = f"{sum(self.runs.values()):,} runs, {self.n_files:,} files, {self.n_params:,} parameters"
        return f"{seen}: {'everything matches' if self.holds else f'{len(self.findings):,} mismatches'}."

    def _repr_html_(self) -> str:
        rows = [[each.run_name, each.run_id, each.what, ", ".join(each.affects)] for each in self.findings]
        table = html_table(["run", "run id", "mismatch", "what depends on it"], rows) if rows else ""
        again = "".join(f"<p>Not run again: {html.escape(why)}</p>" for why in set(self.not_rechecked.values()))
        return f"<p><b>{html.escape(self.words)}</b></p>{table}{again}"


def verify(
    project: Project,
    run_id: str | None = None,
    *,
    rng: np.random.Generator,
    deep: bool = False,
    sources: Sequence[Place] = (),
) -> Verification:
    """Recompute what the runs of a project vouch for: files, rows, records, verdicts, choices, models, documents.

    Tags are never read as evidence, so that editing one is no finding.

    Parameters
    ----------
    project : Project
    run_id : str, optional
        One run, with everything under it; by default the whole project.
    rng : Generator
        Chooses the check that is run again; nobody who edits runs may know which.
    deep : bool
        Run every check again.
    sources : sequence of Path
        Real rows that batches were learned from and that the server does not hold.

    Raises
    ------
    UsageError
        If the project has no such run.
    """
    everything = project.reader.runs()
    in_scope = everything if run_id is None else _under(everything, run_id)
    open_ids = {run.run_id for run in everything if not run.counts and run.stage != "workflow"}
    scope = [
        run for run in in_scope if run.counts and run.parent not in open_ids
    ]  # part of a whole that does not count
    known = ReferenceIndex(everything)
    project.say(f"verifying {len(scope)} runs")
    findings = [
        Finding(run.run_id, run.name, what, dependents_of(everything, run))
        for run in _counted(project, scope)
        for what in _mismatches(project, run, everything, known)
    ]
    chosen = _chosen(everything, scope, rng, deep=deep)
    again = [finding for group in chosen for finding in recheck(project, group.batch, group.checks, sources)]
    by_id = {run.run_id: run for run in scope}
    findings += [
        Finding(each.run_id, each.run_name, what, dependents_of(everything, by_id[each.run_id]))
        for each in again
        for what in each.differences
    ]
    return Verification(
        rechecked=tuple(each.run_id for each in again if not each.not_run),
        not_rechecked={each.run_id: each.not_run for each in again if each.not_run},
        runs=Counter(run.stage for run in scope),
        n_files=sum(len(run.artifacts) for run in scope),
        n_params=sum(len(run.params) for run in scope),
        n_metrics=sum(len(run.metrics) for run in scope),
        findings=tuple(findings),
    )


@dataclass(frozen=True)
class _Checked:
    batch: StoredBatch
    checks: tuple[StoredRun, ...]


def _chosen(
    everything: Sequence[StoredRun], scope: Sequence[StoredRun], rng: np.random.Generator, *, deep: bool
) -> list[_Checked]:
    """The checks to run again, by their batches: all, or one by chance."""
    batches = {run.run_id: StoredBatch(run) for run in everything if run.stage == "batch" and run.counts}
    checks = [run for run in scope if names.P_CHECK in run.params and run.parent in batches]
    if checks and not deep:
        checks = [checks[int(rng.integers(len(checks)))]]
    grouped: dict[str, list[StoredRun]] = {}
    for run in checks:
        grouped.setdefault(str(run.parent), []).append(run)
    return [_Checked(batches[parent], tuple(group)) for parent, group in grouped.items()]


def _counted(project: Project, scope: Sequence[StoredRun]) -> Iterator[StoredRun]:
    """The runs one after the other, each counted when it was looked at."""
    for number, run in enumerate(scope, start=1):
        yield run
        project.count(number, len(scope), "runs")


def _under(runs: Sequence[StoredRun], run_id: str) -> list[StoredRun]:
    known = [run.run_id for run in runs]
    run_id = expand_run_id(run_id, known)
    if run_id not in known:
        raise UsageError(
            f"this project has no run {run_id!r}. {closest(run_id, known)}",
            "`synth-mlflow verify` without a run looks at all of them.",
        )
    ids = {run_id}
    while more := {run.run_id for run in runs if run.parent in ids} - ids:
        ids |= more
    return [run for run in runs if run.run_id in ids]


def _mismatches(project: Project, run: StoredRun, runs: Sequence[StoredRun], known: ReferenceIndex) -> Iterator[str]:
    damaged = list(_files(project, run))
    yield from damaged
    yield from _numbers(project, run)
    yield from _findings(known.missing(run))
    if not damaged:  # what is in a damaged file says nothing
        yield from _findings(contradictions(project, run, runs))


def _findings(look: Iterator[str]) -> list[str]:
    """What a look finds, up to where it can go no further: evidence that cannot be read is a finding too."""
    findings: list[str] = []
    try:
        findings.extend(look)
    except (EvidenceError, GateError, UsageError) as error:
        findings.append(error.found)
    except UNREADABLE as error:  # a parameter that is gone, or no longer what it was
        findings.append(f"what it states cannot be read: {error!r}")
    return findings


def _files(project: Project, run: StoredRun) -> Iterator[str]:
    for path in run.artifacts:
        try:
            project.reader.file(run, path)
        except EvidenceError as error:
            yield error.found


def _numbers(project: Project, run: StoredRun) -> Iterator[str]:
    sealed = run.params.get(names.P_SEAL)
    if sealed is None:
        if run.stage != "workflow":  # one that `mlflow run` made is not written by us
            yield f"the parameter {names.P_SEAL} is gone: nothing vouches for the run's parameters and metrics"
        return
    seal = seal_of(run.params, project.reader.metric_values(run))
    if seal != sealed:
        yield (
            f"its parameters and metrics give the seal {seal[:12]}…, the record says {sealed[:12]}…: a value was "
            "changed, added or removed"
        )
