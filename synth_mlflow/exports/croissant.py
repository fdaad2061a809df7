"""Croissant 1.0 with its vocabulary for responsible AI: the synthetic tables of a project as one dataset."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from synth_mlflow.exports import Batch, Exporter, Provenance

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
DATA_TYPES = {
    "integer": "sc:Integer",
    "number": "sc:Float",
    "boolean": "sc:Boolean",
    "string": "sc:Text",
    "datetime": "sc:DateTime",
}


class Croissant:
    """One file and one record set a batch; synthetic origin in `rai:hasSyntheticData` and what explains it."""

    summary: ClassVar[str] = "MLCommons Croissant 1.0 with RAI fields: the synthetic tables as one dataset, as JSON-LD"

    def render(self, provenance: Provenance) -> str:
        """JSON-LD."""
        return json.dumps(_dataset(provenance), indent=2, ensure_ascii=False, allow_nan=False)


def _dataset(provenance: Provenance) -> dict[str, Any]:
    batches = provenance.batches
    newest = max((batch.ended for batch in batches), default=provenance.statement.at)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": _name(provenance.project),
        "alternateName": provenance.project,
        "description": f"Synthetic rows of the project {provenance.project}. {provenance.about}",
        "url": f"urn:synth-mlflow:statement:{provenance.statement.sha256}",
        "version": f"{len(batches)}.0.0",
        "datePublished": newest[:10],
        "citeAs": _citation(provenance, newest),
        "license": "The licence of the real rows; the project records none.",
        "creator": [{"@type": "sc:Person", "name": name} for name in sorted({batch.by for batch in batches})],
        "keywords": ["synthetic data", provenance.statement.gap],
        "rai:dataCollection": "No row was collected: every row was made by a generator.",
        "rai:dataCollectionType": ["Others"],
        "rai:hasSyntheticData": True,
        "rai:syntheticDataExplanation": "\n".join(_explained(batch) for batch in batches),
        "rai:dataLimitations": [provenance.limits] if provenance.limits else [],
        "rai:dataUseCases": sorted({batch.purpose for batch in batches}),
        "rai:personalSensitiveInformation": list(provenance.sensitive),
        "distribution": [_file(batch) for batch in batches],
        "recordSet": [_records(batch, provenance) for batch in batches],
    }


def _citation(provenance: Provenance, newest: str) -> str:
    digest = provenance.statement.sha256
    return (
        f"@misc{{synth-mlflow-{digest[:12]}, title = {{Synthetic rows of {_name(provenance.project)}}}, "
        f"year = {{{newest[:4]}}}, note = {{MLflow experiment; statement {digest}}}}}"
    )


def _explained(batch: Batch) -> str:
    seed = "no seed" if batch.seed is None else f"seed {batch.seed}"
    reviews = f" Blind sheets: {'; '.join(batch.reviews)}." if batch.reviews else ""
    return (
        f"{batch.id}: {batch.n_rows} rows by {batch.generator} {batch.generator_version}, {seed}, "
        f"parameters {json.dumps(dict(batch.parameters), sort_keys=True, ensure_ascii=False)}, "
        f"slice {batch.slice or 'the whole table'}, learned from {batch.learned_from}; validation: {batch.verdict}."
        f"{reviews}"
    )


def _file(batch: Batch) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": _file_id(batch),
        "name": _file_id(batch),
        "description": f"Batch {batch.id}, with its provenance record in the Parquet metadata.",
        "contentUrl": batch.address,
        "encodingFormat": "application/x-parquet",
        "sha256": batch.file_sha256,
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "@id": f"urn:mlflow:run:{batch.run_id}",
            "prov:startedAtTime": batch.began,
            "prov:endedAtTime": batch.ended,
            "prov:wasAssociatedWith": {
                "@type": "prov:SoftwareAgent",
                "name": batch.generator,
                "softwareVersion": batch.generator_version,
            },
        },
    }


def _records(batch: Batch, provenance: Provenance) -> dict[str, Any]:
    """Ids count the columns: their names may hold anything, and two may be the same once they are made plain."""
    return {
        "@type": "cr:RecordSet",
        "@id": f"batch-{batch.run_id}-rows",
        "name": f"batch-{batch.run_id}-rows",
        "description": f"Synthetic rows of batch {batch.id}: {batch.purpose}",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"batch-{batch.run_id}-rows/column-{place}",
                "name": f"batch-{batch.run_id}-rows/column-{place}",
                "description": f"{column}{' (the target)' if column == provenance.target else ''}",
                "dataType": DATA_TYPES[kind],
                "source": {"fileObject": {"@id": _file_id(batch)}, "extract": {"column": column}},
            }
            for place, (column, kind) in enumerate(provenance.columns.items())
        ],
    }


def _file_id(batch: Batch) -> str:
    return f"batch-{batch.run_id}-file"


def _name(project: str) -> str:
    """Croissant takes letters, digits, hyphens and underscores; the whole name is the `alternateName`."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", project).strip("-")[:255] or "project"


plugin: type[Exporter] = Croissant
