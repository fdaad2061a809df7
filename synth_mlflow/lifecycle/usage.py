"""What used a batch: the sweeps that drew their curve with it, the models that ate it, the handoffs of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun

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
    users = [run for run in runs if run.counts and batch_id in run.params.get(names.P_BATCHES, "").split()]
    sweeps = tuple(run for run in users if run.stage == "sweep")
    finals = tuple(run for run in users if run.stage == "final" and run.params.get(names.P_CHOSEN) not in NONE)
    return Uses(sweeps, finals, handoffs_of(runs, {run.run_id for run in sweeps}))


def rests_on(runs: Sequence[StoredRun], run: StoredRun) -> tuple[str, ...]:
    """What depends on a run, in words: the batch of a check, the sweeps and models of a batch, the handoffs of all.

    On the problem, the evaluation set and the baseline, everything depends that names the same digests.
    """
    if run.stage in {"problem", "evalset", "baseline"}:
        found = [other for other in runs if other.counts and _shares_digest(run, other)]
        return tuple(_words(other) for other in found if other.stage in {"batch", "sweep", "final", "handoff"})
    batch = run.params.get(names.P_BATCH)
    if batch is not None:
        uses = uses_of(runs, batch)
        own = [other for other in runs if other.run_id == run.parent and names.P_CHECK in run.params]
        return tuple(_words(other) for other in (*own, *uses.sweeps, *uses.finals, *uses.handoffs))
    sweep = run.run_id if run.stage == "sweep" else run.parent
    own = [other for other in runs if sweep == other.run_id != run.run_id and other.stage == "sweep"]
    return tuple(_words(other) for other in (*own, *handoffs_of(runs, {sweep or ""})))


def _shares_digest(run: StoredRun, other: StoredRun) -> bool:
    param = names.P_STATEMENT if run.stage == "problem" else names.P_EVALUATION_DIGEST
    return other.run_id != run.run_id and other.params.get(param) == run.params.get(param)


def _words(run: StoredRun) -> str:
    if run.stage == "final":
        return model_uri(run)
    return f"{run.stage} {run.params.get(names.P_BATCH, run.run_id)}"


def handoffs_of(runs: Iterable[StoredRun], sweeps: set[str]) -> tuple[StoredRun, ...]:
    """The handoffs that hand over one of the sweeps with these run ids."""
    return tuple(run for run in runs if run.stage == "handoff" and run.params.get(names.P_SWEEP) in sweeps)


def model_uri(final: StoredRun) -> str:
    """The registered model that a final run made."""
    name, version = (final.params.get(param, "?") for param in (names.P_MODEL_NAME, names.P_MODEL_VERSION))
    return f"models:/{name}/{version}"
