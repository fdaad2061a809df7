"""Fidelity: does the batch follow the law of the real rows, column by column, pair by pair and as a whole?

Probes of columns that name rows or groups: by uniqueness and form alone, since their values mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import hypergeom, norm

from synth_mlflow.checks import Check, CheckInput, CheckResult, Metric
from synth_mlflow.checks._columns import column_probes
from synth_mlflow.checks._conversations import conversation_findings
from synth_mlflow.checks._date_orders import date_order_probes
from synth_mlflow.checks._joint import (
    MAX_BESIDE,
    Classified,
    ControlShiftTest,
    blind_test,
    classifier_probes,
    classify,
    isolated_rows,
    repeated_rows,
    worst_slices,
)
from synth_mlflow.checks._near_texts import text_columns
from synth_mlflow.checks._pairs import Family, pair_families, pair_probes
from synth_mlflow.checks._plots import bars, heat, marginals
from synth_mlflow.checks._smallest_effect import level_of_each, smallest_column_distance, smallest_effect
from synth_mlflow.checks._tables import Tables, few_rows_in_words, judged_tables, later_columns, without
from synth_mlflow.checks._texts import text_findings
from synth_mlflow.data.columns import CATEGORICAL_KINDS
from synth_mlflow.data.identifier_forms import are_of_form, known_form
from synth_mlflow.data.splits import group_codes
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.encoding import Encoding
from synth_mlflow.metrics.intervals import rows_beside, rows_for_auc, standard_error_of_auc
from synth_mlflow.metrics.null_distribution import effective_root
from synth_mlflow.metrics.two_sample import SPREAD_INFLATION

MAX_PANELS = 16
MIN_ROWS = 10  # of real rows and of the batch: fewer have no shape to compare
WITHIN = ("no real row has", "no real row of the slice has")  # what a statistic's note says within a slice
PROBES_A_COLUMN = 8  # about as many p-values as a column gives, with its pairs; for power only


class Fidelity:
    """Columns, pairs, and a classifier test, each against the noise floor of real rows against real rows.

    Columns and pairs are compared with members and control together. The classifier learns control against batch:
    members would reward a generator for copying them. Its limit lies between what useful generators
    reach (0.58 to 0.67 on Adult and California housing) and the Gaussian copula of the known-answer tables (0.775).
    """

    summary: ClassVar[str] = "column, pair and classifier distances against the noise floor of real rows"
    version: ClassVar[str] = "5"
    defaults: ClassVar[Mapping[str, float]] = {
        "alpha": 0.005,  # false alarms of this check, over all its probes
        "classifier_auc": 0.70,
        "column_distance": 0.10,  # Kolmogorov–Smirnov or total variation
        "missing_gap": 0.03,
        "clean_share": 0.5,  # of gaps, tails, outliers, rare levels, repeats and odd rows that must be left
        "outside_range": 0.01,
        "heaping_gap": 0.10,
        "off_grid": 0.02,  # of values that leave what all real ones keep to, such as month starts or 2 decimals
        "broken_date_orders": 0.01,  # of rows with a date before another that it follows in every real row
        "part_distance": 0.10,  # total variation of weekdays, days of the month, hours, last digits
        "unseen_levels": 0.01,
        "absent_levels": 0.005,
        "pair_distance": 0.20,  # beyond what real rows of these sizes show by chance
        "association_gap": 0.12,
        "correlation_gap": 0.12,
        "repeated_rows": 0.02,
        "text_classifier_auc": 0.90,  # of free text: another language or subject, not another hand
        "strange_letters": 0.05,  # texts of other alphabets or sequences of letters, beyond those among real ones
        "off_topic_texts": 0.05,  # that no real text resembles, as far as pieces of words tell
        "near_duplicate_texts": 0.10,
        "refusals": 0.005,
        "malformed_conversations": 0.01,  # turns out of order, empty ones, unknown speakers
        "conversation_length": 0.2,  # Kolmogorov–Smirnov, in tokens and in turns
        "detectable_auc": 0.75,  # what the classifier test must be able to find before a verdict is given
    }

    def run(self, evidence: CheckInput, policy: Mapping[str, float]) -> CheckResult:
        """Compare the batch with real rows: columns and pairs always, the whole where the rows allow it."""
        all_columns = judged_tables(evidence)
        group = evidence.task.group
        named = _names_of(evidence)
        tables = without(all_columns, [name for name in all_columns.members if name in named - {group}])
        unknown = _too_few(tables, policy)
        if min(len(tables.batch), tables.n_real) < MIN_ROWS:
            return CheckResult((), unknown)
        rng = np.random.default_rng([evidence.seed, 41])
        whole = None if unknown else _whole(tables, evidence, rng)
        later = later_columns(evidence, tables) if evidence.task.time and whole else []
        if later:  # a split by time has put them apart; what else differs is asked without them
            whole = _whole(without(tables, later), evidence, rng)
        if whole is not None:
            unknown = whole.blind.differ or _too_few_groups(tables, whole.classified, evidence.task, policy)
        # where too few rows show whether both sides follow one distribution, a good
        # batch answers for training rows alone
        untested = whole is None and len(tables.members) >= MIN_ROWS
        differ = untested or bool(later) or (whole is not None and bool(whole.blind.differ))
        if whole is None and not differ:
            tables = without(tables, later_columns(evidence, tables))
        real = tables.members if differ else tables.real
        judged = Compared(real, tables.batch, evidence.task)
        families = pair_families(judged.real, judged.batch, rng, judged.groups)
        texts = text_findings(judged.real, judged.batch, evidence.task, policy, rng, judged.groups, evidence.embedding)
        turns = conversation_findings(
            judged.real, judged.batch, evidence.task, policy, evidence.tokenize, judged.groups
        )
        real_hashes = tables.hashes[1] if differ else tables.real_hashes()
        probes = [
            *(_of_whole_rows(whole.classified, evidence, policy) if whole is not None and not unknown else ()),
            *repeated_rows(real_hashes, tables.hashes[0], policy, rng, judged.groups),
            *_isolated(judged, evidence.task, policy["clean_share"], rng),
            *column_probes(judged.real, judged.batch, judged.encoding.schema, policy, rng, judged.groups),
            *pair_probes(families, policy),
            *date_order_probes(real, tables.batch, policy, evidence.task.group),
            *name_probes(all_columns, named, policy, rng),
            *texts.probes,
            *turns.probes,
        ]
        if evidence.slice is not None:
            probes = [replace(probe, note=probe.note.replace(*WITHIN)) for probe in probes]
        shown = _shown(judged, whole, probes, families, policy, rng)
        smallest = _smallest(probes, None if unknown else whole, judged, policy["alpha"])
        shown["metrics"] |= smallest
        worst = [each for each in (texts.worst, turns.worst) if len(each)]
        if worst:
            shown["tables"]["worst_texts"] = pd.concat(worst, ignore_index=True)
        return CheckResult(tuple(probes), unknown, **shown, words=_words(differ, group, smallest))


def _names_of(evidence: CheckInput) -> frozenset[str]:
    """The columns that name rows or groups, but for those that a slice looks at."""
    looked_at = {name for part in evidence.slices.values() for name in part.columns}
    return evidence.task.names_rows - looked_at


@dataclass(frozen=True)
class Whole:
    """Whole rows: the batch against evaluation rows, and training rows against evaluation rows without the batch."""

    classified: Classified
    blind: ControlShiftTest


class Compared:
    """The real rows that columns and pairs are compared with, and the batch, both without the column of groups."""

    def __init__(self, real: pd.DataFrame, batch: pd.DataFrame, task: Task) -> None:
        self.groups = group_codes(real, task)
        self.real, self.batch = (
            rows if task.group is None else rows.drop(columns=task.group) for rows in (real, batch)
        )
        if self.groups is not None and self.groups.max() < 1:
            self.groups = None  # one group cannot be split
        self.encoding = Encoding.learn(self.real)


def _isolated(judged: Compared, task: Task, limit: float, rng: np.random.Generator) -> Iterator[Metric]:
    """Odd rows by all columns but free text: that some real rows have one text in common makes no other row odd."""
    texts = text_columns(task, judged.real)
    if not texts:
        yield from isolated_rows(judged.real, judged.batch, judged.encoding, limit, rng, judged.groups)
    elif len(texts) < judged.real.shape[1]:
        real, batch = (rows.drop(columns=texts) for rows in (judged.real, judged.batch))
        yield from isolated_rows(real, batch, Encoding.learn(real), limit, rng, judged.groups)


def _of_whole_rows(classified: Classified, evidence: CheckInput, policy: Mapping[str, float]) -> Iterator[Metric]:
    """The classifier test; a slice of the statement that the batch was made for is the whole here."""
    own = evidence.slice.text if evidence.slice else ""
    others = {name: part for name, part in evidence.slices.items() if part.text != own}
    yield from classifier_probes(classified, others, policy["classifier_auc"])


def _whole(tables: Tables, evidence: CheckInput, rng: np.random.Generator) -> Whole:
    encoding = Encoding.learn(tables.without(evidence.task.group).real)
    classified = classify(tables, encoding, evidence.task, evidence.seed, rng)
    sides, task = (tables.members, tables.control), evidence.task
    return Whole(classified, blind_test(*sides, encoding, seed=evidence.seed, floor=classified.floor, task=task))


def _too_few(tables: Tables, policy: Mapping[str, float]) -> str:
    """Why whole rows cannot be judged: the batch beside the control, and members beside the control without a batch."""
    target, alpha = policy["detectable_auc"], policy["alpha"]
    each = alpha / (PROBES_A_COLUMN * tables.members.shape[1])
    sizes = {name: len(getattr(tables, name)) for name in ("batch", "members", "control")}
    few, many = sorted(("batch", "control"), key=lambda name: min(sizes[name], MAX_BESIDE))
    needed = dict.fromkeys(("members", "control"), rows_for_auc(target, alpha=alpha, inflation=SPREAD_INFLATION))
    beside = rows_beside(min(sizes[many], MAX_BESIDE), target, alpha=each, inflation=SPREAD_INFLATION)
    equal = rows_for_auc(target, alpha=each, inflation=SPREAD_INFLATION)
    short = {few: beside} if beside <= equal else {few: equal, many: equal}  # both sides are too small
    needed |= {name: max(least, needed.get(name, 0)) for name, least in short.items()}
    why = f"notice a classifier of AUC {target:.2f} between the batch and real rows (false-alarm rate {alpha:g})"
    return few_rows_in_words(why, {name: (sizes[name], least) for name, least in needed.items()})


def _too_few_groups(tables: Tables, classified: Classified, task: Task, policy: Mapping[str, float]) -> str:
    """Why whole rows cannot be judged where groups are few, or nothing."""
    if task.group is None or classified.noise <= policy["detectable_auc"]:
        return ""
    n_groups = tables.real[task.group].nunique(dropna=False)
    return (
        f"too few groups to find a classifier test of {policy['detectable_auc']:.2f}: real rows of {n_groups:,} groups "
        f"of {task.group!r}, split by group, reach {classified.noise:.2f} among themselves; rows of more "
        "groups would help"
    )


def _smallest(probes: Sequence[Metric], whole: Whole | None, judged: Compared, alpha: float) -> dict[str, float]:
    """What the classifier test, and the distance of the number that is compared worst, would have found."""
    level, smallest = level_of_each(probes, alpha), {}
    effects = [
        smallest_column_distance(probe, int(judged.real[name].count()), int(judged.batch[name].count()), level)
        for probe in probes
        if probe.name == "column_distance" and probe.value is not None and (name := _number(judged, probe))
    ]
    if effects:
        smallest["detectable_column_distance"] = max(effects)
    if whole is not None:
        probe = next(one for one in probes if one.name == "classifier_auc")
        smallest["detectable_classifier_auc"] = _smallest_auc(probe, whole.classified, level)
    return smallest


def _number(judged: Compared, probe: Metric) -> str:
    """The column that a statistic is about, if it is a number."""
    name = probe.column or ""
    return name if name and judged.encoding.schema[name] not in CATEGORICAL_KINDS else ""


def _smallest_auc(probe: Metric, classified: Classified, level: float) -> float:
    """The spread is that of real rows against real rows, or what the rank law says where that is larger."""
    sizes = len(classified.control), len(classified.batch)
    measured = float(classified.floor.spread.ravel()[0]) / effective_root(*sizes)
    spread = max(measured, standard_error_of_auc(*sizes))
    limits = (probe.limit - 0.5, (probe.floor or 0.5) - 0.5)
    return min(0.5 + smallest_effect(spread, alpha=level, limit=limits[0], floor=limits[1]), 1.0)


def _words(differ: bool, group: str | None, smallest: Mapping[str, float]) -> str:
    words = (
        "Columns and pairs were compared with training rows alone, since evaluation rows differ from them, or too few "
        "rows show that they do not. "
        if differ
        else ""
    )
    if group is not None:
        words += (
            f"The set was split by {group!r}: real rows were compared by whole groups, and that column was left out."
        )
    names = {
        "detectable_classifier_auc": "a classifier test of AUC",
        "detectable_column_distance": "a Kolmogorov–Smirnov distance of any number of",
    }
    effects = [f"{name} {smallest[key]:.3f}" for key, name in names.items() if key in smallest]
    if effects:
        words += f" At these sizes, {' or '.join(effects)} would have failed in four of five cases."
    return words.strip()


def _shown(
    judged: Compared,
    whole: Whole | None,
    probes: Sequence[Metric],
    families: Sequence[Family],
    policy: Mapping[str, float],
    rng: np.random.Generator,
) -> dict[str, Any]:
    metrics, tables = _worst_by_name(probes), {"probes": _table(probes)}
    figures = _figures(judged, probes, families, rng)
    if whole is not None:
        metrics = {**_classifier_metrics(whole.classified, policy), **whole.blind.metrics, **metrics}
        tables["worst_slices"] = worst_slices(whole.classified)
        figures["give_away"] = _give_away(whole.classified, policy["classifier_auc"])
    return {"metrics": metrics, "tables": tables, "figures": figures}


def _classifier_metrics(classified: Classified, policy: Mapping[str, float]) -> dict[str, float]:
    limit = policy["classifier_auc"]
    return {
        "classifier_auc": classified.test.auc,
        "classifier_auc_floor": classified.noise,
        "classifier_auc_limit": limit,
    }


def _worst_by_name(probes: Sequence[Metric]) -> dict[str, float]:
    worst: dict[str, float] = {}
    for probe in probes:
        if probe.value is not None and not probe.name.startswith("classifier_auc"):
            pick = max if probe.better == "low" else min
            key = f"worst_{probe.name}"
            worst[key] = pick(worst.get(key, probe.value), probe.value)
    return worst


def _table(probes: Sequence[Metric]) -> pd.DataFrame:
    return pd.DataFrame([vars(probe) for probe in probes]).sort_values("p_value", ignore_index=True)


def _figures(
    judged: Compared, probes: Sequence[Metric], families: Sequence[Family], rng: np.random.Generator
) -> dict[str, Figure]:
    distances = {p.column: p for p in probes if p.name == "column_distance" and p.column and p.value is not None}
    shown = sorted(distances, key=lambda name: -(distances[name].value or 0.0))[:MAX_PANELS]
    wide = {name for name, probe in distances.items() if (probe.value or 0.0) > probe.limit}
    notes = {name: f"{distances[name].value:.2f}" for name in shown if name in wide}
    figures = {"marginals": marginals(judged.real, judged.batch, shown, notes, rng, judged.groups)}
    titles = {
        "correlation_gap": "Rank correlation, batch minus real",
        "association_gap": "Cramér's V, batch minus real",
    }
    for family in families:
        if family.name in titles:
            beyond = np.abs(family.difference) > family.floor
            figures[family.name] = heat(family.difference, family.columns, titles[family.name], beyond)
    return figures


def _give_away(classified: Classified, limit: float) -> Figure:
    return bars(
        classified.encoding.schema.columns,
        classified.test.importance,
        title=f"What gives the batch away: classifier test {classified.test.auc:.3f}\n"
        f"(real against real up to {classified.noise:.3f}, limit {limit:.2f})",
        label="share of the classifier's gain",
    )


plugin: type[Check] = Fidelity


_RUNS = ((re.compile(r"[a-z]+"), "a"), (re.compile(r"[A-Z]+"), "A"), (re.compile(r"\d+"), "9"))
FLOOR_QUANTILE = 0.99
N_SPLITS = 100


def name_probes(
    tables: Tables, names: frozenset[str], policy: Mapping[str, float], rng: np.random.Generator
) -> Iterator[Metric]:
    """For each identifier: does it repeat more often than real ones do, and has it their form?"""
    for name in tables.batch.columns:
        if name in names and tables.real[name].notna().any():
            yield _repeats(tables, name, policy["repeated_rows"])
            yield _form(tables, name, policy["unseen_levels"], rng)


def _repeats(tables: Tables, name: str, limit: float) -> Metric:
    batch, real = (rows[name].value_counts().to_numpy() for rows in (tables.batch, tables.members))
    n_rows = min(int(batch.sum()), int(real.sum())) if (real > 1).any() else 0  # more rows repeat values more often
    (share, noise), (real_share, real_noise) = (_repeated(sizes, n_rows) for sizes in (batch, real))
    note = f"{share:.2%} of the batch stand in more than one row, {real_share:.2%} of {n_rows or 'the'} training rows"
    floor = float(norm.ppf(FLOOR_QUANTILE) * np.hypot(noise, real_noise))
    return Metric("repeated_identifiers", max(share - real_share, 0.0), limit, column=name, floor=floor, note=note)


def _repeated(sizes: npt.NDArray[np.integer[Any]], n_rows: int) -> tuple[float, float]:
    """The share of rows whose value stands in others too, and its standard error over distinct values.

    ``sizes`` are the rows of each value, of shape (n_values,); the share is that among ``n_rows`` rows drawn without
    replacement, 0 for all rows.

    Notes
    -----
    Drawing as many rows of both sides is rarefaction: S. H. Hurlbert, Ecology 52 (1971). The standard error is that of
    a share over clusters: W. G. Cochran, Sampling Techniques (1977), section 9A.
    """
    total = int(sizes.sum())
    if not total:
        return 0.0, 0.0
    rows = sizes * (n_rows or total) / total
    repeated = rows - hypergeom.pmf(1, total, sizes, n_rows or total)
    share = float(repeated.sum() / rows.sum())
    return share, float(np.sqrt(((repeated - share * rows) ** 2).sum()) / rows.sum())


def _form(tables: Tables, name: str, limit: float, rng: np.random.Generator) -> Metric:
    present = tables.batch[name].dropna()
    public = known_form(tables.real[name].dropna())
    if public:
        texts = present.drop_duplicates().astype("str")
        strange = texts[[not are_of_form(public, texts.iloc[[at]]) for at in range(len(texts))]]
        share = float(present.astype("str").isin(set(strange)).mean()) if len(present) else 0.0
        note = f"{share:.2%} of the batch are no {public}, as all real values are"
        return Metric("identifier_form", share, limit, column=name, note=note)
    batch, real = _forms(present), _forms(tables.real[name].dropna())
    share = float((~batch.isin(set(real))).mean()) if len(batch) else 0.0
    note = f"{share:.2%} of the batch have a form that no real value has"
    return Metric("identifier_form", share, limit, column=name, floor=_floor(real, rng), note=note)


def _forms(values: pd.Series) -> pd.Series:
    """Letters, capitals and digits by class, each run as one: ``INV-00017`` is ``A-9``."""
    texts = values.astype("int64" if pd.api.types.is_numeric_dtype(values.dtype) else "str").astype("str")
    for run, mark in _RUNS:
        texts = texts.str.replace(run.pattern, mark, regex=True)
    return texts


def _floor(real: pd.Series, rng: np.random.Generator) -> float:
    """The share of unknown forms that 99 of 100 halves of the real values show the other half."""
    codes, levels = pd.factorize(real)
    shares = []
    for _ in range(N_SPLITS):
        first = rng.random(len(codes)) < 0.5
        known = np.zeros(len(levels), dtype=bool)
        known[codes[first]] = True
        shares.append(float((~known[codes[~first]]).mean()) if (~first).any() else 0.0)
    return float(np.quantile(shares, FLOOR_QUANTILE))
