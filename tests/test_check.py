"""`check`: what was recorded against what is known now, on a project that has gone the whole way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.errors import GateError, UsageError


@pytest.fixture
def states(demo_workflow: Workflow) -> Callable[..., dict[str, str]]:
    """The state of every trigger by its name."""

    def states(**given: object) -> dict[str, str]:
        return {state.name: state.state for state in demo_workflow.check(**given)}  # type: ignore[arg-type]

    return states


def test_nothing_is_due_right_after_the_sweep(states: Callable[..., dict[str, str]]) -> None:
    found = states()
    assert found == {
        "new_real_rows": "cannot tell",
        "metric_drop": "cannot tell",
        "generator": "not due",
        "task": "not due",
        "retracted": "not due",
    }


def test_a_batch_whose_check_of_evaluation_rows_is_gone_is_due(
    demo_workflow: Workflow, states: Callable[..., dict[str, str]]
) -> None:
    reader = demo_workflow.project.reader
    (judged,) = reader.finished("contamination")
    reader.server.client.delete_run(judged.run_id)
    assert states()["contamination"] == "due"


def test_new_generator_version_is_due(states: Callable[..., dict[str, str]]) -> None:
    assert states(generators={"gaussian_copula": "99"})["generator"] == "due"


def test_new_rows_are_counted_once_and_known_ones_not(
    states: Callable[..., dict[str, str]], demo: tuple[Path, str], tmp_path: Path
) -> None:
    known = pd.read_csv(demo[0] / "synth-mlflow-demo" / "clinic.csv")
    known.to_csv(tmp_path / "known.csv", index=False)
    assert states(new_data=tmp_path / "known.csv")["new_real_rows"] == "not due"
    fresh = known.assign(worst_area=known["worst_area"] + 0.125)
    pd.concat([known, fresh, fresh]).to_csv(tmp_path / "grown.csv", index=False)
    assert states(new_data=tmp_path / "grown.csv")["new_real_rows"] == "due"


def test_other_columns_make_the_task_due(
    states: Callable[..., dict[str, str]], demo: tuple[Path, str], tmp_path: Path
) -> None:
    known = pd.read_csv(demo[0] / "synth-mlflow-demo" / "clinic.csv")
    known.assign(ward="A").to_csv(tmp_path / "wider.csv", index=False)
    assert states(new_data=tmp_path / "wider.csv")["task"] == "due"


def test_changed_statement_is_due(
    states: Callable[..., dict[str, str]], demo: tuple[Path, str], tmp_path: Path
) -> None:
    text = (demo[0] / "synth-mlflow-demo" / "problem.md").read_text()
    (tmp_path / "problem.md").write_text(text.replace("gain_at_least: 0.05", "gain_at_least: 0.04"))
    assert states(statement=tmp_path / "problem.md")["task"] == "due"


@pytest.mark.slow
def test_production_values_are_judged_against_the_estimate(
    states: Callable[..., dict[str, str]], demo_workflow: Workflow
) -> None:
    demo_workflow.log_production(0.9, 200)
    assert states()["metric_drop"] == "not due"
    for _ in range(3):
        demo_workflow.log_production(0.4, 2_000)
    assert states()["metric_drop"] == "due"


def test_refusals(frozen: Workflow) -> None:
    with pytest.raises(GateError, match="no model yet"):
        frozen.check()
    with pytest.raises(UsageError, match="finite"):
        frozen.log_production(float("nan"))
    with pytest.raises(UsageError, match="roc_auc is at most 1, found 87"):
        frozen.log_production(87)


def test_a_version_of_a_generator_that_made_nothing_is_refused(demo_workflow: Workflow) -> None:
    with pytest.raises(UsageError, match="no batch of this project was made by generator 'gaussian_coppula'"):
        demo_workflow.check(generators={"gaussian_coppula": "99"})


def test_rows_that_lack_a_column_say_so(demo_workflow: Workflow, demo: tuple[Path, str], tmp_path: Path) -> None:
    known = pd.read_csv(demo[0] / "synth-mlflow-demo" / "clinic.csv")
    known.drop(columns="worst_area").to_csv(tmp_path / "narrower.csv", index=False)
    told = {state.name: state.reason for state in demo_workflow.check(new_data=tmp_path / "narrower.csv")}
    assert "worst_area" in told["new_real_rows"]
    assert told["retracted"] == "the one batch inside the newest model was not retracted"
