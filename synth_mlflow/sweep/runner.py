"""The ratio sweep: fits at every ratio, repeat and arm, in parallel and resumable, read into one curve.

The final model: the chosen mix with every real row, the very fit that gave the published score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.mixing import Places, check_kinds, check_rows, check_supply, read_shares
from synth_mlflow.data.slices import Mask, Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import UsageError, closest
from synth_mlflow.models.base import Model
from synth_mlflow.models.lightgbm import BoostedModel, BoostedTrainer
from synth_mlflow.models.raw_columns import RawPredictor
from synth_mlflow.sweep.analysis import analyse_sweep
from synth_mlflow.sweep.curve import Curve, FailedRatio
from synth_mlflow.sweep.evaluator import Evaluator, Failed, FitJob, RawFit
from synth_mlflow.sweep.executors import Engine, Threads
from synth_mlflow.sweep.explain import with_losses
from synth_mlflow.sweep.mix_search import lead
from synth_mlflow.sweep.plan import ALL_ROWS, EVERYTHING, Fit, FitKey, Sources, SweepPlan, n_drawn, unfinished
from synth_mlflow.sweep.sampled_rows import sample_words

OnFit = Callable[[FitKey, Fit], None]


@dataclass(frozen=True)
class SweepOutcome:
    """The curve, and every fit behind it."""

    curve: Curve
    fits: Mapping[FitKey, Fit]
    bench: Evaluator
    plan: SweepPlan
    work: FitJob


def run_sweep(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    evaluation: pd.DataFrame,
    task: Task,
    metric: str,
    spec: ModelSpec,
    plan: SweepPlan,
    *,
    slices: Mapping[str, Slice] | None = None,
    batches: npt.ArrayLike | None = None,
    extra_real: pd.DataFrame | None = None,
    finished: Mapping[FitKey, Fit] | None = None,
    on_fit: OnFit | None = None,
    engine: Engine | None = None,
    sources: Sources | None = None,
    lost: Sequence[FailedRatio] = (),
) -> SweepOutcome:
    """Fit every ratio, repeat and arm, and read the curve.

    Parameters
    ----------
    real, synthetic, evaluation : DataFrame
        Normalised tables of one schema: training rows, rows of all batches that passed their gate, the frozen set.
    task : Task
    metric : str
        A scikit-learn scorer name.
    spec : ModelSpec
        The model with settled parameters; see :func:`synth_mlflow.models.tuning.settle`.
    plan : SweepPlan
    slices : mapping of str to Slice, optional
        The score is followed on each.
    batches : array-like of shape (n_synthetic,), optional
        The batch of each synthetic row; every ratio takes the batches in proportion.
    extra_real : DataFrame, optional
        Held-back real rows: an arm that shows what real rows would have done in place of the synthetic ones.
    finished : mapping, optional
        Fits of a sweep that was killed, with the same inputs and plan; they are not repeated.
    on_fit : callable, optional
        Told of every new fit, in the driver's process, in the order in which they end.
    engine : Engine, optional
        Where fits run; by default in threads on this machine.
    sources : mapping of str to array of int, optional
        Places of the synthetic rows of each source that the plan names, but for the one that holds them all.
    lost : sequence of FailedRatio, optional
        Ratios at which a first pass failed and that the plan leaves out for that; the curve tells of them too.

    Returns
    -------
    SweepOutcome
        A ratio at which a fit failed is left out of the curve, which says why.

    Raises
    ------
    GateError
        If a ratio needs more synthetic rows than there are.
    UsageError
        If a fit without synthetic rows has no defined score or fails, or every ratio has a fit that does.
    """
    inside = rows_inside(plan, real, slices or {})
    supply = supply_sources(plan, len(real) if inside is None else int(inside.sum()), len(synthetic), sources or {})
    bench = Evaluator.build(
        real, evaluation, task, metric, spec, synthetic=synthetic, extra_real=extra_real, slices=slices
    )
    labels = np.zeros(len(synthetic)) if batches is None else np.asarray(batches)
    work = _work(bench, plan, labels, sources, inside)
    known = dict(finished or {})
    if plan.axis.name == "mix" and plan.axis.screened is None:
        plan = _led(bench, plan, work, known, on_fit=on_fit, engine=engine)
    fits, failed = _run_all(bench, plan, work, finished=known, on_fit=on_fit, engine=engine)
    plan = _complete(plan, failed)
    supply |= {mix: int(np.isin(labels, list(shares)).sum()) for mix in plan.sources if (shares := read_shares(mix))}
    curve = replace(analyse_sweep(bench, plan, fits, supply), failed=(*lost, *_losses(failed)))
    sample = [] if plan.n_whole is None else [sample_words(len(real), plan.n_whole)]
    decision = " ".join([with_losses(curve), *sample])
    return SweepOutcome(replace(curve, decision=decision), fits, bench, plan, work)


def rows_inside(plan: SweepPlan, rows: pd.DataFrame, slices: Mapping[str, Slice]) -> Mask | None:
    """Which rows lie in the slice that the plan sweeps; None where it sweeps none.

    Raises
    ------
    UsageError
        If the statement has no slice of that name.
    """
    if plan.axis.name != "slice":
        return None
    if plan.axis.slice not in slices:
        raise UsageError(
            f"the problem statement has no slice {plan.axis.slice!r}. {closest(plan.axis.slice, list(slices))}",
            "Name one of its `slices`: `synth-mlflow sweep --axis slice --slice NAME`.",
        )
    return slices[plan.axis.slice].mask(rows)


def supply_sources(plan: SweepPlan, n_real: int, n_synthetic: int, sources: Sources) -> dict[str, int]:
    """The synthetic rows at hand of each source; a GateError names the one that has too few.

    Parameters
    ----------
    n_real : int
        Real rows at hand, of the axis ``slice`` those inside it.

    Raises
    ------
    UsageError
        If a ratio is no mix on the rows that a repeat draws.
    GateError
        If there are fewer synthetic rows than a point takes.
    """
    everyone = {EVERYTHING: n_synthetic} | {source: len(places) for source, places in sources.items()}
    if plan.axis.name == "weight":
        check_rows(plan.axis.rows, everyone[EVERYTHING])
        return everyone
    check_kinds(plan.ratios, n_drawn(n_real), plan.mix)
    for source in plan.sources:
        if not read_shares(source):  # whoever found a mix has counted its rows
            check_supply(plan.ratios, n_real, everyone[source], plan.mix, source)
    return everyone


def _led(
    bench: Evaluator,
    plan: SweepPlan,
    work: FitJob,
    known: dict[FitKey, Fit],
    *,
    on_fit: OnFit | None,
    engine: Engine | None,
) -> SweepPlan:
    """The plan with the mix that leads; the fits of the search are added to what is known."""

    def compare(keys: list[FitKey]) -> Mapping[FitKey, Fit]:
        for fit in _fits(bench, plan, keys, work, finished=dict(known), on_fit=on_fit, engine=engine):
            if isinstance(fit, Failed):
                raise _refusal(fit)
            known[fit.key] = fit
        return known

    names, counts = np.unique(work.batches, return_counts=True)
    return lead(plan, dict(zip(names.tolist(), counts.tolist(), strict=True)), bench.n_real, compare)


def _work(
    bench: Evaluator, plan: SweepPlan, batches: npt.ArrayLike, sources: Sources | None, inside: Mask | None
) -> FitJob:
    return FitJob(
        bench.trainer,
        bench.n_real,
        bench.n_extra,
        np.asarray(batches),
        plan.mix,
        plan.seed,
        sources or {},
        bench.real_groups,
        plan.axis,
        inside,
    )


def run_fits(
    bench: Evaluator,
    plan: SweepPlan,
    keys: list[FitKey],
    batches: npt.ArrayLike,
    *,
    finished: Mapping[FitKey, Fit],
    on_fit: OnFit | None = None,
    engine: Engine | None = None,
    keep: bool = False,
    sources: Sources | None = None,
    inside: Mask | None = None,
) -> dict[FitKey, Fit]:
    """Run the fits that are missing, each with one thread and as many at a time as the engine has room for.

    Parameters
    ----------
    keep : bool
        Whether the predictions of repeats are kept too.
    sources : mapping of str to array of int, optional
        The places among the synthetic rows that a key with this source may take.
    inside : array of shape (n_real,), optional
        Of the axis ``slice``: whether each real row lies in it.

    Raises
    ------
    UsageError
        If a score is undefined, or the estimator fails; names the ratio and the arm.
    """
    fits: dict[FitKey, Fit] = {}
    work = _work(bench, plan, batches, sources, inside)
    for fit in _fits(bench, plan, keys, work, finished=finished, on_fit=on_fit, engine=engine, keep=keep):
        if isinstance(fit, Failed):
            raise _refusal(fit)
        fits[fit.key] = fit
    return fits


def _run_all(
    bench: Evaluator,
    plan: SweepPlan,
    work: FitJob,
    *,
    finished: Mapping[FitKey, Fit],
    on_fit: OnFit | None,
    engine: Engine | None,
) -> tuple[dict[FitKey, Fit], dict[FitKey, str]]:
    """Every fit of a plan, and why others failed; the baseline must not, since nothing can be read without it."""
    fits: dict[FitKey, Fit] = {}
    failed: dict[FitKey, str] = {}
    keys = plan.keys(bench.n_real, bench.n_extra)
    for fit in _fits(bench, plan, keys, work, finished=finished, on_fit=on_fit, engine=engine):
        if isinstance(fit, Fit):
            fits[fit.key] = fit
        elif fit.key.ratio == 0 or fit.key.arm == "real":
            raise _refusal(fit)
        else:
            failed[fit.key] = fit.reason
    return fits, failed


def _fits(
    bench: Evaluator,
    plan: SweepPlan,
    keys: list[FitKey],
    work: FitJob,
    *,
    finished: Mapping[FitKey, Fit],
    on_fit: OnFit | None,
    engine: Engine | None,
    keep: bool = False,
) -> Iterator[Fit | Failed]:
    """The fits that were finished before, then the missing ones as they end."""
    yield from (finished[key] for key in keys if key in finished)
    for raw in (engine or Threads(plan.n_jobs)).run(work, unfinished(keys, finished)):
        fit = raw if isinstance(raw, Failed) else _scored(bench, raw, keep)
        if on_fit and isinstance(fit, Fit):
            on_fit(fit.key, fit)
        yield fit


def _scored(bench: Evaluator, raw: RawFit, keep: bool) -> Fit | Failed:
    try:
        fit = bench.scored(raw, keep=keep)
    except ValueError as error:  # as of a logarithm of negative predictions
        return Failed(raw.key, f"{bench.metric} cannot be computed ({raw.where}): {error}")
    if not np.isfinite(fit.score):
        return Failed(raw.key, f"{bench.metric} is undefined on the evaluation set ({raw.where})")
    return fit


def _refusal(failed: Failed) -> UsageError:
    return UsageError(
        f"{failed.reason.rstrip('.')}.",
        failed.fix
        or "Correct `model` in the problem statement, take another metric, or more evaluation rows of every class.",
    )


def _complete(plan: SweepPlan, failed: Mapping[FitKey, str]) -> SweepPlan:
    """The plan without the ratios at which a fit failed: what is compared has the same repeats everywhere.

    Raises
    ------
    UsageError
        If nothing but ratio 0 is left, or the ratio at which mixes were compared is lost.
    """
    lost = {key.ratio for key in failed}
    ratios = tuple(ratio for ratio in plan.ratios if ratio not in lost)
    if ratios == (0.0,) or plan.axis.screened in lost:
        raise _refusal(Failed(*next(iter(failed.items()))))
    return replace(plan, ratios=ratios)


def _losses(failed: Mapping[FitKey, str]) -> tuple[FailedRatio, ...]:
    """One reason for each ratio that was lost, that of the synthetic arm where it has one."""
    reasons = {key.ratio: reason for key, reason in sorted(failed.items())}
    return tuple(FailedRatio(ratio, reason) for ratio, reason in sorted(reasons.items()))


SOURCE = "chosen"  # what the chosen source is called within one fit


@dataclass(frozen=True)
class Final:
    """The fitted model and the rows it was fitted on."""

    model: Model
    ratio: float
    real_rows: npt.NDArray[np.int64]
    """Places in the real training table."""
    synthetic_rows: npt.NDArray[np.int64]
    """Places in the synthetic table, each once."""

    @property
    def predictor(self) -> RawPredictor | None:
        """What can be saved for ``loader_module``; None where the estimator is not LightGBM."""
        return self.model.predictor if isinstance(self.model, BoostedModel) else None


def fit_final(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    evaluation: pd.DataFrame,
    task: Task,
    metric: str,
    spec: ModelSpec,
    plan: SweepPlan,
    ratio: float,
    *,
    batches: npt.ArrayLike | None = None,
    places: Places | None = None,
    source: str = SOURCE,
    inside: npt.NDArray[np.bool_] | None = None,
) -> Final:
    """Fit the mix of one ratio with every real row.

    Takes what :func:`synth_mlflow.sweep.runner.run_sweep` took, so that the model is the one whose score the curve
    shows.

    Parameters
    ----------
    ratio : float
        Usually the curve's ``chosen``.
    places : array of int, optional
        Places of the synthetic rows that the chosen source has; by default all.
    source : str
        The chosen source; of the axis ``mix`` it says each batch's share.
    inside : array of shape (n_real,), optional
        Of the axis ``slice``: whether each real row lies in it.
    """
    trainer = Evaluator.build(real, evaluation, task, metric, spec, synthetic=synthetic).trainer
    if isinstance(trainer, BoostedTrainer):
        trainer = trainer.for_models()
    labels = np.zeros(len(synthetic)) if batches is None else np.asarray(batches)
    sources = {} if places is None else {source: places}
    work = FitJob(trainer, len(real), 0, labels, plan.mix, plan.seed, sources, axis=plan.axis, inside=inside)
    return _final(work, FitKey("synthetic", ratio, ALL_ROWS, source))


def final_of(outcome: SweepOutcome, ratio: float | None = None) -> Final:
    """The same from a sweep that has just ended, without encoding the tables again; by default its chosen ratio."""
    curve = outcome.curve
    return _final(outcome.work, FitKey("synthetic", curve.chosen if ratio is None else ratio, ALL_ROWS, curve.source))


def _final(work: FitJob, key: FitKey) -> Final:
    rows = work.rows(key)
    model = work.trainer.model(rows, work.seed + key.repeat + 1)
    return Final(model, key.ratio, np.sort(rows.real), np.sort(rows.added - work.n_real))
