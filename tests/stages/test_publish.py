"""Approved rows for other tools: what each reads back, and what goes along."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import time
from pathlib import Path
from typing import Any

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from synth_mlflow import EvidenceError, UsageError, Workflow
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.table_files import exact_pandas
from synth_mlflow.data.tables import read_table, restore
from synth_mlflow.publications import Column, Publication, delta, hugging_face, parquet_folder
from synth_mlflow.stages import publish as publish_stage
from synth_mlflow.stages.approved_data import load_approved
from synth_mlflow.stages.publish import publish
from synth_mlflow.tracking import names
from synth_mlflow.tracking.evaluation_dataset import rows_of

ODD = "é 🦆 \"q\" 'a' <script>alert(1)</script> | [x](javascript:1) \\ \n --- # {{7*7}} `b`: &a !!python/object:os"


@pytest.fixture
def address(done: Workflow) -> str:
    """An approved batch; MLflow's own tracking URI is that of its project."""
    mlflow.set_tracking_uri(done.project.server.tracking_uri)
    return done.approve(done.project.batches()[0].id, name="young", by="Ada Lind").address


def made(rows: pa.Table, **changes: Any) -> Publication:
    origin = {"generator": ODD, "version": "1", "seed": None, "slice": None, "purpose": ODD}
    facts = {"approved": ODD, "kind": "mix", "by": ODD, "role": ODD, "at": "2026-01-01T00:00:00+00:00"}
    facts |= {"rows_digest": "0" * 64, "records": [{"batch": ODD, "rows": 3, "origin": origin}]}
    columns = (Column(ODD, "string", "category"),)
    return replace(Publication(ODD, rows, facts, ODD, ODD, columns, ODD, "regression"), **changes)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "hugging-face", "delta"])
def test_a_folder_is_read_back_as_it_was(address: str, tmp_path: Path, form: str) -> None:
    if form == "delta":
        pytest.importorskip("deltalake")
    found = publish(address, form, tmp_path / "out")
    whole = load_approved(address)
    assert (found.rows, found.rows_digest, found.where) == (1000, whole.version.digest, str(tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out"]
    if form == "delta":
        again = exact_pandas(delta.read(tmp_path / "out"))
    else:
        folder = tmp_path / "out" / ("data" if form == "hugging-face" else "")
        again = exact_pandas(parquet_folder.read(folder))
        (path,) = folder.glob("*.parquet")
        inside = json.loads(pq.read_schema(path).metadata[b"synth_mlflow.approval"])
        assert inside == json.loads((folder / "provenance.json").read_text())
        assert inside["approved"] == address and inside["records"][0]["origin"]["generator"] == "law"
        assert len(read_table(path)) == 1000
    assert table_digest(restore(again, whole.schema), whole.schema) == found.rows_digest


@pytest.mark.slow
def test_an_evaluation_dataset_of_mlflow(done: Workflow, address: str) -> None:
    found, whole = publish(address, "mlflow"), load_approved(address)
    rows = rows_of(done.project.server, found.where, whole.schema)
    assert table_digest(rows, whole.schema) == found.rows_digest == whole.version.digest
    kept = done.project.server.client.get_dataset(found.where)
    assert kept.name == address and kept.tags[names.TAG_ROWS_DIGEST] == found.rows_digest
    record = kept.to_df().iloc[0]
    assert set(record["expectations"]) == {"bought"} and "bought" not in record["inputs"]


@pytest.mark.slow
def test_a_form_that_changes_rows_leaves_nothing(
    done: Workflow, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounded(what: Publication, folder: Path) -> pa.Table:
        return parquet_folder.write(replace(what, rows=what.rows.slice(1)), folder)

    monkeypatch.setitem(publish_stage.WRITERS, "parquet", rounded)  # type: ignore[arg-type]
    with pytest.raises(EvidenceError, match=r"does not hold them as they are.\nNothing was published"):
        publish(address, "parquet", tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]
    monkeypatch.setattr(
        publish_stage, "rows_of", lambda server, dataset, schema: load_approved(address).to_pandas()[1:]
    )
    with pytest.raises(EvidenceError, match="Nothing was published"):
        publish(address, "mlflow")
    assert not done.project.server.client.search_datasets([done.project.server.experiment_id])


def test_what_is_refused(done: Workflow, address: str, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for form, output, words in (
        ("paquet", tmp_path / "out", "there is no form 'paquet'. Did you mean 'parquet'"),
        ("parquet", None, "no folder was named"),
        ("parquet", tmp_path / "full", "is not an empty folder"),
        ("parquet", tmp_path / "no" / "out", "there is no folder"),
    ):
        with pytest.raises(UsageError, match=words):
            publish(address, form, output)


def test_a_card_says_how_a_file_is_read_whose_categories_look_missing() -> None:
    table = pa.table({"zip": ["NA"]})
    words = "Read CSV files with `pd.read_csv(FILE, keep_default_na=False)`."
    assert words in hugging_face.card(made(table, how_to_read=words))
    assert "read_csv" not in hugging_face.card(made(table))


def test_a_card_keeps_what_people_typed_as_text(tmp_path: Path) -> None:
    table = pa.table({ODD: pa.array(["x", None])})
    assert hugging_face.write(made(table), tmp_path).num_rows == 2
    text = (tmp_path / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["pretty_name"] == ODD and told["task_categories"] == ["tabular-regression"]
    assert told["configs"][0]["data_files"] == [{"split": "train", "path": "data/*.parquet"}]
    assert "<script>" not in body and "\n---" not in body
    hub = pytest.importorskip("huggingface_hub")
    assert hub.DatasetCard.load(tmp_path / "README.md").data.to_dict() == told


@pytest.mark.slow
def test_the_hub_library_reads_the_folder(address: str, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    publish(address, "hugging-face", tmp_path / "out")
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    whole = load_approved(address)
    assert table_digest(restore(found.to_pandas(), whole.schema), whole.schema) == whole.version.digest
    assert whole.to_dataset().num_rows == 1000


def test_parts_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_folder, "PART_ROWS", 7)
    table = pa.table({"n": range(100)})
    assert parquet_folder.write(made(table), tmp_path).column("n").to_pylist() == list(range(100))
    assert len(list(tmp_path.glob("*.parquet"))) == 15
    (tmp_path / "none").mkdir()
    assert parquet_folder.write(made(table.slice(0, 0)), tmp_path / "none").num_rows == 0


def test_types_of_delta(tmp_path: Path) -> None:
    pytest.importorskip("deltalake")
    table = pa.table(
        {
            "kind": pa.array(["x", "y"]).dictionary_encode(),
            "ns": pa.array([1001, None], pa.timestamp("ns")),
            "zone": pa.array([1, 2], pa.timestamp("us", "UTC")),
            "small": pa.array([1, 2], pa.uint8()),
            "day": pa.array([1, None], pa.date32()),
        }
    )
    found = delta.write(made(table), tmp_path / "d")
    assert found.column_names == table.column_names and found.column("kind").to_pylist() == ["x", "y"]
    clock = pa.table({"at": pa.array([time(1), None])})
    with pytest.raises(UsageError, match="column 'at' holds times of day, and Delta has no such type"):
        delta.write(made(clock), tmp_path / "e")
