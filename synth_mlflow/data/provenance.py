"""The provenance record of a batch: what must be known about synthetic rows before they may be written.

The record travels three times: in the Parquet file's own metadata, beside the data as JSON, and on the batch's run.
``record.schema.json`` beside this file is its published form.

The JSON Schema of a provenance record, derived from its dataclasses so that the two cannot differ.

``python -m synth_mlflow.data.provenance`` prints it; ``record.schema.json`` beside this file is its output.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

import yaml

from synth_mlflow.data.addresses import Place
from synth_mlflow.data.columns import Kind
from synth_mlflow.data.digests import canonical_json, text_digest
from synth_mlflow.data.markup import is_storable, read_plain
from synth_mlflow.errors import UsageError, closest

RECORD_SCHEMA = 1
MAX_BYTES = 10_000_000  # of a record that somebody writes; prompts may be long
METADATA_KEY = b"synth_mlflow.record"

SourceKind = Literal["training", "file", "none", "not declared"]
Door = Literal["generator", "code", "command", "peer", "llm", "python", "file"]


LEARNED_ROWS = "learned_rows"
"""The note that says how many rows of a large table a generator has learned from, where these are a sample."""


@dataclass(frozen=True)
class Source:
    """The real rows that a generator learned from.

    ``training`` are the project's real training rows; ``file`` is another real source, named by its digest; ``none``
    means that no real rows were used (a simulator); ``not declared`` that the maker did not say.
    """

    kind: SourceKind
    digest: str | None = None
    n_rows: int | None = None


def source_in_words(source: Source) -> str:
    """What a batch was learned from, as a person would say it."""
    words = {
        "training": f"{source.n_rows or 0:,} real training rows",
        "file": f"{source.n_rows or 0:,} rows of another real source ({(source.digest or '')[:12]}…)",
        "none": "no real rows",
        "not declared": "its maker did not say",
    }
    return words[source.kind]


@dataclass(frozen=True)
class Origin:
    """What the maker of a batch must declare; the part of the record that cannot be measured."""

    generator: str
    version: str
    params: Mapping[str, Any]
    seed: int | None
    slice: str | None
    purpose: str
    prompts: tuple[str, ...] = ()
    door: Door = "python"
    """How the batch came in: from an installed generator, from code named as ``module:callable``, from a command that
    was run, from a peer in an environment of its own, from prompts to a language model (llm), through
    ``Workflow.batch`` (python), or as a file."""
    source: Source = field(default_factory=lambda: Source("not declared"))

    def __post_init__(self) -> None:
        _refuse_incomplete(asdict(self), "the batch")
        texts = (self.generator, self.version, self.purpose, self.slice or "", *self.prompts)
        if not all(is_storable(str(text)) for text in texts):
            raise UsageError(
                "the record of the batch holds a NUL character or half of a surrogate pair, which servers lose.",
                "Take it out of generator, version, slice, purpose or prompts.",
            )
        try:
            canonical_json(dict(self.params))
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"the parameters of generator {self.generator!r} cannot be recorded: {error}.",
                "Give numbers, texts, true/false, lists and mappings of these only.",
            ) from error


@dataclass(frozen=True)
class DeclaredConstraints:
    """The declared constraints that every row keeps, and how often rows had to be drawn again for them."""

    declared: tuple[str, ...] = ()
    """As they stand in the statement; rows that break one are refused."""
    acceptance_rate: float | None = None
    """The share of drawn rows that kept them; None where the generator does not say, or none are declared."""


@dataclass(frozen=True)
class Record:
    """Everything that is known about one batch."""

    batch: str
    origin: Origin
    rows_asked: int
    rows: int
    columns: Mapping[str, Kind]
    digest: str
    """The content digest of the table; see :func:`synth_mlflow.data.digests.table_digest`."""
    statement_digest: str
    evaluation_digest: str
    environment: Mapping[str, Any]
    created_by: str
    created_at: str
    """ISO 8601, UTC."""
    seconds: float
    constraints: DeclaredConstraints = DeclaredConstraints()
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the generator said about the fit."""
    schema: int = RECORD_SCHEMA

    def to_json(self) -> str:
        """The record in canonical JSON."""
        return canonical_json(asdict(self))

    @property
    def sha256(self) -> str:
        """The digest of the record itself."""
        return text_digest(self.to_json())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a record back.

        Raises
        ------
        UsageError
            If the text is no record of a schema that this version reads.
        """
        try:
            value = json.loads(text)
            if value["schema"] != RECORD_SCHEMA:
                raise UsageError(
                    f"the record has schema {value['schema']!r}, this version reads {RECORD_SCHEMA}.",
                    "Install the version of synth_mlflow that wrote it.",
                )
            origin = {**value["origin"], "prompts": tuple(value["origin"]["prompts"])}
            constraint_texts = value["constraints"]
            constraints = DeclaredConstraints(**{**constraint_texts, "declared": tuple(constraint_texts["declared"])})
            whole = Origin(**{**origin, "source": Source(**origin["source"])})
            return cls(**{**value, "origin": whole, "constraints": constraints})
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"this is no provenance record: {error!r}.") from error


def record_in_file(path: Place) -> Record | None:
    """The record inside a data file's own metadata; None where it carries none."""
    from synth_mlflow.data.tables import file_metadata  # with all that reads tables, and the schemas of columns

    record = file_metadata(path).get(METADATA_KEY)
    return Record.from_json(record.decode()) if record is not None else None


def read_origin(path: Path) -> tuple[Origin, str | None]:
    """What a person wrote about a batch made elsewhere, in YAML.

    Returns
    -------
    origin : Origin
        With its source still ``not declared`` where the file names one by path.
    source : str or None
        ``training``, ``none`` or a path, as written.

    Raises
    ------
    UsageError
        If the file is missing or no mapping, or fields are missing or unknown; all of them are named at once.
    """
    if not path.is_file():
        raise UsageError(f"there is no record file {path}.", f"Write one with the fields {', '.join(_DECLARED)}.")
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"{path} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        text = path.read_text(encoding="utf-8")
        value = read_plain(text)
    except ValueError as error:
        raise UsageError(f"{path} is not plain YAML: {error}.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path} holds no mapping.", f"Write the fields {', '.join(_DECLARED)}, one a line.")
    known = [*_DECLARED, "prompts", "source"]
    for name in value:
        if name not in known:
            raise UsageError(f"{path} has an unknown field {name!r}. {closest(str(name), known)}")
    if value.get("version") is not None:
        value["version"] = yaml.load(text, Loader=yaml.BaseLoader)["version"]  # as written: 1.10 would become 1.1
    source = value.pop("source", None)
    if source is not None and not isinstance(source, str):
        raise UsageError(f"{path}: source must be `training`, `none` or a path, found {source!r}.")
    prompts = value.pop("prompts", None) or ()
    _refuse_incomplete({**value, "prompts": prompts}, str(path))
    return Origin(**value, prompts=tuple(prompts)), source


_DECLARED = tuple(f.name for f in fields(Origin) if f.name not in {"prompts", "source", "door"})
_MAY_BE_NULL = {"seed", "slice"}  # a generator without a seed, a batch for no slice: said, not forgotten


def _refuse_incomplete(value: Mapping[str, Any], what: str) -> None:
    missing = [name for name in _DECLARED if name not in value]
    missing += [name for name in _DECLARED if name in value and name not in _MAY_BE_NULL and _is_blank(value[name])]
    if missing:
        raise UsageError(
            f"{what} cannot be written without its provenance; missing: {', '.join(missing)}.",
            "Give every one of them; `seed: null` and `slice: null` say that there is none, `params: {}` likewise.",
        )
    wrong = [f"{name} must be {kind}" for name, kind, fits in _TYPES if not fits(value[name])]
    if wrong:
        raise UsageError(f"{what} has fields of the wrong type: {'; '.join(wrong)}.")


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_unicode(text: str) -> bool:
    """Whether a text can be written down: what a terminal sends as bytes that are no UTF-8 cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


_TYPES: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("generator", "a text", lambda v: isinstance(v, str)),
    ("version", "a text", lambda v: isinstance(v, str)),
    ("params", "a mapping", lambda v: isinstance(v, Mapping)),
    ("seed", "a whole number or null", lambda v: v is None or (isinstance(v, int) and not isinstance(v, bool))),
    ("slice", "a text or null", lambda v: v is None or isinstance(v, str)),
    ("purpose", "a text of Unicode", lambda v: isinstance(v, str) and _is_unicode(v)),
    ("prompts", "a list of texts", lambda v: isinstance(v, list | tuple) and all(isinstance(p, str) for p in v)),
)


_FILLED: dict[str, Any] = {"type": "string", "pattern": r"\S"}
_ROWS: dict[str, Any] = {"type": "integer", "minimum": 1}
_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}


def record_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of what ``Record.to_json()`` writes."""
    from synth_mlflow.data.json_schema import DIALECT, json_schema_of  # with pydantic

    root = json_schema_of(Record, _constraint)
    root["properties"]["schema"] = {"const": RECORD_SCHEMA, "description": "The version of this schema."}
    return {
        "$schema": DIALECT,
        "$id": f"urn:synth-mlflow:record:{RECORD_SCHEMA}",
        "title": "Provenance of a batch of synthetic rows",
        **root,
    }


def _constraint(name: str, _: Any) -> dict[str, Any] | None:
    from synth_mlflow.data.json_schema import COUNT, MOMENT, SHA256

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
