"""Everything that somebody changes behind the tool's back is named, with what depends on it; editing tags is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.audit.verify import Finding
from synth_mlflow.data.digests import file_digest
from synth_mlflow.errors import UsageError
from synth_mlflow.queries.run_index import dependents_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.sign_offs import estimate_of, estimate_text
from synth_mlflow.tracking.write import set_tags

Change = Callable[..., None]
PathOf = Callable[[str, str], Path]
MODEL = "models:/demo-breast-cancer/1"
SET_PARAM = "UPDATE params SET value = ? WHERE run_uuid = ? AND key = ?"

FILES = (
    ("problem", names.A_STATEMENT),
    ("evaluation_set", names.A_EVALUATION),
    ("evaluation_set", names.A_ROW_DIGESTS),
    ("batch", names.A_BATCH),
    ("batch", names.A_RECORD),
    ("privacy", names.A_PROBES),
    ("sweep", names.A_CURVE),
    ("sweep", names.A_CURVE_PICTURE),
    ("final", names.A_MIX),
    ("final", names.A_PREDICTIONS),
    ("handoff", names.A_HANDOFF_HTML),
    ("handoff", names.A_HANDOFF_JSON),
)
PARAMS = (
    ("problem", names.P_METRIC, "accuracy", "problem.md gives balanced_accuracy"),
    ("evaluation_set", names.P_EVALUATION_DIGEST, "0" * 64, "someone changed them"),
    ("evaluation_set", names.P_TRAINING_ROWS, "7", f"{names.P_TRAINING_ROWS} says 7, the table gives"),
    ("batch", names.P_GENERATOR_VERSION, "99", "is not the one that its run vouches for"),
    ("batch", names.P_SEED, "99", f"{names.P_SEED} says 99, {names.A_RECORD} gives 0"),
    ("privacy", names.P_VERDICT, "fail", "says fail, its statistics under its policy gives pass"),
    ("privacy", names.P_ALPHA, "0.4", f"{names.P_ALPHA} says 0.4"),
    ("privacy", names.P_DECIDING, '[{"name": "made_up"}]', "the deciding statistic 'made_up'"),
    ("utility", names.P_DECIDING, "no JSON", "cannot be read"),
    ("sweep", names.P_CHOSEN, "0.9", f"{names.P_CHOSEN} says 0.9, {names.A_CURVE} gives"),
    ("sweep", names.P_REPEATS, "80", "seal"),
    ("final", names.P_MODEL_VERSION, "2", "models:/demo-breast-cancer/2 cannot be fetched"),
    ("handoff", names.P_DOCUMENT, "0" * 64, f"{names.P_DOCUMENT} says"),
    ("handoff", names.P_CHOSEN, "nonsense", f"{names.P_CHOSEN} says nonsense, the document gives"),
)
"""Of which run, which parameter, what it is set to, and what must be said about it."""
GONE = (
    {
        "problem": "it names the problem statement",
        "evaluation_set": "it names the evaluation set",
        "batch": "whose run is gone",
        "sweep": "its sweep run",
    },
    {
        "baseline": "its baseline run is gone",
        "privacy": "the document links to run",
        "ratio": "its run of ratio",
        "final": "the run of its final model is gone",
    },
)


def run_of(workflow: Workflow, stage: str) -> str:
    return workflow.project.reader.finished(stage)[-1].run_id


def fresh(workflow: Workflow) -> Workflow:
    """Another process: nothing is downloaded yet."""
    return Workflow(None, workflow.project.server.tracking_uri)


def findings(workflow: Workflow) -> tuple[Finding, ...]:
    return fresh(workflow).verify().findings


def affected(workflow: Workflow) -> set[str]:
    return {item for finding in findings(workflow) for item in finding.affects}


def said(workflow: Workflow) -> str:
    return "\n".join(finding.what for finding in findings(workflow))


def test_an_untouched_project_holds(own: Workflow) -> None:
    found = own.verify()
    assert found.findings == () and found.holds
    assert found.runs == {
        "workflow": 1, "problem": 1, "evaluation_set": 1, "baseline": 1, "batch": 1, "contamination": 1, "fidelity": 1,
        "utility": 1, "privacy": 1, "sweep": 1, "ratio": 4, "final": 1, "handoff": 1,
    }  # fmt: skip
    assert found.n_files > 20


@pytest.mark.slow
def test_as_much_of_an_id_as_a_page_shows_is_enough(own: Workflow) -> None:
    handoff = own.project.reader.latest("handoff")
    assert handoff is not None
    shown = handoff.run_id[:12]
    assert own.verify(shown).runs == own.verify(handoff.run_id).runs
    assert own.trace(shown).lines() == own.trace(handoff.run_id).lines()
    assert own.diff(shown, handoff.run_id).changes == ()
    with pytest.raises(UsageError, match=f"no run '{handoff.run_id[:6]}'"):
        own.verify(handoff.run_id[:6])


@pytest.mark.slow
def test_a_tag_is_no_evidence(own: Workflow) -> None:
    for run in own.project.reader.runs():
        set_tags(own.project.server, run.run_id, {names.TAG_VERDICT: "fail", names.TAG_REASON: "?", "mine": "x"})
    assert findings(own) == ()


@pytest.mark.slow
def test_a_retraction_breaks_no_seal(own: Workflow) -> None:
    own.retract(own.project.batches()[0].id, reason="flipped labels", by="Ann")
    assert findings(own) == ()


def test_changed_bytes_are_found(own: Workflow, path_of: PathOf) -> None:
    for stage, artifact in FILES:
        path = path_of(stage, artifact)
        path.write_bytes(path.read_bytes() + b" ")
    told = {(finding.run_id, finding.what.split(" of run ")[0]) for finding in findings(own)}
    assert told == {(run_of(own, stage), artifact) for stage, artifact in FILES}


@pytest.mark.slow
def test_a_file_that_is_gone_is_found(own: Workflow, path_of: PathOf) -> None:
    path_of("batch", names.A_BATCH).unlink()
    assert names.A_BATCH in said(own)


def test_what_depends_on_a_batch_is_named(own: Workflow, path_of: PathOf) -> None:
    path_of("batch", names.A_RECORD).write_text("{}")
    assert affected(own) == {f"sweep {run_of(own, 'sweep')}", MODEL, f"handoff {run_of(own, 'handoff')}"}


@pytest.mark.slow
def test_what_depends_on_a_check_is_named(own: Workflow, path_of: PathOf) -> None:
    path_of("utility", names.A_PROBES).write_text("{}")
    assert {f"batch {own.project.batches()[0].id}", MODEL} <= affected(own)


@pytest.mark.parametrize("stage", ["evaluation_set", "ratio", "final"])
def test_the_model_depends_on_what_made_it(own: Workflow, stage: str) -> None:
    runs = own.project.reader.runs()
    run = own.project.reader.run(run_of(own, stage))
    assert {f"sweep {run_of(own, 'sweep')}", MODEL, f"handoff {run_of(own, 'handoff')}"} <= set(
        dependents_of(runs, run)
    )


def test_nothing_depends_on_a_handoff(own: Workflow) -> None:
    assert dependents_of(own.project.reader.runs(), own.project.reader.finished("handoff")[-1]) == ()


@pytest.mark.slow
def test_files_swapped_between_two_runs_are_found(own: Workflow, path_of: PathOf, tmp_path: Path) -> None:
    one, other = path_of("fidelity", names.A_PROBES), path_of("privacy", names.A_PROBES)
    shutil.move(one, tmp_path / "kept")
    shutil.move(other, one)
    shutil.move(tmp_path / "kept", other)
    assert {finding.run_id for finding in findings(own)} == {run_of(own, "fidelity"), run_of(own, "privacy")}


def test_a_changed_model_is_found(own: Workflow) -> None:
    version = own.project.server.client.get_model_version("demo-breast-cancer", "1")
    path = Path(str(version.source).removeprefix("file://")) / "model.lgb"
    path.write_text(path.read_text().replace("leaf_value=", "leaf_value=-"))
    found = findings(own)
    assert [finding.run_id for finding in found] == [run_of(own, "final")]
    assert names.P_MODEL_SHA256 in found[0].what and MODEL in found[0].what


@pytest.mark.slow
def test_a_deleted_model_version_is_found(own: Workflow) -> None:
    own.project.server.client.delete_model_version("demo-breast-cancer", "1")
    assert f"the registered model {MODEL} cannot be fetched" in said(own)


@pytest.mark.slow
def test_metrics_changed_in_the_database_are_found(own: Workflow, change: Change) -> None:
    stages = ["baseline", "batch", "privacy", "ratio", "final", "handoff"]
    for stage in stages:
        change("UPDATE metrics SET value = value + 0.1 WHERE run_uuid = ?", run_of(own, stage))
    told = {finding.run_id for finding in findings(own) if "seal" in finding.what}
    assert told == {run_of(own, stage) for stage in stages}


@pytest.mark.slow
def test_a_metric_that_only_the_pages_show_is_found(own: Workflow, change: Change) -> None:
    change("UPDATE latest_metrics SET value = 0.99 WHERE run_uuid = ? AND key = 'synth.score'", run_of(own, "baseline"))
    assert "seal" in said(own)


@pytest.mark.slow
def test_an_appended_metric_is_found(own: Workflow) -> None:
    own.project.server.client.log_metric(run_of(own, "sweep"), names.M_SCORE, 0.99, step=50)
    assert [finding.run_id for finding in findings(own)] == [run_of(own, "sweep")]


@pytest.mark.slow
def test_a_metric_of_somebody_else_is_none_of_our_business(own: Workflow) -> None:
    own.project.server.client.log_metric(run_of(own, "sweep"), "carbon", 3.0)
    assert findings(own) == ()


@pytest.mark.slow
def test_parameters_changed_in_the_database_are_found(own: Workflow, change: Change) -> None:
    for stage, param, value, _ in PARAMS:
        change(SET_PARAM, value, run_of(own, stage), param)
    told = findings(own)
    assert all(finding.affects for finding in told if finding.run_id == run_of(own, "evaluation_set"))
    for stage, param, _, what in PARAMS:
        texts = [finding.what for finding in told if finding.run_id == run_of(own, stage)]
        assert any("seal" in text for text in texts), stage
        assert any(what in text for text in texts), (stage, param, texts)


@pytest.mark.slow
def test_an_estimate_that_was_edited_forged_or_deleted_is_found(own: Workflow, change: Change) -> None:
    final = own.project.reader.run(run_of(own, "final"))
    stated = estimate_of(final)
    assert stated is not None
    change(
        SET_PARAM,
        final.params[names.P_HOLDOUT_ESTIMATE].replace('"n_rows":', '"n_rows":9'),
        final.run_id,
        names.P_HOLDOUT_ESTIMATE,
    )
    assert "is not the one that was stated: someone changed it" in said(own)
    forged = replace(stated, estimate=replace(stated.estimate, low=stated.estimate.score))
    change(SET_PARAM, estimate_text(final, forged), final.run_id, names.P_HOLDOUT_ESTIMATE)
    texts = said(own)
    assert "its predictions and the frozen rows give" in texts and f"handoff {run_of(own, 'handoff')} states" in texts
    change("DELETE FROM params WHERE run_uuid = ? AND key = ?", final.run_id, names.P_HOLDOUT_ESTIMATE)
    assert f"the expected score that handoff {run_of(own, 'handoff')} states is gone" in said(own)


@pytest.mark.slow
def test_a_deleted_parameter_is_found(own: Workflow, change: Change) -> None:
    for param in (names.P_SEAL, names.P_RATIOS):
        change("DELETE FROM params WHERE run_uuid = ? AND key = ?", run_of(own, "sweep"), param)
    texts = said(own)
    assert "nothing vouches" in texts and f"{names.P_RATIOS} says nothing" in texts


@pytest.mark.slow
def test_a_file_with_a_new_digest_still_breaks_the_seal(own: Workflow, change: Change, path_of: PathOf) -> None:
    path = path_of("batch", names.A_BATCH)
    frame = pd.read_parquet(path)
    frame.assign(mean_texture=1.0).to_parquet(path)
    key = names.P_ARTIFACT_PREFIX + names.A_BATCH
    change(SET_PARAM, file_digest(path), run_of(own, "batch"), key)
    texts = said(own)
    assert "seal" in texts and "has content digest" in texts
    frame.assign(extra=1.0).to_parquet(path)
    change(SET_PARAM, file_digest(path), run_of(own, "batch"), key)
    assert "its rows and its record differ in the columns extra" in said(own)


@pytest.mark.slow
def test_an_edited_document_is_found_even_with_a_new_file_digest(
    own: Workflow, change: Change, path_of: PathOf
) -> None:
    path = path_of("handoff", names.A_HANDOFF_JSON)
    twin = json.loads(path.read_text())
    twin["limits"]["known"] = "None at all."
    twin["sign_offs"] = [{"name": "Ann", "role": "owner", "at": "2026-01-01T00:00:00Z", "sha256": twin["sha256"]}]
    path.write_text(json.dumps(twin))
    key = names.P_ARTIFACT_PREFIX + names.A_HANDOFF_JSON
    change(SET_PARAM, file_digest(path), run_of(own, "handoff"), key)
    texts = said(own)
    assert names.P_DOCUMENT in texts and "Ann signed" in texts


@pytest.mark.slow
@pytest.mark.parametrize("told", GONE)
def test_a_deleted_run_is_missed_by_those_that_name_it(own: Workflow, told: dict[str, str]) -> None:
    gone = [run_of(own, stage) for stage in told]
    for run_id in gone:
        own.project.server.client.delete_run(run_id)
    texts = said(own)
    assert all(what in texts for what in told.values())
    assert all(f"the document links to run {run_id}, which is gone" in texts for run_id in gone)


@pytest.mark.slow
def test_one_run_with_what_is_under_it(own: Workflow, path_of: PathOf) -> None:
    path_of("privacy", names.A_PROBES).write_text("{}")
    assert fresh(own).verify(run_of(own, "sweep")).holds
    found = fresh(own).verify(run_of(own, "batch"))
    assert sum(found.runs.values()) == 5 and [finding.run_id for finding in found.findings] == [run_of(own, "privacy")]
    with pytest.raises(UsageError, match="no run 'nowhere'"):
        own.verify("nowhere")
