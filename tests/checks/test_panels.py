"""Rows that come in groups: judged by group, since two samples of other patients differ more than two of rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import CheckInput
from synth_mlflow.checks._columns import column_probes
from synth_mlflow.checks._joint import blind_test
from synth_mlflow.checks._membership import draw_targets
from synth_mlflow.checks._tables import Tables
from synth_mlflow.checks.fidelity import Fidelity
from synth_mlflow.checks.privacy import Privacy
from synth_mlflow.checks.utility import Utility, _drawn, _redraws
from synth_mlflow.data.columns import normalise, schema_of
from synth_mlflow.data.splits import group_codes
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.encoding import Encoding
from synth_mlflow.metrics.membership import permute_membership
from synth_mlflow.metrics.null_distribution import group_halves, split_floor

fidelity = Fidelity()
utility = Utility()
privacy = Privacy()

TASK = Task("y", "binary", group="patient")


def visits(n_patients: int, n_visits: int, seed: int, first: int = 0) -> pd.DataFrame:
    """Patients with an age, a height and a sex of their own, and a blood pressure that is measured again and again."""
    rng = np.random.default_rng([seed, first])
    who = np.repeat(np.arange(n_patients), n_visits)
    age, height = rng.integers(30, 80, n_patients)[who], rng.normal(170, 9, n_patients).round()[who]
    pressure = np.round(90 + 0.5 * age + rng.normal(0, 8, n_patients)[who] + rng.normal(0, 5, len(who)))
    y = np.where(rng.random(len(who)) < 1 / (1 + np.exp(-(pressure - 118) / 6)), "yes", "no")
    names = [f"P{first + number:05d}" for number in who]
    sex = np.array(["f", "m"])[rng.integers(0, 2, n_patients)][who]
    rows = {"patient": names, "age": age, "height": height, "sex": sex, "pressure": pressure, "y": y}
    return normalise(pd.DataFrame(rows))


@pytest.fixture(scope="module")
def panel() -> CheckInput:
    members, control, fresh = (visits(90, 8, seed, first) for seed, first in ((0, 0), (1, 1_000), (2, 2_000)))
    return CheckInput(fresh, members, control, TASK, "roc_auc", seed=0)


@pytest.mark.slow
def test_two_sides_of_a_split_by_group_are_distinguished_by_row_and_not_by_group(panel):
    encoding = Encoding.learn(pd.concat([panel.members, panel.control]).drop(columns="patient"))
    by_row = blind_test(panel.members, panel.control, encoding, seed=0)
    by_group = blind_test(panel.members, panel.control, encoding, seed=0, task=TASK)
    assert by_row.auc > 0.8 and by_row.differ
    assert by_group.auc < 0.65 and not by_group.differ


def test_a_real_difference_between_groups_is_told_without_advising_rows_at_random(panel):
    encoding = Encoding.learn(pd.concat([panel.members, panel.control]).drop(columns="patient"))
    older = panel.control.assign(age=panel.control["age"] + 60)
    said = blind_test(panel.members, older, encoding, seed=0, task=TASK).differ
    assert "'age'" in said and "random splits by 'patient'" in said and "drawn at random" not in said


@pytest.mark.slow
def test_rows_of_other_patients_pass_and_damaged_ones_fail(panel, ruled):
    assert ruled(fidelity, panel)[0].verdict == "pass"
    spoilt = replace(panel, batch=panel.batch.assign(pressure=panel.batch["pressure"] + 25))
    ruling, _ = ruled(fidelity, spoilt)
    assert ruling.verdict == "fail" and any("'pressure'" in reason for reason in ruling.reasons)


def test_halves_of_groups_are_wider_apart_than_halves_of_rows():
    groups = np.repeat(np.arange(40), 25)
    values = np.random.default_rng(0).normal(size=40)[groups]

    def gap(first, second):
        return np.array([abs(values[first].mean() - values[second].mean())])

    first, second = group_halves(groups, len(groups), np.random.default_rng(1))
    assert not set(groups[first]) & set(groups[second]) and len(first) == len(second) == 500
    floors = [split_floor(gap, 1_000, np.random.default_rng(2), groups=one) for one in (None, groups)]
    assert floors[1].upper(500, 500) > 3 * floors[0].upper(500, 500)


def test_utility_draws_and_redraws_whole_patients(panel, ruled):
    groups = np.repeat(np.arange(30), 4)
    redrawn = _redraws(groups, 120, np.random.default_rng(0)).reshape(-1, 30, 4)
    assert (redrawn == redrawn[:, :, :1]).all() and (redrawn[:, :, 0].sum(axis=1) == 30).all()
    drawn = _drawn(panel.members, 500, np.random.default_rng(0), group_codes(panel.members, TASK))
    assert set(drawn["patient"].value_counts()) == {8} and 490 < len(drawn) <= 500
    assert ruled(utility, panel)[0].verdict == "pass"


def test_a_few_patients_beyond_the_known_range_are_no_damage():
    real, batch = (visits(60, 12, 0), visits(36, 12, 1))
    older = batch.assign(age=batch["age"].where(np.arange(len(batch)) >= 36, 95))  # three patients
    columns = schema_of(real.drop(columns="patient"))
    for groups, significant in ((None, True), (group_codes(real, TASK), False)):
        probes = column_probes(real, older, columns, fidelity.defaults, np.random.default_rng(0), groups)
        (probe,) = (one for one in probes if (one.name, one.column) == ("outside_range", "age"))
        assert probe.p_value is not None and (probe.p_value < 1e-4) == significant


@pytest.mark.slow
def test_a_time_that_only_evaluation_rows_have_is_no_reason_to_refuse_a_batch(panel, ruled):
    day = {side: pd.Series(np.arange(len(getattr(panel, side))) % 90) for side in ("batch", "members", "control")}
    later = replace(
        panel,
        batch=panel.batch.assign(day=day["batch"]),
        members=panel.members.assign(day=day["members"]),
        control=panel.control.assign(day=100 + day["control"]),
        task=replace(TASK, time="day"),
    )
    assert ruled(Fidelity(), later)[0].verdict == "pass"
    told = ruled(Fidelity(), replace(later, task=TASK))[0]
    assert told.verdict == "inconclusive" and "'day'" in told.reasons[0]
    early = replace(later, batch=later.batch.assign(day=later.batch["day"] // 30))
    assert ruled(Fidelity(), early)[0].verdict == "fail"


@pytest.mark.slow
def test_a_few_later_groups_are_no_reason_to_fail_a_batch(ruled):
    """So few groups that whole rows do not show the time by which the sides differ."""
    sides = {"members": (15, 10, 1), "control": (12, 8, 2), "batch": (200, 1, 3)}
    rows = {side: visits(n, each, seed, 1_000 * seed) for side, (n, each, seed) in sides.items()}
    rng = np.random.default_rng(0)
    for side, frame in rows.items():
        frame["day"] = rng.integers(0, 10, len(frame)) + 10 * (side == "control")
    evidence = CheckInput(**rows, task=replace(TASK, time="day"), metric="roc_auc", seed=1)
    reasons = ruled(Fidelity(), evidence)[0].reasons
    assert not any("'day'" in reason for reason in reasons)


@pytest.mark.slow
def test_privacy_deals_whole_patients(panel, ruled):
    """By row, a model that has seen one visit of a patient knows on which side the others lie."""
    wide = replace(panel, members=visits(150, 8, 3), control=visits(150, 8, 4, 1_000), batch=visits(150, 8, 5, 2_000))
    ruling, result = ruled(privacy, wide)
    assert ruling.verdict == "pass"
    meta = next(probe for probe in result.probes if probe.name == "meta_auc")
    assert meta.floor is not None and 0.5 < meta.floor < 0.7


@pytest.mark.slow
def test_visits_of_members_that_are_handed_out_still_fail(panel, ruled):
    copied = panel.members.assign(pressure=panel.members["pressure"] + 0.01, patient="new")
    ruling, _ = ruled(privacy, replace(panel, batch=normalise(copied)))
    assert ruling.verdict == "fail" and not any("exact_copies" in reason for reason in ruling.reasons)


def test_targets_are_whole_patients_and_the_others_are_of_other_patients(panel):
    few = Tables(panel.batch, panel.members, panel.control[:200])
    targets = draw_targets(few, np.random.default_rng(0), TASK)
    members = set(targets.rows["patient"][targets.is_member])
    assert targets.n == 200 and len(members) == 25 and not members & set(targets.others["patient"])


def test_groups_are_dealt_as_wholes():
    groups = np.repeat(np.arange(40), 5)
    dealt = permute_membership(200, np.random.default_rng(0), groups)
    assert all(len(np.unique(deal[groups == one])) == 1 for deal in dealt[:20] for one in range(40))
    assert np.abs(dealt.mean(axis=1) - 0.5).max() < 0.05
