"""Privacy passes fresh draws and fails batches that hand out their members."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import CheckInput, judge
from synth_mlflow.checks.privacy import Privacy
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import Task

plugin = Privacy()


def _jittered(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    copies = rows.sample(n, random_state=3).reset_index(drop=True)
    return copies.assign(income=copies["income"] * (1 + rng.normal(0, 1e-3, n)))


def test_a_fresh_draw_passes(evidence, ruled):
    ruling, result = ruled(plugin, evidence)
    assert ruling.verdict == "pass"
    assert set(result.figures) == {"roc", "reuse"}
    assert 0 <= result.metrics["epsilon_lower_bound"] < result.metrics["epsilon_largest_provable"]
    assert result.metrics["detectable_auc"] < plugin.defaults["detectable_auc"]


@pytest.mark.slow
def test_jittered_copies_of_members_fail(evidence, ruled):
    leaky = pd.concat([_jittered(evidence.members, 90), evidence.batch[90:]], ignore_index=True)
    ruling, _ = ruled(plugin, replace(evidence, batch=normalise(leaky)))
    assert ruling.verdict == "fail"
    assert any("near_copies" in reason for reason in ruling.reasons)


@pytest.mark.slow
def test_jittered_copies_of_strangers_pass(evidence, fresh, ruled):
    harmless = pd.concat([_jittered(fresh[:400], 90), evidence.batch[400:]], ignore_index=True)
    assert ruled(plugin, replace(evidence, batch=normalise(harmless)))[0].verdict == "pass"


@pytest.mark.slow
def test_many_columns_that_leak_a_little_each_are_counted(ruled):
    rng = np.random.default_rng(1)
    numbers = np.round(np.exp(rng.normal(size=(900, 120))), 1)
    rows = normalise(pd.DataFrame(numbers).add_prefix("m").assign(y=rng.choice(["a", "b"], 900)))
    members, control, others = (rows[at : at + 300].reset_index(drop=True) for at in (0, 300, 600))
    own = rng.random(others.shape) < 0.15  # of each column every seventh value is a member's, each of another member
    shuffled = pd.DataFrame({name: rng.permutation(members[name]) for name in members})
    leaky = CheckInput(normalise(others.mask(own, shuffled)), members, control, Task("y", "binary"), "roc_auc", 0)
    ruling, _ = ruled(plugin, leaky)
    assert ruling.verdict == "fail"
    assert any(re.search(r"values of \d+ columns are handed out, a little each.*keep fewer", r) for r in ruling.reasons)


def test_exact_copies_fail(evidence, ruled):
    ruling, _ = ruled(plugin, replace(evidence, batch=evidence.members))
    assert any("exact_copies" in reason for reason in ruling.reasons)


@pytest.mark.slow
def test_ten_members_as_they_are_fail(evidence, ruled):
    few = pd.concat([evidence.members[:10], evidence.batch[10:]], ignore_index=True)
    ruling, result = ruled(plugin, replace(evidence, batch=few))
    assert ruling.verdict == "fail"
    assert ruling.reasons[0].startswith("exact_copies") and "10 of 900 members" in ruling.reasons[0]
    assert "in four of five cases" in result.words


@pytest.mark.slow
def test_reused_values_fail_and_name_the_column(evidence, ruled):
    values = evidence.members["income"].dropna().sample(len(evidence.batch), replace=True, random_state=0)
    ruling, _ = ruled(plugin, replace(evidence, batch=evidence.batch.assign(income=values.to_numpy())))
    assert ruling.verdict == "fail"
    assert any("reused_values of 'income'" in reason for reason in ruling.reasons)
    named = [reason for reason in ruling.reasons if reason.startswith("value_surplus_auc")]
    assert named and "'income'" in named[0] and "round or jitter" in named[0]


@pytest.mark.slow
def test_sensitive_columns_are_inferred(evidence, ruled):
    sensitive = replace(evidence, sensitive=("job", "income"))
    fresh_probes = [probe for probe in ruled(plugin, sensitive)[1].probes if probe.name == "inference_auc"]
    assert [probe.column for probe in fresh_probes] == ["job", "income"]
    ruling, _ = ruled(plugin, replace(sensitive, batch=evidence.members))
    assert any("inference_auc of 'income'" in reason for reason in ruling.reasons)


@pytest.mark.slow
def test_drift_makes_attacks_invalid(evidence, ruled):
    ruling, _ = ruled(plugin, replace(evidence, control=evidence.control.assign(age=evidence.control["age"] + 40)))
    assert ruling.verdict == "inconclusive"
    assert "do not follow one distribution" in ruling.reasons[0]


def test_a_small_control_is_inconclusive(evidence, ruled):
    ruling, _ = ruled(plugin, replace(evidence, control=evidence.control[:40]))
    assert ruling.verdict == "inconclusive"
    assert "40 evaluation rows, " in ruling.reasons[0]


@pytest.mark.slow
def test_identifiers_are_no_matter_of_attacks_but_of_reuse() -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"id": rng.permutation(900), "a": rng.normal(size=900), "b": rng.normal(size=900)})
    rows["y"] = (rows["a"] + rng.normal(size=900) > 0).astype(int)
    members, control, batch = (rows[at : at + 300].reset_index(drop=True) for at in (0, 300, 600))
    task = Task("y", "binary", roles={"id": "identifier"})
    policy = dict(Privacy.defaults)

    def judged(batch: pd.DataFrame) -> tuple[str, str]:
        result = Privacy().run(CheckInput(batch, members, control, task, "roc_auc", 3), policy)
        ruling = judge(result.probes, result.inconclusive, policy["alpha"])
        return ruling.verdict, " ".join(ruling.reasons)

    unseen = batch.assign(id=np.setdiff1d(np.arange(900), members["id"])[:300])  # no member's, half of the others'
    assert judged(unseen)[0] == "pass"
    assert "reused_values of 'id'" in judged(batch.assign(id=members["id"]))[1]
    assert "exact_copies" in judged(members.assign(id=np.arange(5_000, 5_300)))[1]
