"""What used a batch: the sweeps that drew their curve with it, the models that ate it, the handoffs of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun


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
    users = [run for run in runs if run.counts and batch_id in run.params.get(names.P_BATCHES, "").split()]
    sweeps = tuple(run for run in users if run.stage == "sweep")
    finals = tuple(run for run in users if run.stage == "final" and float(run.params[names.P_CHOSEN]) > 0)
    return Uses(sweeps, finals, handoffs_of(runs, {run.run_id for run in sweeps}))


def handoffs_of(runs: Iterable[StoredRun], sweeps: set[str]) -> tuple[StoredRun, ...]:
    """The handoffs that hand over one of the sweeps with these run ids."""
    return tuple(run for run in runs if run.stage == "handoff" and run.params.get(names.P_SWEEP) in sweeps)


def model_uri(final: StoredRun) -> str:
    """The registered model that a final run made."""
    return f"models:/{final.params[names.P_MODEL_NAME]}/{final.params[names.P_MODEL_VERSION]}"
