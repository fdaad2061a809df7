"""Whether the score that a sweep states for a batch that passed its checks holds on further real rows: run by hand.

OMP_NUM_THREADS=1 python tests/benchmarks/swept_batches.py --packages FOLDER --projects 10

Each project draws a table anew: real rows of which `--evaluation` are frozen, a batch of `forest` learned from the
others, the four checks as `validate` runs them, a sweep of the default ratios with LightGBM, and the final model on all
further rows. Prints how many of the stated 95 % intervals hold the final model's score on those, for batches that
passed and for all; and what `freeze` says beforehand beside what came: the gain that the sweep can show, and whether
utility decides. `real_tables.py` says where tables come from.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from real_tables import tables

from synth_mlflow.checks import CheckInput, judge
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.gate.policy import FALSE_ALARM_RATE, load_check
from synth_mlflow.generators.forest import Forest
from synth_mlflow.metrics.intervals import clopper_pearson
from synth_mlflow.models.scoring import score
from synth_mlflow.models.tuning import settle
from synth_mlflow.sweep.baseline import measure_baseline, utility_outlook
from synth_mlflow.sweep.holdout import estimate_on_confirmation_split
from synth_mlflow.sweep.plan import SweepPlan
from synth_mlflow.sweep.runner import final_of, run_sweep

CHECKS = ("contamination", "fidelity", "utility", "privacy")
TASKS = {
    "diamonds": (Task("price", "regression"), "r2"),
    "default": (Task("default", "binary"), "roc_auc"),
    "computers": (Task("price", "regression"), "r2"),
    "census2000": (Task("lweekinc", "regression"), "r2"),
    "twoyear": (Task("lwage", "regression"), "r2"),
    "gpa2": (Task("colgpa", "regression"), "r2"),
    "catholic": (Task("read12", "regression"), "r2"),
    "slid": (Task("sex", "binary"), "roc_auc"),
}


@dataclass(frozen=True)
class Stated:
    """What a project stated, and what came."""

    table: str
    verdicts: tuple[str, ...]
    chosen: float
    low: float
    high: float
    further: float
    foretold: float
    """The gain that can be shown, as `freeze` says it, over that of the sweep."""
    warned: bool
    """Whether `freeze` says that utility will probably be inconclusive."""
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the batch passed every check."""
        return set(self.verdicts) == {"pass"}

    @property
    def holds(self) -> bool:
        """Whether the interval holds the score on further rows."""
        return self.low <= self.further <= self.high


def project(name: str, rows: pd.DataFrame, sizes: tuple[int, int], seed: int) -> Stated:
    """From real rows to a stated score, and what further rows give."""
    task, metric = TASKS[name]
    started, rng = time.process_time(), np.random.default_rng([seed, 17])
    order = np.split(rng.permutation(len(rows)), np.cumsum(sizes))
    real, evaluation, further = (rows.iloc[part].reset_index(drop=True) for part in order)
    made = normalise(Forest().fit(real, task, rng).sample(3 * len(real), rng))
    spec = settle(ModelSpec(), task, metric, real, seed=seed, n_jobs=1).spec
    evidence = CheckInput(made, real, evaluation, task, metric, seed, model=spec)
    verdicts = tuple(_verdict(check, evidence) for check in CHECKS)
    baseline = measure_baseline(real, evaluation, task, metric, spec, seed=seed, n_jobs=1)
    limits, share = load_check("utility").defaults, len(evaluation) / (len(real) + len(evaluation))
    warned = bool(utility_outlook(baseline, limits["alpha"], limits["detectable_share"], share))
    outcome = run_sweep(real, made, evaluation, task, metric, spec, SweepPlan(seed=seed, n_jobs=1))
    model = final_of(outcome).model
    stated = estimate_on_confirmation_split(outcome.curve, evaluation, task, model.classes, model.predict(evaluation))
    on_further = score(metric, task, further[task.target], model.predict(further), model.classes)
    seconds = time.process_time() - started
    foretold = baseline.smallest_detectable / outcome.curve.smallest_detectable
    return Stated(name, verdicts, outcome.curve.chosen, stated.low, stated.high, on_further, foretold, warned, seconds)


def _verdict(check: str, evidence: CheckInput) -> str:
    plugin = load_check(check)
    result = plugin.run(evidence, plugin.defaults)
    return judge(result.probes, result.inconclusive, FALSE_ALARM_RATE).verdict


def _projects(options: argparse.Namespace) -> Iterator[Stated]:
    for name in options.tables.split(","):
        rows = tables(options.packages, name, options.real + options.evaluation + 20_000)[name]
        rows = rows.dropna(subset=[TASKS[name][0].target]).reset_index(drop=True)
        for seed in range(options.seed, options.seed + options.projects):
            one = project(name, rows, (options.real, options.evaluation), seed)
            print(
                f"{one.table:12} seed {seed:4} {', '.join(one.verdicts)} chose {one.chosen:4.0%}  "
                f"stated {one.low:.3f} to {one.high:.3f}, further rows {one.further:.3f} "
                f"{'' if one.holds else 'MISSED'} foretold {one.foretold:.2f} of the sweep's smallest gain, "
                f"{'warned' if one.warned else 'not warned'} {one.seconds:.0f} CPU s",
                flush=True,
            )
            yield one


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="the site-packages that hold packages of data")
    parser.add_argument("--tables", default=",".join(TASKS))
    parser.add_argument("--projects", type=int, default=5, help="of each table")
    parser.add_argument("--seed", type=int, default=0, help="of the first project")
    parser.add_argument("--real", type=int, default=1_200)
    parser.add_argument("--evaluation", type=int, default=600)
    found = list(_projects(parser.parse_args()))
    for what, some in (("passed", [one for one in found if one.passed]), ("all", found)):
        held = sum(one.holds for one in some)
        low, high = clopper_pearson(held, len(some))
        print(f"{what}: {held} of {len(some)} intervals hold the score on further rows ({low:.0%} to {high:.0%})")
    foretold = np.array([one.foretold for one in found])
    print(
        f"gain that can be shown, foretold over the sweep's: {foretold.min():.2f} to {foretold.max():.2f}, "
        f"geometric mean {np.exp(np.log(foretold).mean()):.2f}"
    )
    undecided = [one.verdicts[CHECKS.index("utility")] == "inconclusive" for one in found]
    for warned in (True, False):
        told = [late for one, late in zip(found, undecided, strict=True) if one.warned == warned]
        print(f"{'warned' if warned else 'not warned'}: utility inconclusive in {sum(told)} of {len(told)}")


if __name__ == "__main__":
    main()
