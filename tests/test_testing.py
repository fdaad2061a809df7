"""The checks that authors of plugins run: our own plugins pass them, and each kind of fault is found."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from synth_mlflow import plugin_api
from synth_mlflow.generators.gaussian_copula import GaussianCopula
from synth_mlflow.plugin_api import CheckResult, Metric, TriggerState
from synth_mlflow.plugins import BUILT_IN, find, installed
from synth_mlflow.testing import check_check, check_exporter, check_generator, check_trigger, example_table

THRESHOLDS = {"generator": "major", "new_real_rows": 0.2, "metric_drop": 0.02, "task": "any", "environment": "major"}


def built_in(folder: str) -> list[str]:
    return sorted(name for name, plugin in installed(folder).items() if plugin.origin == BUILT_IN)


def damaged() -> pd.DataFrame:
    """A batch that no check may let through: evaluation rows under another target, and impossible ages."""
    rows = example_table(seed=1)
    return rows.assign(age=rows["age"] * 40, bought=rows["bought"].to_numpy()[::-1], visits=rows["visits"] * 0)


@pytest.mark.parametrize("name", built_in("generators"))
def test_our_generators_pass(name: str) -> None:
    check_generator(find("generators", name).load()())


@pytest.mark.slow
@pytest.mark.parametrize("name", built_in("checks"))
def test_our_checks_pass(name: str) -> None:
    batch = {"fidelity": damaged(), "contamination": example_table(seed=1), "privacy": example_table(seed=0)}.get(name)
    check_check(find("checks", name).load(), must_fail=batch)


@pytest.mark.parametrize("name", built_in("triggers"))
def test_our_triggers_pass(name: str) -> None:
    check_trigger(find("triggers", name).load(), THRESHOLDS[name], refused={"no": "such threshold"})


@pytest.mark.parametrize("name", built_in("exports"))
def test_our_export_formats_pass(name: str) -> None:
    check_exporter(find("exports", name).load())


class Drawn:
    """What the faulty generators below give."""

    notes: ClassVar[dict[str, Any]] = {}

    def __init__(self, members: pd.DataFrame, fault: str) -> None:
        self.members, self.fault = members, fault

    def sample(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        places = rng.integers(len(self.members), size=n_rows)
        if self.fault == "global randomness":
            places = np.random.randint(len(self.members), size=n_rows)  # noqa: NPY002
        if self.fault == "no further rows":
            places = np.arange(n_rows) % len(self.members)
        rows = self.members.iloc[places].reset_index(drop=True)
        if self.fault == "too few rows":
            return rows.head(max(n_rows - 1, 0))
        if self.fault == "a column missing":
            return rows.drop(columns="visits")
        if self.fault == "numbers as text" and n_rows:
            return rows.assign(visits=rows["visits"].astype(str))
        return rows


@dataclasses.dataclass(frozen=True)
class Faulty:
    """A generator with one fault."""

    summary: ClassVar[str] = "resamples real rows"
    version: ClassVar[str] = "1"
    leaky: ClassVar[bool] = True
    fault: str = ""

    def fit(self, members: pd.DataFrame, task: Any, rng: Any, *, slice: Any = None) -> Any:  # noqa: A002
        if self.fault == "changes real rows":
            members["visits"] = 0
        inside = members if slice is None or self.fault == "outside of the slice" else members[slice.mask(members)]
        drawn = Drawn(inside.reset_index(drop=True), self.fault)
        if self.fault == "notes are no JSON":
            drawn.notes = {"fitted": object()}  # type: ignore[misc]
        return drawn


def test_a_generator_without_fault_passes() -> None:
    check_generator(Faulty())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("global randomness", "the only source of randomness"),
        ("no further rows", "instead of further ones"),
        ("too few rows", "1 rows were asked for, 0 came"),
        ("a column missing", "those of the real rows were needed"),
        ("changes real rows", "fit changed the real rows"),
        ("outside of the slice", r"lie outside of 'visits > 2'"),
        ("notes are no JSON", "JSON values were needed"),
    ],
)
def test_each_fault_of_a_generator_is_named(fault: str, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_generator(Faulty(fault))


def test_numbers_that_became_texts_are_found() -> None:
    with pytest.raises(Exception, match="visits"):
        check_generator(Faulty("numbers as text"))


class Heights:
    """A check with one fault."""

    summary: ClassVar[str] = "are people tall"
    version: ClassVar[str] = "1"
    defaults: ClassVar[dict[str, float]] = {"height": 1.0}

    def __init__(self, fault: str = "") -> None:
        self.fault, self.n = fault, 0

    def run(self, evidence: Any, policy: Any) -> Any:
        self.n += 1
        value = float(evidence.batch["age"].max() / evidence.members["age"].max()) / 2
        if self.fault == "random":
            value += self.n
        if self.fault == "changes tables":
            evidence.batch["age"] = 0.0
        if self.fault == "accuses real rows":
            value = 2.0
        if self.fault == "cannot fail":
            value = 0.0
        return None if self.fault == "no result" else CheckResult((Metric("height", value, limit=policy["height"]),))


def test_a_check_without_fault_passes() -> None:
    check_check(Heights(), must_fail=damaged())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("random", "other statistics the second time"),
        ("changes tables", "the batch was changed"),
        ("accuses real rows", "further real rows failed: height is 2"),
        ("cannot fail", "the batch that must fail was judged 'pass'"),
        ("no result", "a CheckResult was needed"),
    ],
)
def test_each_fault_of_a_check_is_named(fault: str, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_check(Heights(fault), must_fail=damaged())


class Tide:
    """A trigger with one fault."""

    summary: ClassVar[str] = "is the tide high"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def condition(self, threshold: Any) -> str:
        if self.fault != "takes anything" and not isinstance(threshold, int):
            raise ValueError("metres were needed")
        return "" if self.fault == "no words" else f"above {threshold} m"

    def evaluate(self, threshold: Any, recorded: Any, present: Any) -> TriggerState:
        words = self.condition(threshold)
        return TriggerState("tide", words, "maybe" if self.fault == "odd state" else "due", "3 m")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fault", "words"),
    [("takes anything", "a ValueError was needed"), ("no words", "words were needed"), ("odd state", "'maybe'")],
)
def test_each_fault_of_a_trigger_is_named(fault: str, words: str) -> None:
    check_trigger(Tide(), 2, refused="high")
    with pytest.raises(AssertionError, match=words):
        check_trigger(Tide(fault), 2, refused="high")


def test_an_export_format_must_be_the_same_twice() -> None:
    class Clock:
        summary: ClassVar[str] = "what time it is"
        n = 0

        def render(self, provenance: Any) -> str:
            self.n += 1
            return f"{provenance.project} {self.n}"

    with pytest.raises(AssertionError, match="another text the second time"):
        check_exporter(Clock())


def test_a_long_summary_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Wordy(GaussianCopula):
        summary: ClassVar[str] = "word " * 30

    with pytest.raises(AssertionError, match="150 characters, one line of at most 100"):
        check_generator(Wordy())


def test_every_name_of_the_plugin_api_is_there() -> None:
    assert sorted(plugin_api.__all__) == plugin_api.__all__
    assert all(getattr(plugin_api, name) for name in plugin_api.__all__)
