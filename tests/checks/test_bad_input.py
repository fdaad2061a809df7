"""Batches that nobody should send: each gets a verdict or a refusal in words, never a traceback or a silent skip."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import CheckInput, judge
from synth_mlflow.checks._tables import SIDES
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.gate.policy import load_check

CHECKS = ("contamination", "fidelity", "utility", "privacy")
SIZED = CHECKS[1:]  # contamination says something of every row, however few there are

REFUSED = {
    "a missing column": (lambda rows: rows.drop(columns="loan"), "column 'loan' is missing"),
    "an extra column": (lambda rows: rows.assign(extra=1), "column 'extra' is unknown"),
    "texts for numbers": (
        lambda rows: rows.assign(age="old"),
        "'age' holds string values such as 'old' in 900 cells, integer",
    ),
    "fractions for counts": (lambda rows: rows.assign(age=rows["age"] + 0.5), "column 'age'"),
    "infinities": (lambda rows: rows.assign(income=np.inf), "'income' holds 900 infinite values"),
}


def verdict(check: str, evidence: CheckInput, *, members: int = 900) -> tuple[str, str]:
    """The verdict and its first reason."""
    plugin = load_check(check)
    found = plugin.run(replace(evidence, members=evidence.members[:members]), plugin.defaults)
    ruling = judge(found.probes, found.inconclusive, plugin.defaults["alpha"])
    return ruling.verdict, ruling.reasons[0]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("damage", REFUSED)
def test_another_schema_is_refused(damage, check, evidence):
    spoil, message = REFUSED[damage]
    with pytest.raises(UsageError, match=message):
        verdict(check, replace(evidence, batch=spoil(evidence.batch)))


@pytest.mark.parametrize("check", SIZED)
@pytest.mark.parametrize("n_rows", [0, 1, 10])
def test_too_few_rows_say_how_many_would_do(n_rows, check, evidence):
    outcome, reason = verdict(check, replace(evidence, batch=evidence.batch[:n_rows]))
    assert outcome == "inconclusive"
    assert f"{n_rows} rows of the batch, " in reason


@pytest.mark.parametrize("side", ["members", "control"])
@pytest.mark.parametrize("check", CHECKS)
def test_empty_real_sides_are_inconclusive(check, side, evidence):
    outcome, reason = verdict(check, replace(evidence, **{side: getattr(evidence, side)[:0]}))
    assert outcome == "inconclusive"
    assert f"0 {SIDES[side]}, " in reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "wanted", "said"),
    [
        ("fidelity", "fail", "'loan'"),
        ("utility", "pass|fail|inconclusive", ""),
        ("privacy", "pass", "statistics"),  # what is missing reveals nobody
    ],
)
def test_a_column_of_gaps(check, wanted, said, evidence):
    outcome, reason = verdict(check, replace(evidence, batch=normalise(evidence.batch.assign(loan=np.nan))))
    assert outcome in wanted.split("|")
    assert said in reason


@pytest.mark.parametrize("labels", [None, "maybe"])
def test_a_target_without_a_known_class_teaches_nothing(labels, evidence):
    batch = evidence.batch.assign(default=pd.Series([labels] * len(evidence.batch), dtype="str"))
    outcome, reason = verdict("utility", replace(evidence, batch=normalise(batch)))
    assert (outcome, reason.startswith("unusable_targets of 'default' is 1 ")) == ("fail", True)


def wide(n_rows: int, n_columns: int, seed: int) -> pd.DataFrame:
    """Normal columns and a target that follows the first."""
    values = np.random.default_rng(seed).normal(size=(n_rows, n_columns))
    rows = pd.DataFrame(values, columns=[f"c{place}" for place in range(n_columns)])
    return normalise(rows.assign(y=np.where(values[:, 0] + values[:, 1] > 0, "yes", "no")))


def wide_evidence(n_rows: int, n_columns: int) -> CheckInput:
    """Three tables of one distribution."""
    return CheckInput(*(wide(n_rows, n_columns, seed) for seed in range(3)), Task("y", "binary"), "roc_auc", 0)


@pytest.mark.slow
@pytest.mark.parametrize("check", SIZED)
def test_more_columns_than_rows(check):
    outcome, reason = verdict(check, wide_evidence(50, 60))
    assert outcome == "inconclusive"
    assert any(char.isdigit() for char in reason)


@pytest.mark.slow
@pytest.mark.parametrize("check", ["fidelity", "privacy"])
def test_two_hundred_columns(check):
    found = wide_evidence(200, 199)
    if check == "privacy":
        assert verdict(check, found)[0] == "pass"
        return
    outcome, reason = verdict(check, replace(found, batch=found.batch.assign(c7=found.batch["c7"] * 9)))
    assert outcome == "fail" and "'c7'" in reason


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
def test_twenty_thousand_levels(check):
    """Half of the levels stand once: nothing but rare labels, and the same law on all sides."""
    rng = np.random.default_rng(0)

    def coded(rows: pd.DataFrame) -> pd.DataFrame:
        return normalise(rows.assign(code=[f"k{level}" for level in rng.integers(0, 20_000, len(rows))]))

    tables = (coded(wide(n_rows, 3, seed)) for seed, n_rows in enumerate((4_000, 12_000, 6_000)))
    found = CheckInput(*tables, Task("y", "binary"), "roc_auc", 0)
    assert found.members["code"].nunique() > 8_000
    assert verdict(check, found, members=12_000)[0] == "pass"
    if check == "fidelity":
        outcome, reason = verdict(check, replace(found, batch=found.batch.assign(code="k1")), members=12_000)
        assert outcome == "fail" and "'code'" in reason


@pytest.mark.slow
def test_what_could_not_be_computed_is_listed_and_does_not_pass(evidence):
    same = {side: getattr(evidence, side).assign(job="clerk") for side in ("batch", "members", "control")}
    outcome, reason = verdict("privacy", replace(evidence, **same, sensitive=("job",)))
    assert outcome == "inconclusive"
    assert "inference_auc of 'job' could not be computed: the column has fewer than two values" in reason
