"""The handoff's part about the sweep: the curve, the choice and the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from synth_mlflow.data.fit_commands import commands_of
from synth_mlflow.handoff import document as handoff
from synth_mlflow.model.curve import Curve, Point, SlicePoint
from synth_mlflow.model.plan import source_name
from synth_mlflow.tracking import names
from synth_mlflow.tracking.promises import StatedPromise
from synth_mlflow.tracking.read import StoredRun

MIXES = {
    "augment": "all real rows are kept and synthetic ones added",
    "replace": "synthetic rows take the place of real ones; the total stays",
}


def describe_sweep(
    curve: Curve,
    sweep: StoredRun,
    ratios: Sequence[StoredRun],
    final: StoredRun,
    stated: StatedPromise,
    picture: bytes,
) -> handoff.Sweep:
    """The sweep that is handed over."""
    own = [run for run in ratios if names.swept_source(run.params) in ("", curve.source)]
    own.sort(key=lambda run: names.swept_source(run.params) == curve.source)  # the winner's over all together
    run_ids = {round(names.axis_value(run.metrics), 6): run.run_id for run in own}
    params = final.params
    return handoff.Sweep(
        run_id=sweep.run_id,
        metric=curve.metric,
        mix=_mixed(curve),
        axis=curve.axis.name,
        slice=curve.axis.slice,
        source=source_name(curve.source) if curve.axis.name == "mix" and curve.chosen else "",
        n_repeats=int(sweep.params[names.P_REPEATS]),
        points=tuple(_point(point, run_ids[round(point.ratio, 6)]) for point in curve.points),
        chosen=curve.chosen,
        peak=curve.peak,
        plateau=tuple(curve.plateau),
        rule=curve.rule,
        shape=curve.fragility.words,
        fragility=curve.fragility.sentence,
        promise=_promise(stated),
        decisions=(_said_once(curve),),
        slices=tuple(_slice(point, name, part) for point in curve.points for name, part in point.slices.items()),
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


def made_with(baseline: StoredRun, final: StoredRun) -> tuple[handoff.Fact, ...]:
    """The settled model, and the software that fitted it."""
    settings, recorded = json.loads(baseline.params[names.P_SETTINGS]), json.loads(final.params[names.P_ENVIRONMENT])
    params = ", ".join(f"{name} {value}" for name, value in sorted(settings["params"].items()))
    commands = {name.strip("-"): command for name, command in commands_of(final.params, names.P_COMMANDS).items()}
    told = {
        **(commands or {"estimator": settings["estimator"], "settings": params}),
        "python": recorded["python"],
        **recorded["packages"],
    }
    return tuple(handoff.Fact(name, str(value)) for name, value in told.items() if value)


def _mixed(curve: Curve) -> str:
    """How the rows were mixed, as a sentence."""
    if curve.axis.name == "weight":
        return f"all real rows are kept and {curve.axis.rows:,} synthetic ones added, which count less or as much"
    if curve.axis.name == "slice":
        return f"within slice {curve.axis.slice} {MIXES[curve.mix]}; other rows are as they were"
    return MIXES[curve.mix]


def _promise(stated: StatedPromise) -> handoff.Promise:
    promise = stated.promise
    return handoff.Promise(
        score=_estimate(stated.interval),
        n_rows=promise.n_rows,
        rows_chose=promise.shared,
        n_earlier_uses=len(promise.earlier_answers),
        n_other_sweeps=promise.n_other_sweeps,
        words=promise.words,
        stated_at=stated.at,
    )


def _said_once(curve: Curve) -> str:
    """The decision without the sentence on the shape of the curve, which the document tells apart."""
    return " ".join(curve.decision.replace(curve.fragility.sentence, "").split())


def _point(point: Point, run_id: str) -> handoff.CurvePoint:
    mixed = point.ratio > 0
    return handoff.CurvePoint(
        ratio=point.ratio,
        run_id=run_id,
        score=handoff.Estimate(point.score, point.low, point.high),
        gain=handoff.Estimate(point.gain, point.gain_low, point.gain_high) if mixed else None,
        n_real=point.n_real,
        n_synthetic=point.n_synthetic,
        helps=point.helps,
        placebo=handoff.Estimate(point.placebo, point.placebo_low, point.placebo_high) if mixed else None,
        model=handoff.Estimate(point.of_model, point.model_low, point.model_high),
        forbidden=point.forbidden,
    )


def _slice(point: Point, name: str, part: SlicePoint) -> handoff.SliceScore:
    gain = None
    if part.gain is not None and part.gain_low is not None and part.gain_high is not None and point.ratio:
        gain = handoff.Estimate(part.gain, part.gain_low, part.gain_high)
    return handoff.SliceScore(name, point.ratio, part.score, gain, part.n_rows)


def _estimate(values: Sequence[float]) -> handoff.Estimate:
    return handoff.Estimate(*values)
