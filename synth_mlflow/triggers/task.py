"""Due when the problem statement is no longer the one that was frozen."""

from __future__ import annotations

from typing import Any, ClassVar

from synth_mlflow.triggers import Present, Recorded, Trigger, TriggerState


class TaskDefinition:
    """Compares the statement's digest with the recorded one."""

    summary: ClassVar[str] = "the problem statement changed: any"

    def condition(self, threshold: Any) -> str:
        """Only ``any`` makes sense: a digest does not say how much has changed."""
        if threshold != "any":
            raise ValueError(f"{threshold!r} was found; any is needed, since a digest cannot say how much has changed")
        return "anything in the problem statement changes"

    def evaluate(self, threshold: Any, recorded: Recorded, present: Present) -> TriggerState:
        """Due if the digests differ."""
        condition, before, now = self.condition(threshold), recorded.statement_digest, present.statement_digest
        if now is None:
            fix = "no present statement is known; give it: `synth-mlflow check --problem problem.md`"
            return TriggerState("task", condition, "cannot tell", fix)
        if now != before:
            changed = f"the statement has digest {now[:12]}, {before[:12]} was frozen"
            return TriggerState("task", condition, "due", changed)
        return TriggerState("task", condition, "not due", f"the statement still has digest {before[:12]}")


plugin: Trigger = TaskDefinition()
