"""Plugins of another package, for the tests of what happens where they are missing or raise."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from synth_mlflow.checks import CheckResult, Metric
from synth_mlflow.triggers import TriggerState


class Tide:
    """A check that always passes."""

    summary: ClassVar[str] = "is the tide right"
    version: ClassVar[str] = "3"
    defaults: ClassVar[dict[str, float]] = {"height": 1.0}

    def run(self, evidence: Any, policy: Any) -> CheckResult:
        return CheckResult((Metric("height", 0.5, limit=policy["height"]),))


class Moon:
    """A trigger that is never due."""

    summary: ClassVar[str] = "is the moon full"

    def condition(self, threshold: Any) -> str:
        if threshold == "green":
            raise ValueError("a colour that the moon has")
        return f"the moon is {threshold}"

    def evaluate(self, threshold: Any, recorded: Any, present: Any) -> TriggerState:
        return TriggerState("moon", self.condition(threshold), "not due", "it is new")


@dataclasses.dataclass(frozen=True)
class Broken:
    """Whatever is asked of it, it raises."""

    summary: ClassVar[str] = "broken"
    version: ClassVar[str] = "3"
    defaults: ClassVar[dict[str, float]] = {"height": 1.0}

    def run(self, *_: Any) -> Any:
        raise ZeroDivisionError("on the rocks")

    condition = evaluate = render = fit = run


tide, moon, broken = Tide(), Moon(), Broken()
