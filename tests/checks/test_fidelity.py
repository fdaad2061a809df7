"""Fidelity passes fresh draws, and names the column of each damage."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks._plots import bars, heat
from synth_mlflow.checks.fidelity import Fidelity
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.slices import Slice
from synth_mlflow.errors import UsageError

plugin = Fidelity()


def _shuffled(rows: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({name: rows[name].to_numpy()[rng.permutation(len(rows))] for name in rows})


DAMAGES = {
    "other units": (lambda rows: rows.assign(income=rows["income"] / 1000), "'income'"),
    "constant": (lambda rows: rows.assign(loan=4_000.0), "'loan'"),
    "gaps filled": (lambda rows: rows.assign(income=rows["income"].fillna(20_000)), "missing_kept of 'income'"),
    "all missing": (lambda rows: rows.assign(income=np.nan), "'income'"),
    "category dropped": (lambda rows: rows[rows["job"] != "nurse"].reset_index(drop=True), "'nurse'"),
    "unseen category": (lambda rows: rows.assign(job=rows["job"].replace("nurse", "pilot")), "unseen_levels of 'job'"),
    "no rounding habits": (lambda rows: rows.assign(loan=rows["loan"] + 0.01 * rows.index), "heaping_gap of 'loan'"),
    "other years": (lambda rows: rows.assign(opened=rows["opened"] + pd.Timedelta(days=400)), "'opened'"),
    "rows repeated": (lambda rows: rows.iloc[np.arange(len(rows)) // 2].reset_index(drop=True), "repeated_rows"),
    "columns shuffled": (_shuffled, "association_gap of 'job'"),
}


def test_a_fresh_draw_passes(evidence, ruled):
    ruling, result = ruled(plugin, evidence)
    assert ruling.verdict == "pass"
    assert set(result.figures) == {"marginals", "give_away", "association_gap", "correlation_gap"}
    assert all(np.isfinite(list(result.metrics.values())))


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_fails_and_is_named(damage, evidence, ruled):
    spoil, named = DAMAGES[damage]
    ruling, _ = ruled(plugin, replace(evidence, batch=normalise(spoil(evidence.batch))))
    assert ruling.verdict == "fail"
    assert any(named in reason for reason in ruling.reasons)


@pytest.mark.slow
def test_clipped_tails_are_too_clean(evidence, ruled):
    low, high = evidence.batch["income"].quantile([0.03, 0.97])
    ruling, _ = ruled(
        plugin, replace(evidence, batch=evidence.batch.assign(income=lambda t: t["income"].clip(low, high)))
    )
    assert any("tails_kept of 'income'" in reason and "too clean" in reason for reason in ruling.reasons)


@pytest.mark.slow
def test_drift_between_members_and_control_is_inconclusive(evidence, ruled):
    older = evidence.control.assign(age=evidence.control["age"] + 40)
    ruling, result = ruled(plugin, replace(evidence, control=older))
    assert ruling.verdict == "inconclusive"
    assert "'age'" in ruling.reasons[0]
    assert "classifier_auc" not in {probe.name for probe in result.probes}
    assert "compared with training rows alone" in result.words


DOUBTS = {
    "drift": lambda found: replace(found, control=found.control.assign(age=found.control["age"] + 40)),
    "few rows": lambda found: replace(found, batch=found.batch[:60], control=found.control[:60]),
}


@pytest.mark.slow
@pytest.mark.parametrize("doubt", DOUBTS)
def test_columns_and_pairs_are_judged_where_whole_rows_cannot_be(doubt, evidence, ruled):
    doubtful = DOUBTS[doubt](evidence)
    assert ruled(plugin, doubtful)[0].verdict == "inconclusive"
    spoilt = doubtful.batch.assign(loan=4_000.0, age=200)
    ruling, _ = ruled(plugin, replace(doubtful, batch=spoilt))
    assert ruling.verdict == "fail"
    assert any("'loan'" in reason for reason in ruling.reasons) and any("'age'" in reason for reason in ruling.reasons)


def test_few_rows_are_inconclusive_and_the_needed_number_is_given(evidence, ruled):
    ruling, _ = ruled(plugin, replace(evidence, batch=evidence.batch[:10]))
    assert ruling.verdict == "inconclusive"
    assert "10 rows of the batch, " in ruling.reasons[0]


@pytest.mark.slow
def test_a_batch_is_judged_within_its_slice(evidence, ruled):
    young = Slice.parse("age < 50")
    batch = evidence.batch[young.mask(evidence.batch)].reset_index(drop=True)
    assert ruled(plugin, replace(evidence, batch=batch))[0].verdict == "fail"
    assert ruled(plugin, replace(evidence, batch=batch, slice=young))[0].verdict == "pass"


@pytest.mark.slow
def test_high_cardinality_names_of_one_law_pass(evidence, ruled):
    rng = np.random.default_rng(0)

    def named(rows: pd.DataFrame) -> pd.DataFrame:
        names = [f"n{number:0{int(rng.integers(3, 7))}d}" for number in rng.integers(0, 10**6, len(rows))]
        return normalise(rows.assign(name=names, town=[f"t{number}" for number in rng.zipf(1.3, len(rows)) % 5_000]))

    tables = {side: named(getattr(evidence, side)) for side in ("batch", "members", "control")}
    assert ruled(plugin, replace(evidence, **tables))[0].verdict == "pass"


def test_a_missing_column_is_refused(evidence):
    with pytest.raises(UsageError, match="'loan' is missing"):
        plugin.run(replace(evidence, batch=evidence.batch.drop(columns="loan")), plugin.defaults)


@pytest.mark.slow
def test_same_seed_same_numbers(evidence):
    first, second = (plugin.run(evidence, plugin.defaults) for _ in range(2))
    assert first.probes == second.probes


def test_the_picture_of_many_columns_shows_the_largest_differences_alone():
    values = np.zeros((500, 500))
    values[:, 7] = values[7, :] = 0.5
    figure = heat(values, [f"g{n}" for n in range(500)], "Differences", values > 0.1)
    (axes,) = (one for one in figure.axes if one.get_images() and len(one.get_xticks()) > 20)
    assert axes.get_images()[0].get_array().shape == (60, 60) and figure.get_size_inches().max() < 25


def test_a_picture_has_room_for_the_names_of_its_columns():
    names = ["x", "a column with a rather long name", "one with a name so long that no picture has room for all of it"]
    drawn = bars(names, np.array([0.1, 0.2, 0.3]), title="Shares", label="share", limit=0.2)
    drawn.canvas.draw()
    labels = drawn.axes[0].get_yticklabels()
    assert [label.get_text()[-1] for label in labels] == ["x", "e", "…"]
    boxes = [label.get_window_extent() for label in labels]
    assert min(box.x0 for box in boxes) >= 0 and max(box.y1 for box in boxes) <= drawn.bbox.y1
