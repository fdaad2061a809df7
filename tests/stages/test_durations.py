"""Runs begin when their work begins and end when it ends, also where they are written long afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.stages.sweep_children import FitTimes
from synth_mlflow.sweep.plan import Fit, FitKey
from synth_mlflow.tracking.read import StoredRun


def fit(ratio: float, seconds: float, arm: str = "synthetic", source: str = "") -> Fit:
    return Fit(FitKey(arm, ratio, -1, source), 0.5, np.empty(0), 10, 10, seconds)  # type: ignore[arg-type]


def test_a_ratio_lasts_from_its_first_fit_to_its_last() -> None:
    times = FitTimes()
    times.ended(fit(0.25, 2.0), at=10_000)
    times.ended(fit(0.25, 1.0, "placebo"), at=15_000)
    times.ended(fit(0.5, 1.0), at=12_000)
    times.ended(fit(0.25, 9.0, "real"), at=20_000)  # a quarter of the real rows is no ratio
    times.ended(fit(0.25, 1.0, source="forest"), at=30_000)
    assert times.of((0.25, ""), []) == (8_000, 15_000)
    assert times.of((0.5, ""), []) == (11_000, 12_000)
    assert times.of((0.25, "forest"), []) == (29_000, 30_000)


def test_of_fits_that_an_earlier_process_made_it_is_known_how_long_they_took() -> None:
    fits = [fit(0.5, 1.5), fit(0.5, 0.5, "placebo"), fit(0.25, 7.0)]
    began, ended = FitTimes().of((0.5, ""), fits)
    assert ended - began in {2_000, 2_001}


def span(run: StoredRun) -> tuple[int, int]:
    assert run.ended is not None
    return run.started, run.ended


def test_the_baseline_lies_inside_the_evaluation_set(done: Workflow) -> None:
    (whole,), (part,) = (list(map(span, done.project.reader.runs(stage))) for stage in ("evaluation_set", "baseline"))
    assert whole[0] <= part[0] < part[1] <= whole[1]


def test_each_ratio_lies_inside_its_sweep_and_the_model_comes_after_them(done: Workflow) -> None:
    (sweep,), ratios, (final,) = (list(map(span, done.project.reader.runs(s))) for s in ("sweep", "ratio", "final"))
    assert all(sweep[0] <= ratio[0] < ratio[1] <= final[0] for ratio in ratios)
    assert len({ratio[0] for ratio in ratios}) > 1
    assert final[1] <= sweep[1]


@pytest.mark.parametrize("seconds", [0.3])
def test_a_batch_lasts_as_long_as_its_rows_take(
    frozen: Workflow, customers: Callable[..., pd.DataFrame], seconds: float
) -> None:
    record = {"generator": "slow", "version": "1", "params": {}, "seed": 1, "slice": None}
    with frozen.batch(**record, purpose="more rows", source="none") as batch:
        time.sleep(seconds)
        batch.write(customers(50, 3))
    began, ended = span(frozen.project.reader.latest("batch"))  # type: ignore[arg-type]
    assert ended - began >= 1000 * seconds
