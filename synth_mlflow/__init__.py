"""Synthetic training data on MLflow: documented, repeatable, and possible to hand over.

The public names are loaded when they are first asked for, so that ``import synth_mlflow`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synth_mlflow.errors import (
    EvidenceError,
    GateError,
    GeneratorError,
    ServerError,
    StatementError,
    SynthError,
    UsageError,
)
from synth_mlflow.later import imported

if TYPE_CHECKING:
    from synth_mlflow.stages.approved_data import load_batch as load_batch
    from synth_mlflow.stages.approved_data import load_mix as load_mix
    from synth_mlflow.stages.training_data import Batch as Batch
    from synth_mlflow.workflow import Workflow as Workflow

__all__ = [
    "Batch",
    "EvidenceError",
    "GateError",
    "GeneratorError",
    "ServerError",
    "StatementError",
    "SynthError",
    "UsageError",
    "Workflow",
    "load_batch",
    "load_mix",
]


_HOMES = {
    "Batch": "synth_mlflow.stages.training_data",
    "Workflow": "synth_mlflow.workflow",
    "load_batch": "synth_mlflow.stages.approved_data",
    "load_mix": "synth_mlflow.stages.approved_data",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'synth_mlflow' has no attribute {name!r}")
    return imported(_HOMES[name], name)
