"""The handoff's part about the sweep: the curve, the choice, and why the other ratios were not taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from synth_mlflow.data.mixes import percent
from synth_mlflow.handoff import document as handoff
from synth_mlflow.model.curve import Curve, Point, SlicePoint
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun

MIXES = {
    "augment": "all real rows are kept and synthetic ones added",
    "replace": "synthetic rows take the place of real ones; the total stays",
}


def describe_sweep(
    curve: Curve, sweep: StoredRun, ratios: Sequence[StoredRun], final: StoredRun, picture: bytes
) -> handoff.Sweep:
    """The sweep that is handed over."""
    run_ids = {round(run.metrics[names.M_RATIO], 6): run.run_id for run in ratios}
    params = final.params
    return handoff.Sweep(
        run_id=sweep.run_id,
        metric=curve.metric,
        mix=MIXES[curve.mix],
        n_repeats=int(sweep.params[names.P_REPEATS]),
        points=tuple(_point(curve, point, run_ids[round(point.ratio, 6)]) for point in curve.points),
        chosen=curve.chosen,
        peak=curve.peak,
        plateau=tuple(curve.plateau),
        rule=curve.rule,
        fragility=curve.fragility.sentence,
        decisions=(curve.decision, sweep.params[names.P_SUCCESS], curve.halves, curve.learning.words),
        slices=tuple(
            score
            for point in curve.points
            for name, part in point.slices.items()
            for score in _slice(point, name, part)
        ),
        picture=picture,
        model_uri=f"models:/{params[names.P_MODEL_NAME]}/{params[names.P_MODEL_VERSION]}",
        model_run_id=final.run_id,
        model_sha256=params[names.P_MODEL_SHA256],
    )


def earlier_sweeps(runs: Sequence[StoredRun]) -> tuple[handoff.EarlierSweep, ...]:
    """The sweeps that a later one replaced; each looked at the frozen set once more."""
    return tuple(
        handoff.EarlierSweep(
            run_id=run.run_id,
            finished_at=datetime.fromtimestamp((run.ended or run.started) / 1000, UTC).isoformat(timespec="seconds"),
            chosen=float(run.params[names.P_CHOSEN]),
            score=_estimate(json.loads(run.params[names.P_CHOSEN_SCORE])),
            gain=None,
        )
        for run in runs
    )


def why_not(curve: Curve, point: Point) -> str:
    """Why another ratio was taken; empty for the chosen one."""
    if point.ratio == curve.chosen:
        return ""
    best, chosen = curve.at(curve.peak), curve.at(curve.chosen)
    if not point.in_plateau:
        return f"worse than the peak at {percent(best.ratio)} by {best.score - point.score:.4f}"
    if point.ratio > curve.chosen and chosen.in_plateau:
        more = (
            "" if point.helps or not point.ratio else "; its gain over real rows and duplicates is not told from chance"
        )
        return f"not told from the chosen ratio, and takes more synthetic rows{more}"
    if not point.ratio:
        return f"real rows alone; the chosen ratio gains {chosen.gain:+.4f}"
    return "not told from the peak, but its gain over real rows and duplicates is not told from chance"


def _point(curve: Curve, point: Point, run_id: str) -> handoff.CurvePoint:
    gain = handoff.Estimate(point.gain, point.gain_low, point.gain_high) if point.ratio else None
    return handoff.CurvePoint(
        ratio=point.ratio,
        run_id=run_id,
        score=handoff.Estimate(point.score, point.low, point.high),
        gain=gain,
        n_real=point.n_real,
        n_synthetic=point.n_synthetic,
        why_not=why_not(curve, point),
    )


def _slice(point: Point, name: str, part: SlicePoint) -> list[handoff.SliceScore]:
    if part.score is None:
        return []
    gain = None
    if part.gain is not None and part.gain_low is not None and part.gain_high is not None and point.ratio:
        gain = handoff.Estimate(part.gain, part.gain_low, part.gain_high)
    score = handoff.Estimate(part.score, part.score, part.score)
    return [handoff.SliceScore(name, point.ratio, score, gain, part.n_rows)]


def _estimate(values: Sequence[float]) -> handoff.Estimate:
    return handoff.Estimate(*values)
