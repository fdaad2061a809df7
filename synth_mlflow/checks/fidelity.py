"""Fidelity: does the batch follow the law of the real rows, column by column, pair by pair and as a whole?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from synth_mlflow.checks import Check, CheckResult, Evidence, Probe
from synth_mlflow.checks._blind import blind_test
from synth_mlflow.checks._columns import column_probes
from synth_mlflow.checks._pairs import Family, pair_families, pair_probes
from synth_mlflow.checks._pictures import bars, heat, marginals
from synth_mlflow.checks._tables import Tables, judged_tables, too_few
from synth_mlflow.checks._whole import (
    Classified,
    classifier_probes,
    classify,
    isolated_rows,
    repeated_rows,
    worst_slices,
)
from synth_mlflow.data.columns import schema_of
from synth_mlflow.measures.encoding import Encoding
from synth_mlflow.measures.intervals import rows_for_auc
from synth_mlflow.measures.two_sample import SPREAD_INFLATION

MAX_PANELS = 16
PROBES_A_COLUMN = 8  # about as many p-values as a column gives, with its pairs; for power only


class Fidelity:
    """Columns, pairs, and a classifier test, each against the noise floor of real rows against real rows.

    Columns and pairs are compared with members and control together. The classifier learns control against batch:
    members would reward a generator for copying them. Its limit lies between what useful generators
    reach (0.58 to 0.67 on Adult and California housing) and the Gaussian copula of the known-answer tables (0.775).
    """

    summary: ClassVar[str] = "column, pair and classifier distances against the noise floor of real rows"
    version: ClassVar[str] = "2"
    defaults: ClassVar[Mapping[str, float]] = {
        "alpha": 0.005,  # false alarms of this check, over all its probes
        "classifier_auc": 0.70,
        "column_distance": 0.10,  # Kolmogorov–Smirnov or total variation
        "missing_gap": 0.03,
        "clean_share": 0.5,  # of gaps, tails, outliers, rare levels, repeats and odd rows that must be left
        "outside_range": 0.01,
        "heaping_gap": 0.10,
        "off_grid": 0.02,  # of values that leave what all real ones keep to, such as month starts or 2 decimals
        "part_distance": 0.10,  # total variation of weekdays, days of the month, hours, last digits
        "unseen_levels": 0.01,
        "absent_levels": 0.005,
        "pair_distance": 0.20,  # beyond what real rows of these sizes show by chance
        "association_gap": 0.12,
        "correlation_gap": 0.12,
        "repeated_rows": 0.02,
        "detectable_auc": 0.75,  # what the classifier test must be able to find before a verdict is given
    }

    def run(self, evidence: Evidence, policy: Mapping[str, float]) -> CheckResult:
        """Compare the batch with real rows."""
        tables = judged_tables(evidence)
        alpha = policy["alpha"] / (PROBES_A_COLUMN * tables.members.shape[1])
        needed = rows_for_auc(policy["detectable_auc"], alpha=alpha, inflation=SPREAD_INFLATION)
        why = f"find a classifier test of {policy['detectable_auc']:.2f} at a false-alarm rate of {policy['alpha']:g}"
        short = too_few(tables, needed=needed, needed_batch=needed, why=why)
        if short:
            return CheckResult((), short)
        rng = np.random.default_rng([evidence.seed, 41])
        encoding = Encoding.learn(tables.real)
        found = classify(tables, encoding, evidence.seed, rng)
        blind = blind_test(tables.members, tables.control, encoding, seed=evidence.seed, floor=found.floor)
        families = pair_families(tables.real, tables.batch, rng)
        probes = (
            *classifier_probes(found, evidence.slices, policy["classifier_auc"]),
            *repeated_rows(tables.real, tables.batch, policy, rng),
            *isolated_rows(tables.real, tables.batch, encoding, policy["clean_share"], rng),
            *column_probes(tables.real, tables.batch, schema_of(tables.real), policy, rng),
            *pair_probes(families, policy),
        )
        shown: dict[str, Any] = {
            "metrics": {**_classifier_metrics(found, policy), **blind.metrics, **_worst_by_name(probes)},
            "tables": {"probes": _table(probes), "worst_slices": worst_slices(found)},
            "figures": _figures(tables, probes, families, found, rng),
        }
        return CheckResult((), blind.differ, **shown) if blind.differ else CheckResult(probes, **shown)


def _classifier_metrics(found: Classified, policy: Mapping[str, float]) -> dict[str, float]:
    limit = policy["classifier_auc"]
    return {"classifier_auc": found.test.auc, "classifier_auc_floor": found.noise, "classifier_auc_limit": limit}


def _worst_by_name(probes: Sequence[Probe]) -> dict[str, float]:
    worst: dict[str, float] = {}
    for probe in probes:
        if probe.value is not None and not probe.name.startswith("classifier_auc"):
            pick = max if probe.better == "low" else min
            key = f"worst_{probe.name}"
            worst[key] = pick(worst.get(key, probe.value), probe.value)
    return worst


def _table(probes: Sequence[Probe]) -> pd.DataFrame:
    return pd.DataFrame([vars(probe) for probe in probes]).sort_values("p_value", ignore_index=True)


def _figures(
    tables: Tables, probes: Sequence[Probe], families: Sequence[Family], found: Classified, rng: np.random.Generator
) -> dict[str, Figure]:
    distances = {p.column: p for p in probes if p.name == "column_distance" and p.column and p.value is not None}
    shown = sorted(distances, key=lambda name: -(distances[name].value or 0.0))[:MAX_PANELS]
    wide = {name for name, probe in distances.items() if (probe.value or 0.0) > probe.limit}
    notes = {name: f"{distances[name].value:.2f}" for name in shown if name in wide}
    limit = next((p.limit for p in probes if p.name == "classifier_auc"), 1.0)
    figures = {
        "marginals": marginals(tables.real, tables.batch, shown, notes, rng),
        "give_away": bars(
            found.encoding.schema.columns,
            found.test.importance,
            title=f"What gives the batch away: classifier test {found.test.auc:.3f}\n"
            f"(real against real up to {found.noise:.3f}, limit {limit:.2f})",
            label="share of the classifier's gain",
        ),
    }
    titles = {
        "correlation_gap": "Rank correlation, batch minus real",
        "association_gap": "Cramér's V, batch minus real",
    }
    for family in families:
        if family.name in titles:
            beyond = np.abs(family.difference) > family.floor
            figures[family.name] = heat(family.difference, family.columns, titles[family.name], beyond)
    return figures


plugin: Check = Fidelity()
