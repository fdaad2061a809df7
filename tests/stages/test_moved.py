"""A database and its artifacts that were copied to another folder: they are read there, and written after a repair."""

from __future__ import annotations

import shutil
import sqlite3

import pytest
from mlflow.tracking import MlflowClient

from synth_mlflow import EvidenceError, UsageError, Workflow
from synth_mlflow.tracking.moved import beside_database


@pytest.fixture
def copied(done_folder, frozen_folder, tmp_path):
    """The project of `done`, whose artifacts lie in two folders of the session, gathered in a third one."""
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(done_folder / "mlflow.db", new / "mlflow.db")
    for folder in (frozen_folder, done_folder):
        if (folder / "mlruns").is_dir():
            shutil.copytree(folder / "mlruns", new / "mlruns", dirs_exist_ok=True)
    return new


@pytest.mark.slow
def test_files_are_read_beside_the_database(copied):
    workflow = Workflow("shop", f"sqlite:///{copied}/mlflow.db")
    frozen = workflow.project.evaluation_set()
    assert workflow.project.reader.file(frozen.run, "schema.json").is_relative_to(copied / "mlruns")
    assert workflow.verify().holds and len(workflow.training_rows()) and workflow.status().broken == ()


def test_a_changed_copy_is_noticed(copied):
    for path in (copied / "mlruns").rglob("training.parquet"):
        path.write_bytes(b"not these rows")
    with pytest.raises(EvidenceError, match=r"training.parquet of run .* someone changed it"):
        Workflow("shop", f"sqlite:///{copied}/mlflow.db").training_rows()


@pytest.mark.slow
def test_writing_is_refused_until_the_database_names_the_new_folder(copied):
    uri = f"sqlite:///{copied}/mlflow.db"
    workflow = Workflow("shop", uri)
    with pytest.raises(UsageError, match=r"was moved here from .*\n.*`synth-mlflow status --repair`"):
        workflow.generate("bootstrap_noise", rows=20, purpose="more")
    assert workflow.repair().n_paths > 5 and workflow.repair().n_paths == 0
    again = Workflow("shop", uri)
    batch = again.generate("bootstrap_noise", rows=20, purpose="more")
    assert (copied / "mlruns").rglob(f"{batch.run_id}/artifacts/batch/data.parquet")
    assert str(copied) in MlflowClient(uri).get_run(batch.run_id).info.artifact_uri
    assert again.verify().holds
    with sqlite3.connect(copied / "mlflow.db") as database:
        (source,) = database.execute("SELECT source FROM model_versions").fetchone()
    assert str(copied / "mlruns") in source


def test_without_the_artifacts_the_old_path_is_named(copied, tmp_path):
    shutil.rmtree(copied / "mlruns")
    with sqlite3.connect(copied / "mlflow.db") as database:
        database.execute("UPDATE runs SET artifact_uri = '/nowhere/mlruns' || substr(artifact_uri, -45)")
    with pytest.raises(EvidenceError, match=r"cannot be fetched|is gone") as told:
        Workflow("shop", f"sqlite:///{copied}/mlflow.db").training_rows()
    assert f"looked for in {copied}/mlruns/" in told.value.fix and "/nowhere/mlruns" in told.value.fix
    assert "put it beside the database as mlruns" in told.value.fix


@pytest.mark.parametrize(
    ("tracking", "artifact", "found"),
    [
        ("sqlite:////new/mlflow.db", "/old/mlruns/1/r/artifacts", "/new/mlruns/1/r/artifacts"),
        ("sqlite:////new/mlflow.db", "file:///old/a%20b/1/r/artifacts", "/new/a b/1/r/artifacts"),
        ("sqlite:////new/mlflow.db", "/old/mlruns/1/models/m-1/artifacts", "/new/mlruns/1/models/m-1/artifacts"),
        ("sqlite:////old/mlflow.db", "/old/mlruns/1/r/artifacts", None),
        ("sqlite:////new/mlflow.db", "s3://bucket/1/r/artifacts", None),
        ("http://host", "/old/mlruns/1/r/artifacts", None),
    ],
)
def test_where_moved_files_lie(tracking, artifact, found):
    place = beside_database(tracking, artifact)
    assert (None if place is None else str(place)) == found
