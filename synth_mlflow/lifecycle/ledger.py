"""Every run of one project, read once, and asked in memory however many questions follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from synth_mlflow.gate.verdict_notes import recorded_verdicts
from synth_mlflow.gate.verdicts import Verdict
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import StoredSignOff, recorded_sign_offs
from synth_mlflow.tracking.stored import StoredBatch, distinct_batches


@dataclass(frozen=True)
class Ledger:
    """The runs of a project."""

    project: Project

    @cached_property
    def all(self) -> Mapping[str, StoredRun]:
        """Every run but those of single ratios and of checks by id, oldest first, finished or not."""
        return {run.run_id: run for run in self.project.reader.outline()}

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
        found = recorded_verdicts(self.project, list(self.batches.values()))
        return {verdict.batch: verdict for verdict in found}

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
