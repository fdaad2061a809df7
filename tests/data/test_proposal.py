"""What `init --from` fills in, and what it leaves to people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synth_mlflow import StatementError, UsageError, Workflow
from synth_mlflow.data.proposal import facts_as_text, propose
from synth_mlflow.data.statement import read_statement


@pytest.fixture
def table(tmp_path: Path, customers: Callable[..., pd.DataFrame]) -> Path:
    customers(400, 0).to_csv(tmp_path / "my shop.csv", index=False)
    return tmp_path / "my shop.csv"


def test_a_filled_in_proposal_is_a_statement_that_define_takes(
    table: Path, tmp_path: Path, uri: str, call: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, _ = call("init", str(tmp_path / "project"), "--from", str(table))
    assert code == 0
    problem = tmp_path / "project" / "problem.md"
    with pytest.raises(StatementError, match="`gap` is blank"):
        read_statement(problem)
    text = problem.read_text()
    text = text.replace("gain_at_least: }", "gain_at_least: 0.02}").replace("gap:  #", "gap: cold start  #")
    text = text.replace("privacy:  #", 'privacy: "not relevant: made-up"  #').replace("(write here:", "(")
    problem.write_text(text)
    facts = Workflow("my shop", uri).define(problem).statement.facts
    assert (facts.target, facts.task, facts.metric, facts.name) == ("bought", "binary", "roc_auc", "my shop")
    assert facts.evaluation.share == 0.4  # of 400 rows


@pytest.mark.parametrize(
    ("target", "values", "task", "metric"),
    [
        ("price", np.linspace(1, 9, 200).round(2), "regression", "r2"),
        ("class", ["a", "b", "c", "d"] * 50, "multiclass", "balanced_accuracy"),
        ("fraud", ["no"] * 190 + ["yes"] * 10, "binary", "average_precision"),
        ("label", [0, 1] * 100, "binary", "roc_auc"),
    ],
)
def test_target_task_and_metric_follow_from_the_table(
    tmp_path: Path, target: str, values: object, task: str, metric: str
) -> None:
    rng = np.random.default_rng(0)
    pd.DataFrame({"x": rng.normal(size=200), target: values, "z": rng.normal(size=200)}).to_csv(
        tmp_path / "t.csv", index=False
    )
    found = propose(tmp_path / "t.csv")
    assert (found.target, found.task, found.metric) == (target, task, metric)


def test_rows_that_look_alike_are_a_question_to_people(tmp_path: Path) -> None:
    pd.DataFrame({"sex": ["m", "f"] * 300, "survived": ["y", "n"] * 300}).to_csv(tmp_path / "t.csv", index=False)
    text = facts_as_text(propose(tmp_path / "t.csv"), "yes", "t.csv")
    assert "600 of 600 rows equal another row" in text
    assert "#   evaluation: {share: 0.4, equal_rows: both-sides}\nevaluation: {share: 0.4}" in text
    assert 'name: "yes"' in text  # which YAML would take for a boolean


def test_a_column_that_is_not_there_and_a_table_without_a_target_are_refused(tmp_path: Path, table: Path) -> None:
    with pytest.raises(UsageError, match=r"has no column 'bougt'\. Did you mean 'bought'"):
        propose(table, "bougt")
    pd.DataFrame({"a": ["x"] * 60}).to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(UsageError, match="no column that a model could predict"):
        propose(tmp_path / "one.csv")


def test_init_needs_a_folder_or_a_table(call: Callable[..., tuple[int, str, str]], table: Path) -> None:
    assert call("init")[0] == 2
    assert call("init", "new", "--target", "x")[0] == 2
    code, _, errors = call("init", str(table))
    assert code == 2
    assert f"`--from {table}`" in errors


@pytest.mark.parametrize(
    ("name", "values", "task", "said"),
    [
        ("target", [0, 1, 2, 3] * 50, "multiclass", "4 whole numbers are taken for classes; if they are amounts"),
        ("rooms", [1, 2, 3, 4] * 50, "regression", "4 whole numbers are taken for amounts; if they are classes"),
        ("target", [1, 2, 3, 7] * 50, "regression", ""),
        ("target", np.linspace(1, 9, 200).round(2), "regression", ""),
    ],
)
def test_few_whole_numbers_may_name_classes(tmp_path: Path, name: str, values: object, task: str, said: str) -> None:
    rows = {"x": np.random.default_rng(0).normal(size=200), name: values}
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    found = propose(tmp_path / "t.csv", name)
    assert found.task == task and found.class_codes.startswith(said)
    assert (found.class_codes in facts_as_text(found, "t", "t.csv")) and bool(said) == bool(found.class_codes)


def test_a_column_that_says_the_target_is_left_out_unless_a_person_keeps_it(tmp_path: Path) -> None:
    wage = np.random.default_rng(0).lognormal(3, 1, 300).round(2)
    rows = pd.DataFrame({"age": np.arange(300) % 50, "wage": wage, "lwage": np.log(wage)})
    rows.to_csv(tmp_path / "t.csv", index=False)
    told = facts_as_text(propose(tmp_path / "t.csv", "lwage"), "t", "t.csv")
    assert "# wage: it says the target 'lwage' of every row" in told
    assert "  wage: {role: ignored}  # or: {role: number}" in told
