"""Stage 5 of 6: sweep the synthetic ratio, choose by a stated rule, and fit the final model.

Which axis a sweep takes, from what was asked for; what belongs to another axis is refused and never ignored.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.environment import code_of, environment
from synth_mlflow.data.mixing import Mix, check_kinds, check_supply, percent
from synth_mlflow.data.task import BOOSTED, COMMAND, SCORED, ModelSpec
from synth_mlflow.errors import GateError, UsageError, closest
from synth_mlflow.models.estimator import check_weights, load_estimator
from synth_mlflow.stages.fit_commands import Timed, affordable, named_commands
from synth_mlflow.stages.requests import SweepRequest
from synth_mlflow.stages.sweep_inputs import SweepInputs, load_sweep_inputs
from synth_mlflow.stages.sweep_runs import SweepContext, write_sweep
from synth_mlflow.sweep.axes import AXES, ROWS_PER_REAL, WEIGHTS, Axis, AxisName
from synth_mlflow.sweep.curve import Curve, FailedRatio
from synth_mlflow.sweep.executors import Engine, open_engine
from synth_mlflow.sweep.mix_search import first_mixes, n_mixes, screening_ratio
from synth_mlflow.sweep.plan import (
    EVERYTHING,
    RATIOS,
    REPEATS,
    Fit,
    FitKey,
    SweepPlan,
    n_drawn,
    unfinished,
)
from synth_mlflow.sweep.runner import SweepOutcome, rows_inside, run_sweep, supply_sources
from synth_mlflow.sweep.sampled_rows import sample_words
from synth_mlflow.sweep.selection import refined_ratios
from synth_mlflow.tracking.claims import Claims
from synth_mlflow.tracking.draft import now_ms
from synth_mlflow.tracking.fit_store import FitCache
from synth_mlflow.tracking.models import registered_name
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ui import describe_project
from synth_mlflow.tracking.write import NewRun, marking_failure

By = Literal["generator"]
BYS: tuple[By, ...] = get_args(By)


def sweep(project: Project, request: SweepRequest) -> Curve:
    """Train at every ratio, read the curve, choose, and keep the final model.

    Raises
    ------
    GateError
        If a named batch has not passed, none has, or a ratio needs more synthetic rows than passed.
    EvidenceError
        If any table is no longer what was recorded.
    """
    began = now_ms()
    if request.by is not None and request.by not in BYS:
        raise UsageError(
            f"a sweep by {request.by!r} is unknown. {closest(request.by, BYS)}",
            'Give `by="generator"`, or leave it out.',
        )
    by_command = named_commands(request.commands, request.engine)
    if by_command is None and project.problem().statement.facts.task == SCORED:
        raise UsageError(
            "a scored task has no model of its own: two commands fit it and score rows.",
            "`synth-mlflow sweep --train-command 'python fit.py {train}.jsonl {model}' --predict-command "
            "'python score.py {model} {rows}.jsonl {predictions}'`.",
        )
    plan = _planned(project, request)
    ingredients = load_sweep_inputs(project, plan, request)
    if by_command is not None:
        ingredients = replace(ingredients, spec=by_command)
    ingredients = settled(ingredients)
    supply_sources(ingredients.plan, n_base(ingredients), len(ingredients.synthetic), ingredients.sources)
    ingredients = ingredients.sampled()
    first = None
    if by_command is not None and request.repeats is None:
        ingredients, first = affordable(project, ingredients)
    opened = open_engine(request.engine, n_jobs=request.n_jobs, scheduler=request.scheduler)
    title = f"sweep · {len(ingredients.plan.ratios)} {ingredients.plan.axis.noun}s × {ingredients.plan.repeats} repeats"
    new = NewRun("sweep", title, ingredients.key, began=began)
    metric = project.problem().statement.facts.metric
    timed = Timed(opened, request.n_jobs, project.say, metric) if by_command else opened
    return _swept_once(project, new, ingredients, timed, first)


def _planned(project: Project, request: SweepRequest) -> SweepPlan:
    given = {
        "--refine": request.refine,
        "--by": request.by,
        "--extra-real": request.extra_real if request.axis != "mix" else None,
    }
    others = tuple(option for option, value in given.items() if value)
    options = AxisOptions(
        request.axis, request.ratios, request.weights, request.slice, request.rows, request.mix, others
    )
    swept, points = options.settle()
    return SweepPlan(
        ratios=points,
        repeats=REPEATS if request.repeats is None else request.repeats,
        mix=request.mix,
        rule=request.rule,
        seed=request.seed,
        n_jobs=request.n_jobs,
        guardrail=project.problem().statement.guardrail,
        axis=swept,
    )


def _swept_once(project: Project, new: NewRun, ingredients: SweepInputs, engine: Engine, first: Fit | None) -> Curve:
    """The curve of a sweep that is recorded already, or that this process or another one runs."""
    registered_name(project.server, project.server.experiment)  # refused before the work, not after it
    claims = Claims(project.server, project.say)
    while not (recorded := project.reader.recorded(new.key)):
        is_done = partial(_is_recorded, project, new.key)
        with claims.claimed(new, parent=project.workflow_run, done=is_done) as parent:
            if parent is not None:
                return _run(project, ingredients, engine, parent, first)
        claims.wait(new.key, "this very sweep")
    project.say(f"this very sweep is recorded already as run {recorded[-1].run_id}")
    return project.curve(project.reader.verify_seal(recorded[-1]))


def _is_recorded(project: Project, key: str) -> bool:
    return bool(project.reader.recorded(key))


def _run(project: Project, ingredients: SweepInputs, engine: Engine, parent: str, first: Fit | None) -> Curve:
    server, plan = project.server, ingredients.plan
    with marking_failure(server, parent):
        fit_cache = FitCache(server, parent, _maker(ingredients.spec))
        if fit_cache.finished:
            project.say(f"{len(fit_cache.finished)} fits of a sweep that was ended are taken up")
        finished = dict(fit_cache.finished)
        if first is not None:
            finished[first.key] = first
            fit_cache.add(first)
        sweeping = SweepContext(project, ingredients, engine, parent, fit_cache)
        outcome = _fit_all(sweeping, plan, finished)
        if ingredients.refine:
            plan = _refined(project, ingredients, outcome.curve)
            outcome = _fit_all(sweeping, plan, {**finished, **outcome.fits}, outcome.curve.failed)
        curve = write_sweep(sweeping, outcome)
    describe_project(project)
    return curve


def _maker(spec: ModelSpec) -> str:
    """A digest of what the numbers of a fit depend on besides the sweep's key."""
    free = spec.estimator in (BOOSTED, COMMAND)  # files that commands name stand in the sweep's key
    own = None if free else code_of(sys.modules[load_estimator(spec.estimator).__module__])
    return json_digest([environment()["packages"], own and [own.version, own.sha256]])


def _refined(project: Project, ingredients: SweepInputs, curve: Curve) -> SweepPlan:
    """The plan with the midpoints around the peak, as far as there are synthetic rows for them."""
    plan = ingredients.plan
    supply = min(len(ingredients.synthetic), *(len(places) for places in ingredients.sources.values()), sys.maxsize)
    ratios_to_fit = []
    for ratio in refined_ratios(curve):
        try:
            check_kinds([ratio], n_drawn(len(ingredients.training)), plan.mix)
            check_supply([ratio], len(ingredients.training), supply, plan.mix)
        except (UsageError, GateError) as error:
            project.say(f"not refined to {percent(ratio)}: {error.found}")
        else:
            ratios_to_fit.append(ratio)
    return replace(plan, ratios=tuple(ratios_to_fit))


def _fit_all(
    sweeping: SweepContext, plan: SweepPlan, finished: Mapping[FitKey, Fit], lost: Sequence[FailedRatio] = ()
) -> SweepOutcome:
    ingredients, fit_cache = sweeping.ingredients, sweeping.fit_cache
    n_extra = 0 if ingredients.extra_real is None else len(ingredients.extra_real)
    if plan.n_whole is not None:
        sweeping.project.say(sample_words(len(ingredients.training), plan.n_whole))
    n_fits = len(unfinished(plan.keys(len(ingredients.training), n_extra), finished))
    if is_search(plan):
        n_fits += n_search_fits(ingredients)
    sweeping.project.say(
        f"sweeping {len(plan.ratios)} {plan.axis.noun}s, {plan.repeats} repeats, "
        f"{'at most ' if is_search(plan) else ''}{n_fits} fits: "
        f"{len(ingredients.training):,} real and {len(ingredients.synthetic):,} synthetic rows"
    )
    done = itertools.count(1)

    def keep(_: FitKey, fit: Fit) -> None:
        sweeping.times.ended(fit, now_ms())
        fit_cache.add(fit)
        sweeping.project.count(next(done), n_fits, "fits")

    try:
        return run_sweep(
            ingredients.training,
            ingredients.synthetic,
            ingredients.evaluation,
            ingredients.frozen.task_of(ingredients.problem.statement),
            ingredients.problem.statement.facts.metric,
            ingredients.spec,
            plan,
            slices=ingredients.problem.statement.slices,
            batches=ingredients.origin.to_numpy(),
            extra_real=ingredients.extra_real,
            finished=finished,
            on_fit=keep,
            engine=sweeping.engine,
            sources=ingredients.sources,
            lost=lost,
        )
    finally:
        fit_cache.write()


@dataclass(frozen=True)
class AxisOptions:
    """What was asked for."""

    axis: AxisName
    ratios: Sequence[float]
    weights: Sequence[float] | None
    slice: str | None
    rows: int | None
    mix: Mix
    others: tuple[str, ...]
    """Options that only the axis ``ratio`` has, as people write them."""

    def settle(self) -> tuple[Axis, tuple[float, ...]]:
        """The axis and its points.

        Raises
        ------
        UsageError
            If an option is of another axis, or the one that it needs is missing.
        """
        axis = Axis(self.axis, slice=self.slice or "", rows=self.rows or 0)
        self._refuse_strange()
        if self.axis == "slice" and not self.slice:
            raise UsageError(
                "a sweep over one slice needs its name.",
                "Name one of the problem statement's `slices`: `synth-mlflow sweep --axis slice --slice NAME`.",
            )
        if self.axis != "weight":
            return axis, tuple(self.ratios)
        return axis, tuple(WEIGHTS if self.weights is None else self.weights)

    def _refuse_strange(self) -> None:
        given = {
            "--weights": (self.weights is not None, ("weight",)),
            "--rows": (self.rows is not None, ("weight",)),
            "--slice": (self.slice is not None, ("slice",)),
            "--ratios": (tuple(self.ratios) != RATIOS, ("ratio", "slice", "mix")),
            "--mix replace": (self.mix != "augment", ("ratio", "slice", "mix")),
            **dict.fromkeys(self.others, (True, ("ratio",))),
        }
        for option, (is_given, axes) in given.items():
            if is_given and self.axis in AXES and self.axis not in axes:
                raise UsageError(
                    f"`{option}` was given, which a sweep over `--axis {self.axis}` has no use for.",
                    f"Leave it out, or sweep `--axis {axes[0]}`.",
                )


def settled(ingredients: SweepInputs) -> SweepInputs:
    """The ingredients with what the axis takes from the tables: the rows of a weight.

    Raises
    ------
    UsageError
        If the estimator cannot weigh rows, there is no such slice, or there is one batch and a mix was asked for.
    """
    plan = ingredients.plan
    if plan.axis.name == "weight":
        check_weights(ingredients.spec)
        n_rows = plan.axis.rows or min(ROWS_PER_REAL * len(ingredients.training), len(ingredients.synthetic))
        return replace(ingredients, plan=replace(plan, axis=replace(plan.axis, rows=n_rows)))
    if plan.axis.name == "mix" and len(ingredients.batches) < 2:
        raise UsageError(
            f"there is one batch, {ingredients.batches[0].id}: a mix is of at least two.",
            "Generate and validate another one, or sweep without `--axis mix`.",
        )
    return ingredients


def n_base(ingredients: SweepInputs) -> int:
    """The real rows that a ratio is of: all of them, or those of one slice."""
    slices = ingredients.problem.statement.slices
    inside = rows_inside(ingredients.plan, ingredients.training, slices)
    return len(ingredients.training) if inside is None else int(inside.sum())


def is_search(plan: SweepPlan) -> bool:
    """Whether the sweep has yet to find the mix that it sweeps at every ratio."""
    return plan.axis.name == "mix" and plan.axis.screened is None


def search_cells(ingredients: SweepInputs) -> list[tuple[float, str]]:
    """What is known beforehand of a search: real rows alone, and the mixes that every search compares."""
    plan = ingredients.plan
    ratio = screening_ratio(plan)
    return [(0.0, EVERYTHING), *((ratio, mix) for mix in first_mixes(ingredients.sizes, _screened_rows(ingredients)))]


def n_search_fits(ingredients: SweepInputs) -> int:
    """The fits at most of all mixes but the one that will lead."""
    return (n_mixes(ingredients.sizes, _screened_rows(ingredients)) - 1) * ingredients.plan.repeats


def _screened_rows(ingredients: SweepInputs) -> int:
    plan = ingredients.plan
    return plan.axis.counts(screening_ratio(plan), n_base(ingredients), n_base(ingredients), plan.mix)[1]
