"""Real stories of the ratio sweep, told by the product's own functions; prints the tables of docs/method/sweep.md.

python tests/benchmarks/sweep_stories.py --seeds 5 --store /tmp/stories.jsonl

The two holes are told twice: with eight leaves a tree, given by the statement, and with what cross-validation chooses
on the real rows; the draws of the rows are the same.

Each story of each seed is a line of the store; a killed run goes on with those that are missing.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.generators.forest import Forest
from synth_mlflow.models.tuning import GRID, settle
from synth_mlflow.sweep.curve import Curve
from synth_mlflow.sweep.plan import SweepPlan
from synth_mlflow.sweep.runner import run_sweep

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
INCOME, PRICE = Task("income", "binary"), Task("median_house_value", "regression")
EVALUATION_ROWS = {"adult": 20_000, "housing": 8_000}  # of which half choose
SETTLED = ModelSpec()  # by cross-validation on the real rows
EIGHT_LEAVES = ModelSpec(params={**GRID[2], "num_iterations": 100})
DEFAULTS = ModelSpec(params={"num_iterations": 100})  # whoever gives any parameter keeps LightGBM's defaults otherwise


@dataclass(frozen=True)
class Story:
    """Everything that a sweep takes."""

    task: Task
    metric: str
    real: pd.DataFrame
    members: pd.DataFrame
    """What the generator is fitted on; the real rows, or rows of a silo."""
    n_synthetic: int
    evaluation: pd.DataFrame
    extra_real: pd.DataFrame | None = None
    slices: Mapping[str, str] | None = None
    spec: ModelSpec = EIGHT_LEAVES


def helps(rng: np.random.Generator) -> Story:
    """Adult: 480 men and 20 women, and a silo that holds 3,000 women."""
    return _hole(*_cut("adult", rng), INCOME, "roc_auc", {"men": "sex == 'Male'", "women": "sex == 'Female'"})


def interior_peak(rng: np.random.Generator) -> Story:
    """Housing: 480 districts elsewhere and 20 inland, and a silo that holds 3,000 inland."""
    inland = "ocean_proximity == 'INLAND'"
    return _hole(*_cut("housing", rng), PRICE, "r2", {"elsewhere": f"not {inland}", "inland": inland})


def hurts(rng: np.random.Generator) -> Story:
    """Housing: 1,000 rows, and a generator that has seen nothing else."""
    return _in_sample(*_cut("housing", rng), PRICE, "r2", 1_000, SETTLED)


def placebo_trap(rng: np.random.Generator) -> Story:
    """Adult: 300 rows, LightGBM's defaults, and a generator that has seen nothing else."""
    return _in_sample(*_cut("adult", rng), INCOME, "roc_auc", 300, DEFAULTS)


def _settled(story: Callable[[np.random.Generator], Story]) -> Callable[[np.random.Generator], Story]:
    return lambda rng: replace(story(rng), spec=SETTLED)


STORIES: dict[str, Callable[[np.random.Generator], Story]] = {
    "helps": helps,
    "interior peak": interior_peak,
    "hurts": hurts,
    "placebo trap": placebo_trap,
    "helps, settings by cross-validation": _settled(helps),
    "interior peak, settings by cross-validation": _settled(interior_peak),
}


def _cut(name: str, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The evaluation rows and the others, in random order."""
    table = normalise(pd.read_csv(DATA / f"{name}.csv"))
    table = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
    return table[: EVALUATION_ROWS[name]], table[EVALUATION_ROWS[name] :]


def _hole(evaluation: pd.DataFrame, rest: pd.DataFrame, task: Task, metric: str, slices: dict[str, str]) -> Story:
    """480 rows of the first slice, 20 of the second; 3,000 further ones of the second lie in a silo."""
    seen, hole = (rest[Slice.parse(condition).mask(rest)] for condition in slices.values())
    real = pd.concat([seen[:480], hole[:20]], ignore_index=True)
    silo = hole[20:3_020]
    return Story(task, metric, real, silo, 1_500, evaluation, extra_real=silo[:1_500], slices=slices)


def _in_sample(
    evaluation: pd.DataFrame, rest: pd.DataFrame, task: Task, metric: str, n_real: int, spec: ModelSpec
) -> Story:
    return Story(task, metric, rest[:n_real], rest[:n_real], 3 * n_real, evaluation, spec=spec)


def told(name: str, seed: int) -> Curve:
    """Generate, settle the model on the real rows, and sweep."""
    rng = np.random.default_rng([seed, list(STORIES).index(name.split(",")[0])])
    story = STORIES[name](rng)
    real, members, evaluation = (rows.reset_index(drop=True) for rows in (story.real, story.members, story.evaluation))
    extra = None if story.extra_real is None else story.extra_real.reset_index(drop=True)
    synthetic = normalise(Forest().fit(members, story.task, rng).sample(story.n_synthetic, rng))
    spec = settle(story.spec, story.task, story.metric, real, seed=seed, n_jobs=1).spec
    slices = {part: Slice.parse(condition) for part, condition in (story.slices or {}).items()}
    plan = SweepPlan(seed=seed, n_jobs=1)
    return run_sweep(
        real, synthetic, evaluation, story.task, story.metric, spec, plan, slices=slices, extra_real=extra
    ).curve


def table(curves: list[Curve]) -> Iterator[str]:
    """A Markdown table of one story: medians over the seeds."""
    slices, extra = list(curves[0].points[0].slices), curves[0].points[-1].extra is not None
    heads = [curves[0].metric, "gain (95 % interval)", "duplicates", *(["real rows instead"] if extra else []), *slices]
    yield f"| ratio | {' | '.join(heads)} | chosen | helps |"
    yield "|---|" + "---|" * (len(heads) + 2)
    for ratio in (point.ratio for point in curves[0].points):
        points = [curve.at(ratio) for curve in curves]
        gain, low, high = (median(getattr(p, name) for p in points) for name in ("gain", "gain_low", "gain_high"))
        cells = [
            f"{median(p.score for p in points):.3f}",
            f"{gain:+.3f} ({low:+.3f} to {high:+.3f})" if ratio else "–",
            f"{median(p.placebo for p in points):.3f}" if ratio else "–",
        ]
        if extra:
            cells.append(f"{median(p.extra or np.nan for p in points):.3f}" if ratio else "–")
        cells += [f"{median(p.slices[name].score or np.nan for p in points):.3f}" for name in slices]
        cells += [f"{sum(c.chosen == ratio for c in curves)} of {len(curves)}", f"{sum(p.helps for p in points)}"]
        yield f"| {ratio:.0%} | {' | '.join(cells)} |"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="stories whose name contains this")
    parser.add_argument("--store", type=Path, required=True, help="a file of JSON lines to go on from")
    given = parser.parse_args()
    given.store.touch()
    records = [json.loads(line) for line in given.store.read_text().splitlines()]
    kept = {(record["story"], record["seed"]): Curve.from_json(record["curve"]) for record in records}
    for name in (name for name in STORIES if given.only in name):
        for seed in range(given.seeds):
            if (name, seed) not in kept:
                kept[name, seed] = told(name, seed)
                with given.store.open("a") as file:
                    file.write(json.dumps({"story": name, "seed": seed, "curve": kept[name, seed].to_json()}) + "\n")
        curves = [kept[name, seed] for seed in range(given.seeds)]
        print(f"\n**{name}**\n", *table(curves), *(f"\n{curve.decision}" for curve in curves), sep="\n", flush=True)


if __name__ == "__main__":
    main()
