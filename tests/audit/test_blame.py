"""`blame`: from the server alone it names the batch that spoils a model, and keeps the answer as a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.tracking import names


@pytest.mark.slow
def test_one_batch_is_held_against_real_rows(done: Workflow) -> None:
    batch, chosen = done.project.batches()[0].id, done.latest_curve().chosen
    found = done.blame(ratio=None if chosen else 0.5, repeats=3)
    assert [each.batch for each in found.result.effects] == [batch] and found.named == ()
    assert found.model.startswith("models:/shop/") and "synthetic: the only one does not lower" in found.words
    assert list(found.frame()["verdict"]) != ["to blame"] and "slice young" in found.frame()
    assert found._repr_html_().count("<table") == 1

    run = done.project.reader.run(found.run_id)
    assert (run.stage, run.parent, run.params[names.P_HARMFUL]) == ("blame", found.sweep_run, "")
    assert run.metrics[f"synth.effect/{batch}"] == found.result.effects[0].overall.effect
    assert done.verify().holds and "nothing" not in done.verify(found.run_id).runs


def test_the_same_question_is_answered_from_the_server(done: Workflow) -> None:
    first = done.blame(ratio=0.5, repeats=3)
    assert done.blame(first.sweep_run, ratio=0.5, repeats=3) == first
    assert done.blame(first.model, ratio=0.5, repeats=4).run_id != first.run_id
    assert len(done.project.reader.finished("blame")) == 2


def test_refusals(done: Workflow) -> None:
    with pytest.raises(UsageError, match="batch 'law-x' is none of those of models:/shop/"):
        done.blame(batches=["law-x"])
    with pytest.raises(UsageError, match="'nothing' is no sweep, model or handoff of project 'shop'"):
        done.blame("nothing")
    with pytest.raises(UsageError, match="at least 3 are needed"):
        done.blame(ratio=0.5, repeats=2)
    with pytest.raises(GateError, match="synthetic rows, 1,000 passed"):
        done.blame(ratio=0.95)


def test_before_a_sweep(frozen: Workflow) -> None:
    with pytest.raises(GateError, match="no model yet"):
        frozen.blame()


@pytest.mark.slow
def test_rows_kept_by_reference_elsewhere(
    uri: str, write_project: Callable[..., Path], customers: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    workflow = Workflow("shop", uri)
    workflow.define(write_project())
    workflow.freeze(store="reference")
    for seed in (2, 3):
        law = {"generator": "law", "version": "1", "params": {}, "seed": seed, "slice": None}
        with workflow.batch(**law, purpose="more rows", source="none") as b:
            b.write(customers(600, seed))
    workflow.validate()
    workflow.sweep((0, 0.5), 3)
    (tmp_path / "rows.csv").rename(tmp_path / "moved.csv")
    with pytest.raises(Exception, match="`--data FILE`"):
        workflow.blame(ratio=0.5, repeats=3)
    found = workflow.blame(ratio=0.5, repeats=3, data=tmp_path / "moved.csv")
    assert found.named == () and len(found.result.effects) == 2
    assert workflow.project.real_file is None
    with pytest.raises(Exception, match="`--data FILE`"):
        workflow.report()
    assert workflow.project.reader.finished("handoff") == []
    told = workflow.report(data=tmp_path / "moved.csv").document.sweep.estimate
    assert workflow.report().document.sweep.estimate == told  # read back: the rows are asked for once


def test_command_line(done: Workflow, call: Callable[..., tuple[int, str, str]]) -> None:
    at = ("--tracking-uri", done.project.server.tracking_uri, "-q")
    code, out, _ = call("blame", "--ratio", "50", "--repeats", "3", *at)
    assert code == 0 and "effect on roc_auc" in out and out.splitlines()[-1].startswith("next: synth-mlflow status")
    code, out, _ = call("blame", "--ratio", "50", "--repeats", "3", "--json", *at)
    told = json.loads(out)
    assert code == 0 and told["named"] == [] and told["result"]["n_repeats"] == 3
