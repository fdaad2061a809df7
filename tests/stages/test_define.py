"""Stage 1: a statement that does not fit its data is refused with everything that is wrong at once."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.digests import text_digest
from synth_mlflow.errors import GateError, StatementError, UsageError
from synth_mlflow.tracking import names
from synth_mlflow.workflow import Workflow


@pytest.fixture
def shop(uri):
    return Workflow("shop", uri)


@pytest.fixture
def refusal(shop, write_project):
    """Defines a project that must be refused, with nothing left behind; returns the message."""

    def define(match, rows=None, error=StatementError, **changes):
        with pytest.raises(error, match=match) as caught:
            shop.define(write_project(rows, **changes))
        assert shop.project.reader.runs() == []
        return caught.value.found

    return define


def test_what_a_statement_leaves_on_the_server(shop, write_project):
    path = write_project()
    problem = shop.define(path)
    run = problem.run
    assert run.stage == "problem"
    assert run.params[names.P_STATEMENT] == text_digest(path.read_text())
    assert shop.project.reader.file(run, names.A_STATEMENT).read_text() == path.read_text()
    assert (run.params[names.P_DATA_ROWS], run.params[names.P_METRIC], run.params[names.P_GAP]) == (
        "600",
        "roc_auc",
        "cold start",
    )
    assert "Too few customers yet." in run.tags[names.TAG_NOTE]
    about = shop.project.server.client.get_experiment(shop.project.server.experiment_id).tags[names.TAG_NOTE]
    assert "**shop**" in about


def test_the_same_statement_is_recorded_once_and_a_new_one_replaces_it(shop, write_project):
    first, again = (shop.define(write_project()) for _ in range(2))
    assert first.run.run_id == again.run.run_id
    changed = shop.define(write_project(gap="coverage hole"))
    assert shop.project.problem().run.run_id == changed.run.run_id != first.run.run_id


@pytest.fixture
def rows(customers):
    return customers(60, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bought", "task", "message"),
    [
        (["yes"], "binary", "target 'bought' is constant: every row says 'yes'"),
        (["yes", "no", None], "binary", "target 'bought' is missing in 20 of 60 rows"),
        (["yes", "no", "maybe"], "binary", "binary target needs 2 classes, 'bought' has 3: use `task: multiclass`"),
        (["yes", "no"], "multiclass", "multiclass target needs 3 classes or more, 'bought' has 2: use `task: binary`"),
        (["yes", "no"], "regression", "regression target needs numbers, 'bought' holds string values"),
        (["odd", *["yes", "no"] * 29, "yes"], "multiclass", "class 'odd' of 'bought' has one row"),
        (["odd", *["yes"] * 59], "binary", "class 'odd' of 'bought' has one row"),
        (list(range(60)), "multiclass", "has 60 classes in 60 rows: use `task: regression`"),
        ([1.5, np.nan], "regression", "target 'bought' is missing in 30 of 60 rows"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(refusal, rows, bought, task, message):
    metric = {"regression": "r2", "multiclass": "accuracy"}.get(task, "roc_auc")
    refusal(message, rows.assign(bought=np.resize(np.array(bought, dtype=object), 60)), task=task, metric=metric)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "bougth"}, "`target` names column 'bougth', which the data lack. Did you mean 'bought'"),
        ({"evaluation": "{group: shop}"}, "`evaluation.group` names column 'shop', which the data lack"),
        ({"evaluation": "{time: sinc}"}, "`evaluation.time` names column 'sinc'.*Did you mean 'since'"),
        ({"more": "sensitive: [age, race]"}, r"`sensitive\[1\]` names column 'race'"),
        ({"more": "sensitive: [age, age]"}, r"`sensitive` names column 'age' more than once"),
        ({"success": "{at_least: 45}"}, "`success.at_least` is 45, and roc_auc is at most 1: no model reaches it"),
        ({"metric": "neg_log_loss", "success": "{at_least: 0.3}"}, "is 0.3, and neg_log_loss is at most 0"),
        ({"metric": "roc_aux"}, "roc_aux.*Did you mean 'roc_auc'"),
        ({"metric": "r2"}, "r2"),
        ({"slices": "{young: 'age < 3'}"}, r"slice 'young' \(age < 3\) holds none of the 60 rows"),
        ({"slices": "{young: 'aged < 3'}"}, "names column 'aged', which the table lacks. Did you mean 'age'"),
        ({"slices": "{young: 'age < \"x\"'}"}, "compares column 'age', which holds integer values, with 'x'"),
        ({"more": "rerun_when: {full_moon: 1}"}, "no trigger is called 'full_moon'"),
        ({"more": "rerun_when: {new_real_rows: -1}"}, r"`rerun_when.new_real_rows`: .*\(found -1\)"),
        ({"more": "validation: {fidelty: {}}"}, "`validation` names 'fidelty'"),
        ({"data": "rows.cvs"}, "there is no file .*rows.cvs"),
    ],
)
def test_facts_that_do_not_fit_the_data_are_refused(refusal, rows, changes, message):
    refusal(message, rows, error=UsageError, **changes)


def test_a_table_of_nothing_but_the_target_is_refused(refusal, rows):
    refusal("no column beside the target 'bought'", rows[["bought"]], slices="{}", evaluation="{share: 0.5}")


def test_everything_that_does_not_fit_is_named_at_once(refusal, rows):
    found = refusal(
        "do not fit together",
        rows.assign(bought="yes"),
        metric="roc_aux",
        slices="{young: 'age < 3', old: 'agee > 3'}",
        evaluation="{group: shop}",
        more="rerun_when: {full_moon: 1}\nvalidation: {alpha: 7}",
    )
    assert found.count("\n  - ") == 7


def test_a_damaged_data_file_leaves_nothing(shop, write_project, tmp_path):
    path = write_project()
    (tmp_path / "rows.csv").write_bytes(b"")
    with pytest.raises(UsageError, match=r"rows.csv cannot be read"):
        shop.define(path)
    assert shop.project.reader.runs() == []


def test_names_may_hold_spaces_and_any_letter(uri, write_project, rows):
    workflow = Workflow("Läden & Höfe 店", uri)
    strange = rows.rename(columns={"age": "Alter (Jahre) 岁", "bought": "gekauft?"})
    changes = {"target": "gekauft?", "slices": '{"jung / 若": "`Alter (Jahre) 岁` < 30"}'}
    problem = workflow.define(write_project(strange, name='"Läden & Höfe 店"', **changes))
    assert problem.run.params[names.P_TARGET] == "gekauft?"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "accuracy"}, "the statement changes metric"),
        ({"success": "{at_least: 0.1}", "slices": "{}"}, "the statement changes success, slices"),
        ({"evaluation": "{share: 0.4}"}, "the statement changes evaluation"),
    ],
)
def test_goalposts_do_not_move_once_the_set_is_frozen(frozen, write_project, changes, message):
    with pytest.raises(GateError, match=message):
        frozen.define(write_project(**changes))


def test_other_rows_are_another_project_once_the_set_is_frozen(frozen, write_project, customers):
    with pytest.raises(GateError, match="the statement changes the rows of the data file"):
        frozen.define(write_project(customers(600, seed=9)))


def test_words_may_still_change_once_the_set_is_frozen(frozen, write_project):
    path = write_project()
    path.write_text(path.read_text().replace("Too few customers yet.", "Far too few customers yet."))
    assert "Far too few" in next(iter(frozen.define(path).statement.answers.values()))


def test_before_define_there_is_no_problem(shop):
    with pytest.raises(GateError, match=r"'shop' has no problem statement.\nFirst: `synth-mlflow define problem.md`"):
        shop.freeze()
    assert pd.DataFrame(shop.batches()).empty


def test_real_rows_that_break_a_constraint_are_counted(uri, write_project):
    path = write_project(more='constraints: ["age >= 20", "ago <= income", {column: age, max: 200}]')
    with pytest.raises(StatementError, match=r"'ago <= income' names column 'ago', which the table lacks"):
        Workflow("shop", uri).define(path)
    path = write_project(more='constraints: ["age >= 20", {column: age, max: 200}]')
    with pytest.raises(StatementError, match=r"constraint 'age >= 20' is broken by \d+ of 600 real rows"):
        Workflow("shop", uri).define(path)
