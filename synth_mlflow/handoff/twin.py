"""Read a document back from its JSON twin."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from synth_mlflow.errors import EvidenceError
from synth_mlflow.handoff.document import SCHEMA_VERSION, Document, twin_digest


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
