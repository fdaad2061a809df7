"""What the document tells of each stage that has left evidence, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["pass", "fail", "inconclusive", "unvalidated"]


@dataclass(frozen=True)
class Estimate:
    """A number with the interval it is expected to lie in."""

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
class Problem:
    """Stage 1: the statement that people wrote."""

    run_id: str
    sha256: str
    sections: tuple[Section, ...]
    facts: tuple[Fact, ...] = ()
    """The machine-readable front matter, in reading order."""


@dataclass(frozen=True)
class SliceSize:
    """How many rows of each side of the split lie in one slice."""

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
    """The share of synthetic rows in the mix, in [0, 1); on another axis its value there, such as a weight."""
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
    model: Estimate | None = None
    """The score again, with the interval for this very model on further rows: without the luck of the draw."""
    forbidden: str = ""
    """Why the guardrail does not let it be chosen; empty where it does."""


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
class ExpectedScore:
    """What the model is expected to score on further rows, stated once, when its sweep was first handed over."""

    score: Estimate
    n_rows: int
    """The rows of the frozen set that it was measured on."""
    rows_chose: bool
    """Whether these rows chose the ratio as well, since the frozen set is small."""
    n_earlier_uses: int
    """How often these rows were used before; the interval is widened for it."""
    n_other_sweeps: int
    """How many other sweeps chose on the frozen set."""
    words: str
    stated_at: str
    """ISO 8601, UTC."""


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
    """The ratios not significantly different from the peak, the peak among them."""
    rule: str
    """The rule that chose, stated before the numbers were known."""
    shape: Literal["sharp", "uncertain", "flat", "no peak"]
    fragility: str
    """The shape in words, with its numbers."""
    estimate: ExpectedScore
    decisions: tuple[str, ...] = ()
    """What else was concluded, with the numbers: placebo, learning curve, smallest gain that would be seen."""
    slices: tuple[SliceScore, ...] = ()
    picture: bytes | None = None
    """The curve as a PNG."""
    model_uri: str | None = None
    model_run_id: str | None = None
    model_sha256: str | None = None
    made_with: tuple[Fact, ...] = ()
    """Estimator, its settings, and the software that fitted the model."""
    axis: Literal["ratio", "weight", "slice", "mix"] = "ratio"
    """What was swept; ``chosen``, ``peak``, ``plateau`` and every ``ratio`` are values on it."""
    slice: str = ""
    """The slice that was swept alone; empty but on the axis ``slice``."""
    source: str = ""
    """Each batch's share in the synthetic rows of the chosen mix; empty but on the axis ``mix``."""

    @property
    def noun(self) -> str:
        """What the points of the axis are."""
        return "weight" if self.axis == "weight" else "ratio"

    @property
    def chosen_share(self) -> float:
        """The synthetic rows' share in the chosen mix."""
        if self.axis in ("ratio", "mix"):
            return self.chosen
        return self.chosen_point.n_synthetic / (self.chosen_point.n_real + self.chosen_point.n_synthetic)

    @property
    def chosen_point(self) -> CurvePoint:
        """The point of the chosen ratio."""
        return self.at(self.chosen)

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
