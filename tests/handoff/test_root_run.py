"""The run above all stages tells the result: in its name, its first line, its tags and its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synth_mlflow import GateError, Workflow
from synth_mlflow.handoff.root_run import result_of, result_without_model
from synth_mlflow.sweep.explain import in_short
from synth_mlflow.tracking import names
from synth_mlflow.tracking.write import NewRun, create_run, show_on_run


def test_its_name_and_numbers_are_those_of_the_handoff(done: Workflow) -> None:
    document = done.report().document
    sweep, result = document.sweep, result_of(document)
    assert result.title.startswith(f"shop: {100 * sweep.chosen:.0f} %, roc_auc {sweep.estimate.score.value:.3f}")
    assert result.title.endswith(", 1 of 1 batch passed") and "1 of 1 batch passed" in result.description
    assert result.metrics[names.M_SCORE] == sweep.estimate.score.value
    assert result.metrics[names.M_BASELINE] == sweep.at(0.0).score.value
    assert result.tags[names.TAG_RATIO] == f"{sweep.chosen:g}"


def test_verdicts_are_counted_and_retracted_batches_are_not(done: Workflow) -> None:
    document = done.report().document
    (batch,) = document.batches
    others = [replace(batch, verdict="fail"), replace(batch, verdict="inconclusive"), batch]
    result = result_of(replace(document, batches=(batch, *others)))
    assert result.title.endswith("2 of 4 batches passed")
    assert result.tags[names.TAG_VERDICT] == "2 pass, 1 fail, 1 inconclusive"
    assert (result.metrics[names.M_PASSED], result.metrics[names.M_BATCHES]) == (2, 4)


def test_where_no_batch_passed_it_says_so(frozen: Workflow) -> None:
    result = result_without_model(frozen.draft_handoff(GateError("no batch has passed.", "Make another.")))
    assert result.title == "shop: no model yet, 0 of 0 batches passed"
    server = frozen.project.server
    note = server.client.get_experiment(server.experiment_id).tags[names.TAG_NOTE]
    assert "[the handoff document](" in note and "(a draft, no model yet)" in note
    root = create_run(server, NewRun("workflow", "workflow", "key"))
    show_on_run(server, root, result.all_tags, result.metrics)
    shown = frozen.project.reader.run(root)
    assert (shown.name, shown.tags[names.TAG_DRAFT]) == (result.title, "true")
    assert shown.metrics[names.M_STAGE] == 0  # the first row of the view that people begin with


@pytest.mark.parametrize(
    ("score", "gain", "words"),
    [
        (0.92734, 0.0212, "25 %, r2 0.927 (+0.021)"),
        (0.5, -0.25, "25 %, r2 0.500 (-0.250)"),
        (-20345.6, 1234.5, "25 %, r2 -20,346 (+1,234)"),
        (0.00012, None, "25 %, r2 0.00012"),
        (0.0, 0.0, "25 %, r2 0.000 (+0.000)"),
    ],
)
def test_numbers_are_short_whatever_their_size(score: float, gain: float | None, words: str) -> None:
    assert in_short("25 %", "r2", score, gain) == words
