"""What is called real must be: no file with a synthetic record, no rows of any batch on the server."""

import sqlite3

import pandas as pd
import pytest

from synth_mlflow.backends.real_rows import refuse_synthetic
from synth_mlflow.data.columns import normalise
from synth_mlflow.errors import UsageError
from synth_mlflow.tracking import names
from synth_mlflow.workflow import Workflow

RECORD = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None, "purpose": "more rows"}


@pytest.fixture
def batch(frozen, customers):
    with frozen.batch(**RECORD) as b:
        b.write(customers(80, seed=2))
    return frozen.project.batch(b.batch.batch)


@pytest.fixture
def define_elsewhere(frozen, tmp_path, write_project):
    """Another project on the same server, told that some rows are real."""

    def define(rows):
        workflow = Workflow("mill", frozen.project.server.tracking_uri)
        return workflow.define(write_project(rows, name="mill", slices="{}"))

    return define


def test_a_file_that_carries_a_record_is_no_real_data(frozen, batch, write_project, tmp_path):
    path = frozen.project.reader.file(batch.run, names.A_BATCH)
    for name in ("batch.parquet", "batch.PARQUET"):
        (tmp_path / name).write_bytes(path.read_bytes())
        workflow = Workflow("mill", frozen.project.server.tracking_uri)
        with pytest.raises(UsageError, match=rf"{name} is no real data: it carries the record of synthetic batch law-"):
            workflow.define(write_project(name="mill", data=name, slices="{}"))


@pytest.mark.slow
def test_rows_of_a_batch_of_another_project_are_refused(define_elsewhere, batch, customers):
    with pytest.raises(UsageError, match=rf"80 of its 80 rows are rows of synthetic batch {batch.id} \(project 'shop'"):
        define_elsewhere(customers(80, seed=2))


def test_a_few_of_them_among_real_rows_are_found_in_any_order(define_elsewhere, batch, customers):
    mixed = pd.concat([customers(200, seed=5), customers(80, seed=2).head(8)]).sample(frac=1, random_state=0)
    with pytest.raises(UsageError, match=r"not strictly real: 8 of its 208 rows are rows of synthetic batch"):
        define_elsewhere(mixed[mixed.columns[::-1]])


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda rows: rows.drop(columns="age"), id="a column left out", marks=pytest.mark.slow),
        pytest.param(lambda rows: rows.assign(decade=rows["age"] // 10), id="one added", marks=pytest.mark.slow),
        pytest.param(lambda rows: rows.drop(columns="age").assign(place=rows["region"].str[:1]), id="both"),
    ],
)
def test_rows_of_a_batch_are_known_by_the_columns_that_are_left(
    define_elsewhere, frozen, batch, customers, changed, tmp_path
):
    made, real = changed(customers(80, seed=2)), changed(customers(300, seed=5))
    for rows in (made, made.head(40), pd.concat([real, made])):
        with pytest.raises(UsageError, match=rf"is not strictly real: .* are rows of synthetic batch {batch.id}"):
            define_elsewhere(rows)
    refuse_synthetic(frozen.project, tmp_path / "rows.csv", normalise(real))


@pytest.mark.slow
def test_real_rows_with_a_further_column_stay_real_even_if_a_generator_copied_them(frozen, tmp_path):
    with frozen.batch(**RECORD) as b:
        b.write(frozen.training_rows().head(40))
    real = frozen.training_rows()
    refuse_synthetic(frozen.project, tmp_path / "rows.csv", real.assign(decade=real["age"] // 10))


@pytest.mark.slow
@pytest.mark.parametrize("also", [(), ("batch",), ("batch", "digests"), ("batch", "salt")])
def test_rows_of_a_batch_are_known_though_its_evaluation_set_is_gone(define_elsewhere, frozen, batch, customers, also):
    client, evaluation_run = frozen.project.server.client, frozen.project.evaluation_set().run.run_id
    for run_id in (evaluation_run, *([batch.run.run_id] if "batch" in also else [])):
        client.delete_run(run_id)
    with sqlite3.connect(frozen.project.server.tracking_uri.removeprefix("sqlite:///")) as database:
        if "digests" in also:  # as if somebody had taken the file away
            database.execute("DELETE FROM params WHERE key = ?", (names.P_ARTIFACT_PREFIX + names.A_ROW_DIGESTS,))
        if "salt" in also:  # as `mlflow gc` leaves a set, and earlier versions a batch
            database.execute("DELETE FROM params WHERE key = ?", (names.P_SALT,))
            database.execute("DELETE FROM tags WHERE run_uuid = ?", (evaluation_run,))
    with pytest.raises(UsageError, match="of its 300 rows are rows of synthetic batch"):
        define_elsewhere(pd.concat([customers(260, seed=5), customers(80, seed=2).head(40)], ignore_index=True))


@pytest.mark.slow
def test_new_real_rows_of_the_same_law_are_real(define_elsewhere, batch, customers):
    assert define_elsewhere(customers(300, seed=5)).run.counts


def test_the_projects_own_rows_stay_real_even_if_a_generator_copied_them(frozen, tmp_path):
    with frozen.batch(**RECORD) as b:
        b.write(frozen.training_rows().head(40))
    refuse_synthetic(frozen.project, tmp_path / "rows.csv", frozen.training_rows())


@pytest.mark.slow
def test_coarse_rows_that_are_equal_by_chance_are_no_proof(uri, write_project, customers, tmp_path):
    def coarse(n_rows, seed):
        return customers(n_rows, seed)[["region", "member", "bought"]].assign(
            age=1 + customers(n_rows, seed)["age"] // 20
        )

    workflow = Workflow("shop", uri)
    workflow.define(write_project(coarse(300, 1), slices="{}"))
    workflow.freeze(equal_rows="both-sides")
    with workflow.batch(**RECORD) as b:
        b.write(coarse(60, 2))
    refuse_synthetic(workflow.project, tmp_path / "new.csv", normalise(coarse(200, 3)))
