"""Stage 2 with the fits of the baseline on a Dask cluster: the record of one machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from distributed import LocalCluster

from synth_mlflow.errors import UsageError
from synth_mlflow.stages import freeze as freezing
from synth_mlflow.tracking import names
from synth_mlflow.workflow import Workflow

QUICK = "{params: {n_estimators: 10}}"


@pytest.fixture
def define(
    uri: str,
    write_project: Callable[..., Path],
    customers: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Workflow]:
    monkeypatch.setattr(freezing, "REPEATS", 3)

    def define(name: str) -> Workflow:
        workflow = Workflow(name, uri)
        workflow.define(write_project(customers(300, seed=3), name=name, model=QUICK))
        return workflow

    return define


@pytest.mark.slow
def test_a_set_frozen_on_a_cluster_has_the_digests_and_the_baseline_of_one_machine(
    define: Callable[[str], Workflow], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = define("here").freeze()
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        monkeypatch.setenv("SYNTH_MLFLOW_SCHEDULER", cluster.scheduler_address)
        there = define("there").freeze(engine="dask")
    assert (here.digest, here.training_digest) == (there.digest, there.training_digest)
    scores = [{name: run.metrics[name] for name in SCORES} for run in (here.run, there.run)]
    assert scores[0] == scores[1]


SCORES = (names.M_SCORE, names.M_SCORE_LOW, names.M_SCORE_HIGH, names.M_SMALLEST_GAIN)


def test_an_engine_without_a_scheduler_is_refused_before_anything_is_frozen(
    define: Callable[[str], Workflow], call: Callable[..., tuple[int, str, str]]
) -> None:
    workflow = define("shop")
    with pytest.raises(UsageError, match="needs the address of a scheduler") as refusal:
        workflow.freeze(engine="dask")
    assert "export SYNTH_MLFLOW_SCHEDULER=" in refusal.value.fix
    assert workflow.project.find_evaluation_set() is None
    code, _, said = call("freeze", "--experiment", "shop", "--scheduler", "tcp://127.0.0.1:9")
    assert (code, "given for the local engine" in said) == (2, True)
