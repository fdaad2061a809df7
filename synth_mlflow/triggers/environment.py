"""Due when the software that made the model is no longer what is installed."""

from __future__ import annotations

from typing import Any, ClassVar

from synth_mlflow.triggers import CurrentState, RecordedState, Trigger, TriggerState
from synth_mlflow.triggers._values import WORDS, level, same


class Environment:
    """Compares the versions of Python and of the packages that made the model with the installed ones."""

    summary: ClassVar[str] = "what made the model is no longer what is installed: major, minor or any"

    def condition(self, threshold: Any) -> str:
        """Which part of a version counts."""
        return f"software that made the model changes {WORDS[level(threshold)]}"

    def evaluate(self, threshold: Any, recorded: RecordedState, present: CurrentState) -> TriggerState:
        """Due if anything recorded is missing or of another version, down to the level."""
        condition, depth = self.condition(threshold), level(threshold)
        if not recorded.environment or not present.environment:
            return TriggerState("environment", condition, "cannot tell", _missing(recorded))
        changed = [
            _change(name, recorded, present)
            for name in recorded.environment
            if _differs(name, depth, recorded, present)
        ]
        if changed:
            return TriggerState("environment", condition, "due", "; ".join(changed))
        names = ", ".join(f"{name} {present.environment[name]}" for name in recorded.environment)
        return TriggerState("environment", condition, "not due", f"as when the model was made: {names}")


def _differs(name: str, depth: str, recorded: RecordedState, present: CurrentState) -> bool:
    now = present.environment.get(name)
    extra = 1 if name == "python" else 0  # Python breaks in its second number, 3.11 to 3.12
    return now is None or not same(now, recorded.environment[name], depth, extra=extra)


def _change(name: str, recorded: RecordedState, present: CurrentState) -> str:
    now = present.environment.get(name)
    return f"{name} {recorded.environment[name]} made the model, {now or 'none'} is installed"


def _missing(recorded: RecordedState) -> str:
    if not recorded.environment:
        return "the model's environment was not recorded; run the sweep again: `synth-mlflow sweep`"
    return "what is installed is not known; ask where the model is served: `synth-mlflow check`"


plugin: type[Trigger] = Environment
