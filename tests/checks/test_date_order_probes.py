"""Dates before others that they follow in every real row."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from synth_mlflow.checks import CheckInput
from synth_mlflow.checks.fidelity import Fidelity

DAY = pd.Timedelta(days=1)


def with_end(evidence: CheckInput) -> CheckInput:
    """The same where an account is closed one to thirty days after it was opened."""
    tables = (evidence.batch, evidence.members, evidence.control)
    made = [rows.assign(closed=rows["opened"] + DAY * (1 + rows["age"] % 30)) for rows in tables]
    return replace(evidence, batch=made[0], members=made[1], control=made[2])


@pytest.mark.parametrize(
    ("n_broken", "verdict"), [pytest.param(0, "pass", marks=pytest.mark.slow), (5, "pass"), (45, "fail")]
)
def test_a_batch_that_breaks_the_order_of_dates_fails(n_broken, verdict, evidence, ruled):
    given = with_end(evidence)
    batch = given.batch.copy()
    batch.loc[batch.index[:n_broken], "closed"] = batch["opened"] - DAY
    judgement, result = ruled(Fidelity(), replace(given, batch=batch))
    (probe,) = (one for one in result.probes if one.name == "broken_date_orders")
    assert judgement.verdict == verdict and probe.value == pytest.approx(n_broken / len(batch))
    if verdict == "fail":
        assert "constraints: ['opened <= closed']" in judgement.reasons[0]


@pytest.mark.slow
def test_dates_without_an_order_have_no_such_statistic(evidence, ruled):
    _, result = ruled(Fidelity(), evidence)
    assert not [one for one in result.probes if one.name == "broken_date_orders"]
