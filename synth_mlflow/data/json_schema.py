"""JSON Schemas of the dataclasses that are written as JSON, made by pydantic so that the two cannot differ."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SHA256: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
MOMENT: dict[str, Any] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)$"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_NULL: dict[str, Any] = {"type": "null"}
Constrain = Callable[[str, JsonSchemaValue], JsonSchemaValue | None]
"""What holds for a field beyond its type, by its name and the schema of its type; None for nothing."""


def json_schema_of(kind: type, constrain: Constrain) -> dict[str, Any]:
    """JSON Schema 2020-12 of a frozen dataclass as it is written: every field is there, and no other.

    Parameters
    ----------
    kind : type
        A dataclass; those that its fields hold stand under ``$defs``, in the order of their names.
    constrain : callable
        Asked for every field of every dataclass; what it returns takes the place of the type's own schema.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    schema = adapter.json_schema(mode="serialization", schema_generator=_AsWritten)
    definitions = {name: _constrained(definition, constrain) for name, definition in schema.pop("$defs", {}).items()}
    return {**_constrained(schema, constrain), "$defs": dict(sorted(definitions.items()))}


class _AsWritten(GenerateJsonSchema):
    """Without titles and defaults: a document that is written has every field."""

    def dataclass_schema(self, schema: Any) -> JsonSchemaValue:
        fields = self.generate_inner(schema["schema"])
        required = {"required": list(fields["properties"]), "additionalProperties": False}
        return {"description": inspect.cleandoc(schema["cls"].__doc__ or ""), **fields, **required}

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def literal_schema(self, schema: Any) -> JsonSchemaValue:
        return {"enum": list(schema["expected"])}

    def bytes_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ARG002
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}

    def dict_schema(self, schema: Any) -> JsonSchemaValue:
        values = schema.get("values_schema")  # pydantic 2.10 leaves out that of anything
        return {"type": "object", "additionalProperties": self.generate_inner(values) if values else {}}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002
        return value  # fields stay in the order of their dataclass


def _constrained(schema: JsonSchemaValue, constrain: Constrain) -> JsonSchemaValue:
    properties = {name: _field(name, value, constrain) for name, value in schema["properties"].items()}
    return {**schema, "properties": properties}


def _field(name: str, schema: JsonSchemaValue, constrain: Constrain) -> JsonSchemaValue:
    constrained = constrain(name, schema)
    if constrained is None:
        return schema
    return {"anyOf": [constrained, _NULL]} if _NULL in schema.get("anyOf", ()) else constrained
