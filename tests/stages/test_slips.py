"""The slips that everybody makes once, each with the sentence that helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synth_mlflow import StatementError, UsageError, Workflow
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import read_statement
from synth_mlflow.data.tables import read_table
from synth_mlflow.data.task import Task, TaskKind
from synth_mlflow.models.scoring import _KNOWN, USUAL, check_metric
from synth_mlflow.sweep.baseline import Baseline, column_scores, utility_outlook


@pytest.mark.parametrize("kind", list(_KNOWN))
def test_every_scorer_that_is_named_exists_and_fits(kind: TaskKind) -> None:
    for metric in {*_KNOWN[kind].values(), *USUAL[kind]}:
        check_metric(metric, Task("y", kind))


def test_a_metric_by_its_usual_name_is_answered_with_the_scorer() -> None:
    with pytest.raises(UsageError, match="Write `metric: roc_auc`"):
        check_metric("AUC", Task("y", "binary"))
    with pytest.raises(UsageError, match=r"does not fit a multiclass task\.\nWrite `metric: f1_macro`"):
        check_metric("f1", Task("y", "multiclass"))
    with pytest.raises(UsageError, match="Usual ones that fit: r2, neg_mean_absolute_error"):
        check_metric("goodness", Task("y", "regression"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"success": "{gain_at_least: 2}"}, "no model gains that much; a gain of 2 percent is 0.02"),
        ({"success": "{at_least: 2}"}, "roc_auc is at most 1"),
        ({"metric": "AUC"}, "Write `metric: roc_auc`"),
    ],
)
def test_goals_that_cannot_be_met_are_refused_by_define(
    uri: str, write_project: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StatementError, match=message):
        Workflow("shop", uri).define(write_project(**changes))


def test_a_gain_of_more_than_one_is_no_error_where_scores_have_no_floor(
    uri: str, write_project: Callable[..., Path]
) -> None:
    changed = write_project(metric="neg_log_loss", success="{gain_at_least: 2}")
    assert Workflow("shop", uri).define(changed).statement.facts.success.gain_at_least == 2


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("foreign = A201", '`foreign == "A201"`'),
        ("age < 25 and foreign=yes or a == 3", '`age < 25 and foreign== "yes" or a == 3`'),
        ("age = 25", "`age == 25`"),
        ("member = true", "`member == true`"),
    ],
)
def test_a_single_equal_sign_is_answered_with_the_condition(text: str, meant: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Slice.parse(text)
    assert meant in refusal.value.found


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the folder holds no Parquet file"):
        read_table(tmp_path)
    with pytest.raises(UsageError, match="there is no file"):
        read_table(tmp_path / "no.csv")
    with pytest.raises(UsageError, match="is a folder, and a file was needed"):
        read_statement(tmp_path)
    pd.DataFrame({"tags": [[1], [2]], "y": [1, 2]}).to_parquet(tmp_path / "lists.parquet")
    with pytest.raises(UsageError, match=r"column 'tags' holds lists.*\n.*drop\(columns=\['tags'\]\)"):
        read_table(tmp_path / "lists.parquet")


def test_utility_is_foreseen_as_inconclusive_where_its_own_rule_will_say_so() -> None:
    scores = tuple(0.7 + 0.01 * np.array([-1, 1, -1, 1, -1, 1]))
    worked = Baseline("roc_auc", 0.7, 0.6, 0.8, 0.6, 0.8, scores, {}, 600, 250, 0.029, 0.01, "", 0.5, 1.0)
    # training: 2 · 0.00012, testing: 0.01² · (0.8 + 0.2 / 18) / 0.2; needed (2.898 + 0.84) · 0.02541 = 0.0950 of 0.2
    assert utility_outlook(worked, 0.005, 0.5, 0.25) == ""
    told = utility_outlook(worked, 0.005, 0.7, 0.25)  # 0.06 must be seen: (0.0950 / 0.06)² = 2.5 times the rows
    assert "250 evaluation rows and 600 training rows" in told
    assert "keeps less than 53% of what real rows teach" in told
    assert "About 2.5 times as many rows" in told
    assert "evaluation: {share: 0.4}" not in told  # which gives 1.6 times as many
    assert "evaluation: {share: 0.4}" in utility_outlook(worked, 0.005, 0.6, 0.25)  # 1.4 times


def test_an_identifier_is_no_column_that_scores() -> None:
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"id": np.arange(200), "a": rng.normal(size=200)})
    rows["y"] = rows["a"] + rng.normal(size=200)
    task = Task("y", "regression", roles={"id": "identifier"})
    assert [name for name, _ in column_scores("r2", rows[:100], rows[100:].reset_index(drop=True), task, 1)] == ["a"]


def test_a_column_of_free_text_scores_by_its_words() -> None:
    rng = np.random.default_rng(3)
    good, words = rng.random(300) < 0.5, ["the", "shop", "was", "open", "today", "again", "here", "and", "there"]
    said = [" ".join([*rng.choice(words, 6), "lovely" if one else "dreadful", str(n)]) for n, one in enumerate(good)]
    rows = pd.DataFrame({"said": said, "good": good})
    task = Task("good", "binary", roles={"said": "text"})
    ((name, value),) = column_scores("roc_auc", rows[:150], rows[150:].reset_index(drop=True), task, 1)
    assert name == "said"
    assert value > 0.9
