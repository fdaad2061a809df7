"""Models that were made before every batch was held against the evaluation set are named."""

from types import SimpleNamespace

from synth_mlflow.gate.rerun_conditions import unjudged_inside, without_check
from synth_mlflow.tracking import names


def run(batch, check, *, counts=True):
    return SimpleNamespace(params={names.P_BATCH: batch, names.P_CHECK: check}, counts=counts)


RUNS = [run("a-1", "contamination"), run("b-2", "fidelity"), run("c-3", "contamination", counts=False)]


def test_batches_without_the_check_are_named_in_order():
    assert without_check(RUNS, ["c-3", "a-1", "b-2"]) == ["c-3", "b-2"]


def test_a_model_with_such_a_batch_is_due_and_others_are_left_alone():
    assert unjudged_inside(RUNS, ["a-1"]) == []
    (state,) = unjudged_inside(RUNS, ["a-1", "b-2"])
    assert state.state == "due" and "evaluation rows in b-2" in state.reason
