"""Runs that others have made: by ``mlflow run``, taken over once; by a user's own training script, written beside."""

from __future__ import annotations

import os
from dataclasses import dataclass

import mlflow

from synth_mlflow.errors import UsageError
from synth_mlflow.tracking.server import Server, guard, public_uri


@dataclass(frozen=True)
class Adopted:
    """The run and the experiment that ``mlflow run`` chose."""

    run_id: str
    experiment_id: str


def adopt() -> Adopted | None:
    """Take over the run of a surrounding ``mlflow run``; None outside of one.

    The variable is removed from the environment: while it stands there, every worker process adopts the same run.
    """
    run_id = os.environ.pop("MLFLOW_RUN_ID", None)
    experiment_id = os.environ.get("MLFLOW_EXPERIMENT_ID")
    return Adopted(run_id, experiment_id) if run_id and experiment_id else None


@guard
def users_run(server: Server, run_id: str | None = None) -> str:
    """The id of the run that a user's script trains under: the one named, else MLflow's active run.

    Raises
    ------
    UsageError
        If neither is there, or the active run is on another tracking server.
    """
    if run_id is not None:
        return str(server.client.get_run(run_id).info.run_id)
    active = mlflow.active_run()
    if active is None:
        raise UsageError(
            "no MLflow run is active, and the lineage of training rows is written to the run that trains on them.",
            "Call it inside `with mlflow.start_run():`, or name the run.",
        )
    if mlflow.get_tracking_uri() != server.tracking_uri:
        raise UsageError(
            f"the active run is on {public_uri(mlflow.get_tracking_uri())}, this project on "
            f"{public_uri(server.tracking_uri)}; lineage cannot be followed from one to the other.",
            f"Before the run starts: `mlflow.set_tracking_uri({public_uri(server.tracking_uri)!r})`.",
        )
    return str(active.info.run_id)
