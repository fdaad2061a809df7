"""Privacy: what does the batch betray about the rows that its generator learned from?

The claim is made under one attack model: somebody who holds the batch and candidate rows, but not the generator, tells
the members among as many controls. It says nothing about attackers with the generator, with other batches, or with
outside knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from synth_mlflow.checks import Check, CheckResult, Evidence, Probe
from synth_mlflow.checks._blind import blind_test
from synth_mlflow.checks._pictures import bars, low_rate_roc
from synth_mlflow.checks._tables import Tables, judged_tables, thin, too_few
from synth_mlflow.measures import attacks
from synth_mlflow.measures.associations import SharedBins
from synth_mlflow.measures.encoding import Encoding
from synth_mlflow.measures.inference import inference_scores
from synth_mlflow.measures.intervals import (
    detectable_auc,
    excess_p_value,
    largest_provable_epsilon,
    rows_for_auc,
    standard_error_of_auc,
)
from synth_mlflow.measures.value_reuse import ValueCounts, count_values, exact_values, value_surplus

MAX_TARGETS = 5_000  # members and as many controls; one false positive in a thousand is then five rows
MAX_BATCH = 100_000
MAX_CLASSIFIER_ROWS = 10_000
N_PROBES = 60  # about as many p-values as a table of twenty columns gives; for power only


@dataclass(frozen=True)
class _Battery:
    scores: dict[str, attacks.Floats]
    outcomes: dict[str, attacks.Outcome]
    counts: ValueCounts
    near: attacks.Bools
    exact: attacks.Bools
    is_member: attacks.Bools

    @property
    def strongest_first(self) -> dict[str, attacks.Floats]:
        order = sorted(self.outcomes.values(), key=lambda one: (-one.rates[0].true_positive_rate, -one.auc))
        return {one.name: self.scores[one.name] for one in order}

    @property
    def n(self) -> int:
        return int(self.is_member.sum())


class Privacy:
    """Membership attacks on members against as many controls, reused values, near copies, and attribute inference.

    The limits were set on the known-answer tables at 5,000 members (best attack: fresh draws AUC 0.51, TPR at 1 %
    0.014, at 0.1 % 0.002; 5 % copies 0.088 and 0.054; memorising trees AUC 0.88), between what no generator can
    help and the mildest leak. A leak of a few members shows at low false-positive rates; the limit of the AUC, which
    averages over everybody, leaves room for what a model of 230 rows cannot help (0.64 on the breast-cancer table).
    """

    summary: ClassVar[str] = "membership attacks, near copies and reused values, against control rows no generator saw"
    version: ClassVar[str] = "1"
    defaults: ClassVar[Mapping[str, float]] = {
        "alpha": 0.005,  # false alarms of this check, over all its probes
        "attack_auc": 0.65,  # members in general
        "attack_tpr_1_percent": 0.03,  # the few members that are found almost surely
        "attack_tpr_01_percent": 0.005,
        "near_copies": 0.002,  # share of members, beyond what controls show
        "exact_copies": 0.001,
        "reused_values": 0.02,  # share of members whose own value of a column stands in the batch, beyond controls
        "inference_auc": 0.55,  # sensitive columns: how much better the batch predicts those of members
        "detectable_auc": 0.67,  # what a hold-out must be able to show before a verdict is given
    }

    def run(self, evidence: Evidence, policy: Mapping[str, float]) -> CheckResult:
        """Attack the batch."""
        tables = judged_tables(evidence)
        needed = rows_for_auc(policy["detectable_auc"], alpha=policy["alpha"] / N_PROBES)
        why = f"find an attack of AUC {policy['detectable_auc']:.2f} at a false-alarm rate of {policy['alpha']:g}"
        short = too_few(tables, needed=needed, needed_batch=needed // 2, why=why)
        if short:
            return CheckResult((), short)
        rng = np.random.default_rng([evidence.seed, 23])
        targets, is_member, others = _targets(tables, rng)
        encoding = Encoding.learn(targets)
        blind = blind_test(tables.members, tables.control, encoding, seed=evidence.seed)
        battery = _attack(targets, is_member, others, tables.batch, encoding, evidence.seed)
        metrics = {"blind_auc": blind.auc, **_metrics(battery, policy["alpha"])}
        figures = {"roc": low_rate_roc(battery.strongest_first, is_member), "reuse": _reuse_picture(battery)}
        shown: dict[str, Any] = {"metrics": metrics, "tables": {"attacks": _attack_table(battery)}, "figures": figures}
        if blind.differ:
            return CheckResult((), blind.differ, **shown)
        inferred = [
            _inference(targets, tables.batch, is_member, name, policy["inference_auc"]) for name in evidence.sensitive
        ]
        return CheckResult((*_probes(battery, policy), *inferred), **shown)


def _targets(tables: Tables, rng: np.random.Generator) -> tuple[pd.DataFrame, attacks.Bools, pd.DataFrame]:
    """As many members as controls in random order, which is which, and the members that are left."""
    n = min(len(tables.members), len(tables.control), MAX_TARGETS)
    drawn = rng.permutation(len(tables.members))
    members, others = tables.members.iloc[drawn[:n]], tables.members.iloc[drawn[n:]]
    order = rng.permutation(2 * n)
    pooled = pd.concat([members, thin(tables.control, n, rng)], ignore_index=True).iloc[order]
    return pooled.reset_index(drop=True), np.asarray(order < n), others


def _attack(
    targets: pd.DataFrame,
    is_member: attacks.Bools,
    others: pd.DataFrame,
    batch: pd.DataFrame,
    encoding: Encoding,
    seed: int,
) -> _Battery:
    rng = np.random.default_rng([seed, 29])
    batch = thin(batch, MAX_BATCH, rng)
    near = attacks.neighbours(encoding.points(targets), encoding.points(batch))
    counts = count_values(targets, batch, others)
    bins = SharedBins.learn(targets)
    scores = attacks.distance_attacks(near)
    scores["exact_values"] = exact_values(counts)
    scores["value_surplus"] = value_surplus(counts)
    scores["subset_counts"] = attacks.subset_counts(bins.codes(targets), bins.codes(batch), rng)
    sample = thin(batch, MAX_CLASSIFIER_ROWS, rng)
    scores["density_classifier"] = attacks.density_classifier(
        encoding.features(targets), encoding.features(sample), seed=seed, categorical=encoding.categorical
    )
    known = np.column_stack([*scores.values(), near.to_batch, near.to_real, counts.reused.astype(np.float64)])
    scores["meta"] = attacks.meta_attack(known, is_member, seed=seed)
    confidence = 1 - 0.05 / len(scores)  # the strongest of several is reported
    outcomes = {
        name: attacks.outcome(name, score, is_member, confidence=confidence, cross_fitted=name == "meta")
        for name, score in scores.items()
    }
    exact = _exact_copies(targets, batch)
    return _Battery(scores, outcomes, counts, attacks.near_copies(near), exact, is_member)


def _exact_copies(targets: pd.DataFrame, batch: pd.DataFrame) -> attacks.Bools:
    hashes = pd.util.hash_pandas_object(targets, index=False)
    alone = ~hashes.duplicated(keep=False)
    return np.asarray(alone & hashes.isin(pd.util.hash_pandas_object(batch, index=False)))


def _probes(battery: _Battery, policy: Mapping[str, float]) -> tuple[Probe, ...]:
    probes = [probe for found in battery.outcomes.values() for probe in _attack_probes(found, battery.n, policy)]
    near_note = "rows of the batch that sit on single members; add noise, or drop rows that are this close"
    probes.append(_excess("near_copies", battery.near, battery, policy["near_copies"], note=near_note))
    probes.append(
        _excess("exact_copies", battery.exact, battery, policy["exact_copies"], note="the batch repeats members")
    )
    for name, marks in zip(battery.counts.columns, battery.counts.reused.T, strict=True):
        if marks.any():
            note = "members' own values reappear; round or jitter this column, or use fewer leaves"
            probes.append(_excess("reused_values", marks, battery, policy["reused_values"], column=name, note=note))
    return tuple(probes)


def _attack_probes(found: attacks.Outcome, n: int, policy: Mapping[str, float]) -> list[Probe]:
    floor = 0.5 + 2.33 * standard_error_of_auc(n, n)
    probes = [Probe(f"{found.name}_auc", found.auc, policy["attack_auc"], floor=floor, p_value=found.p_value)]
    limits = (("1_percent", policy["attack_tpr_1_percent"]), ("01_percent", policy["attack_tpr_01_percent"]))
    for (label, limit), rate in zip(limits, found.rates, strict=True):
        note = f"95 % interval {rate.low:.2g} to {rate.high:.2g}"
        name = f"{found.name}_tpr_{label}"
        floor = rate.false_positive_rate
        probes.append(Probe(name, rate.true_positive_rate, limit, floor=floor, p_value=rate.p_value, note=note))
    return probes


def _excess(
    name: str, marks: attacks.Bools, battery: _Battery, limit: float, *, column: str | None = None, note: str = ""
) -> Probe:
    k_members, k_control = int(marks[battery.is_member].sum()), int(marks[~battery.is_member].sum())
    p_value = excess_p_value(k_members, k_control, battery.n)
    words = f"{k_members:,} of {battery.n:,} members, {k_control:,} of as many controls: {note}"
    value = (k_members - k_control) / battery.n
    return Probe(name, value, limit, column=column, floor=k_control / battery.n, p_value=p_value, note=words)


def _inference(
    targets: pd.DataFrame, batch: pd.DataFrame, is_member: attacks.Bools, column: str, limit: float
) -> Probe:
    if targets[column].nunique() < 2:
        return Probe("inference_auc", None, limit, column=column, note="the column has fewer than two values")
    found = attacks.outcome("inference", inference_scores(targets, batch, column), is_member)
    floor = 0.5 + 2.33 * standard_error_of_auc(*(int(n) for n in (is_member.sum(), (~is_member).sum())))
    note = "the batch gives away this value of members better than that of controls; coarsen it, or what goes with it"
    return Probe("inference_auc", found.auc, limit, column=column, floor=floor, p_value=found.p_value, note=note)


def _metrics(battery: _Battery, alpha: float) -> dict[str, float]:
    found = battery.outcomes.values()
    metrics = {f"{one.name}_auc": one.auc for one in found}
    metrics |= {f"{one.name}_tpr_1_percent": one.rates[0].true_positive_rate for one in found}
    metrics |= {f"{one.name}_tpr_01_percent": one.rates[1].true_positive_rate for one in found}
    metrics["best_attack_auc"] = max(one.auc for one in found)
    metrics["best_attack_tpr_1_percent"] = max(one.rates[0].true_positive_rate for one in found)
    metrics["best_attack_tpr_01_percent"] = max(one.rates[1].true_positive_rate for one in found)
    metrics["epsilon_lower_bound"] = max(one.epsilon for one in found)
    metrics["epsilon_largest_provable"] = largest_provable_epsilon(2 * battery.n, confidence=1 - 0.05 / len(found))
    metrics["detectable_auc"] = detectable_auc(battery.n, battery.n, alpha=alpha / N_PROBES)
    metrics["targets"] = float(2 * battery.n)
    return metrics


def _attack_table(battery: _Battery) -> pd.DataFrame:
    rows = [
        {"attack": one.name, "auc": one.auc, "p_value": one.p_value, "epsilon_lower_bound": one.epsilon}
        | {f"tpr_at_{rate.false_positive_rate:g}": rate.true_positive_rate for rate in one.rates}
        | {f"low_at_{rate.false_positive_rate:g}": rate.low for rate in one.rates}
        | {f"high_at_{rate.false_positive_rate:g}": rate.high for rate in one.rates}
        for one in battery.outcomes.values()
    ]
    return pd.DataFrame(rows).sort_values("auc", ascending=False, ignore_index=True)


def _reuse_picture(battery: _Battery) -> Figure:
    marks = battery.counts.reused.astype(np.float64)
    excess = marks[battery.is_member].mean(axis=0) - marks[~battery.is_member].mean(axis=0)
    title = "Members' own values that stand in the batch, beyond controls"
    return bars(battery.counts.columns, excess, title=title, label="share of members")


plugin: Check = Privacy()
