"""A batch as MLflow's own kind of dataset."""

from __future__ import annotations

from pathlib import Path

import mlflow
import mlflow.data
import pandas as pd
import pytest

from synth_mlflow import EvidenceError, UsageError, Workflow
from synth_mlflow.data.provenance import METADATA_KEY
from synth_mlflow.data.tables import file_metadata, write_parquet
from synth_mlflow.tracking import names


@pytest.fixture
def batch_file(done: Workflow) -> Path:
    """The Parquet file of the only batch, as anybody gets it from the artifact store."""
    batch = done.project.batches()[0]
    return done.project.reader.file(batch.run, names.A_BATCH)


def _logged_by_a_script(done: Workflow, dataset: mlflow.data.dataset.Dataset) -> str:
    mlflow.set_tracking_uri(done.project.server.tracking_uri)
    mlflow.set_experiment("somebody else's")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training")
    return run.info.run_id


def test_a_script_that_logs_the_batch_is_found_by_trace(done: Workflow, batch_file: Path) -> None:
    run_id = _logged_by_a_script(done, mlflow.data.from_synthetic_batch(batch_file))
    assert run_id in "\n".join(done.trace(done.batches()["batch"][0]).lines())


def test_so_is_one_that_does_not_know_this_product(done: Workflow, batch_file: Path) -> None:
    run_id = _logged_by_a_script(done, mlflow.data.from_pandas(pd.read_parquet(batch_file), source=str(batch_file)))
    batch = done.batches()["batch"][0]
    assert run_id in "\n".join(done.trace(batch).lines())
    assert batch in "\n".join(done.trace(run_id).lines())


def test_the_source_comes_back_from_the_server_and_loads(done: Workflow, batch_file: Path) -> None:
    run_id = _logged_by_a_script(done, mlflow.data.from_synthetic_batch(batch_file))
    logged = mlflow.get_run(run_id).inputs.dataset_inputs[0].dataset
    assert logged.source_type == names.SOURCE_TYPE
    assert Path(mlflow.data.get_source(logged).load()) == batch_file.resolve()


def test_our_own_runs_name_the_artifact_as_the_source(done: Workflow) -> None:
    batch = done.project.batches()[0]
    mlflow.set_tracking_uri(done.project.server.tracking_uri)
    logged = mlflow.get_run(batch.run.run_id).inputs.dataset_inputs[0].dataset
    assert len(pd.read_parquet(mlflow.data.get_source(logged).load())) == batch.n_rows


def test_the_scheme_names_a_file_as_the_source_of_any_dataset(batch_file: Path) -> None:
    dataset = mlflow.data.from_pandas(pd.read_parquet(batch_file), source=f"synth-batch:{batch_file}")
    assert dataset.source.to_dict()["uri"] == str(batch_file.resolve())


def test_changed_rows_are_refused(batch_file: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.parquet"
    rows = pd.read_parquet(batch_file)
    write_parquet(rows.assign(age=rows["age"] + 1), changed, {METADATA_KEY: file_metadata(batch_file)[METADATA_KEY]})
    with pytest.raises(EvidenceError, match="someone changed them"):
        mlflow.data.from_synthetic_batch(changed)


def test_a_file_without_a_record_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(UsageError, match="carries no provenance record"):
        mlflow.data.from_synthetic_batch(tmp_path / "plain.parquet")
    with pytest.raises(UsageError, match="there is no file"):
        mlflow.data.from_synthetic_batch(tmp_path / "none.parquet")
