"""Stage 5 of 6: sweep the synthetic ratio, choose by a stated rule, and fit the final model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.mixes import Mix, check_supply, mix_counts, percent
from synth_mlflow.model.curve import Curve
from synth_mlflow.model.plan import Fit, FitKey, Rule, SweepPlan
from synth_mlflow.model.refine import refined_ratios
from synth_mlflow.model.sweep import SweepOutcome, run_sweep
from synth_mlflow.stages.ingredients import Ingredients, gather
from synth_mlflow.stages.sweep_runs import write_sweep
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.write import NewRun, create_children, create_run, ending_badly, ending_children_badly

RATIOS = (0.0, 0.25, 0.5, 0.75)
REPEATS = 8
SECONDS_BETWEEN = 2.0  # news of progress


def sweep(
    project: Project,
    *,
    ratios: Sequence[float] = RATIOS,
    repeats: int = REPEATS,
    mix: Mix = "augment",
    rule: Rule = "plateau",
    seed: int = 0,
    batches: Sequence[str] = (),
    n_jobs: int = -1,
    refine: bool = False,
    extra_real: Path | None = None,
) -> Curve:
    """Train at every ratio, read the curve, choose, and keep the final model.

    Parameters
    ----------
    project : Project
    ratios : sequence of float
        Shares of synthetic rows in the mix, each in [0, 1).
    repeats : int
        Draws of 80 % of the real rows at every ratio; their spread is part of every interval.
    mix : {"augment", "replace"}
        Keep all real rows and add synthetic ones, or keep the total.
    rule : {"plateau", "peak", "one-standard-error", "least"}
        How the ratio is chosen.
    seed : int
    batches : sequence of str
        Short ids; by default every batch whose gate is open.
    n_jobs : int
        Fits at a time; -1 takes every core.
    refine : bool
        Sweep the midpoints around the peak of a first pass as well; its fits are kept.
    extra_real : Path, optional
        Real rows that were held back: an arm that shows what they would have done in place of the synthetic ones.

    Raises
    ------
    GateError
        If a named batch has not passed, none has, or a ratio needs more synthetic rows than passed.
    EvidenceError
        If any table is no longer what was recorded.
    """
    plan = SweepPlan(ratios=tuple(ratios), repeats=repeats, mix=mix, rule=rule, seed=seed, n_jobs=n_jobs)
    ingredients = gather(project, plan, batches, extra_real=extra_real, refine=refine)
    check_supply(plan.ratios, len(ingredients.training), len(ingredients.synthetic), plan.mix)
    existing = [run for run in project.reader.with_key(ingredients.key) if run.counts]
    if existing:
        project.say(f"this very sweep is recorded already as run {existing[-1].run_id}")
        text = project.reader.file(existing[-1], names.A_CURVE).read_text(encoding="utf-8")
        return Curve.from_json(json.loads(text))
    return _run(project, ingredients)


def _run(project: Project, ingredients: Ingredients) -> Curve:
    server, plan = project.server, ingredients.plan
    name = f"sweep · {len(plan.ratios)} ratios × {plan.repeats} repeats"
    parent = create_run(server, NewRun("sweep", name, ingredients.key), parent=project.workflow_run)
    with ending_badly(server, parent):
        children = create_children(server, parent, _children(ingredients, plan))
        with ending_children_badly(server, children):
            outcome = _fit_all(project, ingredients, plan, {})
            if not ingredients.refine:
                return write_sweep(project, ingredients, outcome, parent, children)
            plan = _refined(project, ingredients, outcome.curve)
        children = create_children(server, parent, _children(ingredients, plan))
        with ending_children_badly(server, children):
            outcome = _fit_all(project, ingredients, plan, outcome.fits)
            return write_sweep(project, ingredients, outcome, parent, children)


def _children(ingredients: Ingredients, plan: SweepPlan) -> list[NewRun]:
    tags = {names.TAG_BATCHES: " ".join(batch.id for batch in ingredients.batches)}
    ratios = [
        NewRun("ratio", f"{percent(ratio)} synthetic", json_digest([ingredients.key, ratio]), tags)
        for ratio in plan.ratios
    ]
    return [*ratios, NewRun("final", "final model", json_digest([ingredients.key, "final"]), tags)]


def _refined(project: Project, ingredients: Ingredients, curve: Curve) -> SweepPlan:
    """The plan with the midpoints around the peak, as far as there are synthetic rows for them."""
    plan, supply = ingredients.plan, len(ingredients.synthetic)
    needed = {r: mix_counts(r, len(ingredients.training), plan.mix)[1] for r in refined_ratios(curve)}
    for ratio, n_rows in needed.items():
        if n_rows > supply:
            project.say(f"not refined to {percent(ratio)}: it needs {n_rows:,} synthetic rows, {supply:,} passed")
    return replace(plan, ratios=tuple(ratio for ratio, n_rows in needed.items() if n_rows <= supply))


def _fit_all(
    project: Project, ingredients: Ingredients, plan: SweepPlan, finished: Mapping[FitKey, Fit]
) -> SweepOutcome:
    n_extra = 0 if ingredients.extra_real is None else len(ingredients.extra_real)
    n_fits = len(plan.keys(len(ingredients.training), n_extra)) - len(finished)
    project.say(
        f"sweeping {len(plan.ratios)} ratios, {plan.repeats} repeats, {n_fits} fits: "
        f"{len(ingredients.training):,} real and {len(ingredients.synthetic):,} synthetic rows"
    )
    return run_sweep(
        ingredients.training,
        ingredients.synthetic,
        ingredients.evaluation,
        ingredients.problem.statement.task,
        ingredients.problem.statement.facts.metric,
        ingredients.spec,
        plan,
        slices=ingredients.problem.statement.slices,
        batches=ingredients.origin.to_numpy(),
        extra_real=ingredients.extra_real,
        finished=finished,
        on_fit=_teller(project, n_fits),
    )


def _teller(project: Project, n_fits: int) -> Callable[[FitKey, Fit], None]:
    """Tells how far the fits are, every few seconds."""
    done: list[FitKey] = []
    told = time.monotonic()

    def tell(key: FitKey, _: Fit) -> None:
        nonlocal told
        done.append(key)
        if time.monotonic() - told > SECONDS_BETWEEN:
            told = time.monotonic()
            project.say(f"{len(done)} of {n_fits} fits done")

    return tell
