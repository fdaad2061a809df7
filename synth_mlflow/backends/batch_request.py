"""What was asked for when a batch is to be made: what each field means stands with the method of `Workflow`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synth_mlflow.data.fit_commands import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from synth_mlflow.data.addresses import Place
    from synth_mlflow.llm.budget import Budget
    from synth_mlflow.llm.relabel import Disagreement


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """What every batch is asked for with."""

    rows: int
    seed: int
    purpose: str
    slice: str | None = None
    params: Mapping[str, Any] | None = None
    source: Place | None = None
    pilot: bool = False


@dataclass(frozen=True, kw_only=True)
class FromGenerator(BatchRequest):
    """As the parameters of :meth:`synth_mlflow.Workflow.generate`."""

    generator: str
    version: str | None = None
    python: str | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class FromCommand(BatchRequest):
    """As the parameters of :meth:`synth_mlflow.Workflow.generate_by_command`."""

    command: str
    generator: str
    version: str
    timeout_seconds: float = TIMEOUT_SECONDS


@dataclass(frozen=True, kw_only=True)
class FromLanguageModel(BatchRequest):
    """As the parameters of :meth:`synth_mlflow.Workflow.generate_by_llm`."""

    model: str
    prompt: Path
    licence: str
    training_allowed: str
    budget: Budget
    """Where it ends, the batch has the rows that were kept until then."""
    examples: int = 0
    relabel: str | None = None
    disagreement: Disagreement = "reject"
    journal: Path | None = None
    timeout_seconds: float = TIMEOUT_SECONDS
