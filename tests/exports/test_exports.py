"""Every export is judged by its format's own reader, also where people typed markup, quotes and emoji into names."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlcroissant
import openlineage.client.facet_v2 as facets
import prov.model
import pytest
from openlineage.client import event_v2 as events

from synth_mlflow import Workflow
from synth_mlflow.cli.main import run as run_command
from synth_mlflow.errors import UsageError
from synth_mlflow.exports import Provenance
from synth_mlflow.plugins import find
from synth_mlflow.queries.export import export, provenance_of

ODD = "é 🦆 \"q\" 'a' <script>alert(1)</script> | [x](javascript:1) \\ \n %s {{7*7}} _:a #/b"
FACETS = {
    "schema": facets.schema_dataset.SchemaDatasetFacet,
    "version": facets.dataset_version_dataset.DatasetVersionDatasetFacet,
    "tags": facets.tags_dataset.TagsDatasetFacet,
    "outputStatistics": facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "nominalTime": facets.nominal_time_run.NominalTimeRunFacet,
    "jobType": facets.job_type_job.JobTypeJobFacet,
    "documentation": facets.documentation_job.DocumentationJobFacet,
}


@pytest.fixture
def provenance(demo_workflow: Workflow) -> Provenance:
    """Of the demo's project, signed."""
    demo_workflow.sign("Ada Lind", role="owner")
    return provenance_of(demo_workflow.project)


def odd(provenance: Provenance) -> Provenance:
    """The same with everything that people can type replaced."""
    batch = replace(
        provenance.batches[0], id=ODD, generator=ODD, generator_version=ODD, purpose=ODD, by=ODD, slice=ODD,
        parameters={ODD: ODD, "list": [1, None]}, prompts=(ODD,), seed=None, verdict="retracted",
    )  # fmt: skip
    model = replace(provenance.models[0], uri=f"models:/{ODD}/1", batches=(ODD,), metric=ODD)
    signature = replace(provenance.handoffs[0].signatures[0], name=ODD, role=ODD)
    handoff = replace(provenance.handoffs[0], signatures=(signature,), by=ODD)
    columns = {ODD: "string", ODD + " ": "integer", "._ ": "number", "a.b/c": "datetime", "flag": "boolean"}
    return replace(
        provenance, project=ODD, about=ODD, limits=ODD, target=ODD, sensitive=(ODD,), columns=columns,
        batches=(batch,), models=(model,), handoffs=(handoff,), statement=replace(provenance.statement, gap=ODD),
    )  # fmt: skip


def rendered(name: str, provenance: Provenance) -> str:
    return str(find("exports", name).load().render(provenance))


def bare(provenance: Provenance) -> Provenance:
    return replace(provenance, batches=(), models=(), handoffs=(), limits="")


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda p: p, odd, bare])
def test_croissant_is_valid(provenance: Provenance, change: Any) -> None:
    provenance = change(provenance)
    told = json.loads(rendered("croissant", provenance))
    dataset = mlcroissant.Dataset(jsonld=told)
    assert not dataset.metadata.ctx.issues.errors and not dataset.metadata.ctx.issues.warnings
    assert len(dataset.metadata.record_sets) == len(provenance.batches)
    assert told["rai:hasSyntheticData"] is True and told["alternateName"] == provenance.project
    for batch, records in zip(provenance.batches, told["recordSet"], strict=True):
        assert batch.generator in told["rai:syntheticDataExplanation"]
        assert [field["source"]["extract"]["column"] for field in records["field"]] == list(provenance.columns)


def test_croissant_reads_the_rows(provenance: Provenance, demo_workflow: Workflow, tmp_path: Path) -> None:
    batch = demo_workflow.project.batches()[0]
    path = demo_workflow.project.reader.file(batch.run, "batch/data.parquet")
    shutil.copy(path, tmp_path / "data.parquet")
    local = replace(provenance, batches=(replace(provenance.batches[0], address="data.parquet"),))
    (tmp_path / "croissant.json").write_text(rendered("croissant", local))
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "croissant.json"))
    rows = list(dataset.records(dataset.metadata.record_sets[0].uuid))
    assert len(rows) == batch.n_rows and len(rows[0]) == len(provenance.columns)


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda p: p, odd, bare])
def test_prov_json_is_read_back_whole(provenance: Provenance, change: Any) -> None:
    text = rendered("prov_json", change(provenance))
    document = prov.model.ProvDocument.deserialize(content=text, format="json")
    again = prov.model.ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document
    told = json.loads(text)
    assert len(list(document.get_records(prov.model.ProvElement))) == sum(
        len(told.get(kind, {})) for kind in ("entity", "activity", "agent")
    )


@pytest.mark.slow
def test_prov_json_says_which_rows_are_synthetic_and_what_made_them(provenance: Provenance) -> None:
    told, batch = json.loads(rendered("prov_json", provenance)), provenance.batches[0]
    entity = told["entity"][f"sha256:{batch.sha256}"]
    assert entity["synth:synthetic"] is True and entity["prov:type"][0]["$"] == "synth:SyntheticData"
    assert told["activity"][f"run:{batch.run_id}"]["synth:generator"] == "gaussian_copula"
    derived = {(r["prov:generatedEntity"], r["prov:usedEntity"]) for r in told["wasDerivedFrom"].values()}
    assert (f"sha256:{provenance.models[0].sha256}", f"sha256:{batch.sha256}") in derived
    assert (f"sha256:{batch.sha256}", f"sha256:{batch.source_sha256}") in derived
    assert {"Ada Lind", f"gaussian_copula {batch.generator_version}"} <= {
        agent["prov:label"] for agent in told["agent"].values()
    }
    evaluation = next(rows.sha256 for rows in provenance.real if rows.name == "evaluation")
    assert not any(f"sha256:{evaluation}" in pair for pair in derived)


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda p: p, odd, bare])
def test_openlineage_events_are_what_the_client_would_send(provenance: Provenance, change: Any) -> None:
    """The client's classes are generated from the specification's JSON Schema; an unknown or missing key raises."""
    changed = change(provenance)
    lines = rendered("openlineage", changed).split("\n")[:-1]
    assert len(lines) == len(changed.batches) + len(changed.models)
    for line in lines:
        _event(json.loads(line))


def test_openlineage_says_which_datasets_are_synthetic(provenance: Provenance) -> None:
    made, trained = map(json.loads, rendered("openlineage", provenance).splitlines())
    assert [_tags(dataset) for dataset in made["outputs"]] == ["true"] and made["inputs"] == []
    assert sorted(_tags(dataset) for dataset in trained["inputs"]) == ["false", "false", "true"]
    assert trained["inputs"][-1]["facets"]["version"]["datasetVersion"] == provenance.batches[0].sha256


def _event(told: dict[str, Any]) -> None:
    assert told.pop("schemaURL").endswith("OpenLineage.json#/$defs/RunEvent")
    run, job = told.pop("run"), told.pop("job")
    inputs = [events.InputDataset(**_with_facets(dataset)) for dataset in told.pop("inputs")]
    outputs = [events.OutputDataset(**_with_facets(dataset)) for dataset in told.pop("outputs")]
    kind = events.RunState(told.pop("eventType"))
    whole = events.RunEvent(
        run=events.Run(**_with_facets(run)), job=events.Job(**_with_facets(job)), inputs=inputs, outputs=outputs,
        eventType=kind, **told,
    )  # fmt: skip
    assert whole.job.name and all(dataset.name for dataset in [*inputs, *outputs])


def _with_facets(told: dict[str, Any]) -> dict[str, Any]:
    found = dict(told)
    for key in ("facets", "inputFacets", "outputFacets"):
        if key in found:
            found[key] = {name: _facet(name, dict(facet)) for name, facet in found[key].items()}
    return found


def _facet(name: str, told: dict[str, Any]) -> Any:
    producer, schema = told.pop("_producer"), told.pop("_schemaURL")
    assert producer and schema.startswith("https://openlineage.io/spec/")
    if name not in FACETS:
        assert name.startswith("synth_") and schema.endswith("BaseFacet")
        return told
    made = FACETS[name](**told)
    assert schema.split("#")[0].rsplit("/", 1)[1] == made._get_schema().split("#")[0].rsplit("/", 1)[1]
    return made


def _tags(dataset: dict[str, Any]) -> str:
    return next(tag["value"] for tag in dataset["facets"]["tags"]["tags"] if tag["key"] == "synthetic")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["croissant", "prov-json", "openlineage"])
def test_the_command_prints_or_writes(demo_workflow: Workflow, tmp_path: Path, capsys, name: str) -> None:
    target, uri = tmp_path / "out", demo_workflow.project.server.tracking_uri
    for options in ([], ["--output", str(target)]):
        with pytest.raises(SystemExit) as left:
            run_command(["export", "--tracking-uri", uri, "--format", name, *options])
        assert left.value.code == 0
    printed = capsys.readouterr().out
    assert target.read_text().strip() in printed and f"written: {target}" in printed


def test_refusals(demo_workflow: Workflow, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no export is called 'prov_jsn'\. Did you mean 'prov_json'"):
        export(demo_workflow.project, "prov-jsn")
    with pytest.raises(UsageError, match="there is no folder"):
        export(demo_workflow.project, "croissant", tmp_path / "nowhere" / "x.json")
