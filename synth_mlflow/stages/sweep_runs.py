"""What a sweep leaves on the server: a child a ratio, the final model, and the curve on the parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.digests import array_digest, canonical_json
from synth_mlflow.data.environment import environment
from synth_mlflow.data.markup import as_text
from synth_mlflow.data.mixing import read_shares
from synth_mlflow.gate.policy import looser_than_default, policy_of
from synth_mlflow.handoff.holdout_score import write_predictions
from synth_mlflow.handoff.summary import success_words
from synth_mlflow.models.base import Model
from synth_mlflow.models.embedding import shown
from synth_mlflow.models.raw_embedding import MODULE
from synth_mlflow.models.text import EMBEDDING
from synth_mlflow.stages.fit_commands import fitted_by
from synth_mlflow.stages.sweep_children import FitTimes, final_run, ratio_run
from synth_mlflow.stages.sweep_inputs import SweepInputs
from synth_mlflow.sweep.curve import Curve, Point
from synth_mlflow.sweep.executors import Engine
from synth_mlflow.sweep.explain import Success, in_short, judge_success
from synth_mlflow.sweep.holdout import halves_of, provisional_estimate
from synth_mlflow.sweep.plan import EVERYTHING, source_name
from synth_mlflow.sweep.plots import curve_figure, sources_figure
from synth_mlflow.sweep.runner import Final, SweepOutcome, final_of, fit_final
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Input, Measured, RunDraft, now_ms
from synth_mlflow.tracking.fit_store import FitCache
from synth_mlflow.tracking.lineage import batch_input, frozen_inputs
from synth_mlflow.tracking.long_lists import PARAM_MAX
from synth_mlflow.tracking.models import KeptModel, format_words, keep_model
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.write import (
    create_children,
    create_run,
    end_run,
    ending_children_badly,
    set_tags,
    writing,
)


@dataclass(frozen=True)
class SweepContext:
    """A sweep that is under way."""

    project: Project
    ingredients: SweepInputs
    engine: Engine
    parent: str
    fit_cache: FitCache
    times: FitTimes = field(default_factory=FitTimes)


def write_sweep(sweeping: SweepContext, outcome: SweepOutcome) -> Curve:
    """Write the children, then the final model, then the parent: the write that makes the sweep count comes last."""
    curve, project, ingredients = outcome.curve, sweeping.project, sweeping.ingredients
    success = judge_success(curve, ingredients.problem.statement.facts.success.model_dump(exclude_none=True))
    _write_children(sweeping, outcome)
    project.say(f"fitting the final model at {curve.words(curve.chosen)}")
    final = create_run(project.server, final_run(ingredients, _in_short(curve), now_ms()), parent=sweeping.parent)
    model = _write_final(project, ingredients, outcome, sweeping.parent, final)
    with writing(project.server, sweeping.parent, "sweep") as draft:
        draft.params |= sweeping.fit_cache.params
        draft.param(names.P_ENGINE, sweeping.engine.words)
        _write_parent(draft, ingredients, curve, success, model)
    return curve


def _write_children(sweeping: SweepContext, outcome: SweepOutcome) -> None:
    """A run for each ratio, also for those that failed; each begins and ends when its fits did."""
    curve, plan, server, ingredients = outcome.curve, outcome.plan, sweeping.project.server, sweeping.ingredients
    points = {
        (point.ratio, source if point.ratio else EVERYTHING): (point, source)
        for source, points in curve.by_source().items()
        for point in points
        if point.ratio or source == curve.source  # without synthetic rows all sources are one
    }
    swept = [source for source in plan.sources if plan.leads(source)]
    reasons = {(lost.ratio, source): lost.reason for lost in curve.failed for source in swept}
    spans = {cell: sweeping.times.of(cell, outcome.fits.values()) for cell in (*points, *reasons)}
    new = [ratio_run(ingredients, sweeping.parent, *cell, began) for cell, (began, _) in spans.items()]
    children = dict(zip(spans, create_children(server, sweeping.parent, new), strict=True))
    with ending_children_badly(server, list(children.values())):
        for cell, (point, source) in points.items():
            with writing(server, children[cell], ended=spans[cell][1]) as draft:
                _write_ratio(draft, ingredients, curve, point, source)
                draft.metric(names.M_SECONDS, sweeping.times.seconds(cell, outcome.fits.values()))
        for cell, reason in reasons.items():
            set_tags(server, children[cell], {names.TAG_NOTE: f"**Left out of the curve**: {as_text(reason)}"})
            end_run(server, children[cell], "FAILED", reason)
    for lost in curve.failed:
        sweeping.project.say(f"{curve.words(lost.ratio)} is left out: {lost.reason}")


def _write_ratio(draft: RunDraft, ingredients: SweepInputs, curve: Curve, point: Point, source: str) -> None:
    source = source if point.ratio else EVERYTHING
    _state(draft, ingredients, source)
    if source:
        draft.param(names.P_SHARES if read_shares(source) else names.P_GENERATOR, source)
    _write_axis(draft, curve, point)
    # MLflow's comparison of runs first draws the three parameters that differ, by name: these
    draft.param(names.P_RATIO, curve.share(point))
    draft.param(names.P_ROWS, point.n_real + point.n_synthetic)
    draft.param(names.P_SCORE, point.score)
    draft.score(curve.metric, point.score, point.low, point.high)
    draft.metric(names.M_RATIO, curve.share(point))
    draft.metric(names.M_GAIN, point.gain)
    draft.metric(names.M_GAIN_LOW, point.gain_low)
    draft.metric(names.M_GAIN_HIGH, point.gain_high)
    draft.metric(names.M_PLACEBO, point.placebo)
    draft.metric(names.M_REAL_ROWS, point.n_real)
    draft.metric(names.M_SYNTHETIC_ROWS, point.n_synthetic)
    for step, score in enumerate(point.repeats):
        draft.metric(names.M_REPEAT_SCORE, score, step)
    metric_of = names.unique_metric_names(names.slice_metric, point.slices)
    for name, part in point.slices.items():
        if part.score is not None:
            draft.metric(metric_of[name], part.score)
    metric_of = names.unique_metric_names(names.class_metric, point.recalls)
    for label, share in point.recalls.items():
        draft.metric(metric_of[label], share)
    draft.inputs += _inputs(ingredients, ingredients.of(source) if point.ratio else ())
    chosen = f" **The chosen {curve.axis.noun}.**" if point is curve.at(curve.chosen) else ""
    chosen += f" The guardrail does not let it be chosen: {as_text(point.forbidden)}." if point.forbidden else ""
    rows = f"synthetic rows of {as_text(source_name(source))}" if source else "synthetic rows"
    draft.describe(
        f"**{curve.metric} {point.score:.4f}** with {as_text(curve.words(point.ratio))} {rows} "
        f"({point.n_real:,} real, {point.n_synthetic:,} synthetic).{chosen}\n\n"
        f"| score | 95 % interval | gain over real only | duplicated real rows instead |\n|---|---|---|---|\n"
        f"| {point.score:.4f} | {point.low:.4f} to {point.high:.4f} | {point.gain:+.4f} "
        f"({point.gain_low:+.4f} to {point.gain_high:+.4f}) | {point.placebo:.4f} |{_caveat(ingredients)}"
    )


def _write_final(
    project: Project, ingredients: SweepInputs, outcome: SweepOutcome, parent: str, run_id: str
) -> KeptModel:
    curve = outcome.curve
    with writing(project.server, run_id, "final") as draft:
        is_sampled = ingredients.whole is not None
        ingredients, final = _fitted_final(ingredients, outcome)
        predictions = final.model.predict(ingredients.evaluation)
        score, low, high = provisional_estimate(curve, outcome.bench.best_score)
        used = ingredients.of(curve.source) if curve.chosen else ()
        model = _keep_final(project, ingredients, final.model, run_id, _version_tags(ingredients, curve, parent, used))
        point = curve.at(curve.chosen)
        _state(draft, ingredients, curve.source)
        _write_axis(draft, curve, point)
        if curve.axis.name == "mix":
            draft.param(names.P_SHARES, curve.source)
        draft.param(names.P_CHOSEN, curve.chosen_share)
        draft.param(names.P_RATIOS, [curve.share(each) for each in curve.points])
        _state_model(draft, model)
        draft.param(names.P_PREDICTIONS, array_digest(predictions))
        sample = ""
        if is_sampled:
            own = _own_score(ingredients, outcome, predictions)
            draft.param(names.P_MODEL_SCORE, own)
            sample = (
                f" It scores {own:.4f} on these rows; the fit on a sample of {point.n_real:,} real rows, which the "
                f"curve shows, {point.of_model:.4f}."
            )
        draft.param(names.P_SWEEP, parent)
        draft.param(names.P_ENVIRONMENT, environment())
        _state_commands(draft, ingredients)
        draft.metric(names.M_RATIO, curve.chosen_share)
        draft.metric(names.M_CHOSEN, curve.chosen_share)
        measured = Measured(model.model_id, frozen_inputs(ingredients.frozen)[1]) if model.model_id else None
        draft.score(curve.metric, score, low, high, measured)
        n_real, n_synthetic = len(final.real_rows), len(final.synthetic_rows)
        draft.metric(names.M_REAL_ROWS, n_real)
        draft.metric(names.M_SYNTHETIC_ROWS, n_synthetic)
        _mixed_rows(ingredients, final).to_parquet(draft.file(names.A_MIX), index=False)
        write_predictions(draft.file(names.A_PREDICTIONS), predictions, final.model.classes)
        draft.inputs += _inputs(ingredients, used)
        looser = "; ".join(looser_than_default(policy_of(ingredients.problem.statement)))
        if looser:
            draft.param(names.P_LOOSER, looser[:PARAM_MAX])
            looser = f"\n\nIts batches passed under a policy that is looser than the default: {looser}."
        estimate = f"{curve.metric} {score:.4f} ({low:.4f} to {high:.4f})"
        fitted = f"{sample} Registered as {_served_words(model)}{fitted_by(outcome, final)}{_served_by(ingredients)}"
        draft.describe(
            f"{_final_words(curve, estimate, n_real, n_synthetic)}{fitted}\n\n"
            "| batches inside | sweep | evaluation set |\n|---|---|---|\n"
            f"| {', '.join(batch.id for batch in used) or 'none'} | {parent} | {ingredients.frozen.digest[:12]}… |"
            f"{_caveat(ingredients)}{looser}"
        )
    return model


def _version_tags(ingredients: SweepInputs, curve: Curve, sweep: str, used: Sequence[StoredBatch]) -> Mapping[str, str]:
    """The tags of the registered version."""
    return {
        names.TAG_BATCHES: " ".join(batch.id for batch in used),
        names.TAG_RATIO: f"{curve.chosen_share:g}",
        names.TAG_SWEEP: sweep,
        names.TAG_EVALUATION: ingredients.frozen.digest,
    }


def _keep_final(
    project: Project, ingredients: SweepInputs, model: Model, run_id: str, tags: Mapping[str, str]
) -> KeptModel:
    """Save the model with the columns that it reads, and register it."""
    features = ingredients.training.drop(columns=ingredients.problem.statement.task.target or [])
    forms = ingredients.frozen.schema.forms
    return keep_model(project.server, run_id, model, features, name=project.server.experiment, tags=tags, forms=forms)


def _state_model(draft: RunDraft, model: KeptModel) -> None:
    draft.param(names.P_MODEL_NAME, model.name)
    draft.param(names.P_MODEL_VERSION, model.version)
    draft.param(names.P_MODEL_SHA256, model.sha256)
    draft.tag(names.TAG_FORMAT, model.format)


def _final_words(curve: Curve, estimate: str, n_real: int, n_synthetic: int) -> str:
    """What the model is, what it scored where, and what it was fitted on."""
    synthetic = f" and {n_synthetic:,} synthetic ones" if n_synthetic else ""
    return (
        f"**The model at {_chosen_words(curve, ' rows')}**: {estimate} on the {curve.n_evaluation:,} rows that chose, "
        "corrected for the choice; its expected score on new data is stated by `synth-mlflow report`. Fitted on all "
        f"{n_real:,} real rows{synthetic}."
    )


def _served_words(model: KeptModel) -> str:
    """Where the model is, and how it is loaded."""
    load = f"`mlflow.pyfunc.load_model('{model.uri}')` takes raw columns"
    return f"`{model.uri}`; {load}. {format_words(model.format)}"


def _fitted_final(ingredients: SweepInputs, outcome: SweepOutcome) -> tuple[SweepInputs, Final]:
    """The final model with the tables that it was fitted on: all rows, also where the curve is of a sample."""
    whole = ingredients.whole
    if whole is None:
        return ingredients, final_of(outcome)
    statement, curve = whole.problem.statement, outcome.curve
    final = fit_final(
        whole.training,
        whole.synthetic,
        whole.evaluation,
        whole.frozen.task_of(statement),
        statement.facts.metric,
        whole.spec,
        outcome.plan,
        curve.chosen,
        batches=whole.origin.to_numpy(),
        places=whole.sources.get(curve.source),
        source=curve.source,
    )
    return whole, final


def _own_score(ingredients: SweepInputs, outcome: SweepOutcome, predictions: npt.NDArray[np.float64]) -> float:
    """What a model on all rows scores on the evaluation rows that chose."""
    task = ingredients.frozen.task_of(ingredients.problem.statement)
    chose = halves_of(ingredients.evaluation, task).select
    return outcome.bench.score(predictions[chose], np.ones(int(chose.sum()), dtype=np.bool_))


def _served_by(ingredients: SweepInputs) -> str:
    """What the model needs where it is served, if it turns texts into vectors."""
    embedding, way = ingredients.spec.embedding, ingredients.spec.params.get(EMBEDDING)
    if embedding is None or way is None:
        return ""
    if MODULE.fullmatch(embedding):
        return f" It turns texts into vectors by `{embedding}`, which must be installed wherever the model is served."
    return f" The weights of its embedding, `{shown(embedding)}`, are among its files; model2vec reads them."


def _mixed_rows(ingredients: SweepInputs, final: Final) -> pd.DataFrame:
    """Every row that the model was fitted on: the batch it is from, or `real`, and its place there."""
    origin = ingredients.origin.iloc[final.synthetic_rows]
    first = ingredients.origin.reset_index().groupby("origin")["index"].min()
    places = final.synthetic_rows - origin.map(first).to_numpy()
    real = pd.DataFrame({"from": "real", "row": final.real_rows})
    return pd.concat([real, pd.DataFrame({"from": origin.to_numpy(), "row": places})], ignore_index=True)


def _write_parent(draft: RunDraft, ingredients: SweepInputs, curve: Curve, success: Success, model: KeptModel) -> None:
    _state(draft, ingredients, EVERYTHING)
    draft.param(names.P_KEY, ingredients.key)
    _state_commands(draft, ingredients)
    draft.param(names.P_RATIOS, [curve.share(point) for point in curve.points])
    _write_axis(draft, curve, curve.at(curve.chosen))
    if curve.axis.name in ("weight", "slice"):
        draft.param(names.P_AXIS_VALUES, [point.ratio for point in curve.points])
    draft.param(names.P_REPEATS, ingredients.plan.repeats)
    draft.param(names.P_MIX, ingredients.plan.mix)
    draft.param(names.P_RULE, curve.rule)
    draft.param(names.P_SEED, ingredients.plan.seed)
    draft.param(names.P_CHOSEN, curve.chosen_share)
    chosen = curve.at(curve.chosen)
    draft.param(names.P_CHOSEN_SCORE, [chosen.score, chosen.low, chosen.high])
    draft.param(names.P_PEAK, curve.share(curve.at(curve.peak)))
    if curve.guardrail:
        draft.param(names.P_GUARDRAIL, curve.guardrail)
    if curve.failed:
        draft.param(names.P_FAILED, [lost.ratio for lost in curve.failed])
    draft.param(names.P_FRAGILITY, curve.fragility.words)
    draft.param(names.P_SUCCESS, success_words(success))
    draft.param(names.P_PRIOR_USES, ingredients.n_earlier_sweeps)
    draft.param(names.P_LEFT_OUT, ingredients.n_left_out)
    if ingredients.whole is not None:
        draft.param(names.P_FIT_ROWS, len(ingredients.training))
    draft.param(names.P_MODEL_NAME, model.name)
    draft.param(names.P_MODEL_VERSION, model.version)
    draft.param(names.P_MODEL_SHA256, model.sha256)
    for step, point in _steps(curve.points).items():
        draft.metric(names.M_CURVE_SCORE, point.score, step)
        draft.metric(names.M_CURVE_LOW, point.low, step)
        draft.metric(names.M_CURVE_HIGH, point.high, step)
        draft.metric(names.M_CURVE_GAIN, point.gain, step)
        draft.metric(names.M_CURVE_PLACEBO, point.placebo, step)
    for source, points in curve.rivals.items():
        for step, point in _steps(points).items():
            draft.metric(names.source_metric(source_name(source)), point.score, step)
    draft.score(curve.metric, chosen.score, chosen.low, chosen.high)
    draft.metric(names.M_GAIN, chosen.gain)
    draft.metric(names.M_CHOSEN, curve.chosen_share)
    draft.tag(names.TAG_CURVE, draft.run_id)
    draft.tag(names.TAG_NAME, f"sweep · {_in_short(curve)}")
    draft.text(names.A_CURVE, canonical_json(curve.to_json()))
    draft.frame(names.A_CURVE_TABLE, curve.frame())
    figure = curve_figure(curve, success_line=_success_line(ingredients, curve))
    draft.picture(names.A_CURVE_PICTURE, figure)
    if curve.rivals:
        draft.param(names.P_CHOSEN_SOURCE, source_name(curve.source))
        draft.param(names.P_ANSWERS, 1 + sum(len(points) - 1 for points in curve.by_source().values()))
        draft.picture(names.A_SOURCES_PICTURE, sources_figure(curve))
    draft.inputs += _inputs(ingredients, ingredients.batches)
    draft.metric(names.M_SMALLEST_GAIN, curve.smallest_detectable)
    draft.describe(_decision(draft, curve, success, model) + _caveat(ingredients))


def _write_axis(draft: RunDraft, curve: Curve, point: Point) -> None:
    """What was swept, where that is not the ratio, and where on it a point stands."""
    axis = curve.axis
    if axis.name == "ratio":
        return
    draft.param(names.P_AXIS, axis.name)
    if axis.name == "mix":
        return
    draft.param(names.P_AXIS_VALUE, point.ratio)
    draft.metric(names.M_AXIS_VALUE, point.ratio)
    if axis.name == "weight":
        draft.param(names.P_AXIS_ROWS, axis.rows)
    else:
        draft.param(names.P_AXIS_SLICE, axis.slice)


def _chosen_words(curve: Curve, of_ratio: str = "") -> str:
    """The chosen point, in the words of its axis; those of a ratio end as is said."""
    words = as_text(curve.words(curve.chosen))
    if curve.axis.name == "mix" and curve.chosen:
        return f"{words} synthetic rows, of which {as_text(source_name(curve.source))}"
    return words if curve.axis.name in ("weight", "slice") else f"{words} synthetic{of_ratio}"


def _in_short(curve: Curve) -> str:
    chosen = curve.at(curve.chosen)
    return in_short(curve.words(chosen.ratio), curve.metric, chosen.score, chosen.gain if chosen.ratio else None)


def _steps(points: Sequence[Point]) -> dict[int, Point]:
    """The points by whole percents, as MLflow draws them; of several within one the first: 0 is real rows alone."""
    steps: dict[int, Point] = {}
    for point in points:
        steps.setdefault(round(point.ratio * 100), point)
    return steps


def _caveat(ingredients: SweepInputs) -> str:
    """What every page says of a split with equal rows on both sides."""
    return f"\n\n{ingredients.frozen.caveat}" if ingredients.frozen.caveat else ""


def _decision(draft: RunDraft, curve: Curve, success: Success, model: KeptModel) -> str:
    rows = "\n".join(
        f"| {as_text(curve.words(p.ratio))}{' **chosen**' if p.ratio == curve.chosen else ''} "
        f"| {p.score:.4f} | {p.low:.4f} to {p.high:.4f} | {p.gain:+.4f} | {p.placebo:.4f} |"
        for p in curve.points
    )
    return (
        f"**Chosen: {_chosen_words(curve)}.** {curve.decision}\n\n{success_words(success)} "
        f"Rule: {curve.rule} Model: `{model.uri}`.\n\n"
        f"| {curve.axis.noun} | {curve.metric} | 95 % interval | gain | placebo |\n|---|---|---|---|---|\n"
        f"{rows}\n\n![the curve](get-artifact?path={names.A_CURVE_PICTURE}&run_uuid={draft.run_id})"
    )


def _success_line(ingredients: SweepInputs, curve: Curve) -> float:
    success = ingredients.problem.statement.facts.success
    return float(
        success.at_least if success.at_least is not None else curve.points[0].score + (success.gain_at_least or 0)
    )


def _state(draft: RunDraft, ingredients: SweepInputs, source: str) -> None:
    """The facts that children repeat, since search filters do not inherit them."""
    draft.param(names.P_EVALUATION_DIGEST, ingredients.frozen.digest)
    draft.param(names.P_TRAINING_DIGEST, ingredients.frozen.training_digest)
    draft.param(names.P_STATEMENT, ingredients.problem.statement.digest)
    draft.param(names.P_METRIC, ingredients.problem.statement.facts.metric)
    draft.words(names.P_BATCHES, (batch.id for batch in ingredients.of(source)))
    draft.words(names.P_BATCH_DIGESTS, (batch.digest[:16] for batch in ingredients.of(source)))


def _state_commands(draft: RunDraft, ingredients: SweepInputs) -> None:
    """The commands that fitted the models, where a person named some."""
    if ingredients.spec.commands is not None:
        draft.param(names.P_COMMANDS, ingredients.spec.commands.to_json())


def _inputs(ingredients: SweepInputs, batches: Sequence[StoredBatch]) -> list[Input]:
    n_columns = ingredients.training.shape[1]
    return [*frozen_inputs(ingredients.frozen), *(batch_input(batch, n_columns) for batch in batches)]
