"""Tables whose rows repeat: what keeping equal rows together does to a split is told, and refused where it is much."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.splits import balance_of, cut, n_shared, refuse_moved
from synth_mlflow.data.statement import Evaluation, parse_statement
from synth_mlflow.data.task import Task
from synth_mlflow.errors import StatementError, UsageError

TASK = Task("survived", "binary")
BOTH = Evaluation(equal_rows="both-sides")


def passengers(n_rows: int, seed: int = 0) -> pd.DataFrame:
    """Three columns of a few categories: nearly every row equals another."""
    rng = np.random.default_rng(seed)
    cabin, sex = rng.choice(["1st", "2nd", "3rd"], n_rows, p=[0.25, 0.2, 0.55]), rng.choice(["man", "woman"], n_rows)
    age = rng.choice(["adult", "child"], n_rows, p=[0.9, 0.1])
    survived = np.where(rng.random(n_rows) < np.where(sex == "woman", 0.7, 0.2), "yes", "no")
    return pd.DataFrame({"cabin": cabin, "age": age, "sex": sex, "survived": survived})


def split_of(rows, plan, seed=0):
    split = cut(rows, TASK, plan, {}, seed)
    refuse_moved(rows, TASK, plan, {}, seed, split)
    return split


def test_a_split_that_equal_rows_decide_is_refused_with_lines_to_paste():
    with pytest.raises(
        UsageError, match=r"1,000 of 1,000 rows equal another row.*amount to \d different rows"
    ) as raised:
        split_of(passengers(1_000), Evaluation())
    lines = raised.value.fix.splitlines()
    assert "  synth-mlflow freeze --equal-rows both-sides" in lines and "  synth-mlflow freeze --group COLUMN" in lines


def test_a_column_that_keeps_equal_rows_together_as_well_is_offered():
    rows = passengers(1_000).assign(ticket=np.arange(1_000) // 4)
    heavy = pd.concat([rows, rows, pd.concat([rows.head(4)] * 250)], ignore_index=True)  # four rows are a third of it
    with pytest.raises(UsageError, match="amount to 3 different rows instead of 300") as raised:
        split_of(heavy, Evaluation(share=0.1))
    assert "  synth-mlflow freeze --group ticket" in raised.value.fix.splitlines()


def test_rows_split_on_both_sides_keep_share_and_balance():
    rows = passengers(1_000)
    split = split_of(rows, BOTH)
    balance = balance_of(rows, TASK, split)
    assert abs(balance.share - 0.25) < 0.002
    assert abs(balance.evaluation["yes"] - balance.training["yes"]) < 0.01
    assert split.how.endswith("stratified by target, equal rows on both sides")
    assert n_shared(rows, split) > 0.9 * len(split.evaluation)


def test_a_few_copies_change_nothing():
    rows = passengers(1_000).assign(fare=np.random.default_rng(1).gamma(2, 20, 1_000))
    some = pd.concat([rows, rows.head(100)], ignore_index=True)
    for seed in range(5):
        split = split_of(some, Evaluation(), seed)
        assert split.n_duplicates == 100 and not n_shared(some, split)


def test_groups_and_times_decide_where_equal_rows_go():
    rows = passengers(1_000).assign(day=np.arange(1_000) // 10)
    for plan in (Evaluation(group="day"), Evaluation(time="day")):
        assert len(split_of(rows, plan).evaluation)


def test_the_balance_is_told_in_words():
    rows = pd.DataFrame({"x": range(8), "survived": list("nnnnnnyy")})
    told = balance_of(rows, TASK, cut(rows, TASK, Evaluation(share=0.5), {}, 0)).words
    assert told == "50 % of the rows; 'n' 75 % of evaluation rows and 75 % of training rows, 'y' 25 % and 25 %"
    number = Task("x", "regression")
    assert balance_of(rows, number, cut(rows, number, Evaluation(share=0.5), {}, 0)).words == "50 % of the rows"


FRONT = """---
name: shop
data: rows.csv
target: y
task: binary
metric: roc_auc
success: {at_least: 0.5}
gap: cold start
privacy: relevant
evaluation: EVALUATION
---
## What gap are we filling?
a
## Why can't real data solve it?
b
## What metric decides success, and why?
c
## Who owns this, and who may change the evaluation set?
d
"""


def test_a_statement_that_says_nothing_of_equal_rows_has_the_digest_that_it_had():
    plain = parse_statement(FRONT.replace("EVALUATION", "{share: 0.3}"))
    facts = plain.facts.model_dump(mode="json")
    known = ("name", "target", "task", "metric", "success", "slices", "evaluation", "model")
    evaluation = {"share": 0.3, "stratify": None, "group": None, "time": None}
    model = {"estimator": "lightgbm", "params": {}}
    before = {name: facts[name] for name in known} | {"evaluation": evaluation, "model": model}
    assert plain.task_digest == json_digest(before)
    assert (
        parse_statement(FRONT.replace("EVALUATION", "{share: 0.3, equal_rows: both-sides}")).task_digest
        != plain.task_digest
    )


def test_equal_rows_are_for_random_splits_alone():
    with pytest.raises(StatementError, match="takes `equal_rows` for a random split alone"):
        parse_statement(FRONT.replace("EVALUATION", "{group: x, equal_rows: both-sides}"))
