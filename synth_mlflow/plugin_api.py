"""Everything that the author of a plugin imports: the four contracts, what they take and what they return.

These names are stable; the modules that they come from are not. :mod:`synth_mlflow.testing` checks a plugin against its
contract.
"""

from __future__ import annotations

from synth_mlflow.checks import Check, CheckInput, CheckResult, Metric
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.exports import Exporter, Provenance
from synth_mlflow.generators import ChunkedSampler, Generator, Sampler
from synth_mlflow.peers import Peer
from synth_mlflow.triggers import CurrentState, Drift, ProductionValue, RecordedState, Trigger, TriggerState

__all__ = [
    "Check",
    "CheckInput",
    "CheckResult",
    "ChunkedSampler",
    "CurrentState",
    "Drift",
    "Exporter",
    "Generator",
    "GeneratorError",
    "Metric",
    "ModelSpec",
    "Peer",
    "ProductionValue",
    "Provenance",
    "RecordedState",
    "Sampler",
    "Slice",
    "Task",
    "Trigger",
    "TriggerState",
    "UsageError",
]
