"""A batch is taken back: its gate shuts, what rests on it is named, and the project says so from then on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from synth_mlflow import Workflow
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.handoff.build import warnings_of
from synth_mlflow.handoff.collect import gather_material
from synth_mlflow.queries.run_index import uses_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.write import set_tags

WHY = {"reason": "flipped labels", "by": "Ann"}


def batch_of(workflow: Workflow) -> str:
    return workflow.project.batches()[0].id


def test_everything_that_used_it_is_listed(demo_workflow: Workflow) -> None:
    found = demo_workflow.retract(batch_of(demo_workflow), **WHY)
    reader = demo_workflow.project.reader
    assert found.models == ("models:/demo-breast-cancer/1",)
    assert found.sweeps == tuple(run.run_id for run in reader.finished("sweep"))
    assert found.handoffs == tuple(run.run_id for run in reader.finished("handoff"))


def test_reason_and_name_are_kept_for_good(demo_workflow: Workflow) -> None:
    demo_workflow.retract(batch_of(demo_workflow), **WHY)
    batch = demo_workflow.project.batches()[0]
    assert json.loads(batch.run.params[names.P_RETRACTION]).items() >= WHY.items()
    assert batch.run.tags[names.TAG_NOTE].startswith("**RETRACTED** by Ann on ")
    assert demo_workflow.project.record(batch).batch == batch.id  # nothing is deleted


def test_the_gate_stays_shut_whatever_the_tag_says(demo_workflow: Workflow) -> None:
    batch = batch_of(demo_workflow)
    found = demo_workflow.retract(batch, **WHY)
    set_tags(demo_workflow.project.server, found.run_id, {names.TAG_RETRACTED: "false"})
    with pytest.raises(GateError, match="it was retracted"):
        demo_workflow.sweep(repeats=3, batches=[batch])
    with pytest.raises(GateError, match=r"retracted by Ann on .*: flipped labels"):
        demo_workflow.validate(batch)


def test_its_handoffs_are_superseded(demo_workflow: Workflow) -> None:
    demo_workflow.retract(batch_of(demo_workflow), **WHY)
    handoff = demo_workflow.project.reader.finished("handoff")[-1]
    assert handoff.tags[names.TAG_SUPERSEDED] == "true"
    assert handoff.tags[names.TAG_NOTE].startswith(f"**SUPERSEDED**: batch {batch_of(demo_workflow)} was retracted")


def test_status_and_check_say_so(demo_workflow: Workflow) -> None:
    demo_workflow.retract(batch_of(demo_workflow), **WHY)
    status = demo_workflow.status()
    assert [stage.stage for stage in status.stages if not stage.done] == ["sweep", "report"]
    assert "by Ann" in status.retracted[0] and status.next_command.startswith("synth-mlflow generate")
    state = demo_workflow.check()[-1]
    assert (state.name, state.state) == ("retracted", "due") and "flipped labels" in state.reason


def test_a_handoff_written_later_warns(demo_workflow: Workflow) -> None:
    demo_workflow.retract(batch_of(demo_workflow), **WHY)
    document = demo_workflow.report().document
    assert document.warnings == (f"Batch {batch_of(demo_workflow)} is in the model and was retracted.",)
    assert document.batches[0].retracted is not None and document.batches[0].retracted.by == "Ann"
    sweep = next(step for step in document.commands if step.command.startswith("synth-mlflow sweep"))
    assert "--batch" not in sweep.command and f"left out: {batch_of(demo_workflow)}" in sweep.does


def test_a_handoff_written_later_is_superseded_and_cannot_be_signed(demo_workflow: Workflow) -> None:
    demo_workflow.retract(batch_of(demo_workflow), **WHY)
    handoff = demo_workflow.report()
    assert demo_workflow.project.reader.run(handoff.run_id).tags[names.TAG_SUPERSEDED] == "true"
    with pytest.raises(GateError, match="is superseded: a batch that it rests on was retracted"):
        demo_workflow.sign(name="Ada", role="owner")


def test_a_curve_that_rests_on_it_is_told_where_the_model_holds_none(demo_workflow: Workflow) -> None:
    demo_workflow.retract(batch_of(demo_workflow), **WHY)
    material = replace(gather_material(demo_workflow.project), inside=set())
    told = f"Batch {batch_of(demo_workflow)} was swept and was retracted since: the curve rests on it."
    assert material.retracted == (batch_of(demo_workflow),) and told in warnings_of(material)


def test_second_retraction_says_who_and_finishes_a_killed_one(demo_workflow: Workflow) -> None:
    batch = batch_of(demo_workflow)
    found = demo_workflow.retract(batch, **WHY)
    set_tags(demo_workflow.project.server, found.handoffs[0], {names.TAG_SUPERSEDED: "", names.TAG_NOTE: "as before"})
    with pytest.raises(GateError, match=r"retracted already: by Ann on .*: flipped labels"):
        demo_workflow.retract(batch, reason="no idea", by="Bob")
    handoff = demo_workflow.project.reader.run(found.handoffs[0])
    assert handoff.tags[names.TAG_SUPERSEDED] == "true" and handoff.tags[names.TAG_NOTE].count("SUPERSEDED") == 1


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"reason": " ", "by": "Ann"}, "blank: reason"),
        ({"reason": "bad", "by": ""}, "blank: by"),
        ({"reason": "x" * 6_000, "by": "Ann"}, "at most 6,000 are kept"),
    ],
)
def test_blanks_and_what_would_be_cut_are_refused(demo_workflow: Workflow, given: dict[str, str], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        demo_workflow.retract(batch_of(demo_workflow), **given)
    assert not demo_workflow.project.batches()[0].retracted


def test_unknown_batch(demo_workflow: Workflow) -> None:
    with pytest.raises(UsageError, match="there is no batch 'forest-0000'"):
        demo_workflow.retract("forest-0000", **WHY)


def test_a_model_of_real_rows_alone_ate_no_batch() -> None:
    sweep = stored("s", "sweep", {names.P_BATCHES: "a-1 b-2", names.P_CHOSEN: "0.0"})
    final = stored("f", "final", {names.P_BATCHES: "a-1 b-2", names.P_CHOSEN: "0.0"})
    handoff = stored("h", "handoff", {names.P_BATCHES: "", names.P_SWEEP: "s"})
    found = uses_of([sweep, final, handoff], "a-1")
    assert (found.sweeps, found.finals, found.handoffs) == ((sweep,), (), (handoff,))
    assert uses_of([sweep, final, handoff], "a").sweeps == ()


def stored(run_id: str, stage: str, params: dict[str, str]) -> StoredRun:
    return StoredRun(run_id, stage, "FINISHED", {names.TAG_STAGE: stage}, params, {}, 0, 0)
