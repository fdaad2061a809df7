"""What the UI says on top of the experiment, of what was handed over, and of the registered model."""

from __future__ import annotations

import pytest

from synth_mlflow import Workflow
from synth_mlflow.data.schema import ColumnSchema, TableSchema
from synth_mlflow.data.text_forms import Form
from synth_mlflow.tracking import names
from synth_mlflow.tracking.models import VERSIONS
from synth_mlflow.tracking.ui import point_to_handoff


def _experiment_note(workflow: Workflow) -> str:
    server = workflow.project.server
    return server.client.get_experiment(server.experiment_id).tags[names.TAG_NOTE]


def test_the_experiment_says_what_it_is_and_links_the_newest_handoff(done: Workflow) -> None:
    note, handoff = _experiment_note(done), done.project.reader.latest("handoff")
    chosen = done.latest_curve().at(done.latest_curve().chosen)
    assert note.startswith(f"**shop**: {100 * chosen.ratio:.0f} % synthetic, roc_auc {chosen.score:.3f}")
    assert f"runs/{handoff.run_id}/artifacts/report/handoff.html" in note
    assert "synthetic chosen" in note


def test_before_a_handoff_it_says_how_far_the_project_is(frozen: Workflow) -> None:
    note = _experiment_note(frozen)
    assert note.startswith("**shop**: no ratio is chosen yet.")
    assert "Newest handoff: not written yet." in note
    assert "real rows frozen" in note


def test_a_retraction_is_said_there_too(done: Workflow) -> None:
    done.retract(done.batches()["batch"][0], reason="wrong units", by="Ann")
    assert "superseded" in _experiment_note(done)


@pytest.mark.slow
def test_what_was_handed_over_links_the_handoff_once(done: Workflow) -> None:
    done.report()
    handoff = done.project.reader.latest("handoff")
    for stage in ("sweep", "final"):
        note = done.project.reader.latest(stage).tags[names.TAG_NOTE]
        assert note.count("Handed over in: ") == 1
        assert handoff.run_id in note


def test_the_registered_model_says_what_it_is_made_of(done: Workflow) -> None:
    final, client = done.project.reader.latest("final"), done.project.server.client
    version = client.get_model_version(final.params[names.P_MODEL_NAME], final.params[names.P_MODEL_VERSION])
    handoff = done.project.reader.latest("handoff")
    assert version.tags[names.TAG_HANDOFF] == handoff.run_id
    assert version.tags[names.TAG_RATIO] == f"{handoff.metrics[names.M_CHOSEN]:g}"
    assert version.tags[names.TAG_SCORE] == f"{handoff.metrics[names.M_SCORE]:.4f}"
    assert version.tags[names.TAG_VERDICT] in version.description
    model = client.get_registered_model(final.params[names.P_MODEL_NAME])
    for words in (version.description, model.description):
        assert "Expected of this model on further rows: roc_auc" in words
        assert "the handoff document" in words
        assert f"synth-mlflow trace models:/{version.name}/{version.version}" in words


def test_the_registered_model_says_how_a_file_is_read_whose_categories_look_missing(
    done: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    final, client = done.project.reader.latest("final"), done.project.server.client
    name, version = final.params[names.P_MODEL_NAME], final.params[names.P_MODEL_VERSION]
    assert "read_csv" not in client.get_model_version(name, version).description
    zips = ColumnSchema("zip", "string", "category", Form(not_missing=("NA",)))
    words = TableSchema((zips,)).how_to_read
    assert words.startswith('Read CSV files with `pd.read_csv(FILE, keep_default_na=False, na_values=[""])`')
    monkeypatch.setattr(TableSchema, "how_to_read", words)
    point_to_handoff(done.project, done.project.reader.latest("handoff"), [], "reached")
    assert 'keep_default_na=False, na_values=[""])`' in client.get_model_version(name, version).description


def test_the_logged_model_has_its_scores_by_the_dataset_that_they_were_measured_on(done: Workflow) -> None:
    client, handoff = done.project.server.client, done.project.reader.latest("handoff")
    final, frozen = done.project.reader.latest("final"), done.project.evaluation_set()
    (used,) = client.get_run(handoff.run_id).inputs.model_inputs
    (made,) = client.get_run(final.run_id).outputs.model_outputs
    assert used.model_id == made.model_id
    assert f'"version":"{final.params[names.P_MODEL_VERSION]}"' in client.get_logged_model(made.model_id).tags[VERSIONS]
    scores = [metric for metric in client.get_logged_model(made.model_id).metrics if metric.key == names.M_SCORE]
    assert {metric.run_id for metric in scores} == {handoff.run_id, final.run_id}
    assert {metric.dataset_name for metric in scores} == {"frozen evaluation set"}
    assert {metric.dataset_digest for metric in scores} == {frozen.digest[: names.DATASET_DIGEST_LENGTH]}
