"""Object stores: what is a file, a folder or a pattern there is one here; wrong names and credentials are told."""

from __future__ import annotations

import gzip

import pandas as pd
import pytest
from started import object_store

from synth_mlflow.data.addresses import place_of
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.sources.copies import copy_of
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import UsageError
from synth_mlflow.workflow import Workflow

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("object-store")]
FRAME = pd.DataFrame({"age": range(40), "town": ["Ulm", "Bonn"] * 20})
SECRET = "wJalrXUtnFEMI"


@pytest.fixture(scope="module")
def store():
    with object_store() as url:
        yield url


@pytest.fixture
def bucket(store, monkeypatch):
    pytest.importorskip("s3fs", reason="s3fs is in the extra [s3], which the lowest versions are tested without")
    boto3 = pytest.importorskip("boto3")
    for name, value in {
        "AWS_ENDPOINT_URL": store,
        "AWS_ACCESS_KEY_ID": "ann",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="shop")
    client.put_object(Bucket="shop", Key="rows.csv.gz", Body=gzip.compress(FRAME.to_csv(index=False).encode()))
    return client


def put_partitions(bucket, folder):
    for at, (code, day) in enumerate([("01067", "2024-01-05"), ("10115", "2024-01-06")]):
        FRAME.iloc[at * 20 : at * 20 + 20].to_parquet(folder / "part.parquet")
        key = f"folder/zip={code}/year=2024/day={day}/part.parquet"
        bucket.put_object(Bucket="shop", Key=key, Body=(folder / "part.parquet").read_bytes())
    bucket.put_object(Bucket="shop", Key="folder/_SUCCESS", Body=b"")
    bucket.put_object(Bucket="shop", Key="folder/_old/part.parquet", Body=b"of another tool")


def test_a_file_a_folder_and_a_pattern(bucket, tmp_path, command):
    assert table_digest(read_table(place_of("s3://shop/rows.csv.gz"))) == table_digest(FRAME)
    assert copy_of(place_of("s3://shop/rows.csv.gz")).facts["etag"]
    put_partitions(bucket, tmp_path)
    whole = read_table(place_of("s3://shop/folder/"))
    assert whole["zip"].unique().tolist() == ["01067", "10115"]
    assert whole["year"].tolist() == [2024] * 40
    assert whole["day"].nunique() == 2
    part = read_table(place_of("s3://shop/folder/zip=01*/*/*/*.parquet"))
    assert table_digest(part) == table_digest(whole[whole["zip"] == "01067"].reset_index(drop=True))


def test_a_delta_table_in_a_store(bucket, command, monkeypatch):
    deltalake = pytest.importorskip("deltalake")
    options = {"AWS_ALLOW_HTTP": "true", "AWS_S3_ALLOW_UNSAFE_RENAME": "true"}
    deltalake.write_deltalake("s3://shop/delta", FRAME, storage_options=options)
    deltalake.DeltaTable("s3://shop/delta", storage_options=options).delete("age < 5")
    assert len(read_table(place_of("s3://shop/delta"))) == 35
    assert str(copy_of(place_of("s3://shop/delta")).pinned) == "delta:s3://shop/delta@v1"
    assert len(read_table(place_of("s3://shop/delta@v0"))) == 40


REFUSED = [
    ("s3://shop/missing.csv", "there is no file"),
    ("s3://nowhere/rows.csv", "is not there"),
    ("s3://shop/*.xlsx", "no file has this pattern"),
]


@pytest.mark.parametrize(("address", "words"), REFUSED)
def test_what_is_not_there_is_told(bucket, address, words):
    with pytest.raises(UsageError, match=words):
        read_table(place_of(address))


def test_an_object_that_changes_while_it_is_read_is_refused(bucket, monkeypatch):
    import s3fs

    read = s3fs.S3FileSystem.get_file

    def meddled(store, *arguments, **options):
        read(store, *arguments, **options)
        bucket.put_object(Bucket="shop", Key="rows.csv.gz", Body=gzip.compress(b"age\n1\n"))

    monkeypatch.setattr(s3fs.S3FileSystem, "get_file", meddled)
    with pytest.raises(UsageError, match="changed while it was read"):
        read_table(place_of("s3://shop/rows.csv.gz"))


def test_rows_by_reference_are_read_again_from_their_store(bucket, customers, uri, write_project, tmp_path):
    rows = customers(600, seed=1)

    def put(table):
        bucket.put_object(Bucket="shop", Key="people.csv", Body=table.to_csv(index=False).encode())

    put(rows)
    problem = write_project(rows)
    problem.write_text(problem.read_text().replace("data: rows.csv", "data: s3://shop/people.csv"))
    workflow = Workflow("shop", uri)
    workflow.define(problem)
    frozen = workflow.freeze(store="reference")
    assert frozen.run.params["synth.data_path"] == "s3://shop/people.csv"
    assert (tmp_path / "people.csv.synth-mlflow-key").exists()
    assert len(workflow.training_rows()) + len(workflow.evaluation_rows()) == 600
    put(rows.iloc[::-1])
    with pytest.raises(Exception, match="someone changed them"):
        workflow.training_rows()
    bucket.delete_object(Bucket="shop", Key="people.csv")
    with pytest.raises(Exception, match=r"kept by reference, and s3://shop/people.csv"):
        workflow.training_rows()
    from_memory = Workflow("shop", uri, data=rows)
    assert len(from_memory.training_rows()) + len(from_memory.evaluation_rows()) == 600
    assert SECRET not in " ".join(map(str, frozen.run.params.values()))
