"""The JSON Schema of a provenance record, derived from its dataclasses so that the two cannot differ.

``python -m synth_mlflow.data.record_schema`` prints it; ``record.schema.json`` beside this file is its output.
"""

from __future__ import annotations

import json
from typing import Any

from synth_mlflow.data.dataclass_schema import COUNT, DIALECT, MOMENT, SHA256, object_schema
from synth_mlflow.data.record import RECORD_SCHEMA, Record

_FILLED: dict[str, Any] = {"type": "string", "pattern": r"\S"}
_ROWS: dict[str, Any] = {"type": "integer", "minimum": 1}
_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}


def record_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of what ``Record.to_json()`` writes."""
    definitions: dict[str, Any] = {}
    root = object_schema(Record, definitions, _constraint)
    root["properties"]["schema"] = {"const": RECORD_SCHEMA, "description": "The version of this schema."}
    return {
        "$schema": DIALECT,
        "$id": f"urn:synth-mlflow:record:{RECORD_SCHEMA}",
        "title": "Provenance of a batch of synthetic rows",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _constraint(name: str, _: Any) -> dict[str, Any] | None:
    if name.endswith("digest"):
        return SHA256
    if name.endswith("_at"):
        return MOMENT
    if name in ("rows", "rows_asked"):
        return _ROWS
    if name == "acceptance_rate":
        return _SHARE
    if name in ("batch", "generator", "version", "purpose"):
        return _FILLED
    return COUNT if name.startswith("n_") else None


if __name__ == "__main__":
    print(json.dumps(record_schema(), indent=2, ensure_ascii=False))
