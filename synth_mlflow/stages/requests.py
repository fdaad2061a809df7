"""What a verb was asked for, as one object: what its parameters mean stands with the method of `Workflow`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synth_mlflow.data.fit_commands import TIMEOUT_SECONDS
from synth_mlflow.sweep.plan import RATIOS, Rule

if TYPE_CHECKING:
    from synth_mlflow.data.addresses import Place
    from synth_mlflow.data.mixing import Mix
    from synth_mlflow.stages.freeze import EqualRows, Store
    from synth_mlflow.stages.sweep import By
    from synth_mlflow.sweep.axes import AxisName
    from synth_mlflow.sweep.executors import EngineName


@dataclass(frozen=True, kw_only=True)
class NamedCommands:
    """Programs that fit and predict in place of the statement's model; empty for that model."""

    train: str = ""
    predict: str = ""
    timeout_seconds: float = TIMEOUT_SECONDS

    @property
    def arguments(self) -> dict[str, Any]:
        """As arguments of `Workflow.freeze` and `Workflow.sweep`; none where no command is named."""
        arguments = {
            "train_command": self.train,
            "predict_command": self.predict,
            "timeout_seconds": self.timeout_seconds,
        }
        return arguments if self.train or self.predict else {}


@dataclass(frozen=True, kw_only=True)
class FreezeRequest:
    """As the parameters of :meth:`synth_mlflow.Workflow.freeze`."""

    data: Place | None = None
    group: str | None = None
    time: str | None = None
    equal_rows: EqualRows | None = None
    store: Store = "rows"
    seed: int = 0
    engine: EngineName = "local"
    scheduler: str = ""
    commands: NamedCommands = NamedCommands()


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """As the parameters of :meth:`synth_mlflow.Workflow.sweep`."""

    ratios: Sequence[float] = RATIOS
    repeats: int | None = None
    mix: Mix = "augment"
    rule: Rule = "highest"
    seed: int = 0
    batches: Sequence[str] = ()
    n_jobs: int = -1
    refine: bool = False
    extra_real: Place | None = None
    by: By | None = None
    engine: EngineName = "local"
    scheduler: str = ""
    commands: NamedCommands = NamedCommands()
    axis: AxisName = "ratio"
    weights: Sequence[float] | None = None
    slice: str | None = None
    rows: int | None = None
