"""Stage 5 over other axes, and what later stages make of the chosen point."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.stages.sweep import AxisOptions, settled
from synth_mlflow.sweep.axes import Axis, AxisName
from synth_mlflow.sweep.selection import Chooser
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun

LAW = {"generator": "law", "version": "1", "params": {}, "slice": None, "purpose": "more rows", "source": "none"}


def children(workflow: Workflow, stage: str) -> list[StoredRun]:
    """Of the newest sweep."""
    newest = workflow.project.reader.finished("sweep")[-1]
    return [run for run in workflow.project.reader.children(newest.run_id) if run.stage == stage and run.counts]


def training_data(workflow: Workflow) -> Any:
    """What the newest sweep chose, logged on a run of somebody's own."""
    mlflow.set_tracking_uri(workflow.project.server.tracking_uri)
    mlflow.set_experiment("our own models")
    with mlflow.start_run():
        return workflow.training_data()


def model_rows(final: StoredRun, workflow: Workflow) -> pd.Series:
    """How many rows of each origin the final model holds."""
    return pd.read_parquet(workflow.project.reader.file(final, names.A_MIX))["from"].value_counts()


def holds_together(workflow: Workflow) -> str:
    """Report, verify and reproduce; the handoff's text."""
    workflow.report("handoff.md")
    assert workflow.verify().findings == ()
    steps = {step.what: step for step in workflow.reproduce().steps}
    model = next(step for what, step in steps.items() if what.startswith("model on the recorded rows"))
    assert model.outcome == "identical", model.words
    return Path("handoff.md").read_text("utf-8")


@pytest.fixture
def all_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mix passes both tests, so that the highest score is chosen and its rows can be followed."""
    for test in ("_beats_baseline", "_beats_placebo"):
        monkeypatch.setattr(Chooser, test, lambda self, scores: np.ones(self.n_ratios, dtype=bool))


@pytest.mark.slow
@pytest.mark.usefixtures("all_help")
def test_weights(done: Workflow) -> None:
    curve = done.sweep(repeats=3, axis="weight", weights=(0.25, 1), rows=600, rule="least")
    assert [(p.ratio, p.n_synthetic) for p in curve.points] == [(0, 0), (0.25, 600), (1, 600)]
    assert curve.chosen and f"weight {curve.chosen:g}" in curve.decision
    ratios = {run.name: run for run in children(done, "ratio")}
    assert set(ratios) == {"weight 0 synthetic", "weight 0.25 synthetic", "weight 1 synthetic"}
    quarter = ratios["weight 0.25 synthetic"]
    assert quarter.params[names.P_AXIS_VALUE] == "0.25" and quarter.metrics[names.M_RATIO] == pytest.approx(600 / 899)
    assert quarter.tags[names.TAG_AXIS] == quarter.params[names.P_AXIS] == "weight"
    (final,) = children(done, "final")
    assert json.loads(final.params[names.P_CHOSEN]) == pytest.approx(600 / 899)
    data = training_data(done)
    assert data.ratio == pytest.approx(600 / 899) and data.weight == curve.chosen
    assert data.weights.value_counts().to_dict() == {1.0: 299, curve.chosen: 600} or curve.chosen == 1
    assert model_rows(final, done).to_dict() == data.origin.value_counts().to_dict()
    text = holds_together(done)
    assert f"Synthetic rows with weight {curve.chosen:g} beside the real ones" in text
    assert "--axis weight --weights 0,0.25,1 --rows 600" in text


@pytest.mark.slow
@pytest.mark.usefixtures("all_help")
def test_one_slice(done: Workflow) -> None:
    curve = done.sweep((0.5,), 3, axis="slice", slice="young", rule="least")
    (none, half) = curve.points
    young = int((done.training_rows()["age"] < 30).sum())
    assert (none.n_synthetic, half.n_real, half.n_synthetic) == (0, 299, young)
    assert "50 % of slice young" in curve.decision
    assert children(done, "ratio")[-1].params[names.P_AXIS_SLICE] == "young"
    (final,) = children(done, "final")
    data = training_data(done)
    assert data.rows.loc[data.origin != "real", "age"].lt(30).all()
    assert model_rows(final, done).to_dict() == data.origin.value_counts().to_dict()
    assert "--axis slice --slice young --ratios 0,50" in holds_together(done)


@pytest.fixture
def two_batches(done: Workflow, customers: Callable[..., pd.DataFrame]) -> Workflow:
    """A second batch of as many rows of the same law."""
    with done.batch(**LAW, seed=9) as b:
        b.write(customers(1000, 9))
    done.validate()
    return done


@pytest.mark.slow
@pytest.mark.usefixtures("all_help")
def test_a_mix_of_batches(two_batches: Workflow) -> None:
    messages: list[str] = []
    workflow = Workflow("shop", two_batches.project.server.tracking_uri, say=messages.append)
    curve = workflow.sweep((0.25, 0.5), 3, axis="mix", rule="least")
    assert any("at most 45 fits" in message for message in messages)
    mixes = {run.params.get(names.P_SHARES) for run in children(workflow, "ratio")}
    assert mixes == {None, *curve.by_source()} and len(curve.by_source()) == 5
    (final,) = children(workflow, "final")
    assert final.params[names.P_SHARES] == curve.source
    data = training_data(workflow)
    assert model_rows(final, workflow).to_dict() == data.origin.value_counts().to_dict()
    assert curve.chosen
    assert f"{100 * curve.chosen:g} % synthetic rows, of which" in curve.decision
    holds_together(workflow)


@pytest.mark.parametrize(
    ("axis", "given", "message"),
    [
        ("ratio", {"weights": (0.5,)}, "`--weights` was given, which a sweep over `--axis ratio` has no use for"),
        ("ratio", {"rows": 5}, "`--rows` was given"),
        ("ratio", {"slice": "young"}, "`--slice` was given"),
        ("weight", {"ratios": (0.5,)}, "`--ratios` was given"),
        ("weight", {"mix": "replace"}, "`--mix replace` was given"),
        ("mix", {"others": ("--by",)}, "`--by` was given"),
        ("slice", {}, "needs its name"),
        ("wieght", {}, "axis 'wieght' is unknown. Did you mean 'weight'"),
    ],
)
def test_what_belongs_to_another_axis_is_refused(axis: AxisName, given: dict[str, Any], message: str) -> None:
    asked = {"ratios": (0, 0.25, 0.5, 0.75), "weights": None, "slice": None, "rows": None, "mix": "augment"}
    with pytest.raises(UsageError, match=message):
        AxisOptions(axis, **{**asked, "others": (), **given}).settle()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"axis": "slice", "slice": "old"}, "no slice 'old'"),
        ({"axis": "mix"}, "a mix is of at least two"),
        ({"axis": "weight", "weights": (-1,)}, "weight -1 is negative"),
    ],
)
def test_what_there_is_not_is_refused_before_any_fit(done: Workflow, given: dict[str, Any], message: str) -> None:
    before = len(done.project.reader.runs())
    with pytest.raises(UsageError, match=message):
        done.sweep(**given)
    assert len(done.project.reader.runs()) == before


def test_more_rows_than_passed_are_refused(done: Workflow) -> None:
    with pytest.raises(GateError, match=r"5,000 synthetic rows were asked for, 1,000 passed the gate"):
        done.sweep(axis="weight", rows=5_000)


def test_a_model_that_cannot_weigh_rows_is_refused() -> None:
    spec = SimpleNamespace(estimator="sklearn.neighbors:KNeighborsClassifier", params={})
    ingredients: Any = SimpleNamespace(spec=spec, plan=SimpleNamespace(axis=Axis("weight")))
    with pytest.raises(UsageError, match=r"`fit` of KNeighborsClassifier .* takes no `sample_weight`"):
        settled(ingredients)
