"""Stage 4 on a server: what a killed validation leaves, and what the next one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from synth_mlflow import Batch, Workflow
from synth_mlflow.checks import utility
from synth_mlflow.errors import UsageError

LAW: dict[str, Any] = {"generator": "law", "version": "1", "params": {}, "seed": 1, "slice": None, "purpose": "try"}


def written(workflow: Workflow, rows: pd.DataFrame, **more: Any) -> Batch:
    """A batch made elsewhere."""
    with workflow.batch(**LAW, **more) as b:
        b.write(rows)
    assert b.batch is not None
    return b.batch


def test_killed_validation_is_completed_and_repeats_nothing(
    frozen: Workflow, customers: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = written(frozen, customers(900, 3))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(utility.plugin), "run", killed)
    with pytest.raises(KeyboardInterrupt):
        frozen.validate(batch)
    assert [(run.stage, run.status) for run in frozen.project.reader.children(batch.run_id)] == [
        ("fidelity", "FINISHED"),
        ("utility", "KILLED"),
    ]
    monkeypatch.undo()
    assert frozen.validate(batch).verdict == "pass"  # type: ignore[union-attr]  # one batch, one verdict
    assert sorted(frozen.checks()["check"]) == ["fidelity", "utility"]
    assert len(frozen.project.reader.children(batch.run_id)) == 2


def test_a_batch_from_a_silo_is_judged_against_the_silo(
    frozen: Workflow, customers: Callable[..., pd.DataFrame], tmp_path: Any
) -> None:
    silo = customers(700, 8)
    silo.to_csv(tmp_path / "silo.csv", index=False)
    batch = frozen.generate("gaussian_copula", rows=300, seed=1, purpose="try", source=tmp_path / "silo.csv")
    with pytest.raises(UsageError, match="Give it: `synth-mlflow validate"):
        frozen.validate(batch)
    silo.assign(age=30).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(UsageError, match="Give the file that was learned from"):
        frozen.validate(batch, source=tmp_path / "other.csv")
    verdict = frozen.validate(batch, source=tmp_path / "silo.csv")
    assert not isinstance(verdict, list) and len(verdict.checks) == 2


def test_several_batches_at_once(frozen: Workflow, customers: Callable[..., pd.DataFrame]) -> None:
    for seed in (3, 4):
        written(frozen, customers(500, seed))
    verdicts = frozen.validate()
    assert isinstance(verdicts, list) and len(verdicts) == 2
    again: list[str] = []
    frozen.project.say = again.append
    frozen.validate()
    assert len(again) == 2 and all("validated already" in line for line in again)
