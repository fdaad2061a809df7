"""Stage 4's plugins: one check a file, each a set of probes with the numbers that decide them.

A built-in check is a file of this folder that defines ``plugin``, a class that keeps the :class:`Check` contract.
Third parties register theirs in the entry-point group ``synth_mlflow.checks``. A file whose name starts with an
underscore is no plugin but a piece that plugins share.

A check computes and returns; it never logs. Its verdict is a pure function of the recorded probes
(:func:`judge`), so that the gate can recompute it at any time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import pandas as pd

from synth_mlflow.data.slices import Mask, Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import EvidenceError
from synth_mlflow.metrics.passages import Tokenizer, tokens

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from synth_mlflow.metrics.raters import Rating  # loads scipy and scikit-learn
    from synth_mlflow.models.embedding import Embedding

Outcome = Literal["pass", "fail", "inconclusive"]

N_NEAR_MISSES = 3  # told with a pass
FEWER_COLUMNS = "keep fewer columns"  # in a reason of privacy; what may help is told from it


@dataclass(frozen=True)
class CheckInput:
    """The tables that a check may look at; all three are normalised and share one schema."""

    batch: pd.DataFrame
    members: pd.DataFrame
    """The real rows that the generator was fitted on."""
    control: pd.DataFrame
    """The frozen evaluation rows, which no generator ever sees."""
    task: Task
    metric: str
    """A scikit-learn scorer name."""
    seed: int
    model: ModelSpec = field(default_factory=ModelSpec)
    slice: Slice | None = None
    """What the batch was made for; it is judged within."""
    slices: Mapping[str, Slice] = field(default_factory=dict)
    """The statement's slices, by name."""
    sensitive: tuple[str, ...] = ()
    training: pd.DataFrame | None = None
    """The project's training rows, where the members are other real rows."""
    choosing: Mask | None = None
    """The evaluation rows that models may be scored on: the others give the expected score of the final model. None
    where all may choose. Within a slice, which has few rows to lose, all of its rows are scored."""
    benchmarks: Mapping[str, pd.Series] = field(default_factory=dict)
    """The texts of the benchmarks that the statement names, by file."""
    tokenize: Tokenizer = tokens
    """The tokens of a text; the statement's where it names one."""
    embedding: Embedding | None = None
    """What turns texts into vectors, where the statement names it."""
    rare_class_needs: int | None = None
    """Evaluation rows of the rarest class that `freeze` said are needed; None where it has enough."""
    ratings: tuple[Rating, ...] = ()
    """What people and judge models answered to blind sheets of this project. The checks of answers look at these alone:
    they are given no rows."""
    shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What one check has worked out of these rows, by name, for the checks that come after it.

    So the tables of an input stay as they are: for other rows make another one, as with `dataclasses.replace`.
    """


@dataclass(frozen=True)
class Metric:
    """One question put to a batch, with the numbers that decide it.

    A probe fails when its value is both *significant* (beyond ``floor``, and ``p_value`` survives the correction over
    all probes of the check; whichever of the two there is) and *large* (beyond ``limit``).
    """

    name: str
    value: float | None
    """None: it could not be computed, and the probe does not pass."""
    limit: float
    """The effect-size threshold of the policy."""
    better: Literal["low", "high"] = "low"
    column: str | None = None
    floor: float | None = None
    """What 99 of 100 draws of real rows against real rows keep to at these sizes, measured on these very rows (an upper
    bound where low is better, else a lower one)."""
    p_value: float | None = None
    note: str = ""
    """In words: what was seen, and what would help."""
    group: str = ""
    """Tests of one question share a part of the check's false-alarm rate: many of one kind take nothing from others."""


@dataclass(frozen=True)
class CheckResult:
    """What a check found."""

    probes: tuple[Metric, ...]
    inconclusive: str = ""
    """Why no verdict can be given, with the numbers and what would do; empty if one can."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Further numbers for plotting and sorting, by name; finite."""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Details worth reading, by file stem."""
    figures: Mapping[str, Figure] = field(default_factory=dict)
    """Pictures, by file stem."""
    words: str = ""
    """What a reader of the run's page must know beside the probes: assumptions, what the numbers do not say."""


@dataclass(frozen=True)
class Judgement:
    """A verdict and the reasons for it, most important first."""

    verdict: Outcome
    reasons: tuple[str, ...]


class Check(Protocol):
    """One way to judge a batch."""

    summary: ClassVar[str]
    """One line for `synth-mlflow list`."""
    version: ClassVar[str]
    defaults: ClassVar[Mapping[str, float]]
    """The thresholds of the policy that the statement may override, by name."""

    def run(self, evidence: CheckInput, policy: Mapping[str, float]) -> CheckResult:
        """Look at the batch.

        ``policy`` has exactly the keys of ``defaults``.
        """
        ...


def sanitize_metrics(result: CheckResult) -> CheckResult:
    """The same result, with probes that hold NaN or infinity turned into ones that could not be computed."""
    return replace(result, probes=tuple(_computed(probe) for probe in result.probes))


def judge(probes: tuple[Metric, ...], inconclusive: str, alpha: float) -> Judgement:
    """The verdict that recorded probes give; used when a check ends and again by every gate.

    Parameters
    ----------
    probes : tuple of Metric
    inconclusive : str
        Why no verdict can be given; empty if one can.
    alpha : float
        The false-alarm rate of the whole check, in equal parts for the groups of its probes, and within each spread
        over the p-values by Holm's method (S. Holm, Scandinavian Journal of Statistics 6 (1979)).
    """
    failed = failed_probes(probes, alpha)
    if failed:
        worst_first = sorted(failed, key=_times_beyond_limit, reverse=True)
        return Judgement("fail", tuple(_reason(probe) for probe in worst_first))
    unknown = [probe for probe in probes if probe.value is None]
    if inconclusive or unknown:
        reasons = [inconclusive] if inconclusive else []
        return Judgement(
            "inconclusive", tuple(reasons + [f"{_label(p)} could not be computed: {p.note}" for p in unknown])
        )
    if not probes:
        return Judgement("inconclusive", ("no statistic was computed",))
    held = f"{len(probes)} statistics, none" if len(probes) > 1 else "1 statistic, not"
    return Judgement("pass", (f"{held} both significant and large", *_near_misses(probes, alpha)))


def failed_probes(probes: tuple[Metric, ...], alpha: float) -> list[Metric]:
    """The probes that are both significant and large, in the order given."""
    groups = {probe.group: [one for one in probes if one.group == probe.group] for probe in probes}
    significant = set().union(*(_holm(tuple(group), alpha / len(groups)) for group in groups.values()))
    return [probe for probe in probes if probe in significant and _beyond(probe, probe.limit) and _beyond_floor(probe)]


def _near_misses(probes: tuple[Metric, ...], alpha: float) -> list[str]:
    """Probes beyond their limit that would have failed at ten times the false-alarm rate, worst first."""
    near = sorted(failed_probes(probes, min(10 * alpha, 0.5)), key=_times_beyond_limit, reverse=True)
    return [f"near miss: {_reason(probe)}" for probe in near[:N_NEAR_MISSES]]


def _holm(probes: tuple[Metric, ...], alpha: float) -> set[Metric]:
    tested = sorted(
        (p for p in probes if p.value is not None and p.p_value is not None), key=lambda p: p.p_value or 0.0
    )
    significant: set[Metric] = set()
    for rank, probe in enumerate(tested):
        if probe.p_value is None or probe.p_value > alpha / (len(tested) - rank):
            break
        significant.add(probe)
    return significant | {probe for probe in probes if probe.p_value is None}


def _beyond_floor(probe: Metric) -> bool:
    return probe.floor is None or _beyond(probe, probe.floor)


def _beyond(probe: Metric, bound: float) -> bool:
    if probe.value is None:
        return False
    return probe.value > bound if probe.better == "low" else probe.value < bound


def _times_beyond_limit(probe: Metric) -> float:
    value = probe.value or 0.0
    over, under = (value, probe.limit) if probe.better == "low" else (probe.limit, value)
    return over / under if under > 0 else math.inf


def _computed(probe: Metric) -> Metric:
    numbers = (probe.value, probe.limit, probe.floor, probe.p_value)
    if all(number is None or math.isfinite(number) for number in numbers):
        return probe
    text = f"value {probe.value}, limit {probe.limit}, floor {probe.floor}, p-value {probe.p_value}"
    limit = probe.limit if math.isfinite(probe.limit) else 0.0
    note = f"{text}; {probe.note}" if probe.note else text
    return replace(probe, value=None, limit=limit, floor=None, p_value=None, note=note)


def _label(probe: Metric) -> str:
    return f"{probe.name} of {probe.column!r}" if probe.column else probe.name


def _reason(probe: Metric) -> str:
    floor = "" if probe.floor is None else f", real against real {probe.floor:.3g}"
    note = f": {probe.note}" if probe.note else ""
    return f"{_label(probe)} is {probe.value:.3g} (limit {probe.limit:.3g}{floor}){note}"


def as_json(probe: Metric) -> dict[str, Any]:
    """A probe as the artifact keeps it; :func:`probe_from_json` reads it back."""
    return dict(vars(probe))


def probe_from_json(record: Mapping[str, Any]) -> Metric:
    """A probe out of the artifact.

    Raises
    ------
    EvidenceError
        If the record has other fields, or numbers that are not finite: nobody's probe looks like that.

    Examples
    --------
    >>> probe = Metric("ks_distance", 0.02, limit=0.1, column="age", p_value=0.3)
    >>> probe_from_json(as_json(probe)) == probe
    True
    """
    try:
        probe = Metric(**record)
    except TypeError as error:
        raise EvidenceError(f"a recorded statistic cannot be read: {error}.") from error
    numbers = (probe.value, probe.limit, probe.floor, probe.p_value)
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise EvidenceError(f"the recorded statistic {_label(probe)} holds a number that is not finite.")
    return probe
