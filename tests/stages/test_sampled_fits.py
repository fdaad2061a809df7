"""Projects of many real rows: fits take a sample, the final model takes all, and all of it comes out again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shop

from synth_mlflow import Workflow
from synth_mlflow.stages import freeze as freezing
from synth_mlflow.sweep import sampled_rows
from synth_mlflow.tracking import names


@pytest.fixture
def project(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, customers: Callable[..., pd.DataFrame]
) -> Workflow:
    """A defined project of 600 rows, of which fits would take 150."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sampled_rows, "MAX_ROWS", 150)
    monkeypatch.setattr(sampled_rows, "MIN_PART_ROWS", 10)
    monkeypatch.setattr(freezing, "REPEATS", 3)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    shop.write_shop(tmp_path, customers(600, 1))
    workflow = Workflow("shop", f"sqlite:///{tmp_path / 'mlflow.db'}")
    workflow.define(tmp_path / "problem.md")
    return workflow


def test_where_a_sample_loses_too_much_fits_take_every_row(project: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "sample_loss", lambda *_: np.inf)
    project.freeze()
    baseline = project.project.reader.latest("baseline")
    assert baseline is not None and names.P_FIT_ROWS not in baseline.params


@pytest.mark.slow
def test_the_curve_is_of_the_sample_and_the_final_model_of_all_rows(
    project: Workflow, monkeypatch: pytest.MonkeyPatch, customers: Callable[..., pd.DataFrame]
) -> None:
    monkeypatch.setattr(freezing, "sample_loss", lambda *_: 0.0)
    project.freeze()
    with project.batch(generator="law", version="1", params={}, seed=1, slice=None, purpose="try", source="none") as b:
        b.write(customers(900, 2))
    project.validate()
    curve = project.sweep((0.5,), repeats=3)
    baseline, sweep, final = (project.project.reader.latest(stage) for stage in ("baseline", "sweep", "final"))
    assert baseline is not None and sweep is not None and final is not None
    n_all, n_fitted = len(project.training_rows()), int(baseline.params[names.P_FIT_ROWS])
    assert n_fitted < n_all and int(sweep.params[names.P_FIT_ROWS]) == curve.points[0].n_real == n_fitted
    assert f"sample of {n_fitted:,} of the {n_all:,} real training rows" in curve.decision
    assert final.metrics[names.M_REAL_ROWS] == n_all and names.P_MODEL_SCORE in final.params
    project.report()
    told = {step.what.partition(" (")[0]: step.outcome for step in project.reproduce(sweep=True).steps}
    assert told["model on the recorded rows"] == told["the curve"] == "identical"
    assert project.verify().holds
