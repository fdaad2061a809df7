"""Which axis a sweep takes, from what was asked for; what belongs to another axis is refused and never ignored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from synth_mlflow.data.mixing import Mix
from synth_mlflow.errors import UsageError
from synth_mlflow.models.estimator import check_weights
from synth_mlflow.stages.sweep_inputs import SweepInputs
from synth_mlflow.sweep.axes import AXES, ROWS_PER_REAL, WEIGHTS, Axis, AxisName
from synth_mlflow.sweep.mix_search import first_mixes, n_mixes, screening_ratio
from synth_mlflow.sweep.plan import EVERYTHING, RATIOS, SweepPlan
from synth_mlflow.sweep.runner import rows_inside


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
