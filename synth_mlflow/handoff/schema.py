"""The JSON Schema of the document's twin, derived from the dataclasses so that the two cannot differ.

``python -m synth_mlflow.handoff.schema`` prints it; ``handoff.schema.json`` beside this file is its output.

Read a document back from its JSON twin.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from synth_mlflow.data.json_schema import COUNT, DIALECT, MOMENT, SHA256, json_schema_of
from synth_mlflow.errors import EvidenceError
from synth_mlflow.handoff.document import SCHEMA_VERSION, Document, twin_digest

_VALUE: dict[str, Any] = {"type": "number", "minimum": 0}  # a ratio, or a weight

_BELOW_ONE: dict[str, Any] = {"exclusiveMaximum": 1}
_RATIOS_BELOW_ONE: dict[str, Any] = {
    "if": {"properties": {"axis": {"const": "weight"}}},
    "else": {
        "properties": {
            "points": {"items": {"properties": {"ratio": _BELOW_ONE}}},
            **dict.fromkeys(("chosen", "peak"), _BELOW_ONE),
        }
    },
}
"""Only a weight may be 1 or more."""


def handoff_json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of what ``Document.to_json()`` returns."""
    root = json_schema_of(Document, _constraint)
    root["properties"] = {
        "schema": {"const": SCHEMA_VERSION, "description": "The version of this schema."},
        "sha256": {**SHA256, "description": "Of everything but this key, `schema` and `sign_offs`."},
        **root["properties"],
    }
    root["required"] = list(root["properties"])
    root["$defs"]["Sweep"] |= _RATIOS_BELOW_ONE
    return {
        "$schema": DIALECT,
        "$id": f"urn:synth-mlflow:handoff:{SCHEMA_VERSION}",
        "title": "Handoff of a model trained with synthetic data",
        **root,
    }


def _constraint(name: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    if name.endswith("sha256"):
        return SHA256
    if name.endswith("_at") or name == "at":
        return MOMENT
    if name in ("ratio", "chosen", "peak"):
        return _VALUE
    return COUNT if name.startswith("n_") and schema == {"type": "integer"} else None


def document_of(twin: Mapping[str, Any]) -> Document:
    """The document whose ``to_json()`` is this twin.

    Raises
    ------
    EvidenceError
        If the twin is of another schema, lacks something, or its content does not give the digest that it states.
    """
    if twin.get("schema") != SCHEMA_VERSION:
        raise EvidenceError(
            f"the document has schema {twin.get('schema')!r}, this version reads {SCHEMA_VERSION}.",
            "Read it with the version of synth_mlflow that its header names.",
        )
    if twin.get("sha256") != twin_digest(twin):
        raise EvidenceError("the content of the document does not give the digest that it states.")
    try:
        return _adapter().validate_python(_content(twin))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise EvidenceError(f"the document does not hold what its schema asks for: {place}: {first['msg']}.") from error


def _content(twin: Mapping[str, Any]) -> dict[str, Any]:
    content = {key: value for key, value in twin.items() if key not in ("schema", "sha256")}
    sweep = dict(content["sweep"])
    if sweep["picture"] is not None:
        sweep["picture"] = base64.b64decode(sweep["picture"])
    return {**content, "sweep": sweep}


@cache
def _adapter() -> TypeAdapter[Document]:
    return TypeAdapter(Document)


if __name__ == "__main__":
    print(json.dumps(handoff_json_schema(), indent=2, ensure_ascii=False))
