"""Privacy: what does the batch reveal about the rows that its generator learned from?

The claim is made under one attack model: somebody who holds the batch and candidate rows, but not the generator, tells
the members among as many controls. It says nothing about attackers with the generator, with other batches, or with
outside knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from synth_mlflow.checks import FEWER_COLUMNS, Check, CheckInput, CheckResult, Metric
from synth_mlflow.checks._evaluation_matches import whole_rows
from synth_mlflow.checks._joint import blind_test
from synth_mlflow.checks._membership import Battery, by_group, distinct, draw_targets, run_attacks
from synth_mlflow.checks._near_texts import near_target_texts
from synth_mlflow.checks._plots import bars, low_rate_roc
from synth_mlflow.checks._tables import Tables, judged_tables, later_columns, too_few, without
from synth_mlflow.metrics import membership
from synth_mlflow.metrics.distances import share_p_value
from synth_mlflow.metrics.encoding import Encoding
from synth_mlflow.metrics.intervals import (
    critical_count,
    detectable_auc,
    inference_scores,
    largest_provable_epsilon,
    rows_for_auc,
)
from synth_mlflow.metrics.membership import attack_floors, excess_floors

N_NAMED = 3  # columns that a reason names
MANY_COLUMNS = 100
ROWS_A_COLUMN = 10  # with fewer, and many columns, rows of a batch lie near members in all columns together
N_ATTACK_PROBES = 39  # thirteen attacks, each an area and two low rates; a column adds one
BY_VALUE = ("exact_values", "value_surplus", "meta")  # attacks that look at the values of single columns
THREAT_MODEL = (
    "Threat model: somebody holds the batch and candidate rows, not the generator, and tells the members among as many "
    "real rows that no generator saw. It says nothing about attackers with the generator, with other batches or with "
    "outside knowledge: privacy is a claim under these attacks, not a property of the rows."
)


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

    def run(self, evidence: CheckInput, policy: Mapping[str, float]) -> CheckResult:
        """Attack the batch."""
        judged = judged_tables(evidence)
        if evidence.task.time:  # a time that only evaluation rows have would tell them from members without the batch
            judged = without(judged, later_columns(evidence, judged))
        named = [name for name, role in evidence.task.roles.items() if role == "identifier" and name in judged.members]
        handed_out = [_reused_identifiers(judged, name, policy["reused_values"]) for name in named]
        judged = without(judged, named)  # a row with a new number is a copy still, and a number says nothing else
        tables = distinct(judged)
        alpha = policy["alpha"] / (N_ATTACK_PROBES + tables.members.shape[1])
        needed = rows_for_auc(policy["detectable_auc"], alpha=alpha)
        why = f"find an attack of AUC {policy['detectable_auc']:.2f} at a false-alarm rate of {policy['alpha']:g}"
        short = too_few(tables, needed=needed, needed_batch=needed // 2, why=why)
        if short:
            return CheckResult((), short)
        targets = draw_targets(tables, np.random.default_rng([evidence.seed, 23]), evidence.task)
        encoding = Encoding.learn(targets.rows)
        told_by = Encoding.learn(targets.rows.drop(columns=evidence.task.group)) if evidence.task.group else encoding
        blind = blind_test(tables.members, tables.control, told_by, seed=evidence.seed, task=evidence.task)
        battery = run_attacks(targets, tables.batch, encoding, evidence.seed)
        leaking = battery.leaking_columns()
        copies = _exact_copies(judged, policy)
        metrics = {**blind.metrics, **_metrics(battery, alpha)}
        shown: dict[str, Any] = {
            "metrics": metrics,
            "tables": {"attacks": _attack_table(battery), "leaking_columns": leaking},
            "figures": {
                "roc": low_rate_roc(battery.strongest_first, targets.is_member, battery.dealt),
                "reuse": _reuse_picture(battery, policy["reused_values"]),
            },
            "words": f"{_epsilon_in_words(metrics)} {_detectable_in_words(copies, metrics)} {THREAT_MODEL}",
        }
        if blind.differ:
            return CheckResult((), blind.differ, **shown)
        inferred = [_inference(battery, tables.batch, name, policy["inference_auc"]) for name in evidence.sensitive]
        texts = _near_texts(battery, tables.batch, evidence, policy["near_copies"])
        return CheckResult((copies, *_probes(battery, leaking, policy), *handed_out, *texts, *inferred), **shown)


def _probes(battery: Battery, leaking: pd.DataFrame, policy: Mapping[str, float]) -> tuple[Metric, ...]:
    by_value = "" if leaking.empty else _what_helps(leaking, battery.adding_columns())
    near = _near_copies(battery, policy["near_copies"])
    is_copied = near.value is not None and near.value > near.limit
    sizes = battery.targets.rows.shape[1], battery.targets.n + len(battery.targets.others)
    by_distance = "" if is_copied else _of_distances(*sizes)
    probes = [
        probe
        for name in battery.outcomes
        for probe in _attack_probes(name, battery, by_value if name in BY_VALUE else by_distance, policy)
    ]
    probes.append(near)
    for name, marks in zip(battery.counts.columns, battery.counts.reused.T, strict=True):
        if marks.any():
            note = "members' own values reappear; round or jitter this column, or use fewer leaves"
            probes.append(_excess("reused_values", marks, battery, policy["reused_values"], column=name, note=note))
    return tuple(probes)


def _reused_identifiers(tables: Tables, name: str, limit: float) -> Metric:
    """Members whose identifier stands in the batch, beside evaluation rows whose identifier does (Fisher's test)."""
    known = set(tables.batch[name].dropna())
    (k_members, n_members), (k_control, n_control) = (
        (int(rows[name].isin(known).sum()), len(rows)) for rows in (tables.members, tables.control)
    )
    p_value = share_p_value(k_control, n_control, k_members, n_members, alternative="greater")
    value = max(k_members / n_members - k_control / n_control, 0.0)
    note = f"{k_members:,} of {n_members:,} members' identifiers are handed out, {k_control:,} of {n_control:,} others"
    return Metric("reused_values", value, limit, column=name, p_value=p_value, note=note)


def _exact_copies(tables: Tables, policy: Mapping[str, float]) -> Metric:
    """Copies of members, all of them, against what repeated real rows give and the evaluation rows that it equals.

    Nothing is drawn, so it takes no part in the correction: half of the false-alarm rate says how many are too many.
    """
    counts, n = whole_rows(tables), len(tables.members)
    exposure = counts.batch_exposure * n / len(tables.control)
    reference, pairs = counts.real_pairs + counts.evaluation, counts.real_exposure + counts.batch_exposure
    chance = reference * exposure / pairs
    enough = critical_count(reference, exposure, pairs, alpha=policy["alpha"] / 2)
    note = (
        f"{counts.training:,} of {n:,} members stand in the batch as they are, about {chance:,.1f} would by chance; "
        f"from {enough:,} on this is no chance"
    )
    value, floor = (counts.training - chance) / n, (enough - 1 - chance) / n
    return Metric("exact_copies", max(value, 0.0), policy["exact_copies"], floor=max(floor, 0.0), note=note)


def _what_helps(leaking: pd.DataFrame, adding: Sequence[str]) -> str:
    """Which columns to change: a few by name; where many add up, how many, since one alone would not help."""
    names = ", ".join(f"{row.column!r} ({row.auc:.2f})" for row in leaking.head(N_NAMED).itertuples())
    if len(adding) <= N_NAMED:
        return f"members' values of {names} are handed out: round or jitter these columns, or use fewer leaves"
    return (
        f"members' values of {len(adding):,} columns are handed out, a little each, most of {names}: leaving out one "
        f"does not help; round or jitter all of them, or {FEWER_COLUMNS}"
    )


def _of_distances(n_columns: int, n_members: int) -> str:
    """What helps where so many columns together are near the members that no column is to blame."""
    if n_columns < MANY_COLUMNS or n_columns * ROWS_A_COLUMN <= n_members:
        return ""
    return f"{n_columns:,} columns and {n_members:,} training rows: all columns together tell a row; {FEWER_COLUMNS}"


def _attack_probes(name: str, battery: Battery, helps: str, policy: Mapping[str, float]) -> list[Metric]:
    outcome, floors = battery.outcomes[name], battery.floors[name]
    limit, p_value = policy["attack_auc"], outcome.p_value
    probes = [Metric(f"{name}_auc", outcome.auc, limit, floor=floors[0], p_value=p_value, note=helps)]
    limits = (("1_percent", policy["attack_tpr_1_percent"]), ("01_percent", policy["attack_tpr_01_percent"]))
    for (label, limit), rate, floor in zip(limits, outcome.rates, floors[1:], strict=True):
        note = f"95 % interval {rate.low:.2g} to {rate.high:.2g}{'; ' if helps else ''}{helps}"
        value = rate.true_positive_rate
        probes.append(Metric(f"{name}_tpr_{label}", value, limit, floor=floor, p_value=rate.p_value, note=note))
    return probes


def _near_copies(battery: Battery, limit: float) -> Metric:
    """The way of being near that is most significant, at the price of all ways (C. E. Bonferroni)."""
    how, marks = min(battery.copies.items(), key=lambda one: battery.p_value(one[1]))
    price = len(battery.copies)
    note = (
        f"rows of the batch that sit on single members (nearer than {how}); add noise, or drop rows that are this close"
    )
    return _excess("near_copies", marks, battery, limit, note=note, price=price)


def _near_texts(battery: Battery, batch: pd.DataFrame, evidence: CheckInput, limit: float) -> list[Metric]:
    """Of each column of texts the similarity that is most significant, at the price of all."""
    probes = []
    for column, by_similarity in near_target_texts(battery.targets, batch, evidence.task, evidence.embedding).items():
        marks = min(by_similarity.values(), key=battery.p_value)
        note = "edited copies of members' texts stand in the batch; write new ones, or drop those that are this near"
        price = len(by_similarity)
        probes.append(_excess("near_texts", marks, battery, limit, column=column, note=note, price=price))
    return probes


def _excess(
    name: str,
    marks: membership.Bools,
    battery: Battery,
    limit: float,
    *,
    column: str | None = None,
    note: str = "",
    price: int = 1,
) -> Metric:
    k_members, k_control = battery.counted(marks)
    p_value = min(price * battery.p_value(marks), 1.0)
    floor = float(excess_floors(marks[:, None], battery.dealt)[0])
    n = battery.targets.n
    words = f"{k_members:,} of {n:,} members, fresh real rows would have about {k_control:,}: {note}"
    value = (k_members - k_control) / n
    return Metric(name, value, limit, column=column, floor=floor, p_value=p_value, note=words, group=name)


def _inference(battery: Battery, batch: pd.DataFrame, column: str, limit: float) -> Metric:
    rows, is_member = battery.targets.rows, battery.targets.is_member
    if rows[column].nunique() < 2:
        return Metric("inference_auc", None, limit, column=column, note="the column has fewer than two values")
    scores = inference_scores(rows, batch, column)
    outcome = membership.outcome("inference", scores, is_member)
    if battery.targets.groups is not None:
        outcome = by_group(outcome, scores, battery.dealt)
    floor = attack_floors(scores, battery.dealt)[0]
    note = "the batch gives away this value of members better than that of controls; coarsen it, or what goes with it"
    return Metric(
        "inference_auc",
        outcome.auc,
        limit,
        column=column,
        floor=floor,
        p_value=outcome.p_value,
        note=note,
        group="inference",
    )


def _epsilon_in_words(metrics: Mapping[str, float]) -> str:
    return (
        f"The attacks prove a privacy loss ε of at least {metrics['epsilon_lower_bound']:.2f}: a lower bound, never a "
        f"guarantee. With {int(metrics['targets']):,} targets no attack could have proved more than "
        f"{metrics['epsilon_largest_provable']:.2f}."
    )


def _detectable_in_words(copies: Metric, metrics: Mapping[str, float]) -> str:
    smallest = max(copies.floor or 0.0, copies.limit)
    return (
        f"At these sizes an attack of AUC {metrics['detectable_auc']:.3f} would have been found in four of five cases, "
        f"and members that stand in the batch as they are from {smallest:.2%} of all."
    )


def _metrics(battery: Battery, alpha: float) -> dict[str, float]:
    outcomes, n = battery.outcomes.values(), battery.targets.n
    metrics = {f"{one.name}_auc": one.auc for one in outcomes}
    metrics |= {f"{one.name}_tpr_1_percent": one.rates[0].true_positive_rate for one in outcomes}
    metrics |= {f"{one.name}_tpr_01_percent": one.rates[1].true_positive_rate for one in outcomes}
    metrics["best_attack_auc"] = max(one.auc for one in outcomes)
    metrics["best_attack_tpr_1_percent"] = max(one.rates[0].true_positive_rate for one in outcomes)
    metrics["best_attack_tpr_01_percent"] = max(one.rates[1].true_positive_rate for one in outcomes)
    metrics["epsilon_lower_bound"] = max(one.epsilon for one in outcomes)
    metrics["epsilon_largest_provable"] = largest_provable_epsilon(2 * n, confidence=1 - 0.05 / len(outcomes))
    metrics["detectable_auc"] = detectable_auc(n, n, alpha=alpha)
    metrics["targets"] = 2.0 * n
    return metrics


def _attack_table(battery: Battery) -> pd.DataFrame:
    rows = [
        {"attack": one.name, "auc": one.auc, "p_value": one.p_value, "epsilon_lower_bound": one.epsilon}
        | {"auc_real_against_real": battery.floors[one.name][0]}
        | {f"tpr_at_{rate.false_positive_rate:g}": rate.true_positive_rate for rate in one.rates}
        | {f"low_at_{rate.false_positive_rate:g}": rate.low for rate in one.rates}
        | {f"high_at_{rate.false_positive_rate:g}": rate.high for rate in one.rates}
        for one in battery.outcomes.values()
    ]
    return pd.DataFrame(rows).sort_values("auc", ascending=False, ignore_index=True)


def _reuse_picture(battery: Battery, limit: float) -> Figure:
    some = np.flatnonzero(battery.counts.reused.sum(axis=0))
    marks, is_member = battery.counts.reused[:, some], battery.targets.is_member
    names = [battery.counts.columns[place] for place in some]
    excess = marks[is_member].mean(axis=0) - marks[~is_member].mean(axis=0)
    floors = excess_floors(marks, battery.dealt)
    title = "Members' own values that stand in the batch, beyond what fresh real rows have"
    return bars(names, excess, title=title, label="share of members", floors=floors, limit=limit)


plugin: type[Check] = Privacy
