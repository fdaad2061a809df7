"""Due when a generator of the model's batches is now of another version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from synth_mlflow.triggers import CurrentState, RecordedState, State, Trigger, TriggerState
from synth_mlflow.triggers._values import WORDS, level, same


class GeneratorVersion:
    """Compares the installed version of each generator with those that made the model's batches."""

    summary: ClassVar[str] = "a generator of the model's batches has another version: major, minor or any"

    def condition(self, threshold: Any) -> str:
        """Which part of the version counts."""
        return f"a generator of the model's batches changes {WORDS[level(threshold)]}"

    def evaluate(self, threshold: Any, recorded: RecordedState, present: CurrentState) -> TriggerState:
        """Due if any generator's present version is none of those recorded, down to the level."""
        condition, depth = self.condition(threshold), level(threshold)
        changed = [name for name in recorded.generators if _changed(name, depth, recorded, present)]
        unknown = [name for name in recorded.generators if name not in present.generators]
        return TriggerState("generator", condition, *_ruling(changed, unknown, recorded, present))


def _changed(name: str, depth: str, recorded: RecordedState, present: CurrentState) -> bool:
    now = present.generators.get(name)
    return now is not None and not any(same(now, before, depth) for before in recorded.generators[name])


def _ruling(
    changed: list[str], unknown: list[str], recorded: RecordedState, present: CurrentState
) -> tuple[State, str]:
    if not recorded.generators:
        return "not due", "the model holds no synthetic batch"
    if changed:
        return "due", _versions(changed, recorded, present)
    if unknown:
        given = " ".join(f"--generator-version {name}=VERSION" for name in unknown)
        return (
            "cannot tell",
            f"no present version of {', '.join(unknown)} is known; give it: `synth-mlflow check {given}`",
        )
    return "not due", _versions(recorded.generators, recorded, present)


def _versions(names: Iterable[str], recorded: RecordedState, present: CurrentState) -> str:
    return "; ".join(
        f"{name} {' and '.join(recorded.generators[name])} made the batches, it is {present.generators[name]} now"
        for name in names
    )


plugin: type[Trigger] = GeneratorVersion
