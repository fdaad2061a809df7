"""Contamination: does the batch hold anything of the evaluation set?

The frozen evaluation rows measure everything that follows. A batch that holds some of them, moved a little, mixed with
other rows, or handed out by a generator that learned from them, makes every score too good. Training rows, and real
rows held against each other, say how much a batch has in common with evaluation rows by nature.

Membership attacks with the sides swapped: which evaluation rows, rather than training rows, does a batch reveal?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.neighbors import NearestNeighbors

from synth_mlflow.checks import Check, CheckInput, CheckResult, Metric
from synth_mlflow.checks._evaluation_matches import (
    Combinations,
    NearMatches,
    NewKeys,
    combinations,
    near_rows,
    whole_rows,
)
from synth_mlflow.checks._membership import distinct, draw_targets
from synth_mlflow.checks._near_texts import TextMatches, near_evaluation_texts, worst
from synth_mlflow.checks._passages import benchmark_passages, evaluation_passages, passage_probes, passage_table
from synth_mlflow.checks._tables import Tables, judged_tables, subsample, too_few, without
from synth_mlflow.data.splits import Positions, group_codes
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.encoding import Encoding, Matrix
from synth_mlflow.metrics.intervals import Matches, smallest_detectable
from synth_mlflow.metrics.membership import Bools, Floats, distance_attacks, neighbours
from synth_mlflow.metrics.row_pairs import count_values, exact_values

N_PROBES = 9
EXPLAINED_BY_TRAINING = {
    "numbers moved slightly": 0.75,
    "numbers moved": 0.75,
    "one value changed": 1.0,
    "half of the values changed": 1.0,
}
"""Of the evaluation rows that altered training rows let expect, the part that counts where natural matches are the
reference: all for one value and for halves of rows, which generators that interpolate mix; else three quarters, so
that as many copies of training rows do not hide those of evaluation rows."""
SETS_A_PRICE = 8
"""Sets of columns that cost as much as one test: they overlap, and both references must be exceeded at once."""
MIN_SLICE_ROWS = 50  # real rows on each side; a smaller slice says nothing of what is natural within it
WHAT_TO_DO = "make the batch again from training rows only (`workflow.training_rows()`)"


class Contamination:
    """Evaluation rows in a batch: equal, rounded, altered, by values and combinations of values, and by attacks.

    Every count of matched evaluation rows stands beside two references: what real rows show when they are held against
    one another, and what the same batch shows for training rows. A generator that learned from training rows alone
    matches those more often, never less.
    """

    summary: ClassVar[str] = "what the batch has in common with evaluation rows, beyond what real rows have by nature"
    version: ClassVar[str] = "3"
    defaults: ClassVar[Mapping[str, float]] = {
        "alpha": 0.005,  # false alarms of this check, over all its probes
        "matched_rows": 0.0002,  # evaluation rows matched beyond both references, by rows of the batch
        "near_rows_unexplained": 0.5,  # of near matches, the share that real rows do not explain
        "new_values_unexplained": 0.3,  # of values that only evaluation rows have, the share that is no chance
        "attack_auc": 0.55,  # membership attacks that look for evaluation rows
    }
    stricter: ClassVar[Mapping[str, Literal["lower", "higher"]]] = {
        "alpha": "higher",
        "matched_rows": "lower",
        "near_rows_unexplained": "lower",
        "new_values_unexplained": "lower",
        "attack_auc": "lower",
    }
    always_decides: ClassVar[bool] = True
    """No batch goes without it, its thresholds are only tightened, and nobody accepts that it is inconclusive."""

    def run(self, evidence: CheckInput, policy: Mapping[str, float]) -> CheckResult:
        """Hold the evaluation rows against the batch."""
        tables = _tables(evidence)
        short = too_few(tables, needed=1, needed_batch=1, why="hold evaluation rows against the batch")
        if short:
            return CheckResult((), short)
        rng = np.random.default_rng([evidence.seed, 61])
        equal, rounded = whole_rows(tables), whole_rows(tables, rounded=True)
        near, shared = near_rows(tables, rng, _groups(tables, evidence.task)), combinations(tables, rng)
        texts = near_evaluation_texts(tables, evidence.task, rng, evidence.embedding)
        passages = evaluation_passages(tables, evidence.task, evidence.tokenize)
        benchmarks = benchmark_passages(tables, evidence.task, evidence.benchmarks, evidence.tokenize)
        attacks = swapped_attacks(tables, rng) if evidence.training is None else []  # else of another law
        n_batch = len(tables.batch)
        probes = [
            _whole("equal_rows", equal, n_batch, policy, "equal rows of the batch"),
            _whole("rounded_rows", rounded, n_batch, policy, "equal rows of the batch once numbers are rounded"),
            *_near(near, n_batch, policy),
            *_combined(shared, n_batch, policy),
            *_near_texts(texts, n_batch, policy),
            *passage_probes(passages, n_batch, policy["matched_rows"]),
            *passage_probes(benchmarks, n_batch, policy["matched_rows"]),
            *_attacked(attacks, policy["attack_auc"]),
        ]
        metrics = _metrics(equal, near, attacks, n_batch, policy["alpha"] / N_PROBES)
        table = _table(equal, rounded, near, shared, texts)
        shown = {"matches": table}
        if passages or benchmarks:
            shown["passages"] = passage_table([*passages, *benchmarks])
        return CheckResult(tuple(probes), metrics=metrics, tables=shown, words=_words(metrics))


def _tables(evidence: CheckInput) -> Tables:
    """The project's own rows: what a batch was learned from elsewhere says nothing of how the evaluation rows lie."""
    if evidence.training is not None:
        evidence = replace(evidence, members=evidence.training, training=None)
    inside = judged_tables(evidence)
    if evidence.slice is None or min(len(inside.members), len(inside.control)) >= MIN_SLICE_ROWS:
        return inside
    whole = judged_tables(replace(evidence, slice=None))
    return Tables(inside.batch, whole.members, whole.control)


def _groups(tables: Tables, task: Task) -> Positions | None:
    """The group of each training and evaluation row, where the set was split by group."""
    if task.group is None or task.group not in tables.members:
        return None
    return group_codes(tables.real_column(task.group).to_frame(), task)


def _whole(name: str, matches: Matches, n_batch: int, policy: Mapping[str, float], how: str) -> Metric:
    return Metric(
        name, _excess(matches, n_batch), policy["matched_rows"], p_value=matches.p_value, note=_note(matches, how)
    )


def _near(near: Sequence[NearMatches], n_batch: int, policy: Mapping[str, float]) -> list[Metric]:
    if not near:
        return []
    joint = min(near, key=lambda one: one.matches.p_value)
    large = [one for one in near if _beyond_natural(one) > policy["near_rows_unexplained"]] or near
    alone = min(large, key=_alone_p_value)
    return [
        Metric(
            "near_rows",
            _excess(joint.matches, n_batch),
            policy["matched_rows"],
            p_value=min(len(near) * joint.matches.p_value, 1.0),
            note=_note(joint.matches, f"look like originals of rows of the batch ({joint.alteration})"),
        ),
        Metric(
            "near_rows_unexplained",
            _beyond_natural(alone),
            policy["near_rows_unexplained"],
            p_value=min(len(near) * _alone_p_value(alone), 1.0),
            note=_note(alone.matches, f"look like originals of rows of the batch ({alone.alteration})"),
        ),
    ]


def _alone_p_value(near: NearMatches) -> float:
    """By real rows alone for moved numbers; mixed rows must exceed what training rows give as well."""
    mixed = EXPLAINED_BY_TRAINING[near.alteration] == 1
    return near.matches.p_value if mixed else near.matches.natural_p_value


def _beyond_natural(near: NearMatches) -> float:
    n_near = near.matches
    part = EXPLAINED_BY_TRAINING[near.alteration]
    return _unexplained(n_near.evaluation, n_near.expected + part * n_near.expected_from_training)


def _combined(shared: Combinations, n_batch: int, policy: Mapping[str, float]) -> list[Metric]:
    probes = []
    if shared.sets:
        every = [one.matches for one in shared.sets]
        place = int(np.argmin([one.p_value for one in every]))
        columns = ", ".join(map(repr, shared.sets[place].columns))
        probes.append(
            Metric(
                "shared_values",
                _excess(every[place], n_batch),
                policy["matched_rows"],
                p_value=min(max(len(every) / SETS_A_PRICE, 1) * every[place].p_value, 1.0),
                note=_note(every[place], f"share with the batch what no other real row has in {columns}"),
            )
        )
    if shared.common:
        best = min(shared.common, key=lambda one: one.matches.p_value)
        columns = ", ".join(map(repr, best.columns))
        probes.append(
            Metric(
                "common_columns",
                _excess(best.matches, n_batch),
                policy["matched_rows"],
                p_value=min(len(shared.common) * best.matches.p_value, 1.0),
                note=_note(best.matches, f"have the same values as rows of the batch in the columns {columns}"),
            )
        )
    if shared.new_keys:
        limit = policy["new_values_unexplained"]
        probes.append(_new_values(shared.new_keys, limit))
    return probes


def _new_values(each: Sequence[NewKeys], limit: float) -> Metric:
    """The most significant sets of columns among those whose effect counts, at the price of all (C. E. Bonferroni)."""
    large = [one for one in each if _unexplained(one.n_matches, one.expected) > limit] or each
    worst = min(large, key=lambda one: one.p_value)
    what = "values" if worst.n_columns == 1 else f"combinations of {worst.n_columns} values"
    note = (
        f"{worst.n_matches:,.0f} times the batch has {what} of evaluation rows that no training row has, other "
        f"real rows would about {worst.expected:,.0f} times: {WHAT_TO_DO}"
    )
    p_value = min(len(each) * worst.p_value, 1.0)
    return Metric(
        "new_values_unexplained", _unexplained(worst.n_matches, worst.expected), limit, p_value=p_value, note=note
    )


def _near_texts(texts: Sequence[TextMatches], n_batch: int, policy: Mapping[str, float]) -> list[Metric]:
    """The column and the similarity that are most significant, at the price of all."""
    if not texts:
        return []
    closest = worst(texts)
    note = (
        f"{closest.n_matches:,} evaluation rows stand in the batch with an edited text; as many other real "
        f"rows would be near to about {closest.expected:,.1f}: {WHAT_TO_DO}"
    )
    excess = max(closest.n_matches - closest.expected, 0.0) / n_batch
    p_value = min(len(texts) * closest.p_value, 1.0)
    return [Metric("near_texts", excess, policy["matched_rows"], column=closest.column, p_value=p_value, note=note)]


def _attacked(attacks: Sequence[Swapped], limit: float) -> list[Metric]:
    if not attacks:
        return []
    worst = min(attacks, key=lambda one: one.p_value)
    note = f"by the batch, evaluation rows are told from training rows ({worst.name}): {WHAT_TO_DO}"
    return [Metric("attack_auc", worst.auc, limit, p_value=min(len(attacks) * worst.p_value, 1.0), note=note)]


def _excess(matches: Matches, n_batch: int) -> float:
    return max(matches.evaluation - max(matches.expected, matches.expected_from_training), 0.0) / n_batch


def _unexplained(n_matches: float, expected: float) -> float:
    return max(1 - expected / n_matches, 0.0) if n_matches else 0.0


def _note(matches: Matches, how: str) -> str:
    return (
        f"{matches.evaluation:,} evaluation rows {how}; other real rows would have about "
        f"{matches.expected:,.1f}, and by "
        f"its {matches.training:,} training rows the batch would have about {matches.expected_from_training:,.1f}: "
        f"{WHAT_TO_DO}"
    )


def _metrics(
    equal: Matches, near: Sequence[NearMatches], attacks: Sequence[Swapped], n_batch: int, alpha: float
) -> dict[str, float]:
    metrics = {
        "evaluation_rows_equal": float(equal.evaluation),
        "evaluation_rows_equal_by_chance": equal.expected,
        "training_rows_equal": float(equal.training),
        "detectable_equal_rows": _detectable(equal, alpha) / n_batch,
    }
    if near:
        best = min(_detectable(one.matches, alpha / len(near)) / one.power for one in near)
        metrics["detectable_near_rows"] = best / n_batch
    metrics |= {f"swapped_{one.name}_auc": one.auc for one in attacks}
    return metrics


def _detectable(matches: Matches, alpha: float) -> int:
    return smallest_detectable(matches.real_pairs, matches.batch_exposure, matches.real_exposure, alpha=alpha)


def _words(metrics: Mapping[str, float]) -> str:
    words = (
        f"At these sizes, equal evaluation rows that make up {metrics['detectable_equal_rows']:.2%} of the batch would "
        "have been found in four of five cases"
    )
    if "detectable_near_rows" in metrics:
        words += f", and rows very near to evaluation rows from {metrics['detectable_near_rows']:.2%}"
    return f"{words}. A batch that passes may hold fewer. No value of an evaluation row is told."


def _table(
    equal: Matches,
    rounded: Matches,
    near: Sequence[NearMatches],
    shared: Combinations,
    texts: Sequence[TextMatches],
) -> pd.DataFrame:
    named = [("equal rows", equal), ("rounded rows", rounded)]
    named += [(f"near rows, {one.alteration}", one.matches) for one in near]
    best = sorted(shared.sets, key=lambda one: one.matches.p_value)[:10]
    named += [(f"values of {', '.join(one.columns)}", one.matches) for one in best]
    rows: list[dict[str, object]] = [
        {
            "matched by": name,
            "evaluation rows": one.evaluation,
            "expected of real rows": one.expected,
            "training rows": one.training,
            "expected by training rows": one.expected_from_training,
            "p_value": one.p_value,
        }
        for name, one in named
    ]
    rows += [
        {
            "matched by": f"texts of {one.column}, {one.by} of similarity {one.similar:.3g}",
            "evaluation rows": one.n_matches,
            "expected of real rows": one.expected,
            "p_value": one.p_value,
        }
        for one in texts
    ]
    return pd.DataFrame(rows)


plugin: type[Check] = Contamination


MAX_TARGETS = 1_500
MAX_BATCH = 10_000
MIN_TARGETS = 20
MANY_DEVIATIONS = 2.0
RELATIVE = ("reference_ratio", "density_ratio")
"""Attacks that ask how close the batch comes, measured by how close other real rows are. Those that do not ask this
would take the years of a split by time for a leak."""


@dataclass(frozen=True)
class Swapped:
    """How well one attack tells evaluation rows from training rows."""

    name: str
    auc: float
    """Above one half where evaluation rows look like members; below it where training rows do, as they may."""
    p_value: float


def swapped_attacks(tables: Tables, rng: np.random.Generator) -> list[Swapped]:
    """Attack as many evaluation as training rows, every row one copy.

    Nothing where there are too few, or where the rows lie apart without the batch, as after a split by time: a batch
    from elsewhere may then lie nearer to evaluation rows, and has not seen one.
    """
    once = distinct(without(tables, tables.identifying))
    small = Tables(subsample(once.batch, MAX_BATCH, rng), once.members, subsample(once.control, MAX_TARGETS, rng))
    if min(len(small.members), len(small.control)) < MIN_TARGETS or len(small.batch) < MIN_TARGETS:
        return []
    targets = draw_targets(small, rng)
    encoding = Encoding.learn(targets.rows)
    if _lie_apart(encoding.points(targets.rows), targets.is_member):
        return []
    near = neighbours(encoding.points(targets.rows), encoding.points(small.batch))
    scores = {name: score for name, score in distance_attacks(near).items() if name in RELATIVE}
    scores["exact_values"] = exact_values(count_values(targets.rows, small.batch, targets.others[:0]))
    is_evaluation = ~targets.is_member
    return [_judged(name, score, is_evaluation) for name, score in scores.items()]


def _lie_apart(points: Matrix, is_member: Bools) -> bool:
    """Whether more rows have their nearest row on their own side than a split at random gives.

    Notes
    -----
    M. F. Schilling, JASA 81 (1986), with one neighbour; a pair of rows that are nearest to each other counts twice, so
    the variance is at most twice the binomial one.
    """
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points).kneighbors(return_distance=False)[:, 0]
    n = len(points)
    beyond = float((is_member[nearest] == is_member).mean()) - (n / 2 - 1) / (n - 1)
    return bool(beyond > MANY_DEVIATIONS * np.sqrt(2 * 0.25 / n))


def _judged(name: str, score: Floats, is_evaluation: Bools) -> Swapped:
    test = stats.mannwhitneyu(score[is_evaluation], score[~is_evaluation], alternative="greater", method="asymptotic")
    n = int(is_evaluation.sum())
    return Swapped(name, float(test.statistic) / n**2, float(test.pvalue))
