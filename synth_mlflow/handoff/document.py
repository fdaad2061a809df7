"""The handoff document as plain data: everything a new engineer needs, and nothing that needs a server to read."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, Literal

from synth_mlflow.handoff.evidence import (
    Baseline,
    Batch,
    Check,
    CurvePoint,
    EarlierSweep,
    Estimate,
    EvaluationSet,
    ExpectedScore,
    Fact,
    Probe,
    Problem,
    Retraction,
    Section,
    SliceScore,
    SliceSize,
    Sweep,
    Verdict,
)
from synth_mlflow.handoff.links import without_credentials
from synth_mlflow.sweep.explain import Success

__all__ = [
    "SCHEMA_VERSION",
    "Baseline",
    "Batch",
    "Check",
    "Command",
    "CurvePoint",
    "Digest",
    "Document",
    "EarlierSweep",
    "Estimate",
    "EvaluationSet",
    "ExpectedScore",
    "Fact",
    "Header",
    "Limits",
    "Probe",
    "Problem",
    "Retraction",
    "Section",
    "SignOff",
    "SliceScore",
    "SliceSize",
    "Success",
    "Sweep",
    "Trigger",
    "TriggerStanding",
    "Verdict",
    "twin_digest",
]

SCHEMA_VERSION = 1

TriggerStanding = Literal["due", "not due", "cannot tell"]


@dataclass(frozen=True)
class Header:
    """What this document is, and what is missing before it is final."""

    project: str
    """The experiment's name."""
    built_at: str
    """ISO 8601, UTC."""
    built_by: str
    tool: str
    """Name and version of what built it: ``synth_mlflow 0.1.0``."""
    tracking_uri: str
    """Kept without user name and password."""
    run_id: str | None = None
    """The `handoff` run that carries the document."""
    owed: tuple[str, ...] = ()
    """What people still have to write or decide, each as a sentence; empty when the document is final."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracking_uri", without_credentials(self.tracking_uri))

    @property
    def is_draft(self) -> bool:
        """Whether something is missing."""
        return bool(self.owed)


@dataclass(frozen=True)
class Limits:
    """Stage 6: what people say about the model; None where nobody has written yet."""

    known: str | None
    when_not_to_use: str | None
    next: str | None


@dataclass(frozen=True)
class Trigger:
    """One condition that forces a rerun, and how it stands."""

    name: str
    condition: str
    state: TriggerStanding
    reason: str


@dataclass(frozen=True)
class Command:
    """One step of rerunning the whole."""

    command: str
    does: str


@dataclass(frozen=True)
class Digest:
    """The fingerprint of one recorded thing."""

    name: str
    sha256: str
    run_id: str


@dataclass(frozen=True)
class SignOff:
    """Somebody who answers for the document as it stood under one digest."""

    name: str
    role: str
    at: str
    """ISO 8601, UTC."""
    sha256: str
    run_id: str
    """The run of the sign-off."""


@dataclass(frozen=True)
class Document:
    """All of it. Renderers read nothing else."""

    header: Header
    success: Success
    problem: Problem
    evaluation: EvaluationSet
    baseline: Baseline
    batches: tuple[Batch, ...]
    sweep: Sweep
    limits: Limits
    triggers: tuple[Trigger, ...]
    commands: tuple[Command, ...]
    digests: tuple[Digest, ...]
    warnings: tuple[str, ...] = ()
    """What a reader must know before trusting the answer, each as a sentence."""
    earlier_sweeps: tuple[EarlierSweep, ...] = ()
    policy: tuple[Fact, ...] = ()
    """What was asked of every batch: required checks, their thresholds, what was accepted, and when."""
    links: Mapping[str, str | None] = field(default_factory=dict)
    """Run id to its page in the MLflow UI; None or absent when the tracking URI is not http."""
    earlier_sign_offs: tuple[SignOff, ...] = ()
    """What people have signed before: earlier documents that hand over the same sweep."""
    sign_offs: tuple[SignOff, ...] = ()

    def __post_init__(self) -> None:
        links = {run: without_credentials(url) if url else None for run, url in self.links.items()}
        object.__setattr__(self, "links", links)

    def batches_in_model(self) -> tuple[Batch, ...]:
        """The batches whose rows the final model was trained on."""
        return tuple(batch for batch in self.batches if batch.in_model)

    def headed(self, header: Header) -> Document:
        """The same document under another header; the rest is not made plain a second time."""
        other = replace(self, header=header)
        other.__dict__["_content"] = {**self._content, "header": _plain(header)}
        return other

    def to_json(self) -> dict[str, Any]:
        """The JSON twin, as plain types; its shape is published as ``handoff.schema.json`` beside this file.

        Raises
        ------
        ValueError
            If a number is NaN or infinite.
        """
        twin: dict[str, Any] = {"schema": SCHEMA_VERSION, "sha256": self.sha256, **self._content}
        return {**twin, "sign_offs": [asdict(sign_off) for sign_off in self.sign_offs]}

    @cached_property
    def sha256(self) -> str:
        """The digest that people sign: of everything but the sign-offs."""
        return twin_digest(self._content)

    @cached_property
    def _content(self) -> dict[str, Any]:
        return {part.name: _plain(getattr(self, part.name)) for part in fields(self) if part.name != "sign_offs"}


def twin_digest(twin: Mapping[str, Any]) -> str:
    """The digest of a JSON twin, recomputed: what its ``sha256`` and every valid sign-off must say.

    Examples
    --------
    >>> twin_digest({"success": 1}) == twin_digest({"success": 1, "sha256": "…", "schema": 1, "sign_offs": []})
    True
    """
    content = {key: value for key, value in twin.items() if key not in ("schema", "sha256", "sign_offs")}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: object) -> Any:
    """As JSON values; a large document has a million of them, and `dataclasses.asdict` copies each."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{value!r} ({type(value).__name__}) has no place in a handoff")
