"""Due when the problem statement, or the columns of the real rows, are no longer those that were frozen."""

from __future__ import annotations

from typing import Any, ClassVar

from synth_mlflow.triggers import CurrentState, RecordedState, Trigger, TriggerState


class TaskDefinition:
    """Compares the digests of the statement and of the columns with the recorded ones."""

    summary: ClassVar[str] = "the problem statement or the columns of the real rows changed: any"

    def condition(self, threshold: Any) -> str:
        """Only ``any`` makes sense: a digest does not say how much has changed."""
        if threshold != "any":
            raise ValueError(f"{threshold!r} was found; any is needed, since a digest cannot say how much has changed")
        return "anything changes in the problem statement or in the columns of the real rows"

    def evaluate(self, threshold: Any, recorded: RecordedState, present: CurrentState) -> TriggerState:
        """Due if a digest differs; the columns count only where both of their digests are known."""
        condition = self.condition(threshold)
        changed = _changed("the statement", recorded.statement_digest, present.statement_digest)
        changed += _changed("the columns of the real rows", recorded.schema_digest, present.schema_digest)
        if changed:
            return TriggerState("task", condition, "due", "; ".join(changed))
        if present.statement_digest is None:
            fix = "no present statement is known; give it: `synth-mlflow check --statement problem.md`"
            return TriggerState("task", condition, "cannot tell", fix)
        return TriggerState("task", condition, "not due", _unchanged(recorded, present))


def _changed(what: str, before: str | None, now: str | None) -> list[str]:
    if before is None or now is None or before == now:
        return []
    return [f"the digest of {what} is {now[:12]}, {before[:12]} was frozen"]


def _unchanged(recorded: RecordedState, present: CurrentState) -> str:
    compared = recorded.schema_digest is not None and present.schema_digest is not None
    columns = ", and the columns are the same" if compared else "; the columns were not compared"
    return f"the digest of the statement still is {recorded.statement_digest[:12]}{columns}"


plugin: type[Trigger] = TaskDefinition
