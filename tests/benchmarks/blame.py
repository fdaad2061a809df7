"""How often `blame` names the batch with flipped labels, and how often a good one: run by hand, prints a table.

OMP_NUM_THREADS=1 python tests/benchmarks/blame.py --projects 40                    rows of the true law
OMP_NUM_THREADS=1 python tests/benchmarks/blame.py --projects 40 --generator forest rows of a fitted generator
OMP_NUM_THREADS=1 python tests/benchmarks/blame.py --projects 40 --shortage         too few rows to stand in
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.plugins import find
from synth_mlflow.sweep.leave_one_out import LeaveOneOutResult, leave_out
from synth_mlflow.sweep.plan import SweepPlan

TASK = Task("bought", "binary")
SPEC = ModelSpec("lightgbm", {"num_iterations": 60, "num_leaves": 8, "learning_rate": 0.1, "min_data_in_leaf": 10})
BATCHES = 5


@dataclass(frozen=True)
class Setting:
    """One kind of project."""

    n_real: int
    n_evaluation: int
    ratio: float
    generator: str
    shortage: bool
    mix: str
    with_slices: bool
    repeats: int


def law(n_rows: int, seed: int) -> pd.DataFrame:
    """Mixed rows with a learnable target that is noisy on purpose."""
    rng = np.random.default_rng(seed)
    age, hours = rng.integers(18, 80, n_rows), rng.normal(40, 10, n_rows).round(1)
    income, region = rng.lognormal(10, 0.5, n_rows).round(2), rng.choice(["north", "south", "east"], n_rows)
    logit = 0.08 * (age - 45) + np.where(region == "north", 1.0, -0.5) + 2 * (np.log(income) - 10) + 0.04 * (hours - 40)
    bought = np.where(rng.random(n_rows) < 1 / (1 + np.exp(-logit)), "yes", "no")
    frame = pd.DataFrame({"age": age, "hours": hours, "income": income, "region": region, "bought": bought})
    return normalise(frame)


def project(setting: Setting, flipped: float, seed: int) -> LeaveOneOutResult:
    """Five batches, the third with a share of its labels flipped."""
    real, evaluation = law(setting.n_real, 1000 * seed), law(setting.n_evaluation, 1000 * seed + 1)
    needed = round(setting.n_real * setting.ratio / (1 - setting.ratio))
    if setting.mix == "replace":
        needed = round(setting.n_real * setting.ratio)
    each = int(np.ceil(needed / BATCHES)) if setting.shortage else 3 * setting.n_real  # as `generate --rows auto`
    tables = [batch(setting, real, each, 1000 * seed + 10 + at) for at in range(BATCHES)]
    wrong = np.random.default_rng(seed).random(each) < flipped
    labels = tables[2]["bought"].to_numpy(dtype=object)
    tables[2]["bought"] = np.where(wrong, np.where(labels == "yes", "no", "yes"), labels)
    slices = {"young": Slice.parse("age < 30"), "north": Slice.parse("region == 'north'")}
    return leave_out(
        real, normalise(pd.concat(tables, ignore_index=True)), evaluation, TASK, "roc_auc", SPEC,
        SweepPlan((setting.ratio,), setting.repeats, setting.mix, seed=seed, n_jobs=1),
        batches=np.repeat([f"batch-{at}" for at in range(BATCHES)], each),
        slices=slices if setting.with_slices else {},
    )  # fmt: skip


def batch(setting: Setting, real: pd.DataFrame, n_rows: int, seed: int) -> pd.DataFrame:
    """Rows of the true law, or of a fitted generator."""
    if setting.generator == "law":
        return law(n_rows, seed)
    fitting, sampling = np.random.default_rng(seed).spawn(2)
    sampler = find("generators", setting.generator).load()().fit(real, TASK, fitting)
    return normalise(sampler.sample(n_rows, sampling))


def told(flipped: float, found: list[LeaveOneOutResult], seconds: float) -> str:
    """One line of the table."""
    named = [set(each.to_blame) for each in found]
    on_slices = [
        {e.batch for e in each.effects for part in e.slices.values() if part and part.verdict == "to blame"}
        for each in found
    ]
    guilty = {"batch-2"} if flipped else set()
    bad = [next(e.overall for e in each.effects if e.batch == "batch-2") for each in found]
    return (
        f"{flipped:7.0%} {np.mean(['batch-2' in each for each in named]):10.0%} "
        f"{np.mean([bool(each - guilty) for each in named]):12.0%} "
        f"{np.mean([bool((each | other) - guilty) for each, other in zip(named, on_slices, strict=True)]):16.0%} "
        f"{np.mean([each.effect for each in bad]):+12.4f} {np.mean([each.high - each.low for each in bad]) / 2:10.4f} "
        f"{seconds / len(found):8.1f}"
    )


def main() -> None:
    """Read the options and play the projects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=20)
    parser.add_argument("--real", type=int, default=1_000)
    parser.add_argument("--evaluation", type=int, default=1_500)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--generator", default="law")
    parser.add_argument("--mix", default="augment")
    parser.add_argument("--shortage", action="store_true")
    parser.add_argument("--slices", action="store_true")
    parser.add_argument("--flipped", type=float, nargs="*", default=[0.0, 0.25, 0.5, 1.0])
    parser.add_argument("--jobs", type=int, default=1)
    o = parser.parse_args()
    setting = Setting(o.real, o.evaluation, o.ratio, o.generator, o.shortage, o.mix, o.slices, o.repeats)
    print(setting)
    print("flipped  it is named  another is  another or slice   its effect  half width  s/project")
    for flipped in o.flipped:
        start = time.process_time()
        found = Parallel(n_jobs=o.jobs)(delayed(project)(setting, flipped, seed) for seed in range(o.projects))
        print(told(flipped, found, time.process_time() - start), flush=True)


if __name__ == "__main__":
    main()
