"""Fits on a real Dask cluster: the numbers of one machine, also when a worker dies."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.mixing import FitRows
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import SynthError, UsageError
from synth_mlflow.sweep import dask_executor
from synth_mlflow.sweep.baseline import measure_baseline
from synth_mlflow.sweep.dask_executor import DaskCluster
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.sweep.executors import open_engine
from synth_mlflow.sweep.plan import Fit, FitKey, SweepPlan
from synth_mlflow.sweep.runner import run_sweep

TASK = Task("bought", "binary")
SPEC = ModelSpec(params={"num_leaves": 4, "min_data_in_leaf": 5, "n_estimators": 30})
PLAN = SweepPlan(ratios=(0.5,), repeats=5, n_jobs=1)


def people(n_rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3))
    region = rng.choice(["north", "south"], n_rows)
    bought = np.where(X.sum(axis=1) + (region == "north") + rng.normal(size=n_rows) > 0, "yes", "no")
    return normalise(pd.DataFrame(X, columns=list("abc")).assign(region=region, bought=bought))


TABLES = (people(200, 1), people(200, 2), people(500, 3))


@pytest.fixture(autouse=True)
def _shared_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables take the path of large ones: binned once, and sent as bins."""
    monkeypatch.setattr("synth_mlflow.sweep.evaluator.FRESH_BINS_MAX", 0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as running:
        yield running


def test_trainer_that_travelled_makes_the_same_model() -> None:
    trainer = Evaluator.build(TABLES[0], TABLES[2], TASK, "roc_auc", SPEC, synthetic=TABLES[1]).trainer
    rows = FitRows(np.arange(150), np.arange(220, 300))
    there = pickle.loads(pickle.dumps(trainer))
    assert np.array_equal(trainer.predictions(rows, 3), there.predictions(rows, 3))
    assert np.array_equal(trainer.model(rows, 3).predict(TABLES[2]), there.model(rows, 3).predict(TABLES[2]))


@pytest.mark.slow
def test_killed_worker_costs_nothing_but_time(cluster: Any) -> None:
    told: list[FitKey] = []
    pids = [worker.process.pid for worker in cluster.workers.values()]

    def kill_one(key: FitKey, _: Fit) -> None:
        told.append(key)
        if len(told) == 4:
            os.kill(pids[0], signal.SIGKILL)

    engine = open_engine("dask", scheduler=cluster.scheduler_address)
    outcome = run_sweep(*TABLES, TASK, "roc_auc", SPEC, PLAN, on_fit=kill_one, engine=engine)
    assert len(told) == len(set(told)) == len(PLAN.keys())
    assert outcome.curve == run_sweep(*TABLES, TASK, "roc_auc", SPEC, PLAN).curve


@pytest.mark.slow
def test_tables_do_not_travel_with_every_fit(cluster: Any) -> None:
    with Client(cluster.scheduler_address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(2, timeout=60)
        client.run(_count_arrivals)
        run_sweep(*TABLES, TASK, "roc_auc", SPEC, PLAN, engine=DaskCluster(cluster.scheduler_address))
        arrivals = sum(client.run(_arrivals).values())  # one a worker, or some more where Dask moves work about
        assert 1 <= arrivals < len(PLAN.keys()) / 2


def _count_arrivals() -> None:
    """On a worker: count how often a trainer arrives from now on."""
    import synth_mlflow.models.lightgbm as there

    arrived, there.arrivals = there._arrived, 0  # type: ignore[attr-defined]

    def counted(*given: Any) -> Any:
        there.arrivals += 1  # type: ignore[attr-defined]
        return arrived(*given)

    there._arrived = counted


def _arrivals() -> int:
    import synth_mlflow.models.lightgbm as there

    return int(there.arrivals)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_tables_and_predictions_do_not_pass_through_the_scheduler(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []
    for way in ("scatter", "gather"):
        usual = cluster.scheduler.handlers[way]

        async def noted(*given: Any, _way: str = way, _usual: Any = usual, **named: Any) -> Any:
            passed.append(_way)
            return await _usual(*given, **named)

        monkeypatch.setitem(cluster.scheduler.handlers, way, noted)
    run_sweep(*TABLES, TASK, "roc_auc", SPEC, PLAN, engine=DaskCluster(cluster.scheduler_address))
    assert not passed
    with Client(cluster.scheduler_address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.gather(client.scatter([1], direct=False), direct=False)
    assert sorted(passed) == ["gather", "scatter"]


@pytest.mark.slow
def test_the_baseline_is_that_of_one_machine(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_MLFLOW_SCHEDULER", cluster.scheduler_address)
    real, _, evaluation = TABLES
    measured = [
        measure_baseline(real, evaluation, TASK, "roc_auc", SPEC, is_sample=True, engine=open_engine(name))
        for name in ("local", "dask")
    ]
    assert repr(measured[0]) == repr(measured[1])


@pytest.mark.slow
def test_worker_with_other_versions_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_executor, "MATTERING", ("lightgbm",))
    monkeypatch.setattr(dask_executor, "_version", lambda name: "0.1")
    with pytest.raises(UsageError, match=r"worker tcp://\S+ has lightgbm \d\S+, this machine 0.1: the numbers"):
        run_sweep(*TABLES, TASK, "roc_auc", SPEC, PLAN, engine=DaskCluster(cluster.scheduler_address))


@pytest.mark.slow
def test_scheduler_without_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_executor, "SECONDS_TO_WAIT", 0.5)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty,  # type: ignore[no-untyped-call]
        pytest.raises(SynthError, match=r"has no worker, after 0\.5 s"),
    ):
        run_sweep(*TABLES, TASK, "roc_auc", SPEC, PLAN, engine=DaskCluster(empty.scheduler_address))


@pytest.mark.parametrize(
    ("engine", "scheduler", "words"),
    [("dask", "", "needs the address"), ("local", "tcp://x:1", "given for the local engine"), ("dusk", "", "'dask'")],
)
def test_senseless_engines_are_refused(engine: Any, scheduler: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_engine(engine, scheduler=scheduler)


@pytest.mark.slow
def test_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_executor, "SECONDS_TO_CONNECT", 0.5)
    with pytest.raises(UsageError, match=r"tcp://127.0.0.1:9 does not answer"):
        run_sweep(*TABLES, TASK, "roc_auc", SPEC, PLAN, engine=DaskCluster("tcp://127.0.0.1:9"))
