"""Stage 2: one real evaluation set, frozen for good, with the baseline that everything is measured against."""

import shutil

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.digests import row_digests, table_digest
from synth_mlflow.errors import EvidenceError, GateError, StatementError, UsageError
from synth_mlflow.queries.rerun_check import _new_rows
from synth_mlflow.stages import freeze as freezing
from synth_mlflow.stages.sweep_inputs import refuse_overlap
from synth_mlflow.tracking import names
from synth_mlflow.workflow import Workflow

QUICK = "{estimator: 'sklearn.linear_model:LogisticRegression', params: {}}"


@pytest.fixture
def rows(customers):
    """Few rows of numbers alone, so that the quickest estimator will do."""
    frame = customers(120, seed=3)[["age", "bought"]]
    return frame.assign(shop=np.arange(120) % 8, day=np.arange(120))


@pytest.fixture
def define(uri, write_project, rows, monkeypatch):
    monkeypatch.setattr(freezing, "REPEATS", 3)  # the cuts are looked at here; `frozen` has the full baseline

    def define(frame=None, **changes):
        workflow = Workflow("shop", uri)
        workflow.define(write_project(rows if frame is None else frame, **{"model": QUICK, **changes}))
        return workflow

    return define


def test_both_sides_are_kept_with_their_digests(frozen):
    evaluation, training = frozen.evaluation_rows(), frozen.training_rows()
    found = frozen.project.evaluation_set()
    assert len(evaluation) + len(training) == 600
    assert abs(len(evaluation) - 300) <= 4  # a row a stratum
    assert (table_digest(evaluation), table_digest(training)) == (found.digest, found.training_digest)
    assert not set(row_digests(evaluation, found.salt)) & set(row_digests(training, found.salt))


def test_the_baseline_is_a_child_with_repeats_and_an_interval(frozen):
    evaluation_run = frozen.project.evaluation_set().run
    (baseline,) = frozen.project.reader.children(evaluation_run.run_id)
    score, low, high = (baseline.metrics[name] for name in (names.M_SCORE, names.M_SCORE_LOW, names.M_SCORE_HIGH))
    assert (baseline.stage, baseline.params[names.P_REPEATS]) == ("baseline", str(freezing.REPEATS))
    assert low <= score <= high
    assert score == evaluation_run.metrics[names.M_SCORE] > 0.6
    assert names.slice_metric("young") in baseline.metrics
    history = frozen.project.server.client.get_metric_history(baseline.run_id, names.M_REPEAT_SCORE)
    assert [metric.step for metric in history] == list(range(freezing.REPEATS))
    assert baseline.params[names.P_EVALUATION_DIGEST] == frozen.project.evaluation_set().digest


@pytest.mark.slow
def test_the_smallest_gain_that_the_set_can_show_is_said_up_front(define):
    workflow = define()
    run = workflow.freeze().run
    smallest = run.metrics[names.M_SMALLEST_GAIN]
    assert 0 < smallest < 1
    told = workflow.project.server.client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert f"would find a gain of about {smallest:.2g} here in four of five cases" in told
    assert "the 0.01 that the statement asks for may go unseen" in told  # of 60 evaluation rows


@pytest.mark.slow
def test_every_slice_has_a_score_whatever_its_name(define):
    parts = {"a/../b": "age < 45", "a!": "age > 40", "a?": "age > 45"}
    workflow = define(slices=str(parts))
    workflow.freeze()
    metrics = workflow.project.reader.latest("baseline").metrics
    assert {name.partition("/")[2] for name in metrics if "slice_score" in name} == {"a/__/b", "a_", "a_:2"}


def test_a_second_freeze_is_refused(frozen):
    before = frozen.project.evaluation_set().digest
    with pytest.raises(
        GateError, match=r"the evaluation set of 'shop' is frozen \(run .*nobody changes it mid-project"
    ):
        frozen.freeze(seed=1)
    assert frozen.project.evaluation_set().digest == before


def test_by_group(define):
    workflow = define()
    workflow.freeze(group="shop")
    held_out, rest = workflow.evaluation_rows(), workflow.training_rows()
    assert not set(held_out["shop"]) & set(rest["shop"])
    assert len(held_out) == 60


@pytest.mark.slow
def test_by_time(define):
    workflow = define()
    frozen = workflow.freeze(time="day")
    assert workflow.evaluation_rows()["day"].min() == workflow.training_rows()["day"].max() + 1
    assert frozen.run.params[names.P_SPLIT_METHOD] == "the latest rows, from day = 60 on"


@pytest.mark.slow
@pytest.mark.parametrize("store", ["rows", "reference"])
def test_by_group_and_time_rows_between_are_on_neither_side_and_not_new(define, store, rows):
    workflow = define(evaluation="{share: 0.25, group: shop, time: day}")
    run = workflow.freeze(store=store).run
    held_out, rest = workflow.evaluation_rows(), workflow.training_rows()
    assert not set(held_out["shop"]) & set(rest["shop"]) and held_out["day"].min() > rest["day"].max()
    kept = workflow.project.row_digests(run)
    assert {side: len(digests) for side, digests in kept.items()} == {
        "training": len(rest), "evaluation": len(held_out), "unused": 120 - len(rest) - len(held_out)
    }  # fmt: skip
    assert _new_rows(workflow.project, workflow.project.evaluation_set(), normalise(rows)) == (0, None)


@pytest.mark.slow
def test_the_statement_may_say_the_way(define):
    workflow = define(evaluation="{share: 0.25, time: day}")
    workflow.freeze()
    assert list(workflow.evaluation_rows()["day"]) == list(range(90, 120))


@pytest.mark.slow
def test_copies_of_a_row_stay_on_one_side(define, rows):
    workflow = define(pd.concat([rows, rows.head(40)]))
    frozen = workflow.freeze()
    sides = workflow.evaluation_rows(), workflow.training_rows()
    assert not set(sides[0]["day"]) & set(sides[1]["day"])
    assert frozen.run.params[names.P_DUPLICATES] == "40"


@pytest.mark.slow
def test_by_reference_no_row_reaches_the_server(define, tmp_path):
    workflow = define()
    frozen = workflow.freeze(store="reference")
    kept = {names.A_SPLIT, names.A_SCHEMA, names.A_COLUMNS, names.A_SLICES}
    assert set(frozen.run.artifacts) == kept
    assert len(workflow.evaluation_rows()) + len(workflow.training_rows()) == 120
    (tmp_path / "rows.csv").write_text((tmp_path / "rows.csv").read_text().replace("yes", "no", 1))
    with pytest.raises(
        EvidenceError, match=r"(?s)rows have content digest .*the frozen record says .*Restore .*rows.csv"
    ):
        (workflow.evaluation_rows(), workflow.training_rows())
    (tmp_path / "rows.csv").write_text("age,bought,shop,day\n1,yes,1,1\n")
    with pytest.raises(EvidenceError, match="has 1 rows, the frozen record says 120"):
        workflow.evaluation_rows()
    (tmp_path / "rows.csv").unlink()
    with pytest.raises(EvidenceError, match=r"kept by reference, and .*rows.csv is not on this machine"):
        workflow.evaluation_rows()


def test_data_that_changed_since_define_are_refused(define, rows, tmp_path):
    workflow = define()
    rows.head(100).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(EvidenceError, match=r"the data changed since.\nRestore the file, or run `synth-mlflow define`"):
        workflow.freeze()
    assert workflow.project.reader.runs("evaluation_set") == []


@pytest.mark.slow
def test_data_may_have_moved(define, tmp_path):
    workflow = define()
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "rows.csv", tmp_path / "elsewhere" / "same.csv")
    with pytest.raises(UsageError, match="there is no file"):
        workflow.freeze()
    frozen = workflow.freeze(data=tmp_path / "elsewhere" / "same.csv")
    assert frozen.run.params[names.P_DATA_PATH].endswith("same.csv")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"group": "shop", "time": "bought"}, "cannot order the rows by time"),
        ({"group": "shp"}, "no column 'shp'. Did you mean 'shop'"),
        ({"time": "bought"}, "cannot order the rows by time"),
        ({"store": "refrence"}, "store 'refrence' is unknown. Did you mean 'reference'"),
        ({"seed": -1}, "seed -1 was given"),
    ],
)
def test_cuts_that_cannot_be_made_leave_nothing(define, asked, message):
    workflow = define()
    with pytest.raises(UsageError, match=message):
        workflow.freeze(**asked)
    assert workflow.project.reader.runs("evaluation_set") == []


def test_a_cut_that_loses_a_class_is_refused(define, rows):
    day = np.arange(120)
    workflow = define(rows.assign(bought=np.where((day > 100) & (day % 2 == 0), "yes", "no"), day=day))
    with pytest.raises(StatementError, match="after the split one side lacks a class: training has"):
        workflow.freeze(time="day")


@pytest.mark.slow
def test_a_killed_freeze_is_completed_and_not_duplicated(define, monkeypatch):
    workflow = define()
    write = freezing._write_baseline

    def killed_after(*args):
        write(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(freezing, "_write_baseline", killed_after)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        workflow.freeze()
    (left,) = workflow.project.reader.runs("evaluation_set")
    assert (left.status, left.params, workflow.project.find_evaluation_set()) == ("KILLED", {}, None)
    monkeypatch.setattr(freezing, "_write_baseline", write)
    assert workflow.freeze().run.run_id == left.run_id
    assert len(workflow.project.reader.children(left.run_id)) == 1


@pytest.mark.slow
def test_changed_rows_on_the_server_are_detected(define):
    workflow = define()
    frozen = workflow.freeze()
    uri = workflow.project.server.client.get_run(frozen.run.run_id).info.artifact_uri
    path = f"{uri.removeprefix('file://')}/{names.A_EVALUATION}"
    pd.read_parquet(path).iloc[::-1].to_parquet(path)
    with pytest.raises(EvidenceError, match=r"evaluation.parquet of run .* has sha256"):
        workflow.evaluation_rows()


@pytest.mark.slow
def test_a_table_of_few_different_rows_is_split_only_as_somebody_says(define, rows, write_project):
    few = rows.assign(age=rows["age"] // 20, shop=1, day=1)
    workflow = define(few)
    with pytest.raises(UsageError, match=r"equal another row.*different rows instead of") as refusal:
        workflow.freeze()
    assert "  synth-mlflow freeze --equal-rows both-sides" in refusal.value.fix.splitlines()
    assert workflow.project.reader.runs("evaluation_set") == []
    frozen = workflow.freeze(equal_rows="both-sides")
    assert frozen.run.metrics[names.M_SHARE] == pytest.approx(0.5, abs=0.02)
    assert "'no' " in frozen.run.params[names.P_BALANCE]
    assert frozen.caveat.startswith("Equal rows stand on both sides of the split: ")
    for run in (frozen.run, workflow.project.reader.latest("baseline")):
        assert frozen.caveat in workflow.project.server.client.get_run(run.run_id).data.tags["mlflow.note.content"]
    refuse_overlap(frozen, workflow.training_rows(), workflow.evaluation_rows())
    shared = workflow.project.evaluation_rows(frozen)
    assert workflow.project.without_evaluation_rows(shared, frozen).equals(shared)  # every model knows them already


def test_equal_rows_on_both_sides_need_a_split_at_random(define):
    workflow = define()
    with pytest.raises(UsageError, match="was given for a split by group or time"):
        workflow.freeze(group="shop", equal_rows="both-sides")
    with pytest.raises(UsageError, match=r"--equal-rows bothsides is unknown\. Did you mean 'both-sides'"):
        workflow.freeze(equal_rows="bothsides")


def test_a_gain_that_no_score_leaves_room_for_is_refused_before_the_set_is_frozen(define, rows):
    workflow = define(rows.assign(paid=(rows["bought"] == "yes") * 9), more="columns: {paid: {role: number}}")
    with pytest.raises(StatementError, match=r"reach roc_auc 1\.0000 .* a gain of 0\.01, .* is out of reach"):
        workflow.freeze()
    assert workflow.project.find_evaluation_set() is None


def test_a_baseline_that_knows_the_target_is_warned_of(define, rows):
    paid = rows.assign(paid=(rows["bought"] == "yes") * 9)
    workflow = define(paid, more="columns: {paid: {role: number}}", success="{at_least: 0.9}")
    warning = workflow.freeze().run.params[names.P_WARNING]
    assert "is the best score there is" in warning and "'paid' 1.0000" in warning
