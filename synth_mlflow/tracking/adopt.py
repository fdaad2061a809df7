"""The run that ``mlflow run`` has made already: taken over once, and hidden from every child process."""

from __future__ import annotations

import os
from dataclasses import dataclass


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
