"""What the sweep decides on simulated projects whose truth is known; prints the table that docs/method/sweep.md quotes.

python tests/benchmarks/sweep_decisions.py --projects 100 --first 1000 --store /tmp/decisions.jsonl

The truth is the expected score, on all data there are, of the model trained on the real rows at hand with other draws
of the synthetic rows at hand. A claim is *false* where the chosen mix is truly no better than real rows alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import lightgbm
import numpy as np
from scipy.special import expit
from scipy.stats import norm, rankdata
from simulated import run
from sweep_oracles import COEFFICIENTS, TREES, Logistic

from synth_mlflow.data.mixing import FitRows, Mix
from synth_mlflow.data.task import Task
from synth_mlflow.sweep.analysis import analyse_sweep
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.sweep.plan import ALL_ROWS, FitKey, SweepPlan, all_rows, fit_rows
from synth_mlflow.sweep.runner import run_fits

FURTHER_ROWS = 30_000
TRUTH_DRAWS = 16  # of synthetic rows and seeds, others than those of the sweep; fewer blur the truth itself
TREE_DRAWS = 6
TRUTH_FROM = 1_001
SUPPLY = 3  # synthetic rows for each real one
OTHER_SLICE = np.array([-0.2, 0.8, 0.9, -0.5, 0.5, 0.3])
GROUP = 10  # rows of one group
Rows = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Decision:
    """One simulated project."""

    chosen: int
    """Place in the list of ratios; 0 is none."""
    true: list[float]
    """Expected score of each ratio."""
    scores: list[list[float]]
    """Of each ratio: low end, estimate, high end."""
    gains: list[list[float]]
    """The same of each ratio above 0."""
    recipe: list[list[float]]
    """Ends of the interval of the gain with other rows."""
    detectable: float
    one_standard_error: int
    """What one standard error over five seeds would choose."""

    @property
    def gain(self) -> float:
        """Of the chosen mix, truly."""
        return self.true[self.chosen] - self.true[0]

    @property
    def regret(self) -> float:
        """What the best ratio would give more."""
        return max(self.true) - self.true[self.chosen]


# ------------------------------------------------------------------------------------------------------------ the rows


def plain(n_rows: int, rng: np.random.Generator, coefficients: np.ndarray = COEFFICIENTS) -> Rows:
    """Eight numbers and a label."""
    X = rng.normal(size=(n_rows, len(COEFFICIENTS)))
    return X, (X @ coefficients + rng.logistic(size=n_rows) > 0).astype(float)


def sliced(n_rows: int, rng: np.random.Generator, share: float = 0.4) -> Rows:
    """Two slices, each with a rule of its own."""
    inside, x = (rng.random(n_rows) < share).astype(float), rng.normal(size=(n_rows, len(OTHER_SLICE)))
    signal = np.where(inside == 1, x @ OTHER_SLICE, x @ COEFFICIENTS[: len(OTHER_SLICE)])
    y = (signal + rng.logistic(size=n_rows) > 0).astype(float)
    return np.column_stack([x, inside, x * inside[:, None]]), y


def curved(n_rows: int, rng: np.random.Generator) -> Rows:
    """Six numbers that act through steps and products, as trees like them."""
    X = rng.normal(size=(n_rows, 6))
    signal = 1.5 * (X[:, 0] > 0) + X[:, 1] * (X[:, 2] > 0) + 0.8 * np.abs(X[:, 3]) + 0.5 * X[:, 4] - 1.4
    return X, (signal + 0.7 * rng.logistic(size=n_rows) > 0).astype(float)


def stepped(n_rows: int, rng: np.random.Generator, share: float = 0.15) -> Rows:
    """A slice whose labels follow a rule of its own, with steps in both rules; the last column says who is inside."""
    X, inside = rng.normal(size=(n_rows, 6)), (rng.random(n_rows) < share).astype(float)
    outside = 1.5 * (X[:, 0] > 0) + X[:, 1] * (X[:, 2] > 0) + 0.8 * np.abs(X[:, 3]) + 0.5 * X[:, 4] - 1.4
    within = 1.5 * (X[:, 1] > 0) + X[:, 3] * (X[:, 4] > 0) - 0.8 * X[:, 0] - 0.8
    signal = np.where(inside == 1, within, outside)
    return np.column_stack([X, inside]), (signal + 0.7 * rng.logistic(size=n_rows) > 0).astype(float)


def grouped(n_rows: int, rng: np.random.Generator) -> Rows:
    """Groups of GROUP rows that share most of their features and a push of their labels."""
    groups = np.arange(n_rows) // GROUP
    shared, push = rng.normal(size=(groups[-1] + 1, len(COEFFICIENTS))), rng.normal(size=groups[-1] + 1)
    X = np.sqrt(0.7) * shared[groups] + np.sqrt(0.3) * rng.normal(size=(n_rows, len(COEFFICIENTS)))
    return X, (X @ COEFFICIENTS + push[groups] + rng.logistic(size=n_rows) > 0).astype(float)


def easy(n_rows: int, rng: np.random.Generator) -> Rows:
    """Labels that hardly depend on chance: nearly every row can be right."""
    return plain(n_rows, rng, 20 * COEFFICIENTS)


def jittered(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    """Copies of the real rows with noise."""
    places = rng.permutation(np.resize(np.arange(len(real[1])), n_rows))
    return real[0][places] + rng.normal(scale=0.2, size=(n_rows, real[0].shape[1])), real[1][places]


def fitted(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    """What a generator makes that has seen the real rows at hand alone."""
    model = Logistic(real[0], real[1], real[0][:1])
    places = np.arange(len(real[1]))
    beta = model.coefficients(FitRows(places, places[:0]))
    X = real[0][rng.integers(0, len(real[1]), n_rows)] + rng.normal(scale=0.3, size=(n_rows, real[0].shape[1]))
    return X, (rng.random(n_rows) < expit(X @ beta)).astype(float)


# ---------------------------------------------------------------------------------------------------------- the models


@dataclass(frozen=True)
class Trees:
    """Forty small trees of LightGBM."""

    rows: np.ndarray
    labels: np.ndarray
    evaluation: np.ndarray

    def predictions(self, rows: FitRows, seed: int) -> np.ndarray:
        """Probabilities of both classes on the evaluation rows."""
        positive = self.on(rows, seed, self.evaluation)
        return np.column_stack([1 - positive, positive])

    def on(self, rows: FitRows, seed: int, X: np.ndarray) -> np.ndarray:
        """Probabilities of the positive class."""
        data = lightgbm.Dataset(self.rows[rows.all], self.labels[rows.all], params=TREES)
        return lightgbm.train({**TREES, "num_leaves": 8, "learning_rate": 0.1, "seed": seed}, data, 40).predict(
            X, num_threads=1
        )

    def model(self, rows: FitRows, seed: int) -> object:
        """Not asked for here."""
        raise NotImplementedError


class Line(Logistic):
    """Logistic regression."""

    def on(self, rows: FitRows, seed: int, X: np.ndarray) -> np.ndarray:
        """Scores of rows; their order is what AUC takes."""
        return X @ self.coefficients(rows)


def accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """Of the scores of a line, which are above 0 where a row is taken for positive."""
    return float(((scores > 0) == (labels == 1)).mean())


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """From the ranks of the positive rows."""
    n_positive = labels.sum()
    below = rankdata(scores)[labels == 1].sum() - n_positive * (n_positive + 1) / 2
    return float(below / (n_positive * (len(labels) - n_positive)))


# -------------------------------------------------------------------------------------------------------- the projects


@dataclass(frozen=True)
class Situation:
    """Kinds of rows, and how many."""

    n_real: int
    n_evaluation: int
    law: Callable[[int, np.random.Generator], Rows] = plain
    made: Callable[[Rows, int, np.random.Generator], Rows] | None = None
    """Synthetic rows from the real ones; None for rows of the law itself."""
    real: Callable[[int, np.random.Generator], Rows] | None = None
    """The real training rows, where they are not of the law."""
    mix: Mix = "augment"
    trees: bool = False
    metric: str = "roc_auc"
    """Or the accuracy of a line."""

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each evaluation row, where rows come in groups."""
        return np.arange(self.n_evaluation) // GROUP if self.law is grouped else None

    def decide(self, seed: int) -> Decision:
        """Simulate and sweep."""
        rng = np.random.default_rng([seed, self.n_real, self.n_evaluation])
        real = (self.real or self.law)(self.n_real, rng)
        evaluation, further = self.law(self.n_evaluation, rng), self.law(FURTHER_ROWS, rng)
        n_made = SUPPLY * self.n_real
        made = self.made(real, n_made, rng) if self.made else self.law(n_made, rng)
        trainer = (Trees if self.trees else Line)(np.r_[real[0], made[0]], np.r_[real[1], made[1]], evaluation[0])
        plan = SweepPlan(n_jobs=1, mix=self.mix, seed=seed)
        task, real_groups = Task("y", "binary"), None if self.groups is None else np.arange(self.n_real) // GROUP
        groups = {"groups": self.groups, "real_groups": real_groups}
        bench = Evaluator(task, self.metric, (0, 1), self.n_real, 0, trainer, evaluation[1], "", {}, **groups)
        batches = np.zeros(n_made)
        fits = run_fits(bench, plan, plan.keys(self.n_real), batches, finished={})
        curve = analyse_sweep(bench, plan, fits, {"": n_made})

        def truly(ratio: float) -> float:
            n_draws = (TREE_DRAWS if self.trees else TRUTH_DRAWS) if ratio or self.trees else 1
            keys = [FitKey("synthetic", ratio, ALL_ROWS - TRUTH_FROM - n) for n in range(n_draws)]
            drawn = [fit_rows(key, self.n_real, batches, plan.mix, seed) for key in keys]
            found = accuracy if self.metric == "accuracy" else auc
            return float(np.mean([found(further[1], trainer.on(rows, n, further[0])) for n, rows in enumerate(drawn)]))

        five = np.array([[fits[FitKey("synthetic", r, n)].score for r in plan.ratios] for n in all_rows(5)])
        return Decision(
            plan.ratios.index(curve.chosen),
            [truly(ratio) for ratio in plan.ratios],
            [[p.low, p.score, p.high] for p in curve.points],
            [[p.gain_low, p.gain, p.gain_high] for p in curve.points[1:]],
            [[p.recipe_gain_low, p.recipe_gain_high] for p in curve.points[1:]],
            curve.smallest_detectable,
            _one_standard_error(five),
        )


def _one_standard_error(scores: np.ndarray) -> int:
    """The smallest ratio within one standard error of the highest mean over seeds."""
    mean, peak = scores.mean(axis=0), int(scores.mean(axis=0).argmax())
    return int(np.flatnonzero(mean >= mean[peak] - scores[:, peak].std(ddof=1) / len(scores) ** 0.5)[0])


def _of(coefficients: np.ndarray) -> Callable[[Rows, int, np.random.Generator], Rows]:
    return lambda real, n_rows, rng: plain(n_rows, rng, coefficients)


def _random_labels(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    X, y = curved(n_rows, rng) if real[0].shape[1] == 6 else plain(n_rows, rng)
    return X, rng.permutation(y)


def _hole(n_rows: int, rng: np.random.Generator) -> Rows:
    return sliced(n_rows, rng, 0.04)


def _steps_silo(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    return stepped(n_rows, rng, 1.0)


def _silo(real: Rows, n_rows: int, rng: np.random.Generator) -> Rows:
    return sliced(n_rows, rng, 1.0)


SITUATIONS: dict[str, Situation] = {
    "true process, 60 real, 1,000 evaluation rows": Situation(60, 1_000),
    "true process, 150 real, 200 evaluation rows": Situation(150, 200),
    "true process, 150 real, 1,000 evaluation rows": Situation(150, 1_000),
    "hole filled, 500 evaluation rows": Situation(500, 500, sliced, _silo, _hole),
    "hole filled, 1,500 evaluation rows": Situation(500, 1_500, sliced, _silo, _hole),
    "null: exact, `replace`, 60 real": Situation(60, 1_000, mix="replace"),
    "null: exact, `replace`, 150 real": Situation(150, 200, mix="replace"),
    "null: jittered copies, 60 real": Situation(60, 1_000, made=jittered),
    "null: jittered copies, 150 real": Situation(150, 200, made=jittered),
    "null: fitted on the rows at hand, 60 real": Situation(60, 1_000, made=fitted),
    "null: fitted on the rows at hand, 150 real": Situation(150, 200, made=fitted),
    "null: wrong labels": Situation(150, 200, made=_of(COEFFICIENTS[::-1])),
    "null: random labels": Situation(150, 1_000, made=_random_labels),
    "trees, 2,000 real, 2,000 evaluation rows": Situation(2_000, 2_000, curved, trees=True),
    "trees, 1,000 real, 4,000 evaluation rows": Situation(1_000, 4_000, curved, trees=True),
    "trees, hole filled, 2,000 real, 2,000 evaluation rows": Situation(
        2_000, 2_000, stepped, _steps_silo, lambda n_rows, rng: stepped(n_rows, rng, 0.025), trees=True
    ),
    "trees, smaller hole filled, 2,000 real, 2,000 evaluation rows": Situation(
        2_000, 2_000, stepped, _steps_silo, lambda n_rows, rng: stepped(n_rows, rng, 0.06), trees=True
    ),
    "trees, null: exact, `replace`": Situation(1_000, 1_500, curved, mix="replace", trees=True),
    "trees, null: jittered copies": Situation(1_000, 1_500, curved, jittered, trees=True),
    "trees, null: random labels": Situation(1_000, 1_500, curved, _random_labels, trees=True),
    "coverage: groups of 10, 150 real, 500 evaluation rows": Situation(150, 500, grouped),
    "coverage: 60 evaluation rows": Situation(150, 60),
    "coverage: 60 evaluation rows, accuracy": Situation(150, 60, metric="accuracy"),
    "coverage: 60 evaluation rows, nearly all right": Situation(150, 60, easy, metric="accuracy"),
    "coverage: 60 evaluation rows, AUC near 1": Situation(150, 60, easy),
}


# -------------------------------------------------------------------------------------------------------------- tables


def table(found: dict[str, list[Decision]]) -> Iterator[str]:
    """A Markdown table, one line a situation."""
    yield (
        "| situation | true gain at 75 % | best true gain | claims | of one ratio alone | false claims | mean regret "
        "| of one standard error | score covered | gain covered | with other rows | said to be detectable |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for name, decisions in found.items():
        if decisions:
            yield f"| {name} | {' | '.join(_columns(decisions))} |"


def _columns(decisions: list[Decision]) -> Iterator[str]:
    true = np.array([each.true for each in decisions])
    gains = true[:, 1:] - true[:, :1]
    yield f"{gains[:, -1].mean():+.4f}"
    yield f"{np.maximum(gains.max(axis=1), 0).mean():+.4f}"
    yield f"{np.mean([each.chosen > 0 for each in decisions]):.0%}"
    yield f"{_bound(decisions, gains):.0%}"
    yield f"{np.mean([each.chosen > 0 and each.gain <= 0 for each in decisions]):.1%}"
    yield f"{np.mean([each.regret for each in decisions]):.4f}"
    yield f"{np.mean([max(each.true) - each.true[each.one_standard_error] for each in decisions]):.4f}"
    yield _covered(np.array([each.scores for each in decisions]), true)
    yield _covered(np.array([each.gains for each in decisions]), gains)
    recipe = np.array([each.recipe for each in decisions])
    yield _covered(recipe, np.broadcast_to(gains.mean(axis=0), gains.shape))
    yield f"{np.median([each.detectable for each in decisions]):.4f}"


def _bound(decisions: list[Decision], gains: np.ndarray) -> float:
    """The claims of a test at 5 % of the ratio that is truly easiest to find, as if no other were swept."""
    intervals = np.array([each.gains for each in decisions])
    errors = (intervals[:, :, 2] - intervals[:, :, 0]) / (2 * norm.ppf(0.975))
    return float(norm.sf(norm.isf(0.05) - gains / np.maximum(errors, 1e-12)).max(axis=1).mean())


def _covered(intervals: np.ndarray, true: np.ndarray) -> str:
    return f"{((intervals[:, :, 0] <= true) & (true <= intervals[:, :, -1])).mean():.1%}"


if __name__ == "__main__":
    run(__doc__, SITUATIONS, Decision, table)
