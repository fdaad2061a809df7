"""The half of the frozen set that confirms: closed to a sweep, opened by its first report, and by no later one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shop

from synth_mlflow import Workflow
from synth_mlflow.checks import Check, CheckInput, CheckResult, utility
from synth_mlflow.handoff import holdout_score
from synth_mlflow.handoff.holdout_score import read_predictions, write_predictions
from synth_mlflow.sweep import holdout
from synth_mlflow.sweep.holdout import HoldoutEstimate, estimate_on_confirmation_split
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import estimate_of, estimate_text


@pytest.fixture(scope="module")
def halved_folder(done_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose project, handed over once already, was swept anew, on halves of its frozen rows."""
    folder = tmp_path_factory.mktemp("halved")
    for name in ("mlflow.db", "rows.csv", "problem.md", "limits.md"):
        shutil.copy(done_folder / name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # MLflow puts artifacts under the working directory
        cut_in_halves(patch)
        sweep(Workflow("shop", f"sqlite:///{folder / 'mlflow.db'}"), 5)
    return folder


@pytest.fixture
def halved(halved_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """On a copy of its store; artifacts are shared and never rewritten."""
    for name in ("mlflow.db", "rows.csv", "problem.md", "limits.md"):
        shutil.copy(halved_folder / name, tmp_path / name)
    cut_in_halves(monkeypatch)
    return Workflow("shop", f"sqlite:///{tmp_path / 'mlflow.db'}")


def cut_in_halves(patch: pytest.MonkeyPatch) -> None:
    """As if the 301 frozen rows were many."""
    patch.setattr(holdout, "MIN_ROWS", 200)
    patch.setattr(holdout, "MIN_CLASS_ROWS", 20)


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one whenever predictions are held against the frozen rows."""
    made: list[str] = []

    def counted(*args: object, **given: object) -> HoldoutEstimate:
        made.append("opened")
        return estimate_on_confirmation_split(*args, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(holdout_score, "estimate_on_confirmation_split", counted)
    return made


def sweep(workflow: Workflow, seed: int) -> StoredRun:
    """The run of the final model of one more sweep."""
    workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1, seed=seed)
    return final_of(workflow)


def final_of(workflow: Workflow) -> StoredRun:
    return workflow.project.reader.finished("final")[-1]


def estimate(workflow: Workflow) -> HoldoutEstimate:
    stated = estimate_of(final_of(workflow))
    assert stated is not None
    return stated.estimate


def holds(workflow: Workflow) -> bool:
    """Whether the newest sweep does; the one before knew of no halves."""
    return workflow.verify(workflow.project.reader.finished("sweep")[-1].run_id).holds


@pytest.mark.slow
def test_a_sweep_opens_nothing(halved: Workflow, openings: list[str]) -> None:
    final, run = final_of(halved), halved.project.reader.finished("sweep")[-1]
    assert estimate_of(final) is None and holds(halved) and openings == []
    assert not {names.P_HOLDOUT_ESTIMATE, names.P_HOLDOUT_SCORE, names.P_ESTIMATE_TEXT} & {*run.params, *final.params}
    assert final.metrics[names.M_SCORE] == halved.latest_curve().corrected
    assert "on the 151 rows that chose, corrected for the choice" in final.tags[names.TAG_NOTE]
    predictions, classes = read_predictions(halved.project.reader.file(final, names.A_PREDICTIONS))
    assert (predictions.shape[0], classes) == (301, ("no", "yes"))


@pytest.mark.slow
def test_two_reports_open_once_and_estimate_the_same(halved: Workflow, openings: list[str], tmp_path: Path) -> None:
    first = halved.report().document.sweep.estimate
    (tmp_path / "limits.md").write_text(shop.LIMITS.replace("Ever.", "At night."))
    second = halved.report(limits=tmp_path / "limits.md").document.sweep.estimate
    assert first == second and openings == ["opened"]
    handoffs = halved.project.reader.finished("handoff")[-2:]
    assert handoffs[0].run_id != handoffs[1].run_id
    for handoff in handoffs:
        assert handoff.metrics[names.M_SCORE] == first.score.value
        assert handoff.params[names.P_ESTIMATE_TEXT] == first.words
    assert (first.n_rows, first.rows_chose, first.n_earlier_uses) == (150, False, 1)  # the first sweep's report


@pytest.mark.slow
def test_openings_widen_the_next_and_sweeps_that_nobody_handed_over_do_not(halved: Workflow) -> None:
    sweep(halved, 6)
    halved.report()
    told = estimate(halved)
    assert (told.earlier_answers, told.n_other_sweeps) == ((4,), 2)
    assert "opened for one other model before; the interval is widened accordingly." in told.words
    assert holds(halved)
    leave_earlier_uses_out(halved)
    findings = [finding.what for finding in halved.verify().findings]
    assert any("counts 0 earlier uses of the frozen set, this project alone has 1" in what for what in findings)


def leave_earlier_uses_out(workflow: Workflow) -> None:
    """Write another estimate where the newest one stands, in the database behind the server."""
    final = final_of(workflow)
    stated = estimate_of(final)
    assert stated is not None
    text = estimate_text(final, replace(stated, estimate=replace(stated.estimate, earlier_answers=())))
    with sqlite3.connect(workflow.project.server.tracking_uri.removeprefix("sqlite:///")) as database:
        change = "UPDATE params SET value = ? WHERE run_uuid = ? AND key = ?"
        assert database.execute(change, (text, final.run_id, names.P_HOLDOUT_ESTIMATE)).rowcount == 1


@pytest.mark.slow
def test_small_set_is_shared_and_worn_by_every_sweep(done: Workflow, openings: list[str]) -> None:
    before = estimate(done)
    assert (before.shared, before.n_rows) == (True, 301) and "chose in no other sweep before" in before.words
    sweep(done, 5)
    done.report()
    assert estimate(done).earlier_answers == (4,) and openings == ["opened"]
    assert done.verify().holds


@pytest.mark.slow
def test_two_reports_at_once_end_with_one_estimate(halved: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one states its estimate while the first one computes its own."""
    other, scored = Workflow("shop", halved.project.server.tracking_uri), holdout_score.scored
    told = []

    def slowly(*args: object, **given: object) -> HoldoutEstimate:
        monkeypatch.setattr(holdout_score, "scored", scored)
        told.append(other.report().document.sweep.estimate)
        return scored(*args, **{**given, "earlier_openings": [9, 9]})  # type: ignore[arg-type]

    monkeypatch.setattr(holdout_score, "scored", slowly)
    told.append(halved.report().document.sweep.estimate)
    assert told[0] == told[1] and told[0].n_earlier_uses == 1


@pytest.mark.slow
def test_report_that_dies_after_the_opening_is_completed_with_the_same_estimate(
    halved: Workflow, openings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("synth_mlflow.handoff.report.create_run", killed)
        halved.report()
    stated = estimate_of(final_of(halved))
    assert stated is not None and holds(halved)
    handoff = halved.report()
    assert handoff.document.sweep.estimate.stated_at == stated.at and openings.count("opened") == 2  # verify's is one


@pytest.mark.parametrize("classes", [(), ("no", "yes"), (0, 1), (False, True), ("a", "b", "ü")])
def test_predictions_come_back_as_they_were(tmp_path: Path, classes: tuple[object, ...]) -> None:
    predictions = np.random.default_rng(0).random((7, len(classes)) if classes else 7)
    write_predictions(tmp_path / "kept.npz", predictions, classes)
    found, labels = read_predictions(tmp_path / "kept.npz")
    assert np.array_equal(found, predictions) and labels == classes


@pytest.mark.slow
def test_validation_scores_models_on_the_half_that_chooses(halved: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[CheckInput] = []
    run = utility.plugin.run

    def watched(check: Check, evidence: CheckInput, policy: Mapping[str, float]) -> CheckResult:
        seen.append(evidence)
        return run(check, evidence, policy)

    monkeypatch.setattr(utility.plugin, "run", watched)
    for part, seed in ((None, 77), ("age >= 30", 78)):
        halved.generate("gaussian_copula", rows=300, seed=seed, slice=part, purpose="see what validation looks at")
    halved.validate()
    evidence, within = seen
    assert within.slice is not None and evidence.choosing is not None and within.choosing is not None
    assert np.array_equal(evidence.choosing, holdout.halves_of(evidence.control, evidence.task).select)
    assert 0 < evidence.choosing.sum() < len(evidence.control) == 301
