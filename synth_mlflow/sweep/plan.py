"""What a sweep will do: its plan, its fits by key, and the rows that each fit takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from synth_mlflow.data.mixing import (
    FitRows,
    Mix,
    Places,
    draw_duplicates,
    draw_order,
    mix_counts,
    mix_words,
    read_shares,
)
from synth_mlflow.data.task import Guardrail
from synth_mlflow.errors import UsageError, closest
from synth_mlflow.sweep.axes import RATIO, Axis

Arm = Literal["synthetic", "placebo", "extra", "real"]
"""``extra``: held-back real rows in place of the synthetic ones; ``real``: a share of the real rows alone."""
Rule = Literal["highest", "plateau", "peak", "one-standard-error", "least"]
RULES: tuple[Rule, ...] = get_args(Rule)

RATIOS = (0.0, 0.25, 0.5, 0.75)
REPEATS = 6  # fits on all real rows at every ratio, and as many on parts of them
BLAME_REPEATS = 16  # twice a sweep's: one batch is a small part of a mix
DESIGN = 4
"""Version of what a sweep fits and how it reads the fits.

1 tested redraws of 80 % of the real rows; 2 tested all ratios with the degrees of freedom of the ratio that has fewest;
3 took few rows of a class for all that there is to know of the spread of AUC.
"""

Sources = Mapping[str, Places]
"""Places of the synthetic rows of each source, among all of them."""
EVERYTHING = ""  # the source that holds the synthetic rows of every batch
ALL_ROWS = -1  # the `repeat` of the published model's fit, on every real row; -2, -3, … are further such fits
REPEAT_SHARE = 0.8  # of the real rows, without replacement; with replacement favours more synthetic rows
LEARNING_SHARES = (0.25, 0.5, 0.75)  # of the real rows: the curve that tells what more real rows would do


@dataclass(frozen=True, order=True)
class FitKey:
    """Which fit: the arm, its ratio (for the arm ``real`` the share of the real rows), and the repeat.

    A repeat below 0 takes all real rows, with another draw of the synthetic ones and another seed each; one from 0 on
    takes a part of the real rows.
    """

    arm: Arm
    ratio: float
    repeat: int
    source: str = EVERYTHING
    """Whose synthetic rows, where generators are swept one by one."""

    @property
    def takes_all(self) -> bool:
        """Whether the fit takes every real row, so that it answers what a sweep is asked."""
        return self.repeat <= ALL_ROWS


@dataclass(frozen=True)
class Fit:
    """What one fit found; nothing of it depends on the machine but ``seconds``."""

    key: FitKey
    score: float
    """On the rows of the frozen set that may choose; the others are not looked at."""
    predictions: npt.NDArray[np.float64]
    """On the same rows: of shape (n_rows,) for regression, else (n_rows, n_classes); empty where only scores count."""
    n_real: int
    n_added: int
    """Synthetic rows, or duplicates in the placebo arm."""
    seconds: float
    slices: dict[str, float] = field(default_factory=dict)
    """Score on each slice; NaN where it is undefined."""
    noise: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """Of a repeat: its score over draws of these rows, the same for every fit, less its score; empty if not known."""

    def to_json(self) -> dict[str, Any]:
        """Everything but the predictions, as JSON values; an undefined score becomes None."""
        return {
            "arm": self.key.arm,
            "ratio": self.key.ratio,
            "repeat": self.key.repeat,
            "source": self.key.source,
            "score": self.score,
            "n_real": self.n_real,
            "n_added": self.n_added,
            "seconds": self.seconds,
            "slices": {name: score if math.isfinite(score) else None for name, score in self.slices.items()},
            "noise": [each if math.isfinite(each) else None for each in self.noise.tolist()],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any], predictions: npt.NDArray[np.float64]) -> Fit:
        """The inverse of :meth:`to_json`, with the predictions that were kept beside it."""
        return cls(
            FitKey(record["arm"], record["ratio"], record["repeat"], record["source"]),
            record["score"],
            predictions,
            record["n_real"],
            record["n_added"],
            record["seconds"],
            {name: math.nan if score is None else score for name, score in record["slices"].items()},
            np.array(record.get("noise", []), dtype=np.float64),  # None becomes NaN
        )


@dataclass(frozen=True)
class SweepPlan:
    """What to sweep, and how to choose."""

    ratios: tuple[float, ...] = RATIOS
    repeats: int = REPEATS
    mix: Mix = "augment"
    rule: Rule = "highest"
    seed: int = 0
    n_jobs: int = -1
    """Fits at a time, one thread each; -1 takes every core."""
    guardrail: Guardrail | None = None
    """No ratio is chosen that breaks it; it has no say where there are no slices."""
    sources: tuple[str, ...] = (EVERYTHING,)
    """Whose synthetic rows are swept, each on its own; all batches together have the name ''. Of the axis ``mix``: the
    mixes as :func:`synth_mlflow.data.mixing.shares_text` writes them, the one that leads first."""
    axis: Axis = RATIO
    """What is swept; ``ratios`` are its points, 0 for real rows alone."""
    n_whole: int | None = None
    """All real rows that there are, where fits take a sample of them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratios", self.axis.read(self.ratios))
        if self.repeats < 3:
            raise UsageError(
                f"{self.repeats} repeats were asked for, at least 3 are needed: their spread is part of the interval.",
                f"{REPEATS} repeats are the default; take more for narrower intervals.",
            )
        if self.n_jobs == 0:
            raise UsageError(
                "0 fits at a time were asked for, at least one is needed.",
                "Give how many, or -1 for as many as there are cores.",
            )
        if self.rule not in RULES:
            raise UsageError(f"rule {self.rule!r} is unknown. {closest(self.rule, RULES)}")

    def keys(self, n_real: int = 0, n_extra: int = 0) -> list[FitKey]:
        """Every fit of the sweep, the largest first so that parallel ones end together.

        Parameters
        ----------
        n_real, n_extra : int
            Real rows at hand and held-back ones; the latter are an arm at every ratio for which they suffice.
        """
        draws, parts = all_rows(self.repeats), range(self.repeats)
        above = [ratio for ratio in self.ratios if ratio]
        mixes = [
            FitKey("synthetic", ratio, n, source)
            for source in self.sources
            for ratio in above
            if (ratio, source) in self.cells
            for n in (*draws, *(parts if self.leads(source) else ()))
        ]
        placebo = [FitKey("placebo", ratio, n) for ratio in above for n in draws]
        extra = [FitKey("extra", ratio, n) for ratio in self.extra_ratios(n_real, n_extra) for n in draws]
        first, *baseline = [FitKey("synthetic", 0.0, n) for n in (*draws, *parts)]  # what fails, fails there at once
        learning = [FitKey("real", share, n) for share in LEARNING_SHARES for n in parts]
        return [first, *sorted([*mixes, *placebo, *extra], key=lambda key: -key.ratio), *baseline, *learning]

    @property
    def cells(self) -> list[tuple[float, str]]:
        """Everything that can be chosen besides the baseline: a ratio and whose synthetic rows."""
        above = [ratio for ratio in self.ratios if ratio]
        return [(r, source) for r in above for source in self.sources if self.leads(source) or r == self.axis.screened]

    def leads(self, source: str) -> bool:
        """Whether a source is swept at every ratio and on parts of the real rows; of the axis ``mix`` only one is."""
        return self.axis.screened is None or source == self.sources[0]

    def extra_ratios(self, n_real: int, n_extra: int) -> list[float]:
        """Ratios above 0 for which the held-back real rows suffice."""
        above = [ratio for ratio in self.ratios if ratio] if n_extra else []
        return [ratio for ratio in above if mix_counts(ratio, n_real, self.mix)[1] <= n_extra]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without what changes no result."""
        return {
            "design": DESIGN,
            "ratios": list(self.ratios),
            "repeats": self.repeats,
            "mix": self.mix,
            "rule": self.rule,
            "seed": self.seed,
            "guardrail": asdict(self.guardrail) if self.guardrail else None,
            "sources": list(self.sources),
            **({} if self.axis == RATIO else {"axis": self.axis.to_json()}),
            **({} if self.n_whole is None else {"sample_of": self.n_whole}),
        }


def source_name(source: str) -> str:
    """A source as people read it.

    >>> source_name(""), source_name("forest"), source_name("forest-1=0.75,smote-2=0.25")
    ('all together', 'forest', '75 % forest-1 and 25 % smote-2')
    """
    return mix_words(source) or "all together"


def all_rows(n: int) -> range:
    """The repeats of the first ``n`` fits on every real row, that of the published model first."""
    return range(ALL_ROWS, ALL_ROWS - n, -1)


def n_drawn(n_real: int) -> int:
    """How many of the real rows a repeat draws."""
    return max(1, round(n_real * REPEAT_SHARE))


def baseline_keys(repeats: int) -> list[FitKey]:
    """The fits without synthetic rows: one on all real rows, the others on parts of them."""
    return [FitKey("synthetic", 0.0, repeat) for repeat in (ALL_ROWS, *range(repeats))]


def fit_rows(
    key: FitKey,
    n_real: int,
    batches: npt.ArrayLike,
    mix: Mix,
    seed: int,
    n_extra: int = 0,
    source: Places | None = None,
    groups: Places | None = None,
    axis: Axis = RATIO,
    inside: npt.NDArray[np.bool_] | None = None,
) -> FitRows:
    """The rows of one fit.

    All ratios of a repeat share its draw: the real rows are the same, the synthetic ones of a smaller ratio are among
    those of a greater one, and those of a source come in the order in which they come among all.

    Parameters
    ----------
    key : FitKey
    n_real : int
        Real rows at hand; a repeat draws 80 % of them, without replacement.
    batches : array-like of shape (n_synthetic,)
        The batch of each synthetic row; each ratio takes the batches in proportion.
    mix : {"augment", "replace"}
    seed : int
    n_extra : int
        Held-back real rows.
    source : array of int, optional
        Places of the synthetic rows that may be taken; by default all.
    groups : array of shape (n_real,), optional
        The group of each real row: a part of the real rows takes whole groups then.
    axis : Axis
        What the key's ratio is a point of.
    inside : array of shape (n_real,), optional
        Of the axis ``slice``: whether each real row lies in it; its synthetic rows are the ``source``.
    """
    rng = np.random.default_rng([seed, key.repeat + 1] if key.repeat >= ALL_ROWS else [seed, 0, -key.repeat])
    order = np.arange(n_real) if key.takes_all else rng.permutation(n_real)
    if key.arm == "real":
        return FitRows(_part(order, max(1, round(n_real * key.ratio)), groups), np.empty(0, dtype=np.int64))
    drawn = order if key.takes_all else _part(order, n_drawn(n_real), groups)
    untouched = drawn[:0]
    if inside is not None:
        drawn, untouched = drawn[inside[drawn]], drawn[~inside[drawn]]
    n_kept, n_added = axis.counts(key.ratio, len(drawn), n_real, mix)
    # the real rows that `replace` drops are drawn too, also where all rows are at hand
    real_places = rng.permutation(drawn)[:n_kept] if mix == "replace" else drawn
    return FitRows(
        np.concatenate([untouched, real_places]),
        _added(key, real_places, n_added, n_real, batches, n_extra, source, rng),
        axis.weight(key.ratio),
    )


def _added(
    key: FitKey,
    real_places: Places,
    n_added: int,
    n_real: int,
    batches: npt.ArrayLike,
    n_extra: int,
    source: Places | None,
    rng: np.random.Generator,
) -> Places:
    """Duplicates of the rows that are kept, held-back real rows, or synthetic ones."""
    if key.arm == "placebo":
        return draw_duplicates(real_places, n_added, rng)
    if key.arm == "extra":
        return n_real + np.size(batches) + rng.permutation(n_extra)[:n_added]
    order = draw_order(batches, rng, read_shares(key.source) or None)
    if source is not None:
        order = order[np.isin(order, source)]
    return n_real + order[:n_added]


def _part(order: Places, n_rows: int, groups: Places | None) -> Places:
    """The first rows of an order; whole groups, in the order of their first rows, up to the number that is nearest."""
    if groups is None:
        return order[:n_rows]
    _, first, place = np.unique(groups[order], return_index=True, return_inverse=True)
    order = order[np.argsort(first[place], kind="stable")]
    ends = np.flatnonzero(np.diff(groups[order], append=-1)) + 1
    return order[: ends[np.abs(ends - n_rows).argmin()]]


def unfinished(keys: Iterable[FitKey], finished: Iterable[FitKey]) -> list[FitKey]:
    """The keys still to be fitted, in order."""
    done = set(finished)
    return [key for key in keys if key not in done]
