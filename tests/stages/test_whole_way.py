"""The whole way of one project, and what each step leaves on the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow import Workflow


@pytest.fixture
def done(frozen: Workflow, customers: Callable[..., pd.DataFrame], tmp_path: Path) -> Workflow:
    fresh = customers(900, seed=2)  # a perfect generator: further rows of the same law
    with frozen.batch(generator="law", version="1", params={"rate": 3}, seed=2, slice=None, purpose="more rows") as b:
        b.write(fresh)
    frozen.validate()
    frozen.sweep(repeats=3)
    frozen.report(tmp_path / "handoff.html")
    return frozen


def test_whole_way(done: Workflow, tmp_path: Path) -> None:
    assert [stage.done for stage in done.status().stages] == [True] * 6
    batches = done.batches()
    assert batches.loc[0, ["generator", "rows", "seed", "verdict", "retracted"]].tolist() == [
        "law",
        900,
        2,
        "pass",
        False,
    ]
    assert list(done.checks()["check"]) == ["fidelity", "utility"]
    assert list(done.curve()["ratio"]) == [0.0, 0.25, 0.5, 0.75]
    assert "Too few customers yet." in (tmp_path / "handoff.html").read_text()
    assert "Too few customers yet." in json.dumps(done.report(tmp_path / "handoff.json").document.to_json())
