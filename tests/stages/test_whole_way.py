"""The whole way of one project, and what each step leaves on the server."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from synth_mlflow import Workflow
from synth_mlflow.errors import UsageError
from synth_mlflow.handoff.schema import handoff_json_schema
from synth_mlflow.tracking import names


def test_tables_tell_what_was_recorded(done: Workflow) -> None:
    assert [stage.done for stage in done.status().stages] == [True] * 6
    told = done.batches().loc[0, ["generator", "rows", "seed", "verdict", "retracted"]].tolist()
    assert told == ["law", 1000, 2, "pass", False]
    assert list(done.checks()["check"]) == ["contamination", "fidelity", "utility"]
    assert list(done.curve().columns[:7]) == ["ratio", "score", "low", "high", "gain", "gain_low", "gain_high"]
    assert list(done.curve()["ratio"]) == [0.0, 0.25, 0.5, 0.75]


def test_run_tree_is_the_documented_one(done: Workflow) -> None:
    runs = {run.run_id: run for run in done.project.reader.runs()}
    tree = {(runs[run.parent].stage if run.parent else "", run.stage) for run in runs.values()}
    assert tree == {
        ("", "problem"), ("", "evaluation_set"), ("evaluation_set", "baseline"), ("", "batch"),
        ("batch", "contamination"), ("batch", "fidelity"), ("batch", "utility"), ("", "sweep"), ("sweep", "ratio"),
        ("sweep", "final"), ("", "handoff"),
    }  # fmt: skip
    assert {run.status for run in runs.values()} == {"FINISHED"}
    assert all(names.TAG_NOTE in run.tags and names.TAG_KEY in run.tags for run in runs.values())


def test_the_servers_curve_has_the_ratio_as_its_step(done: Workflow) -> None:
    sweep = done.project.latest_sweep()
    assert sweep is not None
    history = done.project.server.client.get_metric_history(sweep.run.run_id, names.M_CURVE_SCORE)
    assert sorted((point.step, point.value) for point in history) == [
        (round(100 * point.ratio), point.score) for point in sweep.curve.points
    ]


def test_scores_are_found_under_the_names_that_people_look_for(done: Workflow) -> None:
    sweep = done.project.latest_sweep()
    assert sweep is not None
    chosen = sweep.curve.at(sweep.curve.chosen)
    metrics = done.project.reader.run(sweep.run.run_id).metrics
    assert (metrics[names.M_SCORE], metrics[names.M_GAIN]) == (chosen.score, chosen.gain)
    for stage in ("evaluation_set", "baseline", "sweep", "ratio", "final"):
        run = done.project.reader.finished(stage)[0]
        assert run.metrics["roc_auc"] == run.metrics[names.M_SCORE]


def test_lineage_names_every_dataset_with_its_context(done: Workflow) -> None:
    sweep = done.project.latest_sweep()
    assert sweep is not None
    inputs = done.project.server.client.get_run(sweep.run.run_id).inputs.dataset_inputs
    contexts = {item.tags[0].value: item.dataset.digest for item in inputs}
    batch, frozen = done.project.batches()[0], done.project.evaluation_set()
    assert contexts["synthetic"] == batch.digest[:32]
    assert contexts["evaluation"] == frozen.digest[:32]
    assert contexts["real"] == frozen.training_digest[:32]


def test_handoff_says_what_the_runs_say(done: Workflow, tmp_path: Path) -> None:
    handoff = done.report(tmp_path / "handoff.json")
    twin = json.loads((tmp_path / "handoff.json").read_text())
    jsonschema.validate(twin, handoff_json_schema())
    assert "Too few customers yet." in json.dumps(twin)
    assert handoff.owed == () and twin["sweep"]["chosen"] == done.latest_curve().chosen
    assert [batch["verdict"] for batch in twin["batches"]] == ["pass"]
    assert {digest["name"] for digest in twin["digests"]} >= {"problem statement", "evaluation set", "model"}


def test_handoff_without_limits_is_a_draft_that_lists_what_people_owe(done: Workflow, tmp_path: Path) -> None:
    (tmp_path / "limits.md").write_text("## Known limitations\n(write here: …)\n")
    handoff = done.report(tmp_path / "handoff.html", limits=tmp_path / "limits.md")
    assert len(handoff.owed) == 3
    assert "DRAFT" in (tmp_path / "handoff.html").read_text().upper()
    assert done.status().stages[-1].words.startswith("a draft")


@pytest.mark.parametrize(("name", "match"), [("handoff.pdf", "ending '.pdf'"), ("nowhere/handoff.html", "no folder")])
def test_report_refuses_outputs_before_it_writes(done: Workflow, tmp_path: Path, name: str, match: str) -> None:
    before = len(done.project.reader.runs("handoff"))
    with pytest.raises(UsageError, match=match):
        done.report(tmp_path / name)
    assert len(done.project.reader.runs("handoff")) == before


def test_results_show_as_tables_in_notebooks(done: Workflow) -> None:
    project, verdict = done.project, done.validate(done.batches().loc[0, "batch"])
    shown = [project.problem(), project.evaluation_set(), verdict, done.latest_curve(), done.status()]
    assert all(result._repr_html_().count("<table") == 1 for result in shown)
    assert "roc_auc" in project.evaluation_set()._repr_html_()
    assert "fidelity" in verdict._repr_html_()  # type: ignore[union-attr]  # one batch, one verdict
