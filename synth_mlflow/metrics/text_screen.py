"""Single texts beside real ones: equal, nearly equal, off topic, in another language, a remark of an assistant.

Each finding comes with its share among real texts, which show most of it as well: forms repeat, some are in another
language. Who screens texts may let them show a finding as often as real texts do, and no more often.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.metrics.near_texts import BLOCK_ROWS, Pieces, TextPieces, rare_similarities
from synth_mlflow.metrics.refusals import refusals

SIMILAR = (0.5, 0.65, 0.8)
"""Cosines of near copies: of a text of which much was kept, to one with a word changed."""
MAX_TEXTS = 20_000  # real ones that others are compared with
MAX_ASKED = 2_000  # real ones that are asked how often they show a finding
MIN_TEXTS = 100  # fewer do not say what is off topic
N_NEIGHBOURS = 20
OFF_TOPIC = 0.05
"""The share of real texts below the floor, by default."""
FURTHER = 5  # times that share lies below a second floor
NEAR_MIDDLE = (0.7, 0.85)  # of the median, above which no floor lies: where all real texts are alike
BY_VECTORS = " by its vector"
RARE_LANGUAGE = 0.05  # of the real texts: languages that fewer of them seem to be in may be errors
OTHER_LANGUAGE = 0.01

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Look = Callable[[pd.Series], Pieces]
"""Texts as what they are compared by."""
Rank = Callable[[str], list[tuple[str, float]]]
"""The languages of a text, the likeliest first, each with its log-likelihood."""


def plain(text: str) -> str:
    """A text by which equal ones are found: case, punctuation and spaces do not count.

    Examples
    --------
    >>> plain("  A *fine* film...") == plain("a fine film")
    True
    """
    words = "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
    return " ".join(words) or text.strip()


@dataclass(frozen=True)
class Finding:
    """Something that may be wrong with texts."""

    reason: str
    marks: Bools
    """Of shape (n_texts,): which texts show it."""
    share: float
    """Of real texts that show it."""
    limit: float = 0.0
    """Of the cosine, where one finding has several."""


@dataclass(frozen=True)
class Nearness:
    """How near texts are to others, each an array of shape (n_texts,)."""

    nearest: Floats
    """The cosine of the nearest one."""
    around: Floats
    """The mean cosine of the nearest `N_NEIGHBOURS`."""


def nearness(texts: Pieces, others: Pieces, own: npt.NDArray[np.int64] | None = None) -> Nearness:
    """How near texts are to others; ``own`` says where each stands among the others itself, and does not count."""
    if not others.shape[0] or not texts.shape[0]:
        return Nearness(np.zeros(texts.shape[0]), np.zeros(texts.shape[0]))
    if isinstance(texts, np.ndarray):
        return _nearness_of_vectors(texts, others, own)
    turned, pairs = others.T.tocsc(), list[tuple[float, float]]()
    for start in range(0, texts.shape[0], BLOCK_ROWS):
        shared = (texts[start : start + BLOCK_ROWS] @ turned).tocsr()
        for row in range(shared.shape[0]):
            part = slice(shared.indptr[row], shared.indptr[row + 1])
            values = shared.data[part]
            if own is not None:
                values = values[shared.indices[part] != own[start + row]]
            best = -np.sort(-values)[:N_NEIGHBOURS]
            pairs.append((float(best[0]) if len(best) else 0.0, float(best.sum()) / N_NEIGHBOURS))
    nearest, around = np.array(pairs).T
    return Nearness(nearest, around)


def _nearness_of_vectors(texts: Pieces, others: Pieces, own: npt.NDArray[np.int64] | None) -> Nearness:
    parts = []
    for start in range(0, len(texts), BLOCK_ROWS):
        shared = texts[start : start + BLOCK_ROWS] @ others.T
        if own is not None:
            shared[np.arange(len(shared)), own[start : start + BLOCK_ROWS]] = -1
        parts.append(-np.sort(-shared, axis=1)[:, :N_NEIGHBOURS])
    best = np.concatenate(parts).astype(np.float64)
    return Nearness(best[:, 0], best.sum(axis=1) / N_NEIGHBOURS)


@dataclass(frozen=True)
class Languages:
    """The languages of real texts."""

    rank: Rank
    expected: frozenset[str]
    floor: float
    """The margin that few real texts lie below; at most 0, which is that of every text in an expected language."""
    share: float
    """Of real texts below it."""

    @classmethod
    def learn(cls, texts: pd.Series, rank: Rank) -> Languages:
        """From real texts."""
        ranked = [rank(text) for text in texts]
        counts = pd.Series([ranking[0][0] for ranking in ranked]).value_counts(normalize=True)
        expected = frozenset(counts.index[counts >= min(RARE_LANGUAGE, float(counts.iloc[0]))])
        margins = np.array([_margin(text, ranking, expected) for text, ranking in zip(texts, ranked, strict=True)])
        floor = min(float(np.quantile(margins, OTHER_LANGUAGE)), 0.0)
        return cls(rank, expected, floor, _share(margins < floor))

    def others(self, texts: pd.Series) -> Bools:
        """Which texts are in another language."""
        margins = [_margin(text, self.rank(text), self.expected) for text in texts]
        return np.array(margins, dtype=np.float64) < self.floor


def _margin(text: str, ranked: list[tuple[str, float]], expected: frozenset[str]) -> float:
    """How much less likely the likeliest expected language is than the likeliest of all; grows with the text's root."""
    best = max(likelihood for language, likelihood in ranked if language in expected)
    return float((best - ranked[0][1]) / max(len(text.encode()), 1) ** 0.5)


@dataclass(frozen=True)
class View:
    """Real texts as others are compared with them: by pieces of words, or by vectors."""

    look: Look
    real: Pieces
    near_shares: Mapping[float, float]
    """By cosine, the share of real texts that have as near a real text."""
    topic_floors: Mapping[float, float]
    """By the share of real texts below it, the least mean cosine of the nearest real texts."""
    by: str = ""
    """What is said behind each reason."""

    @classmethod
    def learn(
        cls, texts: pd.Series, look: Look, topic_share: float, similarities: Sequence[float] | None = None, by: str = ""
    ) -> View:
        """From real texts; without similarities those that few of them reach."""
        real, places = look(texts), np.arange(min(len(texts), MAX_ASKED))
        near = nearness(real[: len(places)], real, places)
        limits = similarities or (rare_similarities(near.nearest) if len(places) else ())
        floors = topic_floors(near.around, topic_share) if len(texts) >= MIN_TEXTS and topic_share else {}
        return cls(look, real, {limit: _share(near.nearest >= limit) for limit in limits}, floors, by)

    def off_topic(self, around: Floats) -> Iterator[Finding]:
        """One finding for each floor: texts whose nearest real texts are further away."""
        for share, floor in self.topic_floors.items():
            yield Finding(f"is off topic{self.by}", around < floor, share, floor)

    def near(self, reason: str, nearest: Floats, n_others: int = 0) -> Iterator[Finding]:
        """One finding for each cosine: texts that have as near a text among ``n_others`` others.

        Among more texts than there are real ones, more have a near copy by chance.
        """
        growth = max(n_others / max(self.real.shape[0], 1), 1.0)
        for similar, share in self.near_shares.items():
            yield Finding(f"{reason}{self.by}", nearest >= similar, 1 - (1 - share) ** growth, similar)


@dataclass(frozen=True)
class RealTexts:
    """What real texts show of each finding."""

    views: tuple[View, ...]
    """By pieces of words, and by vectors where there is an embedding."""
    equal: frozenset[str]
    """Every real text, as :func:`plain` gives it."""
    languages: Languages | None
    refusal_share: float
    blank_share: float

    @classmethod
    def learn(
        cls,
        texts: pd.Series,
        rng: np.random.Generator,
        rank: Rank | None,
        topic_share: float = OFF_TOPIC,
        vectors: Look | None = None,
    ) -> RealTexts:
        """From real texts.

        Parameters
        ----------
        texts : Series of str
            Without missing ones.
        rank : callable, optional
            Ranks languages; see :func:`language_rank`. Without it no language is looked at.
        topic_share : float
            The share of real texts that lie below the floor of what is on topic; 0 for no such floor.
        vectors : callable, optional
            Gives texts as vectors of unit length.
        """
        equal = frozenset(plain(text) for text in texts)
        drawn = texts.drop_duplicates().sample(frac=1, random_state=rng)[:MAX_TEXTS].reset_index(drop=True)
        views = [View.learn(drawn, TextPieces.learn(drawn).pieces, topic_share, SIMILAR)]
        if vectors is not None:
            views.append(View.learn(drawn, vectors, topic_share, by=BY_VECTORS))
        languages = Languages.learn(drawn[:MAX_ASKED], rank) if rank and len(drawn) else None
        return cls(tuple(views), equal, languages, _share(refusals(drawn)), _share(_blank(texts)))

    def looked_at(self, texts: pd.Series) -> list[Pieces]:
        """Texts as each view compares them."""
        return [view.look(texts) for view in self.views]

    def findings(self, texts: pd.Series, looked: Sequence[Pieces]) -> Iterator[Finding]:
        """Each finding in texts; ``looked`` is what :meth:`looked_at` gives of them."""
        yield Finding("is empty", _blank(texts), self.blank_share)
        yield Finding("repeats a real text", np.array([plain(text) in self.equal for text in texts], np.bool_), 0.0)
        near = [nearness(each, view.real) for view, each in zip(self.views, looked, strict=True)]
        for view, each in zip(self.views, near, strict=True):
            yield from view.near("nearly repeats a real text", each.nearest)
        yield Finding("is a refusal or a remark of an assistant", refusals(texts), self.refusal_share)
        if self.languages is not None:
            yield Finding("is in another language", self.languages.others(texts), self.languages.share)
        for view, each in zip(self.views, near, strict=True):
            yield from view.off_topic(each.around)


def topic_floors(around: Floats, share: float) -> dict[float, float]:
    """Where few real texts lie lower; never so near to the middle that one other word leads below it."""
    middle = float(np.median(around))
    return {
        part: min(float(np.quantile(around, part)), near * middle)
        for part, near in ((share, NEAR_MIDDLE[0]), (min(FURTHER * share, 0.5), NEAR_MIDDLE[1]))
    }


def language_rank() -> Rank | None:
    """What py3langid says of a text; None where it is not installed."""
    try:
        return importlib.import_module("py3langid").rank  # type: ignore[no-any-return]
    except ImportError:
        return None


def _blank(texts: pd.Series) -> Bools:
    return np.array([not text.strip() for text in texts], dtype=np.bool_)


def _share(marks: Bools) -> float:
    return float(marks.mean()) if len(marks) else 0.0
