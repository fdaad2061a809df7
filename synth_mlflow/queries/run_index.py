"""Every run of one project, read once, and asked in memory however many questions follow.

What used a batch: the sweeps that drew their curve with it, the models that used it, the handoffs of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from synth_mlflow.gate.verdicts import Verdict, recorded_verdicts
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import StoredSignOff, recorded_sign_offs
from synth_mlflow.tracking.stored import StoredBatch, distinct_batches


@dataclass(frozen=True)
class RunIndex:
    """The runs of a project."""

    project: Project

    @cached_property
    def all(self) -> Mapping[str, StoredRun]:
        """Every run but those of single ratios and of checks by id, oldest first, finished or not."""
        return {run.run_id: run for run in self.project.reader.runs_without_children()}

    @cached_property
    def finished(self) -> Mapping[str, StoredRun]:
        """The runs that count."""
        return {run_id: run for run_id, run in self.all.items() if run.counts}

    @cached_property
    def batches(self) -> Mapping[str, StoredBatch]:
        """Every batch by its short id."""
        return {batch.id: batch for batch in distinct_batches(self.of_stage("batch"))}

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict]:
        """The recorded verdict of every batch."""
        by_batch = recorded_verdicts(self.project, list(self.batches.values()))
        return {verdict.batch: verdict for verdict in by_batch}

    @cached_property
    def sign_offs(self) -> Mapping[str, list[StoredSignOff]]:
        """The sign-offs that count, by the run id of their handoff."""
        return recorded_sign_offs(self.finished.values())

    @cached_property
    def experiments(self) -> Mapping[str, str]:
        """The name of every experiment of the server by its id."""
        return self.project.reader.experiment_names()

    def owns(self, run: StoredRun) -> bool:
        """Whether a run was written by this product into this project."""
        return names.TAG_SCHEMA in run.tags and run.experiment_id == self.project.server.experiment_id

    def holds(self, run: StoredRun) -> bool:
        """Whether a run, also that of a single ratio or check, is this project's, finished and not deleted."""
        return self.owns(run) and run.counts and not run.deleted

    def of_stage(self, stage: str, param: str = "", value: str = "") -> list[StoredRun]:
        """The finished runs of a stage, if asked with one value of a parameter; oldest first."""
        runs = [run for run in self.finished.values() if run.stage == stage]
        return [run for run in runs if run.params.get(param) == value] if param else runs

    def batches_of(self, run: StoredRun) -> list[StoredBatch]:
        """The batches that a sweep, a model or a handoff names."""
        return [self.batches[name] for name in run.batches if name in self.batches]


NONE = {"0", "0.0"}  # the chosen ratio of a model of real rows alone; whatever else stands there counts as a use


@dataclass(frozen=True)
class Uses:
    """The runs that used one batch, oldest first."""

    sweeps: tuple[StoredRun, ...]
    finals: tuple[StoredRun, ...]
    """The runs of the models that hold rows of the batch."""
    handoffs: tuple[StoredRun, ...]
    """Those of a sweep with the batch, also where it chose real rows alone: the choice rests on the batch too."""

    @property
    def models(self) -> tuple[str, ...]:
        """The registered versions, as ``models:/name/version``."""
        return tuple(model_uri(run) for run in self.finals)


def uses_of(runs: Iterable[StoredRun], batch_id: str) -> Uses:
    """Find what used a batch among the runs of its project."""
    users = [run for run in runs if run.counts and batch_id in run.batches]
    sweeps = tuple(run for run in users if run.stage == "sweep")
    finals = tuple(run for run in users if run.stage == "final" and run.params.get(names.P_CHOSEN) not in NONE)
    return Uses(sweeps, finals, handoffs_of(runs, {run.run_id for run in sweeps}))


def dependents_of(runs: Sequence[StoredRun], run: StoredRun) -> tuple[str, ...]:
    """What depends on a run, in words: batches, sweeps, registered models and handoffs.

    On the problem, the evaluation set and the baseline, everything depends that names their digest, or one that no
    run holds any more: theirs may have been changed.
    """
    if run.stage in {"workflow", "blame", "reproduction"}:
        return ()
    if run.stage in {"handoff", "sign-off"}:
        other = {"handoff": "sign-off", "sign-off": "handoff"}[run.stage]
        return tuple(_words(near) for near in runs if near.stage == other and _signed(near, run))
    if run.stage in {"problem", "evaluation_set", "baseline"}:
        return tuple(_words(other) for other in _later(runs, run))
    batch = run.params.get(names.P_BATCH)
    if batch is not None:
        uses = uses_of(runs, batch)
        own = [other for other in runs if other.run_id == run.parent and names.P_CHECK in run.params]
        return tuple(_words(other) for other in (*own, *uses.sweeps, *uses.finals, *uses.handoffs))
    sweep = run.run_id if run.stage == "sweep" else run.parent
    above = [other for other in runs if sweep == other.run_id != run.run_id and other.stage == "sweep"]
    finals = [other for other in runs if sweep == other.parent and other.stage == "final"]
    return tuple(_words(other) for other in (*above, *finals, *handoffs_of(runs, {sweep or ""})))


def handoffs_of(runs: Iterable[StoredRun], sweeps: set[str]) -> tuple[StoredRun, ...]:
    """The handoffs that hand over one of the sweeps with these run ids."""
    return tuple(run for run in runs if run.stage == "handoff" and run.params.get(names.P_SWEEP) in sweeps)


def model_uri(final: StoredRun) -> str:
    """The registered model that a final run made."""
    name, version = (final.params.get(param, "?") for param in (names.P_MODEL_NAME, names.P_MODEL_VERSION))
    return f"models:/{name}/{version}"


def _signed(one: StoredRun, other: StoredRun) -> bool:
    """Whether one of two runs is the sign-off of the other."""
    return one.params.get(names.P_HANDOFF) == other.run_id or other.params.get(names.P_HANDOFF) == one.run_id


def _later(runs: Sequence[StoredRun], run: StoredRun) -> list[StoredRun]:
    """The runs of later stages that were made under one statement, or on one evaluation set."""
    stage, param = (
        ("problem", names.P_STATEMENT) if run.stage == "problem" else ("evaluation_set", names.P_EVALUATION_DIGEST)
    )
    others = {other.params.get(param) for other in runs if other.stage == stage} - {run.params.get(param)}
    later = [other for other in runs if other.counts and other.stage in {"batch", "sweep", "final", "handoff"}]
    return [other for other in later if other.params.get(param) not in others]


def _words(run: StoredRun) -> str:
    if run.stage == "final":
        return model_uri(run)
    if run.stage == "sign-off":
        return f"sign-off of {run.params.get(names.P_SIGNED_BY, run.run_id)}"
    return f"{run.stage} {run.params.get(names.P_BATCH, run.run_id)}"
