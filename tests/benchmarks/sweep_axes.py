"""What sweeps over other axes decide on simulated projects whose truth is known: weights, one slice, mixes of batches.

python tests/benchmarks/sweep_axes.py --projects 100 --first 5000 --store /tmp/axes.jsonl

Prints the table that docs/method/axes.md quotes. A claim is *false* where the chosen mix is truly no better than real
rows alone; *found* is the share of projects whose choice reaches at least half of what the best of the design gives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from simulated import run
from sweep_decisions import Line, Rows, auc, fitted, jittered, plain, sliced
from sweep_oracles import COEFFICIENTS

from synth_mlflow.data.mixing import Mix
from synth_mlflow.data.task import Task
from synth_mlflow.sweep.analysis import analyse_sweep
from synth_mlflow.sweep.axes import WEIGHTS, Axis
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.sweep.mix_search import lead
from synth_mlflow.sweep.plan import ALL_ROWS, RATIOS, Fit, FitKey, SweepPlan, fit_rows
from synth_mlflow.sweep.runner import run_fits

FURTHER_ROWS = 30_000
TRUTH_DRAWS = 4  # of synthetic rows, others than those of the sweep
TRUTH_FROM = 1_001
INSIDE = 6  # the column of `sliced` that says which slice a row is of

Made = Callable[[Rows, int, np.random.Generator], Rows]


@dataclass(frozen=True)
class Decision:
    """One simulated project."""

    chosen: float
    source: str
    gain: float
    """Of the chosen mix, truly."""
    best: float
    """The greatest true gain of everything that was swept."""
    n_fits: int


@dataclass(frozen=True)
class Situation:
    """Kinds of rows, and how many."""

    axis: Axis
    n_real: int
    n_evaluation: int
    batches: Mapping[str, Made]
    per_batch: int
    law: Callable[[int, np.random.Generator], Rows] = plain
    real: Callable[[int, np.random.Generator], Rows] | None = None
    mix: Mix = "augment"

    def decide(self, seed: int) -> Decision:
        """Simulate and sweep."""
        rng = np.random.default_rng([seed, self.n_real, self.n_evaluation, 17])
        real = (self.real or self.law)(self.n_real, rng)
        evaluation, further = self.law(self.n_evaluation, rng), self.law(FURTHER_ROWS, rng)
        parts = [made(real, self.per_batch, rng) for made in self.batches.values()]
        rows = [np.concatenate(each) for each in zip(real, *parts, strict=True)]
        trainer = Line(rows[0], rows[1], evaluation[0])
        labels = np.repeat(list(self.batches), self.per_batch)
        points = WEIGHTS if self.axis.name == "weight" else RATIOS
        plan = SweepPlan(points, n_jobs=1, mix=self.mix, seed=seed, axis=self.axis)
        bench = Evaluator(Task("y", "binary"), "roc_auc", (0, 1), self.n_real, 0, trainer, evaluation[1], "", {})
        is_inside = rows[0][:, INSIDE] == 1
        sliced_only = self.axis.name == "slice"
        inside = is_inside[: self.n_real] if sliced_only else None
        sources = {"": np.flatnonzero(is_inside[self.n_real :])} if sliced_only else {}
        fits: dict[FitKey, Fit] = {}

        def fit(keys: list[FitKey]) -> Mapping[FitKey, Fit]:
            fits.update(run_fits(bench, plan, keys, labels, finished=dict(fits), sources=sources, inside=inside))
            return fits

        supply = {"": len(labels)} | {source: len(places) for source, places in sources.items()}
        if self.axis.name == "mix":
            plan = lead(plan, dict.fromkeys(self.batches, self.per_batch), self.n_real, fit)
            supply |= dict.fromkeys(plan.sources, self.per_batch)
        fit(plan.keys(self.n_real))
        curve = analyse_sweep(bench, plan, fits, supply)

        def truly(point: float, source: str) -> float:
            keys = [FitKey("synthetic", point, ALL_ROWS - TRUTH_FROM - n, source) for n in range(TRUTH_DRAWS)]
            drawn = [
                fit_rows(key, self.n_real, labels, self.mix, seed, 0, sources.get(""), None, plan.axis, inside)
                for key in (keys if point else keys[:1])
            ]
            return float(np.mean([auc(further[1], trainer.on(rows, 0, further[0])) for rows in drawn]))

        none = truly(0.0, "")
        gains = {(point, source): truly(point, source) - none for point, source in plan.cells}
        chosen = gains[curve.chosen, curve.source] if curve.chosen else 0.0
        return Decision(curve.chosen, curve.source, chosen, max(gains.values()), len(fits))


def _of(coefficients: np.ndarray) -> Made:
    return lambda real, n_rows, rng: plain(n_rows, rng, coefficients)


def _exact(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    return plain(n_rows, rng)


def _silo(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    return sliced(n_rows, rng, 1.0)


def _silo_flipped(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    X, y = sliced(n_rows, rng, 1.0)
    return X, rng.permutation(y)


def _silo_jittered(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    inside = real[0][:, INSIDE] == 1
    X, y = jittered((real[0][inside, :INSIDE], real[1][inside]), n_rows, rng)
    return np.column_stack([X, np.ones(n_rows), X]), y


def _flipped(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    X, y = plain(n_rows, rng)
    return X, rng.permutation(y)


def _hole(n_rows: int, rng: np.random.Generator) -> Rows:
    return sliced(n_rows, rng, 0.06)


OFF = COEFFICIENTS + np.array([-0.9, 0.0, 0.8, 0.0, -0.9, 0.0, 0.9, 0.0])
"""A generator that has half of the rule wrong: its rows help a little, and harm where they count fully."""
SLICE = Axis("slice", slice="inside")


def _weights(made: Made, n_real: int = 60, n_evaluation: int = 1_000) -> Situation:
    return Situation(Axis("weight", rows=3 * n_real), n_real, n_evaluation, {"a": made}, 3 * n_real)


def _mixes(*made: Made, n_real: int = 60, n_evaluation: int = 1_000, mix: Mix = "augment") -> Situation:
    batches = dict(zip("abcdef", made, strict=False))
    return Situation(Axis("mix"), n_real, n_evaluation, batches, 3 * n_real, mix=mix)


SITUATIONS: dict[str, Situation] = {
    "null, weight: jittered copies": _weights(jittered),
    "null, weight: fitted on the rows at hand": _weights(fitted),
    "null, weight: random labels": _weights(_flipped),
    "null, weight: wrong rule": _weights(_of(COEFFICIENTS[::-1])),
    "null, weight: fitted, 150 real, 200 evaluation rows": _weights(fitted, 150, 200),
    "null, slice: jittered copies": Situation(SLICE, 200, 1_000, {"a": _silo_jittered}, 600, sliced),
    "null, slice: random labels": Situation(SLICE, 200, 1_000, {"a": _silo_flipped}, 600, sliced),
    "null, slice: exact, `replace`": Situation(SLICE, 200, 1_000, {"a": _silo}, 600, sliced, mix="replace"),
    "null, mix: two exact, `replace`": _mixes(_exact, _exact, mix="replace"),
    "null, mix: four exact, `replace`": _mixes(*[_exact] * 4, mix="replace"),
    "null, mix: two of jittered copies": _mixes(jittered, jittered),
    "null, mix: three fitted on the rows at hand": _mixes(fitted, fitted, fitted),
    "null, mix: fitted, and random labels": _mixes(fitted, _flipped, n_real=150, n_evaluation=200),
    "weight: half of the rule wrong": _weights(_of(OFF)),
    "slice: hole filled": Situation(SLICE, 500, 1_500, {"a": _silo}, 300, sliced, _hole),
    "mix: one good, one with random labels": _mixes(_exact, _flipped),
    "mix: one good, one by a wrong rule": _mixes(_exact, _of(COEFFICIENTS[::-1])),
    "mix: one bad of four": _mixes(_exact, _exact, _of(-COEFFICIENTS), _exact),
}


def table(found: dict[str, list[Decision]]) -> Iterator[str]:
    """A Markdown table, one line a situation."""
    yield "| situation | projects | best true gain | claims | false claims | found | mean gain of the choice | fits |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, decisions in found.items():
        if decisions:
            yield f"| {name} | {len(decisions)} | {' | '.join(_columns(decisions))} |"


def _columns(decisions: list[Decision]) -> Iterator[str]:
    yield f"{np.mean([max(each.best, 0.0) for each in decisions]):+.4f}"
    yield f"{np.mean([each.chosen > 0 for each in decisions]):.0%}"
    yield f"{np.mean([each.chosen > 0 and each.gain <= 0 for each in decisions]):.1%}"
    yield f"{np.mean([each.chosen > 0 and each.gain >= each.best / 2 for each in decisions]):.0%}"
    yield f"{np.mean([each.gain for each in decisions]):+.4f}"
    yield f"{np.mean([each.n_fits for each in decisions]):.0f}"


if __name__ == "__main__":
    run(__doc__, SITUATIONS, Decision, table)
