"""JSON Schema of frozen dataclasses, derived from their fields so that the two cannot differ."""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SHA256: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
MOMENT: dict[str, Any] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)$"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    bytes: {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
}
Constrain = Callable[[str, Any], dict[str, Any] | None]
"""What holds for a field beyond its type, by its name and type; None for nothing."""


def object_schema(kind: type, definitions: dict[str, Any], constrain: Constrain) -> dict[str, Any]:
    """The schema of one dataclass; those that its fields hold are added to ``definitions``."""
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    return {
        "description": inspect.cleandoc(kind.__doc__ or ""),
        "type": "object",
        "properties": {name: _field(name, hints[name], definitions, constrain) for name in names},
        "required": names,
        "additionalProperties": False,
    }


def _field(name: str, hint: Any, definitions: dict[str, Any], constrain: Constrain) -> dict[str, Any]:
    constrained = constrain(name, hint)
    if constrained is None:
        return _value(hint, definitions, constrain)
    return {"anyOf": [constrained, PLAIN[type(None)]]} if type(None) in get_args(hint) else constrained


def _value(hint: Any, definitions: dict[str, Any], constrain: Constrain) -> dict[str, Any]:
    if hint is Any:
        return {}
    if hint in PLAIN:
        return PLAIN[hint]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = object_schema(hint, definitions, constrain)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return _container(get_origin(hint), get_args(hint), definitions, constrain)


def _container(
    origin: Any, arguments: tuple[Any, ...], definitions: dict[str, Any], constrain: Constrain
) -> dict[str, Any]:
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0], definitions, constrain)}
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {"type": "object", "additionalProperties": _value(arguments[1], definitions, constrain)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_value(argument, definitions, constrain) for argument in arguments]}
    raise TypeError(f"{origin}{arguments} has no JSON schema")
