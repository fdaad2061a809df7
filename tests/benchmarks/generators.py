"""Fidelity, utility, privacy and time of every built-in generator on real tables, as a Markdown table.

Run by hand: ``python tests/benchmarks/generators.py [--data adult housing] [--generators forest …] [--seeds 3]``. Each
seed is a fresh cut into members, control and reference rows (fewer of the last where the table is small); the figures
are medians over the seeds, the times CPU seconds. With ``--frontier FILE.png`` the generators are drawn as points of
fidelity against the strongest attack, as for ``--generators 'forest(privacy=0)' 'forest(privacy=1)'``.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import lightgbm
import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from sklearn.metrics import r2_score, roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors

from synth_mlflow.data.columns import normalise, schema_of
from synth_mlflow.data.task import Task
from synth_mlflow.plugins import find, installed

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ORACLES = DATA.parent / "oracles" / "validation"
TASKS = {
    "adult": Task("income", "binary"),
    "housing": Task("median_house_value", "regression"),
    "wine_quality_white": Task("quality", "regression"),
    "oracle": Task("default", "binary"),
}
ATTACKS = ("MIA distance", "MIA values", "MIA pairs")
FIGURES = ("C2ST", "TSTR", *ATTACKS, "outlier MIA", "TPR@1%", "fit s", "sample s")


@dataclass(frozen=True)
class Cut:
    """Three disjoint sets of real rows."""

    members: pd.DataFrame
    control: pd.DataFrame
    reference: pd.DataFrame
    """What an attacker may know of the population."""


def cut(name: str, seed: int, n_rows: int) -> Cut:
    path = ORACLES / "real.parquet" if name == "oracle" else DATA / f"{name}.csv"
    table = normalise(pd.read_parquet(path) if name == "oracle" else pd.read_csv(path))
    n_each = min(n_rows, int(len(table) * 0.39))
    order = np.random.default_rng(1_000 + seed).permutation(len(table))[: 3 * n_each]
    parts = [table.iloc[order[at : at + n_each]].reset_index(drop=True) for at in (0, n_each, 2 * n_each)]
    return Cut(*parts)


def measure(generator: Any, data: Cut, task: Task, seed: int) -> dict[str, float]:
    """All figures of one generator on one cut."""
    started = time.process_time()
    sampler = generator.fit(data.members, task, np.random.default_rng(seed))
    fitted = time.process_time()
    batch = sampler.sample(len(data.members), np.random.default_rng(seed + 1))
    sampled = time.process_time()
    return {
        "C2ST": c2st(batch, data.control, seed),
        "TSTR": tstr(batch, data.control, task),
        **attacks(batch, data),
        "fit s": fitted - started,
        "sample s": sampled - fitted,
    }


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


def attacks(batch: pd.DataFrame, data: Cut) -> dict[str, float]:
    """AUC of each membership attack, by distance also on the most outlying rows; the highest TPR at 1 % FPR of all."""
    is_member = np.repeat([1, 0], [len(data.members), len(data.control)])
    rows = pd.concat([data.members, data.control], ignore_index=True)
    to_batch, to_reference = distances(rows, batch, data.reference)
    scores = {
        "MIA distance": -to_batch / (to_reference + 1e-3),
        "MIA nearest": -to_batch,
        "MIA values": reuse(rows, batch, data.reference, 1),
        "MIA pairs": reuse(rows, batch, data.reference, 2),
    }
    figures = {name: float(roc_auc_score(is_member, score)) for name, score in scores.items()}
    figures["MIA distance"] = max(figures["MIA distance"], figures.pop("MIA nearest"))
    outlying = to_reference >= np.quantile(to_reference, 0.95)
    figures["outlier MIA"] = float(roc_auc_score(is_member[outlying], scores["MIA distance"][outlying]))
    figures["TPR@1%"] = max(_tpr(is_member, score) for score in scores.values())
    return figures


def distances(rows: pd.DataFrame, batch: pd.DataFrame, reference: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each row to the nearest synthetic and to the nearest reference row."""
    points = _points(pd.concat([rows, batch, reference], ignore_index=True))
    ours, theirs, others = np.split(points, [len(rows), len(rows) + len(batch)])
    nearest = [NearestNeighbors(n_neighbors=1, algorithm="brute").fit(part) for part in (theirs, others)]
    to_batch, to_reference = (model.kneighbors(ours)[0][:, 0] for model in nearest)
    return to_batch, to_reference


def reuse(rows: pd.DataFrame, batch: pd.DataFrame, reference: pd.DataFrame, n_together: int) -> np.ndarray:
    """How many exact values (or combinations) of each row occur in the batch, weighted by their rarity."""
    score = np.zeros(len(rows))
    for columns in itertools.combinations(rows.columns, n_together):
        keys = pd.concat([rows, batch, reference])[list(columns)].groupby(list(columns), dropna=False).ngroup()
        ours, theirs, others = np.split(keys.to_numpy(), [len(rows), len(rows) + len(batch)])
        n_others = np.bincount(others, minlength=keys.max() + 1)[ours]
        score += np.isin(ours, theirs) * np.log((len(reference) + 1) / (n_others + 1))
    return score


def _tpr(is_member: np.ndarray, score: np.ndarray) -> float:
    jitter = np.random.default_rng(0).random(len(score)) * 1e-9
    fpr, tpr, _ = roc_curve(is_member, score + jitter)
    return float(np.interp(0.01, fpr, tpr))


def _features(frame: pd.DataFrame) -> pd.DataFrame:
    kinds = schema_of(frame)
    return pd.DataFrame(
        {
            name: frame[name].astype("category") if kinds[name] in {"string", "boolean"} else frame[name]
            for name in frame.columns
        }
    )


def _points(frame: pd.DataFrame) -> np.ndarray:
    kinds, parts = schema_of(frame), []
    for name in frame.columns:
        if kinds[name] in {"string", "boolean"}:
            codes = pd.factorize(frame[name], use_na_sentinel=False)[0]
            parts.append(np.eye(codes.max() + 1, dtype=np.float32)[codes] / np.sqrt(2.0))
        else:
            ranks = frame[name].rank(pct=True).fillna(-0.5).to_numpy(dtype=np.float32)
            parts.append(ranks[:, None])
    return np.hstack(parts)


def _medians(data: str, generator: Any, arguments: argparse.Namespace) -> pd.Series:
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    runs = [measure(generator, cut(data, seed, arguments.rows), TASKS[data], seed) for seed in seeds]
    return pd.DataFrame(runs).median()


def _frontier(points: dict[str, dict[str, pd.Series]]) -> Figure:
    figure = Figure(figsize=(4.8 * len(points), 4.2), layout="constrained")
    panels = np.ravel(figure.subplots(1, len(points), squeeze=False))
    for axes, (data, medians) in zip(panels, points.items(), strict=True):
        shown = pd.DataFrame({label: (row[list(ATTACKS)].max(), row["C2ST"]) for label, row in medians.items()}).T
        is_forest = shown.index.str.startswith("forest")
        knob = shown[is_forest].sort_values(0)
        axes.plot(knob[0], knob[1], "o-", color="#0072B2", label="forest, by privacy")
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["adult", "housing"], choices=list(TASKS))
    parser.add_argument("--generators", nargs="+", default=sorted(installed("generators")))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=8_000)
    parser.add_argument("--frontier", type=Path)
    arguments = parser.parse_args()
    points: dict[str, dict[str, pd.Series]] = {}
    for data in arguments.data:
        print(f"\n### {data}\n\n| generator | {' | '.join(FIGURES)} |\n|---|{'---|' * len(FIGURES)}")
        points[data] = {}
        for text in arguments.generators:
            row = points[data][text] = _medians(data, _generator(text), arguments)
            print(f"| {text} | {' | '.join(f'{row[figure]:.3f}' for figure in FIGURES)} |", flush=True)
    if arguments.frontier:
        _frontier(points).savefig(arguments.frontier, dpi=150)


if __name__ == "__main__":
    main()
