"""What a project is made of in the formats of other tools, one a file.

A built-in format is a file of this folder that defines ``plugin``, a class that keeps the :class:`Exporter` contract;
the file's name is the format's (hyphens may be written for its underscores). Third parties register theirs in the
entry-point group ``synth_mlflow.exports``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol


@dataclass(frozen=True)
class Rows:
    """Real rows on one side of the frozen cut."""

    name: Literal["training", "evaluation"]
    run_id: str
    sha256: str
    n_rows: int


@dataclass(frozen=True)
class Statement:
    """The problem statement in force."""

    run_id: str
    sha256: str
    gap: str
    at: str
    """ISO 8601, UTC; the same for every moment here."""


@dataclass(frozen=True)
class Batch:
    """One synthetic table with what its record says."""

    id: str
    run_id: str
    address: str
    """Where its Parquet file can be fetched: http(s) where there is a server, else ``runs:/…``."""
    file_sha256: str
    sha256: str
    """Of its content."""
    record_sha256: str
    n_rows: int
    generator: str
    generator_version: str
    parameters: Mapping[str, Any]
    seed: int | None
    slice: str | None
    purpose: str
    prompts: tuple[str, ...]
    learned_from: str
    """In words."""
    learned_from_training: bool
    """Whether a generator was fitted on the project's training rows."""
    source_sha256: str | None
    """Of the real rows that it was learned from; None where there are none or nobody said."""
    by: str
    began: str
    ended: str
    verdict: str
    """``pass``, ``fail``, ``inconclusive``, ``unvalidated`` or ``retracted``."""
    reviews: tuple[str, ...] = ()
    """What people and judge models answered to blind sheets, a sentence each."""


@dataclass(frozen=True)
class Model:
    """A sweep and the model that it registered."""

    sweep: str
    """Run id."""
    run_id: str
    uri: str
    sha256: str
    ratio: float
    metric: str
    score: float
    """Expected on new data; before a handoff, corrected for the choice on the rows that chose."""
    batches: tuple[str, ...]
    """Ids of those inside the model; empty where real rows alone were chosen."""
    began: str
    ended: str
    by: str


@dataclass(frozen=True)
class Signature:
    """Somebody who has signed a handoff."""

    run_id: str
    name: str
    role: str
    at: str


@dataclass(frozen=True)
class Handoff:
    """A handoff document."""

    run_id: str
    sweep: str
    sha256: str
    at: str
    by: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True)
class Provenance:
    """What a project is made of, without a row of its data."""

    project: str
    about: str
    """The first answer of the statement: which gap is filled."""
    tool: str
    """``synth_mlflow 0.1.0``."""
    exported_at: str
    server: str
    """The tracking URI without user name and password."""
    columns: Mapping[str, str]
    """Column name to its kind: integer, number, boolean, string or datetime."""
    target: str
    sensitive: tuple[str, ...]
    limits: str
    """Known limitations as people wrote them in the newest handoff; blank where nobody has."""
    statement: Statement
    real: tuple[Rows, ...]
    batches: tuple[Batch, ...]
    models: tuple[Model, ...]
    handoffs: tuple[Handoff, ...]


class Exporter(Protocol):
    """One format."""

    summary: ClassVar[str]
    """One line for `synth-mlflow list`."""

    def render(self, provenance: Provenance) -> str:
        """The document as text, the same for the same provenance; whatever people typed into a name is data in it."""
        ...
