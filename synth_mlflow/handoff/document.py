"""The handoff document as plain data: everything a new engineer needs, and nothing that needs a server to read."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from synth_mlflow.handoff.links import without_credentials

SCHEMA_VERSION = 1

Verdict = Literal["pass", "fail", "inconclusive", "unvalidated"]
TriggerStanding = Literal["due", "not due", "cannot tell"]


@dataclass(frozen=True)
class Estimate:
    """A number with the interval it is promised to lie in."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Fact:
    """One thing that machines or people said, under its name."""

    name: str
    value: str


@dataclass(frozen=True)
class Section:
    """A question and what people wrote under it, as Markdown."""

    title: str
    text: str


@dataclass(frozen=True)
class Header:
    """What this document is, and who owes what before it is final."""

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
        """Whether somebody still owes something."""
        return bool(self.owed)


@dataclass(frozen=True)
class Problem:
    """Stage 1: the statement that people wrote."""

    run_id: str
    sha256: str
    sections: tuple[Section, ...]
    facts: tuple[Fact, ...] = ()
    """The machine-readable front matter, in reading order."""


@dataclass(frozen=True)
class SliceSize:
    """How many rows of each side of the cut lie in one slice."""

    name: str
    condition: str
    n_training: int
    n_evaluation: int


@dataclass(frozen=True)
class EvaluationSet:
    """Stage 2: the strictly real rows that every score is measured on."""

    run_id: str
    sha256: str
    how: str
    """How it was sampled, as a sentence."""
    n_training: int
    n_evaluation: int
    metrics: tuple[str, ...]
    may_change: str
    """Who may change it, as a sentence."""
    facts: tuple[Fact, ...] = ()
    """Seed, duplicates kept on one side, where the rows are stored, …"""
    slices: tuple[SliceSize, ...] = ()


@dataclass(frozen=True)
class Baseline:
    """Stage 2: the score of the real rows alone."""

    run_id: str
    metric: str
    score: Estimate
    n_repeats: int


@dataclass(frozen=True)
class Probe:
    """One number that decided a check."""

    name: str
    value: float | None
    limit: float
    better: Literal["low", "high"]
    failed: bool
    column: str | None = None
    floor: float | None = None
    p_value: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Check:
    """Stage 4: what one check said about a batch."""

    name: str
    run_id: str
    verdict: Verdict
    reasons: tuple[str, ...]
    """Most important first."""
    probes: tuple[Probe, ...] = ()
    """The deciding ones, worst first; the run keeps all of them."""


@dataclass(frozen=True)
class Retraction:
    """Who took a batch back, and why."""

    reason: str
    by: str
    at: str
    """ISO 8601, UTC."""


@dataclass(frozen=True)
class Batch:
    """Stages 3 and 4: one synthetic table, its record and its verdicts."""

    batch: str
    """Its short id."""
    run_id: str
    generator: str
    generator_version: str
    parameters: Mapping[str, Any]
    """JSON values by name."""
    seed: int | None
    slice: str | None
    """The condition that its rows fulfil; None for the whole table."""
    purpose: str
    n_rows: int
    sha256: str
    verdict: Verdict
    in_model: bool
    checks: tuple[Check, ...] = ()
    retracted: Retraction | None = None
    record: tuple[Fact, ...] = ()
    """What else the provenance record says: source, members' digest, environment, prompts, …"""


@dataclass(frozen=True)
class CurvePoint:
    """One ratio of the sweep."""

    ratio: float
    """The share of synthetic rows in the mix, in [0, 1)."""
    run_id: str
    score: Estimate
    gain: Estimate | None
    """Over ratio 0; None at ratio 0."""
    n_real: int
    n_synthetic: int
    helps: bool
    """Whether it beats ratio 0 and what duplicated real rows achieve; False at ratio 0."""
    placebo: Estimate | None = None
    """The score with duplicated real rows in place of the synthetic ones; None where it was not measured."""


@dataclass(frozen=True)
class SliceScore:
    """One slice at one ratio."""

    slice: str
    ratio: float
    score: float | None
    """None where it is undefined, as for a slice with one class."""
    gain: Estimate | None
    """Over the same slice at ratio 0; None there or where it is undefined."""
    n_rows: int


@dataclass(frozen=True)
class Sweep:
    """Stage 5: the curve, the choice and the model."""

    run_id: str
    metric: str
    mix: str
    """How the rows were mixed, as a sentence."""
    n_repeats: int
    points: tuple[CurvePoint, ...]
    """Ascending by ratio; ratio 0, the chosen one and the peak are among them."""
    chosen: float
    peak: float
    plateau: tuple[float, ...]
    """The ratios that cannot be told from the peak, the peak among them."""
    rule: str
    """The rule that chose, stated before the numbers were known."""
    shape: Literal["sharp", "flat", "no peak"]
    fragility: str
    """The shape in words, with its numbers."""
    decisions: tuple[str, ...] = ()
    """What else was concluded, with the numbers: placebo, learning curve, smallest gain that would be seen."""
    slices: tuple[SliceScore, ...] = ()
    picture: bytes | None = None
    """The curve as a PNG."""
    model_uri: str | None = None
    model_run_id: str | None = None
    model_sha256: str | None = None

    def at(self, ratio: float) -> CurvePoint:
        """The point of one ratio; ValueError if it was not swept."""
        for point in self.points:
            if point.ratio == ratio:
                return point
        raise ValueError(f"ratio {ratio} is not on the curve: {[point.ratio for point in self.points]}")


@dataclass(frozen=True)
class EarlierSweep:
    """A sweep that a later one replaced."""

    run_id: str
    finished_at: str
    chosen: float
    score: Estimate
    gain: Estimate | None


@dataclass(frozen=True)
class Success:
    """What the statement calls a success, and what was measured against it."""

    kind: Literal["gain_at_least", "at_least"]
    threshold: float
    measured: float
    """The gain or the score at the chosen ratio, corrected for the luck of having been chosen."""

    @property
    def met(self) -> bool:
        """Whether the corrected estimate reaches the threshold."""
        return self.measured >= self.threshold


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
    links: Mapping[str, str | None] = field(default_factory=dict)
    """Run id to its page in the MLflow UI; None or absent when the tracking URI is not http."""
    sign_offs: tuple[SignOff, ...] = ()

    def __post_init__(self) -> None:
        links = {run: without_credentials(url) if url else None for run, url in self.links.items()}
        object.__setattr__(self, "links", links)

    def batches_in_model(self) -> tuple[Batch, ...]:
        """The batches whose rows the final model was trained on."""
        return tuple(batch for batch in self.batches if batch.in_model)

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
        content = asdict(self)
        del content["sign_offs"]
        plain: dict[str, Any] = json.loads(json.dumps(content, default=_plain, allow_nan=False))
        return plain


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


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{value!r} ({type(value).__name__}) has no place in a handoff")
