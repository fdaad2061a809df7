"""The JSON Schema of the document's twin, derived from the dataclasses so that the two cannot differ.

``python -m synth_mlflow.handoff.schema`` prints it; ``handoff.schema.json`` beside this file is its output.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from synth_mlflow.handoff.document import SCHEMA_VERSION, Document

_SHA256: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_RATIO: dict[str, Any] = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
_MOMENT: dict[str, Any] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)$"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    bytes: {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
}


def twin_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of what ``Document.to_json()`` returns."""
    definitions: dict[str, Any] = {}
    root = _object(Document, definitions)
    root["properties"] = {
        "schema": {"const": SCHEMA_VERSION, "description": "The version of this schema."},
        "sha256": {**_SHA256, "description": "Of everything but this key, `schema` and `sign_offs`."},
        **root["properties"],
    }
    root["required"] = list(root["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:synth-mlflow:handoff:{SCHEMA_VERSION}",
        "title": "Handoff of a model trained with synthetic data",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _object(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    return {
        "description": inspect.cleandoc(kind.__doc__ or ""),
        "type": "object",
        "properties": {name: _field(name, hints[name], definitions) for name in names},
        "required": names,
        "additionalProperties": False,
    }


def _field(name: str, hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    constrained = _constraint(name, hint)
    if constrained is None:
        return _value(hint, definitions)
    return {"anyOf": [constrained, _PLAIN[type(None)]]} if type(None) in get_args(hint) else constrained


def _constraint(name: str, hint: Any) -> dict[str, Any] | None:
    if name.endswith("sha256"):
        return _SHA256
    if name.endswith("_at") or name == "at":
        return _MOMENT
    if name in ("ratio", "chosen", "peak"):
        return _RATIO
    return _COUNT if name.startswith("n_") and hint is int else None


def _value(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if hint is Any:
        return {}
    if hint in _PLAIN:
        return _PLAIN[hint]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return _container(get_origin(hint), get_args(hint), definitions)


def _container(origin: Any, arguments: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0], definitions)}
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {"type": "object", "additionalProperties": _value(arguments[1], definitions)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_value(argument, definitions) for argument in arguments]}
    raise TypeError(f"{origin}{arguments} has no place in a handoff")


if __name__ == "__main__":
    print(json.dumps(twin_schema(), indent=2, ensure_ascii=False))
