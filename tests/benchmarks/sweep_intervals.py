"""How often the intervals of a sweep hold the truth: models that are given, and evaluation rows that are drawn.

python tests/benchmarks/sweep_intervals.py --projects 400

Prints the table that docs/method/sweep.md quotes: for two models the share of 95 % intervals that hold the expected
score of the first, and their expected difference. Nothing is fitted: what is said of the evaluation rows is tested.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.special import expit

from synth_mlflow.data.task import Task
from synth_mlflow.models.scoring import best_score, score_codes
from synth_mlflow.sweep.bootstrap import resample
from synth_mlflow.sweep.inference import Uncertainty
from synth_mlflow.sweep.score_interval import Sizes, difference_half_width, score_interval

FURTHER_ROWS = 200_000  # on which the expected scores are measured
DIFFERENCE = np.array([1.0, -1.0])

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The target, and what each of two models predicts."""


@dataclass(frozen=True)
class Situation:
    """A metric, how many evaluation rows, and where they come from."""

    metric: str
    n_rows: int
    law: Callable[[int, np.random.Generator], Drawn]
    group: int = 1
    """Rows of one group."""
    regression: bool = False

    @property
    def task(self) -> Task:
        """Of two classes, or of numbers."""
        return Task("y", "regression" if self.regression else "binary")

    def expected(self) -> np.ndarray:
        """Scores of both models on very many rows."""
        truth, *said = self.law(FURTHER_ROWS, np.random.default_rng(1))
        return np.array([score_codes(self.metric, self.task, truth, each) for each in said])

    def holds(self, expected: np.ndarray, seed: int) -> tuple[bool, bool]:
        """Whether the interval of the score, and that of the difference, hold what is expected."""
        rng = np.random.default_rng([seed, 3])
        truth, *said = self.law(self.n_rows, rng)
        groups = np.arange(self.n_rows) // self.group if self.group > 1 else None
        drawn = resample(self.metric, self.task, truth, said, rng, groups=groups).inside
        drawn = drawn[np.isfinite(drawn).all(axis=1)]
        uncertain = Uncertainty(np.cov(drawn, rowvar=False), np.zeros((2, 2)), 1)
        sizes, scores = (
            Sizes.of(self.task, truth, groups),
            [score_codes(self.metric, self.task, truth, p) for p in said],
        )
        error = uncertain.standard_error(np.array([1.0, 0.0]))
        best = best_score(self.metric, self.task, truth)
        low, high = score_interval(self.metric, scores[0], error, sizes, best=best)
        half = difference_half_width(self.metric, uncertain.standard_error(DIFFERENCE), sizes)
        return low <= expected[0] <= high, abs(scores[0] - scores[1] - DIFFERENCE @ expected) <= half


def labels(strength: float, share: float = 0.5, group: int = 1) -> Callable[[int, np.random.Generator], Drawn]:
    """Two classes and two models of which the second sees the signal less clearly."""

    def law(n_rows: int, rng: np.random.Generator) -> Drawn:
        """``group`` rows each share most of their signal and of both models' errors."""
        truth = _two_classes(n_rows, share, rng, group)
        shared = np.repeat(rng.normal(size=(2, -(-n_rows // group))), group, axis=1)[:, :n_rows]
        noise = np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.normal(size=(2, n_rows)) if group > 1 else shared
        first = strength * (truth - 0.5) + noise[0]
        return truth, *(_odds(first + blur * noise[1], strength, share) for blur in (0.0, 0.4))

    return law


def mixed(share: float) -> Callable[[int, np.random.Generator], Drawn]:
    """Two classes of which a tenth of the rarer one looks like the other: a few rows make the score."""

    def law(n_rows: int, rng: np.random.Generator) -> Drawn:
        truth = _two_classes(n_rows, share, rng, 1)
        first = 4.0 * truth * (rng.random(n_rows) > 0.1) + rng.normal(size=n_rows)
        return truth, *(_odds(first + blur * rng.normal(size=n_rows), 1.0, share) for blur in (0.0, 0.4))

    return law


def numbers(tails: str) -> Callable[[int, np.random.Generator], Drawn]:
    """A number and two models with errors of a kind."""

    def law(n_rows: int, rng: np.random.Generator) -> Drawn:
        signal = rng.normal(size=n_rows)
        kinds = {"normal": rng.normal(size=n_rows), "t3": rng.standard_t(3, n_rows) / np.sqrt(3)}
        kinds["lognormal"] = (np.exp(rng.normal(size=n_rows)) - np.exp(0.5)) / 2.16
        return signal + kinds[tails], signal, signal + 0.3 * rng.normal(size=n_rows)

    return law


def _two_classes(n_rows: int, share: float, rng: np.random.Generator, group: int) -> np.ndarray:
    """At least two rows of each class, as `freeze` asks for."""
    drawn = np.repeat(rng.random(-(-n_rows // group)), group)[:n_rows] if group > 1 else rng.random(n_rows)
    truth = (drawn < share).astype(float)
    truth[:2], truth[-2:] = 0, 1
    return truth


def _odds(signal: np.ndarray, strength: float, share: float) -> np.ndarray:
    positive = expit(strength * signal + np.log(share / (1 - share)))
    return np.column_stack([1 - positive, positive])


SITUATIONS: dict[str, Situation] = {
    "accuracy .84, 60 rows": Situation("accuracy", 60, labels(2.0)),
    "accuracy .98, 60 rows": Situation("accuracy", 60, labels(4.0)),
    "accuracy .99, 200 rows": Situation("accuracy", 200, labels(4.8)),
    "balanced accuracy, 200 rows, 10 % positive": Situation("balanced_accuracy", 200, labels(2.0, 0.1)),
    "F1, 200 rows, 10 % positive": Situation("f1", 200, labels(2.0, 0.1)),
    "AUC .92, 60 rows": Situation("roc_auc", 60, labels(2.0)),
    "AUC .998, 60 rows": Situation("roc_auc", 60, labels(4.0)),
    "AUC .76, 200 rows, 5 % positive": Situation("roc_auc", 200, labels(1.0, 0.05)),
    "AUC .92, 350 rows, 3 % positive": Situation("roc_auc", 350, labels(2.0, 0.03)),
    "AUC .98, 350 rows, 7 % positive": Situation("roc_auc", 350, labels(3.0, 0.07)),
    "AUC .95, 350 rows, 7 % positive, 1 in 10 of them like the others": Situation("roc_auc", 350, mixed(0.07)),
    "AUC .95, 2,000 rows, 7 % positive, 1 in 10 of them like the others": Situation("roc_auc", 2_000, mixed(0.07)),
    "average precision, 200 rows, 10 % positive": Situation("average_precision", 200, labels(1.5, 0.1)),
    "log loss, 60 rows": Situation("neg_log_loss", 60, labels(1.5)),
    "AUC .76, 50 groups of 10 rows": Situation("roc_auc", 500, labels(1.0, group=10), 10),
    "accuracy, 50 groups of 10 rows": Situation("accuracy", 500, labels(1.0, group=10), 10),
    "accuracy, 15 groups of 10 rows": Situation("accuracy", 150, labels(1.0, group=10), 10),
    "mean squared error, 200 rows": Situation("neg_mean_squared_error", 200, numbers("normal"), regression=True),
    "mean squared error, 200 rows, t errors of 3 degrees": Situation(
        "neg_mean_squared_error", 200, numbers("t3"), regression=True
    ),
    "mean squared error, 200 rows, lognormal errors": Situation(
        "neg_mean_squared_error", 200, numbers("lognormal"), regression=True
    ),
    "mean squared error, 2,000 rows, lognormal errors": Situation(
        "neg_mean_squared_error", 2_000, numbers("lognormal"), regression=True
    ),
    "mean absolute error, 200 rows, lognormal errors": Situation(
        "neg_mean_absolute_error", 200, numbers("lognormal"), regression=True
    ),
    "R², 60 rows": Situation("r2", 60, numbers("normal"), regression=True),
    "R², 200 rows, lognormal errors": Situation("r2", 200, numbers("lognormal"), regression=True),
}


def main() -> None:
    """Read the command line, and print the table line by line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=400)
    parser.add_argument("--only", default="", help="situations whose name contains this")
    given = parser.parse_args()
    print("| evaluation rows | score covered | difference covered |\n|---|---|---|", flush=True)
    for name, situation in SITUATIONS.items():
        if given.only in name:
            expected = situation.expected()
            held = np.mean([situation.holds(expected, seed) for seed in range(given.projects)], axis=0)
            print(f"| {name} | {held[0]:.1%} | {held[1]:.1%} |", flush=True)


if __name__ == "__main__":
    main()
