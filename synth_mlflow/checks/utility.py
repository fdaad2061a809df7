"""Utility: does a model that learned from the batch do as well on real rows as one that learned from real rows?

The two arms of the utility check: models that learned from real rows, and from the batch in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from synth_mlflow.checks import Check, CheckInput, CheckResult, Metric
from synth_mlflow.checks._plots import REAL, SYNTHETIC, Dots, dots
from synth_mlflow.checks._smallest_effect import level_of_each, smallest_effect
from synth_mlflow.checks._tables import Tables, judged_tables, subsample, too_few
from synth_mlflow.data.slices import Mask
from synth_mlflow.data.splits import Positions, group_codes
from synth_mlflow.data.task import Task
from synth_mlflow.models.base import fit
from synth_mlflow.models.scoring import score_codes, truth_codes
from synth_mlflow.models.tuning import constant_prediction
from synth_mlflow.sweep.baseline import MODELS_OF_UTILITY, pairs_redrawn, rows_needed
from synth_mlflow.sweep.bootstrap import scores_by_weights

Floats = npt.NDArray[np.float64]

MIN_SLICE_ROWS = 50
MIN_CLASS_ROWS = 20  # control rows of a class; the spread of a score over fewer cannot be estimated
WHOLE = "all rows"
N_BOOTSTRAPS = 60
TINY = 1e-12
ROWS_OF_BATCH = "rows of the batch"
NOTICEABLE_DEVIATIONS = 3.0
MANY_TIMES = 5.0  # a spread that many times smaller takes 25 times the rows
FLOOR_DEVIATIONS = 2.33  # 99 of 100 draws of real rows
BESIDE = (
    "The slice is defined by the target, or leaves one class of it. Both arms learned from rows of the slice beside "
    "real rows of the rest and were scored on all evaluation rows; the gain is that over real rows of the rest alone."
)


@dataclass(frozen=True)
class _Comparison:
    """How the two arms do on some control rows."""

    name: str
    n_rows: int
    real: float
    synthetic: float
    chance: float
    standard_error: float
    """Of the difference if both arms were real: over training samples and over control rows."""
    degrees: float
    short_of: Mapping[str, int]
    """Rows of the kind that most of the spread comes from."""
    is_class: bool = False

    @property
    def gain(self) -> float:
        """What real rows teach beyond chance."""
        return self.real - self.chance

    @property
    def share(self) -> float:
        """The synthetic part of that gain."""
        return (self.synthetic - self.chance) / self.gain

    @property
    def p_value(self) -> float:
        """How often the synthetic arm would trail as far if it were as good as the real one."""
        return float(stats.t.cdf((self.synthetic - self.real) / self.standard_error, self.degrees))


class Utility:
    """Train on synthetic, test on the frozen real rows, beside training on as many real rows.

    The share of the real gain above chance was calibrated on Adult and California housing: the best generators keep
    0.95 and more, those whose classifier test is above 0.9 keep 0.3 to 0.75, shuffled labels nothing.
    """

    summary: ClassVar[str] = "train on synthetic, test on real, beside training on as many real rows"
    version: ClassVar[str] = "2"
    defaults: ClassVar[Mapping[str, float]] = {
        "alpha": 0.005,  # false alarms of this check, over all its probes
        "gain_share": 0.8,  # of what real rows teach above chance
        "part_gain_share": 0.7,  # the same inside each slice of the statement, and for each of three or more classes
        "detectable_share": 0.5,  # a share this low must be detectable before a verdict is given
    }

    def run(self, evidence: CheckInput, policy: Mapping[str, float]) -> CheckResult:
        """Train both arms and compare them."""
        trained, unusable = trainable(evidence), _unusable(evidence)
        short = too_few_rows(trained) or _one_value(trained, evidence)
        if short:
            return CheckResult(unusable, short)
        arms = train(trained, evidence)
        whole = _compare(WHOLE, arms, evidence, np.ones(len(arms.control), dtype=bool))
        if whole is None:
            return CheckResult(unusable, _undefined(arms, evidence))
        if _weak(whole, arms.without, policy, _rarest(arms, evidence, whole)):
            arms = train_more(arms, trained, evidence)
            whole = _compare(WHOLE, arms, evidence, np.ones(len(arms.control), dtype=bool)) or whole
        parts = [whole, *_slices(arms, evidence), *_classes(arms, evidence)]
        shown: dict[str, Any] = {
            "metrics": _metrics(whole, arms.n_training_rows),
            "tables": {"utility": pd.DataFrame([_row(part) for part in parts]), **_not_judged(arms, evidence, parts)},
            "figures": {"utility": _picture(parts, evidence, policy)},
        }
        probes = unusable + _probes(parts, evidence.task, policy)
        smallest = _smallest(whole, probes, policy)
        shown["metrics"] |= smallest
        words = f"{BESIDE if arms.beside_rest else ''} {_in_words(smallest)}".strip()
        weak = _weak(whole, arms.without, policy, _rarest(arms, evidence, whole))
        return CheckResult(probes, weak, words=words, **shown)


def _unusable(evidence: CheckInput) -> tuple[Metric, ...]:
    """A probe that fails where the batch has rows that no sweep can train on; none where it has no such row."""
    task, target = evidence.task, evidence.batch[evidence.task.target]
    classes = classes_of_members(evidence.members, task)
    n_missing = int(target.isna().sum())
    n_strange = int((~target.dropna().isin(classes)).sum()) if classes else 0
    causes = [(n_missing, "missing"), (n_strange, "of a class that no real training row has")]
    words = " and ".join(f"{n:,} of {len(target):,} targets are {what}" for n, what in causes if n)
    share = (n_missing + n_strange) / max(len(target), 1)
    note = f"{words}: no model can be trained on them; leave these rows out"
    return (Metric("unusable_targets", share, 0.0, column=task.target, note=note),) if words else ()


def _one_value(trained: Trained, evidence: CheckInput) -> str:
    """Why no score can be defined, or nothing."""
    sides = {"training": trained.members, "evaluation": trained.control}
    if trained.rest is not None:
        sides["training"] = pd.concat([trained.members, trained.rest], ignore_index=True)
    alone = [name for name, rows in sides.items() if rows[evidence.task.target].nunique() < 2]
    if not alone:
        return ""
    return (
        f"{' and '.join(alone)} rows hold one value of {evidence.task.target!r}: no model can learn from it, "
        "and no score is defined on it"
    )


def _undefined(arms: Arms, evidence: CheckInput) -> str:
    sizes = arms.control[evidence.task.target].value_counts()
    lacking = [str(label) for label in arms.classes if not sizes.get(label, 0)]
    missing = f": there is none of {', '.join(map(repr, lacking))}" if lacking else ""
    n_rows = len(arms.control)
    return f"{evidence.metric} is undefined on {n_rows:,} evaluation rows; it needs rows of every class{missing}"


def _slices(arms: Arms, evidence: CheckInput) -> list[_Comparison]:
    masks = {name: part.mask(arms.control) for name, part in evidence.slices.items()}
    comparisons = [_compare(name, arms, evidence, mask) for name, mask in masks.items() if mask.sum() >= MIN_SLICE_ROWS]
    return [one for one in comparisons if one is not None]


def _classes(arms: Arms, evidence: CheckInput) -> list[_Comparison]:
    """Each class against the rest; two classes mirror each other, and the whole has said it."""
    if len(arms.classes) < 3:
        return []
    sizes = arms.control[evidence.task.target].value_counts()
    judged = [place for place, label in enumerate(arms.classes) if sizes.get(label, 0) >= MIN_CLASS_ROWS]
    comparisons = [_one_class(arms, evidence, place) for place in judged]
    return [one for one in comparisons if one is not None]


def _not_judged(arms: Arms, evidence: CheckInput, judged: list[_Comparison]) -> dict[str, pd.DataFrame]:
    """The slices and classes without a verdict of their own, and why: said, not passed over."""
    slices = {name: int(part.mask(arms.control).sum()) for name, part in evidence.slices.items()}
    sizes = arms.control[evidence.task.target].value_counts()
    classes = {f"class {label}": int(sizes.get(label, 0)) for label in arms.classes if len(arms.classes) > 2}
    parts = [(name, n, MIN_SLICE_ROWS) for name, n in slices.items()]
    parts += [(name, n, MIN_CLASS_ROWS) for name, n in classes.items()]
    done = {part.name for part in judged}
    left = [
        {"part": name, "evaluation_rows": n, "needed": needed, "why": _why_not(n, needed, evidence.metric)}
        for name, n, needed in parts
        if name not in done
    ]
    return {"not_judged": pd.DataFrame(left)} if left else {}


def _why_not(n_rows: int, needed: int, metric: str) -> str:
    return "too few rows" if n_rows < needed else f"{metric} is undefined there, as where one class is left"


def _one_class(arms: Arms, evidence: CheckInput, place: int) -> _Comparison | None:
    target, label = evidence.task.target, arms.classes[place]
    control = arms.control.assign(**{target: arms.control[target] == label})
    real, synthetic, constant = (
        np.stack([1 - side[..., place], side[..., place]], -1) for side in (arms.real, arms.synthetic, arms.constant)
    )
    against_rest = Arms(real, synthetic, constant, control, (False, True), arms.n_training_rows)
    binary = replace(evidence, metric="roc_auc", task=Task(target, "binary"))
    comparison = _compare(f"class {label}", against_rest, binary, np.ones(len(control), dtype=bool))
    return comparison and replace(comparison, is_class=True)


def _compare(name: str, arms: Arms, evidence: CheckInput, mask: Mask) -> _Comparison | None:
    truth = truth_codes(arms.control.loc[mask, evidence.task.target], arms.classes)

    def rated(predictions: Floats) -> float:
        return score_codes(evidence.metric, evidence.task, truth, predictions)

    real, synthetic = (np.array([rated(one) for one in arm[:, mask]]) for arm in (arms.real, arms.synthetic))
    chance = rated(arms.constant[mask])
    if not np.isfinite([*real, *synthetic, chance]).all():
        return None
    rng = np.random.default_rng([evidence.seed, 37])
    weights = _redraws(group_codes(arms.control[mask], evidence.task), len(truth), rng)
    redrawn = np.mean(
        [_gaps(arms, at, mask, truth, weights, evidence) for at in range(pairs_redrawn(len(truth), len(arms.real)))],
        axis=0,
    )
    # The question is whether the batch is as good as real rows; if it is, both arms spread as the real one does.
    training, testing = 2 * float(np.var(real, ddof=1)), float(np.nanvar(redrawn, ddof=1))
    spread = max(float(np.sqrt(training + testing)), TINY)
    degrees = spread**4 / (training**2 / (len(real) - 1) + testing**2 / (N_BOOTSTRAPS - 1) + TINY**4)  # B. L. Welch
    halved = (
        evidence.choosing is not None and not evidence.choosing.all() and (evidence.slice is None or arms.beside_rest)
    )
    tested = "evaluation rows of the selection split" if halved else "evaluation rows"
    short_of = {tested: len(truth)} if testing > training else arms.short_of
    means = float(real.mean()), float(synthetic.mean())
    return _Comparison(name, len(truth), *means, chance, spread, max(degrees, 1.0), short_of)


def _gaps(arms: Arms, at: int, mask: Mask, truth: Floats, weights: Floats, evidence: CheckInput) -> Floats:
    """Batch minus real rows by one pair of models, on each draw of the control: shape (n_draws,)."""
    pair = (
        scores_by_weights(evidence.metric, evidence.task, truth, arm[at, mask], weights)
        for arm in (arms.synthetic, arms.real)
    )
    return np.subtract(*pair)


def _redraws(groups: Positions | None, n_rows: int, rng: np.random.Generator) -> Floats:
    """How often each row is drawn: shape (N_BOOTSTRAPS, n_rows); rows of one group are drawn together."""
    n_units = n_rows if groups is None else int(groups.max()) + 1
    drawn = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=N_BOOTSTRAPS).astype(np.float64)
    return drawn if groups is None else drawn[:, groups]


def _rarest(arms: Arms, evidence: CheckInput, whole: _Comparison) -> tuple[str, int, int] | None:
    """The class with the fewest control rows, their number where it is too small for any spread, and what is needed."""
    if not arms.classes:
        return None
    sizes = arms.control[evidence.task.target].value_counts()
    label = min(arms.classes, key=lambda one: int(sizes.get(one, 0)))
    n_rows = int(sizes.get(label, 0))
    if n_rows >= MIN_CLASS_ROWS:
        return None
    error = whole.standard_error / np.sqrt(2)  # of one arm
    return str(label), n_rows, evidence.rare_class_needs or rows_needed(evidence.metric, n_rows, whole.gain, error)


def _weak(whole: _Comparison, without: str, policy: Mapping[str, float], rarest: tuple[str, int, int] | None) -> str:
    needed = float(stats.t.isf(policy["alpha"], whole.degrees) + stats.norm.ppf(0.8)) * whole.standard_error
    provable = (1 - policy["detectable_share"]) * whole.gain
    if rarest is not None and needed > provable:
        label, n_rows, enough = rarest
        return (
            f"too few positives ({n_rows}) in the control to tell, rows of class {label!r}; about {enough:,} are "
            "needed: add real rows of this class before `freeze`, or hold out a larger share"
        )
    if whole.gain <= NOTICEABLE_DEVIATIONS * whole.standard_error:
        return (
            f"real rows themselves teach nothing that can be measured: {whole.real:.3g} on evaluation rows, {without} "
            f"{whole.chance:.3g}; {_more_rows(whole, needed, provable)}choose a model or a metric that learns from "
            "real rows"
        )
    if needed > provable:
        nearer = needed / provable
        return (
            f"too few rows to see a batch that keeps only {policy['detectable_share']:.0%} of the real gain; about "
            f"{nearer**2:.1f} times as many would do: {_rows_for(whole, nearer)}{_larger_batch(whole, nearer)}"
        )
    return ""


def _more_rows(whole: _Comparison, needed: float, provable: float) -> str:
    """How many rows would show what real rows teach, where the number is one that people can act on; or nothing."""
    if not 0 < needed <= MANY_TIMES * provable:
        return ""
    return f"if that gain is true, about {_rows_for(whole, needed / provable)} would show it; or "


def _rows_for(whole: _Comparison, times_nearer: float) -> str:
    """How many rows, of the kind that most of the spread comes from, make the spread so many times smaller."""
    needed = _rows_needed(whole, times_nearer)
    return ", ".join(f"{name} {n_rows:,} instead of {whole.short_of[name]:,}" for name, n_rows in needed.items())


def _larger_batch(whole: _Comparison, times_nearer: float) -> str:
    """What to paste where the batch is too small; or nothing."""
    n_rows = _rows_needed(whole, times_nearer).get(ROWS_OF_BATCH)
    return "" if n_rows is None else f"; make it again with `synth-mlflow generate … --rows {n_rows}`"


def _rows_needed(whole: _Comparison, times_nearer: float) -> dict[str, int]:
    return {name: ceil(n_rows * times_nearer**2) for name, n_rows in whole.short_of.items()}


def _smallest(whole: _Comparison, probes: tuple[Metric, ...], policy: Mapping[str, float]) -> dict[str, float]:
    """The largest share of the real gain that would have failed in four of five cases; may lie below zero."""
    if whole.gain <= 0:
        return {}
    error = whole.standard_error / whole.gain
    level = level_of_each(probes, policy["alpha"])
    floor, limit = FLOOR_DEVIATIONS * error, 1 - policy["gain_share"]
    lost = smallest_effect(error, alpha=level, limit=limit, floor=floor, degrees=whole.degrees)
    return {"detectable_gain_share": 1 - lost}


def _in_words(smallest: Mapping[str, float]) -> str:
    share = smallest.get("detectable_gain_share")
    if share is None:
        return ""
    if share <= 0:
        return "At these sizes, no batch that keeps anything of the real gain would have failed in four of five cases."
    return f"At these sizes, a batch that keeps {share:.0%} of the real gain would have failed in four of five cases."


def _probes(parts: list[_Comparison], task: Task, policy: Mapping[str, float]) -> tuple[Metric, ...]:
    return tuple(_probe(part, task, policy) for part in parts if part.gain > 0)


def _probe(part: _Comparison, task: Task, policy: Mapping[str, float]) -> Metric:
    name = "gain_share" if part.name == WHOLE else f"gain_share_{part.name.replace(' ', '_')}"
    floor = 1 - FLOOR_DEVIATIONS * part.standard_error / part.gain
    scores = f"synthetic {part.synthetic:.3f}, real {part.real:.3f}, chance {part.chance:.3f}"
    note = f"{scores} on {part.n_rows:,} real rows"
    return Metric(name, part.share, _limit(part, policy), "high", task.target, floor, part.p_value, note)


def _limit(part: _Comparison, policy: Mapping[str, float]) -> float:
    return policy["gain_share"] if part.name == WHOLE else policy["part_gain_share"]


def _metrics(whole: _Comparison, n_training_rows: int) -> dict[str, float]:
    metrics = {
        "synthetic_score": whole.synthetic,
        "real_score": whole.real,
        "chance_score": whole.chance,
        "difference": whole.synthetic - whole.real,
        "difference_standard_error": whole.standard_error,
        "training_rows": float(n_training_rows),
    }
    return metrics | ({"gain_share": whole.share} if whole.gain > 0 else {})


def _row(part: _Comparison) -> dict[str, Any]:
    reach = float(stats.t.ppf(0.975, part.degrees)) * part.standard_error
    gap = part.synthetic - part.real
    return {
        "rows": part.name, "n_rows": part.n_rows, "real": part.real, "synthetic": part.synthetic, "chance": part.chance,
        "difference": gap, "low": gap - reach, "high": gap + reach, "p_value": part.p_value,
    }  # fmt: skip


def _picture(parts: list[_Comparison], evidence: CheckInput, policy: Mapping[str, float]) -> Figure:
    reach = [1.96 * part.standard_error / np.sqrt(2) for part in parts]
    series = (
        Dots("real rows", [part.real for part in parts], reach, REAL),
        Dots("batch", [part.synthetic for part in parts], reach, SYNTHETIC),
    )
    limits = [part.chance + _limit(part, policy) * part.gain for part in parts]
    names = [f"{part.name} (AUC)" if part.is_class else part.name for part in parts]
    title = "Trained on as many real rows, and on the batch"
    return dots(names, series, limits, title=title, label=f"{evidence.metric} on frozen real rows")


plugin: type[Check] = Utility


MAX_TRAINING_ROWS = 10_000
MAX_CONTROL_ROWS = 10_000
MIN_ROWS = 50
N_REPEATS = 6
N_MORE = MODELS_OF_UTILITY - N_REPEATS  # the spread of few is known too little: Student's law asks for more then
SUBSAMPLE = 0.8  # of the rows there are: repeats of full samples would not differ on a small table


@dataclass(frozen=True)
class Trained:
    """What both arms may learn from, and the evaluation rows that they are scored on."""

    batch: pd.DataFrame
    members: pd.DataFrame
    control: pd.DataFrame
    classes: tuple[Any, ...]
    """Of all real training rows; empty for regression."""
    rest: pd.DataFrame | None = None
    """Real rows outside the slice, which both arms learn from too; None where the batch is judged within its slice."""


@dataclass(frozen=True)
class Arms:
    """Predictions on the control: shape (n_repeats, n_control, …) each."""

    real: Floats
    synthetic: Floats
    constant: Floats
    """Of a model that has not seen what the arms are compared by: a constant, or real rows outside the slice alone."""
    control: pd.DataFrame
    classes: tuple[Any, ...]
    n_training_rows: int
    beside_rest: bool = False
    n_batch: int | None = None
    """Rows of the batch, where these are what the arms are short of."""

    @property
    def short_of(self) -> Mapping[str, int]:
        """The rows that would make both arms larger."""
        if self.n_batch is None:
            return {"training rows in each arm": self.n_training_rows}
        return {ROWS_OF_BATCH: self.n_batch}

    @property
    def without(self) -> str:
        """What the arms are compared with, for people."""
        return "real rows outside the slice alone" if self.beside_rest else "a constant prediction"


def trainable(evidence: CheckInput) -> Trained:
    """The rows with a target of a class that training rows have: within the slice, or beside the rest of real rows.

    Within a slice no score is defined where one class is left, and none means much where the slice is cut out of the
    target: there the rows of the slice are put beside real rows of the rest, and scored on all evaluation rows.
    """
    task, part = evidence.task, evidence.slice
    within = judged_tables(evidence)
    if part is None:
        return _of_known_classes(
            within.batch, within.members, _selected(evidence, within.control), within.members, task
        )
    trained = _of_known_classes(within.batch, within.members, within.control, within.members, task)
    if task.target not in part.columns and _varies(trained, task):
        return trained
    whole = judged_tables(replace(evidence, slice=None))
    trained = _of_known_classes(within.batch, within.members, _selected(evidence, whole.control), whole.members, task)
    outside = whole.members[~part.mask(whole.members) & whole.members[task.target].notna().to_numpy()]
    return replace(trained, rest=outside.reset_index(drop=True))


def too_few_rows(trained: Trained) -> str:
    """Why no model can be trained and tested, or nothing."""
    tables = Tables(trained.batch, trained.members, trained.control)
    return too_few(tables, needed=MIN_ROWS, needed_batch=MIN_ROWS, why="train and test a model")


def train(trained: Trained, evidence: CheckInput) -> Arms:
    """Fit both arms on as many rows, again and again."""
    rng = np.random.default_rng([evidence.seed, 31])
    control, classes = subsample(trained.control, MAX_CONTROL_ROWS, rng), trained.classes
    n_rows = min(*(int(SUBSAMPLE * len(side)) for side in (trained.batch, trained.members)), MAX_TRAINING_ROWS)
    real, synthetic = _fits(trained, control, evidence, n_rows, N_REPEATS, rng)
    if trained.rest is None:
        constant = constant_prediction(trained.members[evidence.task.target], classes, len(control))
    else:
        constant = _fitted(_beside(trained.members[:0], trained.rest, rng), control, evidence, classes)
    n_batch = len(trained.batch) if len(trained.batch) < len(trained.members) else None
    return Arms(real, synthetic, constant, control, classes, n_rows, trained.rest is not None, n_batch)


def train_more(arms: Arms, trained: Trained, evidence: CheckInput) -> Arms:
    """The arms with further fits beside theirs: few fits say little of how far apart fits lie."""
    rng = np.random.default_rng([evidence.seed, 32])
    more = _fits(trained, arms.control, evidence, arms.n_training_rows, N_MORE, rng)
    real, synthetic = (np.concatenate(pair) for pair in zip((arms.real, arms.synthetic), more, strict=True))
    return replace(arms, real=real, synthetic=synthetic)


def _fits(
    trained: Trained, control: pd.DataFrame, evidence: CheckInput, n_rows: int, n_repeats: int, rng: np.random.Generator
) -> list[Floats]:
    """What models of real rows, and of the batch, predict: each of shape (n_repeats, n_control, …)."""
    sides = (trained.members, group_codes(trained.members, evidence.task)), (trained.batch, None)
    arms = []
    for rows, groups in sides:
        draws = (_beside(_drawn(rows, n_rows, rng, groups), trained.rest, rng) for _ in range(n_repeats))
        arms.append(np.stack([_fitted(drawn, control, evidence, trained.classes) for drawn in draws]))
    return arms


def classes_of_members(members: pd.DataFrame, task: Task) -> tuple[Any, ...]:
    """The classes of training rows, in the order of probabilities; none for regression."""
    return tuple(sorted(members[task.target].dropna().unique().tolist())) if task.is_classification else ()


def _selected(evidence: CheckInput, control: pd.DataFrame) -> pd.DataFrame:
    """Without the rows that confirm: a batch that passes for its score on them would state too high a score."""
    return control if evidence.choosing is None else control[evidence.choosing].reset_index(drop=True)


def _of_known_classes(
    batch: pd.DataFrame, members: pd.DataFrame, control: pd.DataFrame, reference: pd.DataFrame, task: Task
) -> Trained:
    """The rows with a target, and of batch and control those with a class that the reference rows have."""
    classes = classes_of_members(reference, task)
    sides = (rows[rows[task.target].notna()] for rows in (batch, members, control))
    sides_of_classes = [rows[rows[task.target].isin(classes)] if classes else rows for rows in sides]
    judged, learned, scored = (rows.reset_index(drop=True) for rows in sides_of_classes)
    return Trained(judged, learned, scored, classes)


def _varies(trained: Trained, task: Task) -> bool:
    """Whether both sides of a slice hold more than one value of the target."""
    return all(rows[task.target].nunique() > 1 for rows in (trained.members, trained.control))


def _drawn(rows: pd.DataFrame, n_rows: int, rng: np.random.Generator, groups: Positions | None) -> pd.DataFrame:
    """About ``n_rows`` rows without replacement: whole groups where rows come in groups."""
    if groups is None:
        return subsample(rows, n_rows, rng)
    order = rng.permutation(int(groups.max()) + 1)
    n_groups = int(np.searchsorted(np.cumsum(np.bincount(groups)[order]), n_rows, "right"))
    return rows[np.isin(groups, order[: max(n_groups, 1)])].reset_index(drop=True)


def _beside(drawn: pd.DataFrame, rest: pd.DataFrame | None, rng: np.random.Generator) -> pd.DataFrame:
    if rest is None:
        return drawn
    n_rest = min(int(SUBSAMPLE * len(rest)), MAX_TRAINING_ROWS)
    return pd.concat([subsample(rest, n_rest, rng), drawn], ignore_index=True)


def _fitted(rows: pd.DataFrame, control: pd.DataFrame, evidence: CheckInput, classes: tuple[Any, ...]) -> Floats:
    target = rows[evidence.task.target]
    if target.nunique() < 2:  # nothing can be learned from a constant
        return constant_prediction(target, classes, len(control))
    model = fit(evidence.model, evidence.task, rows, seed=evidence.seed, classes=classes or None)
    return np.asarray(model.predict(control), dtype=np.float64)
