"""A model of 400 batches: their ids fill more than one parameter, and everything that names them still does."""

from __future__ import annotations

from pathlib import Path

import pytest
from many_runs import grow

from synth_mlflow import Workflow
from synth_mlflow.stages import sweep_inputs
from synth_mlflow.tracking import names

N_BATCHES = 400


@pytest.fixture
def full(demo_workflow: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """The demo with a sweep of 400 batches, each a copy of the one that passed."""
    monkeypatch.setattr(sweep_inputs, "_twins", lambda batches: {})  # a sweep would take the first alone
    grow(tmp_path / "mlflow.db", n_batches=N_BATCHES - 1, n_sweeps=0, named="gaussian-copula")
    demo_workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1)
    return demo_workflow


@pytest.mark.slow
def test_four_hundred_batches_in_one_model(full: Workflow) -> None:
    reader = full.project.reader
    sweep, final = reader.latest("sweep"), reader.latest("final")
    ids = [batch.id for batch in full.project.batches()]
    for run in (sweep, *reader.children(sweep.run_id)):
        assert sorted(run.batches) == sorted(ids)
        assert len(run.batch_digests) == N_BATCHES
        assert {f"{names.P_BATCHES}/2", f"{names.P_BATCH_DIGESTS}/2"} <= set(run.params)
        assert max(map(len, run.params.values())) <= 6_000
    assert len(full.report().document.batches_in_model()) == N_BATCHES
    assert [state.state for state in full.check() if state.name == "retracted"] == ["not due"]
    last = final.batches[-1]  # on the last page
    uri = f"models:/{final.params[names.P_MODEL_NAME]}/{final.params[names.P_MODEL_VERSION]}"
    assert any(last in line for line in full.trace(uri).lines())
    assert any(uri in line for line in full.trace(last).lines())
    assert uri in full.retract(last, reason="wrong units", by="Ann").models
    assert [state.state for state in full.check() if state.name == "retracted"] == ["due"]
    full.project.server.client.log_param(final.run_id, f"{names.P_BATCHES}/9", "stranger-1234")
    assert any("a value was changed, added or removed" in found.what for found in full.verify(final.run_id).findings)
