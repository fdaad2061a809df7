"""Stage 5 on a server: what enters, what is refused, what a rerun does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from synth_mlflow import Workflow
from synth_mlflow.data.mixing import FitRows
from synth_mlflow.errors import EvidenceError, GateError, UsageError
from synth_mlflow.sweep.evaluator import FitJob
from synth_mlflow.sweep.plan import source_name
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.write import set_tags

LAW = {"generator": "law", "version": "1", "params": {}, "seed": 1, "slice": None, "purpose": "try"}


def stages_of(workflow: Workflow) -> list[str]:
    return [run.stage for run in workflow.project.reader.runs()]


def test_the_same_sweep_is_not_done_twice(done: Workflow) -> None:
    before = stages_of(done)
    curve = done.sweep(repeats=3)
    assert stages_of(done) == before
    assert curve == done.latest_curve()


@pytest.mark.slow
def test_a_batch_that_has_not_passed_is_refused_by_name(done: Workflow, customers: Callable[..., pd.DataFrame]) -> None:
    with done.batch(**LAW) as b:
        b.write(customers(50, 3))
    assert b.batch is not None
    with pytest.raises(GateError, match="unvalidated"):
        done.sweep(repeats=3, batches=[b.batch])
    assert stages_of(done).count("sweep") == 1


@pytest.mark.slow
def test_the_same_rows_enter_once(done: Workflow, capsys: pytest.CaptureFixture[str]) -> None:
    (first,) = done.project.batches()
    rows = done.project.batch_rows(first, done.project.evaluation_set().schema)
    with done.batch(**LAW) as b:
        b.write(rows)
    assert b.batch is not None
    again = b.batch.batch
    done.validate(again)
    Workflow("shop", done.project.server.tracking_uri, say=print).sweep([0.1], repeats=3)
    assert f"left out: {again}, which holds the same rows as {first.id}" in capsys.readouterr().out
    with pytest.raises(UsageError, match=f"{again} and {first.id} hold the same rows"):
        done.sweep([0.1], repeats=3, batches=[first.id, again])


@pytest.mark.slow
def test_a_tag_edited_in_the_ui_opens_no_gate(frozen: Workflow, customers: Callable[..., pd.DataFrame]) -> None:
    rows = customers(900, 3).assign(age=20)  # one column constant
    with frozen.batch(**LAW) as b:
        b.write(rows)
    assert b.batch is not None
    verdict = frozen.validate(b.batch)
    assert not isinstance(verdict, list) and verdict.verdict == "fail"
    for run in frozen.project.reader.runs():
        set_tags(frozen.project.server, run.run_id, {names.TAG_VERDICT: "pass"})
    with pytest.raises(GateError, match="'age'"):
        frozen.sweep(repeats=3)


def test_ratio_that_needs_more_rows_than_passed(done: Workflow) -> None:
    with pytest.raises(GateError, match=r"ratio 90 % needs 2,\d+ synthetic rows, 1,000 passed"):
        done.sweep([0, 0.9], repeats=3)
    assert stages_of(done).count("sweep") == 1


@pytest.mark.parametrize("ratios", [[0, 1.0], [-0.25], [0]])
def test_ratio_outside_its_range(done: Workflow, ratios: list[float]) -> None:
    with pytest.raises(UsageError, match="ratio"):
        done.sweep(ratios, repeats=3)


def test_changed_rows_are_found_by_the_sweep(done: Workflow, tmp_path: Path) -> None:
    batch = done.project.batches()[0]
    _move_artifacts(done, batch.run.run_id, tmp_path)
    path = tmp_path / "artifacts" / names.A_BATCH
    pd.read_parquet(path).assign(age=1).to_parquet(path)
    with pytest.raises(EvidenceError, match="someone changed it"):
        Workflow("shop", done.project.server.tracking_uri).sweep(repeats=4)


@pytest.mark.slow
def test_a_failing_model_leaves_failed_runs_and_no_evidence(done: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("synth_mlflow.stages.sweep.run_sweep", broken)
    with pytest.raises(KeyboardInterrupt):
        done.sweep(repeats=4)
    left = [run.status for run in done.project.reader.runs() if not run.counts]
    assert left == ["KILLED"]
    monkeypatch.undo()
    done.sweep(repeats=4)  # completes what was left, and duplicates nothing
    assert all(run.counts for run in done.project.reader.runs())
    assert stages_of(done).count("sweep") == 2


@pytest.mark.slow
def test_refined_sweep_adds_the_midpoints(done: Workflow) -> None:
    curve = done.sweep([0, 0.5], repeats=3, refine=True)
    assert len(curve.points) in {3, 4} and {0.0, 0.5} < {point.ratio for point in curve.points}


@pytest.mark.slow
def test_held_back_rows_that_are_training_rows_are_refused_or_counted(
    done: Workflow, customers: Callable[..., pd.DataFrame], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    training = done.project.training_rows(done.project.evaluation_set())
    training.head(30).to_parquet(tmp_path / "same.parquet")
    with pytest.raises(UsageError, match=r"every one of the 30 rows of .*same.parquet is a training row already"):
        done.sweep([0.05], repeats=3, extra_real=tmp_path / "same.parquet")
    pd.concat([training.head(30), customers(70, 12)]).to_csv(tmp_path / "some.csv", index=False)
    curve = Workflow("shop", done.project.server.tracking_uri, say=print).sweep(
        [0.05], repeats=3, extra_real=tmp_path / "some.csv"
    )
    assert "30 of the 100 held-back rows equal training rows" in capsys.readouterr().out
    assert curve.at(0.05).extra is not None


@pytest.mark.slow
def test_ratio_that_failed_before_refining_is_told(done: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = FitJob._predictions

    def failing(work: FitJob, rows: FitRows, seed: int) -> npt.NDArray[np.float64]:
        if len(rows.added) == len(rows.real):  # at 50 % alone
            raise UsageError("no")
        return fitted(work, rows, seed)

    monkeypatch.setattr(FitJob, "_predictions", failing)
    curve = done.sweep([0.25, 0.5], repeats=3, refine=True)
    assert 0.5 in [lost.ratio for lost in curve.failed] and "50 % was left out" in curve.decision
    left = {run.name: run.status for run in done.project.reader.runs() if not run.counts}
    assert left == {"50 % synthetic": "FAILED"}


@pytest.mark.slow
def test_ratios_within_one_percent_leave_the_baseline_at_step_0(done: Workflow) -> None:
    curve = done.sweep([0.004, 0.25, 0.252], repeats=3)
    sweep = done.project.latest_sweep()
    assert sweep is not None
    history = done.project.server.client.get_metric_history(sweep.run.run_id, names.M_CURVE_SCORE)
    assert {(found.step, found.value) for found in history} == {(0, curve.points[0].score), (25, curve.points[2].score)}


def test_comparison_by_anything_else_is_refused(done: Workflow) -> None:
    with pytest.raises(UsageError, match=r"a sweep by 'batch' is unknown. Known: 'generator'"):
        done.sweep(repeats=3, by="batch")  # type: ignore[arg-type]  # what a user may write


@pytest.mark.slow
def test_earlier_looks_at_the_frozen_set_are_counted(done: Workflow) -> None:
    first = done.project.latest_sweep()
    assert first is not None
    _copied_elsewhere(done, first.run, "another")  # the same rows wear wherever they are asked
    _copied_elsewhere(done, first.run, first.run.params[names.P_KEY])  # which has looked once, however often written
    done.sweep(repeats=3, seed=1)
    sweep = done.project.latest_sweep()
    assert sweep is not None and sweep.run.params[names.P_PRIOR_USES] == "2"


def _copied_elsewhere(done: Workflow, run: StoredRun, key: str) -> None:
    client = done.project.server.client
    copy = client.create_run(client.create_experiment(f"elsewhere {key}"), tags=dict(run.tags))
    for name, value in {**run.params, names.P_KEY: key}.items():
        client.log_param(copy.info.run_id, name, value)
    client.set_terminated(copy.info.run_id)


def test_every_row_of_the_model_is_known(done: Workflow, customers: Callable[..., pd.DataFrame]) -> None:
    final = done.project.reader.runs("final")[0]
    mix = pd.read_parquet(done.project.reader.file(final, names.A_MIX))
    counts = mix["from"].value_counts().to_dict()
    assert counts["real"] == final.metrics[names.M_REAL_ROWS]
    assert sum(counts.values()) == final.metrics[names.M_REAL_ROWS] + final.metrics[names.M_SYNTHETIC_ROWS]
    assert mix["row"].min() >= 0 and not mix.duplicated().any()


def test_registered_model_predicts_on_raw_columns(done: Workflow, customers: Callable[..., pd.DataFrame]) -> None:
    uri = done.project.server.tracking_uri
    mlflow.set_tracking_uri(uri)
    version = MlflowClient(uri).get_model_version("shop", "1")
    assert version.tags[names.TAG_EVALUATION] == done.project.evaluation_set().digest
    rows = customers(20, 4).drop(columns="bought").assign(region=["unseen", None] * 10)
    predicted = mlflow.pyfunc.load_model("models:/shop/1").predict(rows)
    assert set(predicted["prediction"]) <= {"yes", "no"}
    assert (predicted[["probability_no", "probability_yes"]].sum(axis=1).round(6) == 1).all()
    assert mlflow.lightgbm.load_model("models:/shop/1").num_trees() == 20


@pytest.mark.slow
def test_scikit_learn_estimators_are_swept_and_kept(
    uri: str, write_project: Callable[..., Path], customers: Callable[..., pd.DataFrame]
) -> None:
    model = '{estimator: "sklearn.linear_model:LogisticRegression", params: {max_iter: 500}}'
    workflow = Workflow("shop", uri)
    workflow.define(write_project(model=model))
    workflow.freeze()
    with workflow.batch(**LAW) as b:
        b.write(customers(900, 3))
    workflow.validate()
    curve = workflow.sweep([0, 0.5], repeats=3)
    mlflow.set_tracking_uri(uri)
    predicted = mlflow.pyfunc.load_model("models:/shop/1").predict(customers(5, 4).drop(columns="bought"))
    assert len(predicted) == 5 and curve.points[0].score > 0.7
    assert workflow.report().document.sweep.estimate.score.value == curve.corrected


def _move_artifacts(workflow: Workflow, run_id: str, folder: Path) -> None:
    """Give a run its own copy of its artifacts, so that a test may damage them."""
    import sqlite3

    run = workflow.project.server.client.get_run(run_id)
    shutil.copytree(run.info.artifact_uri.removeprefix("file://"), folder / "artifacts")
    path = workflow.project.server.tracking_uri.removeprefix("sqlite:///")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (str(folder / "artifacts"), run_id))


@pytest.mark.slow
def test_sweep_by_generator_names_its_children_and_takes_the_winner(
    done: Workflow, customers: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="all batches are of 'law'"):
        done.sweep([0, 0.5], repeats=3, by="generator")
    with done.batch(**{**LAW, "generator": "rival"}, source="none") as b:
        b.write(customers(400, 9))
    assert b.batch is not None
    done.validate(b.batch)
    curve = done.sweep([0, 0.5], repeats=3, by="generator")
    sweep = done.project.latest_sweep()
    assert sweep is not None and sweep.curve == curve
    children = {run.name: run for run in done.project.reader.children(sweep.run.run_id)}
    assert {name.partition(" · ")[0] for name in children} == {
        *("0 % synthetic", "50 % all together", "50 % law", "50 % rival", "final model")
    }
    assert children["50 % rival"].params[names.P_BATCHES] == b.batch.batch
    assert children["50 % law"].metrics[names.M_SCORE] == curve.at(0.5, "law").score
    assert sweep.run.params[names.P_CHOSEN_SOURCE] == source_name(curve.source)
    assert {names.A_SOURCES_PICTURE, names.A_CURVE_PICTURE} <= set(sweep.run.artifacts)
    assert f"{names.M_CURVE_SCORE}/rival" in sweep.run.metrics or curve.source == "rival"
    assert set(done.curve()["source"]) == {"law", "rival", "all together"}
    done.report(tmp_path / "handoff.md")
    assert "one test covers them all" in (tmp_path / "handoff.md").read_text()
    assert done.verify().findings == ()


def test_slices_and_classes_are_on_every_ratio_and_in_the_curve(done: Workflow) -> None:
    sweep = done.project.latest_sweep()
    assert sweep is not None
    for run in [run for run in done.project.reader.children(sweep.run.run_id) if run.stage == "ratio"]:
        point = sweep.curve.at(run.metrics[names.M_RATIO])
        assert run.metrics[names.M_SCORE] == point.score
        assert run.metrics[names.slice_metric("young")] == point.slices["young"].score
        assert {label: run.metrics[names.class_metric(label)] for label in ("no", "yes")} == point.recalls
