"""OpenLineage 2: one COMPLETE event for each batch that was made and each model that was trained, a line each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from synth_mlflow.exports import Batch, Exporter, Model, Provenance, Rows

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
FACETS = "https://openlineage.io/spec/facets/"
PRODUCER = "urn:synth-mlflow"
TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "string": "VARCHAR", "datetime": "TIMESTAMP"}


class OpenLineage:
    """JSON lines, oldest first; synthetic origin is a dataset's tag `synthetic`, and a facet of its own."""

    summary: ClassVar[str] = (
        "OpenLineage 2 run events as JSON lines: real and synthetic rows in, batches and models out"
    )

    def render(self, provenance: Provenance) -> str:
        """One event a line, as OpenLineage's file transport writes them."""
        made = [(batch.ended, _batch_event(batch, provenance)) for batch in provenance.batches]
        trained = [(model.ended, _model_event(model, provenance)) for model in provenance.models]
        events = sorted([*made, *trained], key=lambda event: event[0])
        return "".join(json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n" for _, event in events)


def _batch_event(batch: Batch, provenance: Provenance) -> dict[str, Any]:
    training = [rows for rows in provenance.real if rows.name == "training" and batch.learned_from_training]
    facts = {
        "generator": batch.generator,
        "version": batch.generator_version,
        "parameters": dict(batch.parameters),
        "seed": batch.seed,
        "slice": batch.slice,
        "purpose": batch.purpose,
        "learnedFrom": batch.learned_from,
        "sourceSha256": batch.source_sha256,
    }
    return {
        **_completed(batch.ended),
        "job": _job(provenance, f"generate {batch.generator}", "GENERATION"),
        "inputs": [_real(rows, provenance) for rows in training],
        "outputs": [{**_synthetic(batch, provenance), "outputFacets": _output_facets(batch.n_rows)}],
        "run": _run(batch.run_id, batch.began, batch.ended, {"synth_generation": _facet(facts)}),
    }


def _model_event(model: Model, provenance: Provenance) -> dict[str, Any]:
    inside = [batch for batch in provenance.batches if batch.id in model.batches]
    facts = {"ratio": model.ratio, "metric": model.metric, "score": model.score, "finalRun": model.run_id}
    output = _dataset(provenance, f"model {model.uri}", model.sha256, {})
    return {
        **_completed(model.ended),
        "job": _job(provenance, "sweep", "SWEEP"),
        "inputs": [
            *(_real(rows, provenance) for rows in provenance.real),
            *(_synthetic(batch, provenance) for batch in inside),
        ],
        "outputs": [output],
        "run": _run(model.sweep, model.began, model.ended, {"synth_sweep": _facet(facts)}),
    }


def _completed(at: str) -> dict[str, Any]:
    return {"eventType": "COMPLETE", "eventTime": at, "producer": PRODUCER, "schemaURL": f"{SPEC}RunEvent"}


def _run(run_id: str, began: str, ended: str, facets: Mapping[str, Any]) -> dict[str, Any]:
    time = _facet({"nominalStartTime": began, "nominalEndTime": ended}, "1-0-1/NominalTimeRunFacet.json")
    return {"runId": str(UUID(run_id)), "facets": {"nominalTime": time, **facets}}


def _job(provenance: Provenance, name: str, kind: str) -> dict[str, Any]:
    job_type = {"processingType": "BATCH", "integration": "SYNTH_MLFLOW", "jobType": kind}
    documented = _facet({"description": provenance.about}, "1-0-1/DocumentationJobFacet.json")
    facets = {"jobType": _facet(job_type, "2-0-3/JobTypeJobFacet.json"), "documentation": documented}
    return {"namespace": provenance.project, "name": name, "facets": facets}


def _real(rows: Rows, provenance: Provenance) -> dict[str, Any]:
    tags = [_tag("synthetic", "false"), _tag("side", rows.name)]
    return _dataset(provenance, f"{rows.name} rows", rows.sha256, _table_facets(provenance, tags))


def _synthetic(batch: Batch, provenance: Provenance) -> dict[str, Any]:
    tags = [_tag("synthetic", "true"), _tag("generator", f"{batch.generator} {batch.generator_version}")]
    tags.append(_tag("verdict", batch.verdict))
    reviews = {"reviews": list(batch.reviews)} if batch.reviews else {}
    origin = _facet({"synthetic": True, "batch": batch.id, "recordSha256": batch.record_sha256, **reviews})
    facets = {**_table_facets(provenance, tags), "synth_origin": origin}
    return _dataset(provenance, f"batch {batch.id}", batch.sha256, facets)


def _dataset(provenance: Provenance, name: str, version: str, facets: Mapping[str, Any]) -> dict[str, Any]:
    versioned = _facet({"datasetVersion": version}, "1-0-1/DatasetVersionDatasetFacet.json")
    return {"namespace": provenance.project, "name": name, "facets": {"version": versioned, **facets}}


def _table_facets(provenance: Provenance, tags: list[dict[str, str]]) -> dict[str, Any]:
    fields = [{"name": column, "type": TYPES[kind]} for column, kind in provenance.columns.items()]
    return {
        "schema": _facet({"fields": fields}, "1-1-1/SchemaDatasetFacet.json"),
        "tags": _facet({"tags": tags}, "1-0-0/TagsDatasetFacet.json"),
    }


def _output_facets(n_rows: int) -> dict[str, Any]:
    return {"outputStatistics": _facet({"rowCount": n_rows}, "1-0-2/OutputStatisticsOutputDatasetFacet.json")}


def _tag(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value, "source": "SYNTH_MLFLOW"}


def _facet(facts: Mapping[str, Any], schema: str | None = None) -> dict[str, Any]:
    """A facet of the specification, or one of our own, which is described by the base facet alone."""
    url = f"{SPEC}BaseFacet" if schema is None else f"{FACETS}{schema}"
    return {"_producer": PRODUCER, "_schemaURL": url, **facts}


plugin: type[Exporter] = OpenLineage
