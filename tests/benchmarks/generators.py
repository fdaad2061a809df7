"""Fidelity, utility, privacy and time of generators on real tables, as a Markdown table.

Run by hand: ``python tests/benchmarks/generators.py [--data adult housing] [--generators forest …] [--seeds 3]``. Each
seed is a fresh cut into members, control and reference rows (fewer of the last where the table is small); the figures
are medians over the seeds, the times CPU seconds. MIA is the strongest attack of the privacy check's battery, whose
verdict stands beside it; pairs are exact pairs of values, which the battery does not look for.

The generator ``real`` hands out the reference rows: what real rows that nobody learned from give is the least that any
generator can reach, and the strongest of many attacks is above a half even there.

Peers run where an environment that holds them is named: ``--peers sdv=/path/to/python mostlyai=/path/to/python``, for
sdv, mostlyai, arfpy, synthcity and ForestDiffusion (see `peers.py`), each on the same cuts with the same evaluation.

With ``--frontier FILE.png`` the generators are drawn as points of fidelity against the strongest attack, as for
``--generators 'forest(privacy=0)' 'forest(privacy=1)'``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import lightgbm
import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from peers import PEERS
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from synth_mlflow.checks import CheckInput, judge
from synth_mlflow.checks.privacy import Privacy
from synth_mlflow.data.columns import conform, normalise, schema_of
from synth_mlflow.data.task import Task
from synth_mlflow.plugins import find, installed

privacy = Privacy()

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ORACLES = DATA.parent / "oracles" / "validation"
TASKS = {
    "adult": Task("income", "binary"),
    "housing": Task("median_house_value", "regression"),
    "wine_quality_white": Task("quality", "regression"),
    "oracle": Task("default", "binary"),
}
FIGURES = ("C2ST", "TSTR", "MIA", "TPR@1%", "pairs", "fit s", "sample s")


@dataclass(frozen=True)
class Cut:
    """Three disjoint sets of real rows."""

    members: pd.DataFrame
    control: pd.DataFrame
    reference: pd.DataFrame
    """What an attacker may know of the population."""


Make = Callable[[Cut, Task, int], tuple[pd.DataFrame, float, float]]
"""From the members of a cut, a task and a seed as many rows, and the CPU seconds of fit and sample."""


def cut(name: str, seed: int, n_rows: int) -> Cut:
    path = ORACLES / "real.parquet" if name == "oracle" else DATA / f"{name}.csv"
    table = normalise(pd.read_parquet(path) if name == "oracle" else pd.read_csv(path))
    n_each = min(n_rows, int(len(table) * 0.39))
    order = np.random.default_rng(1_000 + seed).permutation(len(table))[: 3 * n_each]
    parts = [table.iloc[order[at : at + n_each]].reset_index(drop=True) for at in (0, n_each, 2 * n_each)]
    return Cut(*parts)


def measure(make: Make, data: Cut, task: Task, seed: int) -> dict[str, Any]:
    """All figures of one generator on one cut."""
    batch, fit_seconds, sample_seconds = make(data, task, seed)
    return {
        "C2ST": c2st(batch, data.control, seed),
        "TSTR": tstr(batch, data.control, task),
        **attacks(batch, data, task, seed),
        "fit s": fit_seconds,
        "sample s": sample_seconds,
    }


def ours(generator: Any) -> Make:
    """A generator of this process."""

    def make(data: Cut, task: Task, seed: int) -> tuple[pd.DataFrame, float, float]:
        started = time.process_time()
        sampler = generator.fit(data.members, task, np.random.default_rng(seed))
        fitted = time.process_time()
        batch = sampler.sample(len(data.members), np.random.default_rng(seed + 1))
        return batch, fitted - started, time.process_time() - fitted

    return make


def other_real_rows(data: Cut, task: Task, seed: int) -> tuple[pd.DataFrame, float, float]:
    """A perfect generator that is perfectly private."""
    return data.reference, 0.0, 0.0


def theirs(name: str, python: str) -> Make:
    """A peer in its own environment; CPU seconds as it counted them, without its imports' start-up."""

    def make(data: Cut, task: Task, seed: int) -> tuple[pd.DataFrame, float, float]:
        with tempfile.TemporaryDirectory() as folder:
            source, out = Path(folder, "members.csv"), Path(folder, "out.csv")
            data.members.to_csv(source, index=False)
            script = str(Path(__file__).with_name("peers.py"))
            command = [python, script, name, str(source), str(out), str(seed), task.target, task.kind]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
            if done.returncode:
                sys.exit(f"{name} failed: {done.stderr[-1_500:]}")
            seconds = json.loads(out.with_suffix(".json").read_text())
            return _conformed(pd.read_csv(out), data.members), seconds["fit s"], seconds["sample s"]

    return make


def c2st(batch: pd.DataFrame, real: pd.DataFrame, seed: int) -> float:
    """Out-of-fold AUC of a classifier that tells synthetic rows from real ones."""
    X = _features(pd.concat([batch, real], ignore_index=True))
    y = np.repeat([1, 0], [len(batch), len(real)])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = lightgbm.LGBMClassifier(n_jobs=1, verbose=-1, random_state=seed)
    return float(roc_auc_score(y, cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]))


def tstr(batch: pd.DataFrame, real: pd.DataFrame, task: Task) -> float:
    """Train on synthetic, test on real: AUC or R²."""
    both = _features(pd.concat([batch, real], ignore_index=True).drop(columns=task.target))
    X, X_real = both.iloc[: len(batch)], both.iloc[len(batch) :]
    if not task.is_classification:
        model = lightgbm.LGBMRegressor(n_jobs=1, verbose=-1).fit(X, batch[task.target])
        return float(r2_score(real[task.target], model.predict(X_real)))
    model = lightgbm.LGBMClassifier(n_jobs=1, verbose=-1).fit(X, batch[task.target])
    return float(roc_auc_score(real[task.target] == model.classes_[1], model.predict_proba(X_real)[:, 1]))


def attacks(batch: pd.DataFrame, data: Cut, task: Task, seed: int) -> dict[str, Any]:
    """The strongest attack of the privacy check, its verdict, and exact pairs of values."""
    evidence = CheckInput(batch, data.members, data.control, task, "", seed)
    result = privacy.run(evidence, privacy.defaults)
    is_member = np.repeat([1, 0], [len(data.members), len(data.control)])
    rows = pd.concat([data.members, data.control], ignore_index=True)
    return {
        "MIA": result.metrics["best_attack_auc"],
        "TPR@1%": result.metrics["best_attack_tpr_1_percent"],
        "pairs": float(roc_auc_score(is_member, reuse(rows, batch, data.reference, 2))),
        "verdict": judge(result.probes, result.inconclusive, privacy.defaults["alpha"]).verdict,
    }


def reuse(rows: pd.DataFrame, batch: pd.DataFrame, reference: pd.DataFrame, n_together: int) -> np.ndarray:
    """How many exact values (or combinations) of each row occur in the batch, weighted by their rarity."""
    score = np.zeros(len(rows))
    for columns in itertools.combinations(rows.columns, n_together):
        keys = pd.concat([rows, batch, reference])[list(columns)].groupby(list(columns), dropna=False).ngroup()
        own, made, others = np.split(keys.to_numpy(), [len(rows), len(rows) + len(batch)])
        n_others = np.bincount(others, minlength=keys.max() + 1)[own]
        score += np.isin(own, made) * np.log((len(reference) + 1) / (n_others + 1))
    return score


def _conformed(drawn: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """What a peer wrote in the members' kinds: peers make whole numbers fractions, which would tell at once."""
    kinds = schema_of(members)
    whole = [name for name, values in members.select_dtypes("number").items() if (values.dropna() % 1 == 0).all()]
    drawn = drawn[list(members.columns)].astype(dict.fromkeys(kinds.of_kind("string"), str)).replace("nan", None)
    return conform(normalise(drawn.assign(**{name: drawn[name].astype(float).round() for name in whole})), kinds)


def _features(frame: pd.DataFrame) -> pd.DataFrame:
    kinds = schema_of(frame)
    return pd.DataFrame(
        {
            name: frame[name].astype("category") if kinds[name] in {"string", "boolean"} else frame[name]
            for name in frame.columns
        }
    )


def _medians(data: str, make: Make, arguments: argparse.Namespace) -> pd.Series:
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    runs = pd.DataFrame([measure(make, cut(data, seed, arguments.rows), TASKS[data], seed) for seed in seeds])
    passed = (runs["verdict"] == "pass").sum()
    return pd.concat([runs[list(FIGURES)].median(), pd.Series({"privacy check": f"{passed} of {len(runs)} pass"})])


def _frontier(points: dict[str, dict[str, pd.Series]]) -> Figure:
    figure = Figure(figsize=(4.8 * len(points), 4.2), layout="constrained")
    panels = np.ravel(figure.subplots(1, len(points), squeeze=False))
    for axes, (data, medians) in zip(panels, points.items(), strict=True):
        shown = pd.DataFrame({label: (row["MIA"], row["C2ST"]) for label, row in medians.items()}).T.astype(float)
        is_forest = shown.index.str.startswith("forest")
        knob = shown[is_forest].sort_values(0)
        axes.plot(knob[0], knob[1], "o-", color="#0072B2", label="forest, by privacy")
        if not is_forest.all():
            axes.plot(shown.loc[~is_forest, 0], shown.loc[~is_forest, 1], "s", color="#D55E00", label="others")
        for at, (label, (x, y)) in enumerate(pd.concat([knob, shown[~is_forest]]).iterrows()):
            text = label.partition("=")[2].rstrip(")") or label.replace("forest", "0.5 (default)")
            offset = (7, 3) if at % 2 == 0 else (-2, -13)
            axes.annotate(text, (x, y), textcoords="offset points", xytext=offset, fontsize=8)
        axes.set(title=data, xlabel="AUC of the strongest membership attack", ylabel="AUC real against synthetic")
        axes.margins(x=0.2, y=0.1)
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _generator(text: str) -> Any:
    """``name`` or ``name(key=value, …)`` with values as YAML."""
    name, _, rest = text.rstrip(")").partition("(")
    pairs = [pair.split("=") for pair in rest.split(",") if pair]
    return find("generators", name).load()(**{key.strip(): yaml.safe_load(value) for key, value in pairs})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--generators", nargs="*", default=sorted(installed("generators")))
    parser.add_argument("--peers", nargs="*", default=[], metavar="ENVIRONMENT=PYTHON")
    parser.add_argument("--only", nargs="*", default=list(PEERS), help="of the peers, by their names in the table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=8_000)
    parser.add_argument("--frontier", type=Path)
    arguments = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in arguments.peers)
    makes = {text: other_real_rows if text == "real" else ours(_generator(text)) for text in arguments.generators}
    makes |= {
        name: theirs(name, pythons[home])
        for name, (home, _) in PEERS.items()
        if home in pythons and name in arguments.only
    }
    points: dict[str, dict[str, pd.Series]] = {}
    columns = [*FIGURES, "privacy check"]
    for data in arguments.data:
        print(f"\n### {data}\n\n| generator | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}", flush=True)
        points[data] = {}
        for label, make in makes.items():
            row = points[data][label] = _medians(data, make, arguments)
            numbers = " | ".join(f"{row[figure]:.3f}" for figure in FIGURES)
            print(f"| {label} | {numbers} | {row['privacy check']} |", flush=True)
    if arguments.frontier:
        _frontier(points).savefig(arguments.frontier, dpi=150)


if __name__ == "__main__":
    main()
