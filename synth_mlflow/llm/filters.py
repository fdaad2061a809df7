"""Which rows of a model's answers are kept: their texts show nothing more often than real texts do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy import sparse

from synth_mlflow.errors import UsageError
from synth_mlflow.metrics.near_texts import Pieces
from synth_mlflow.metrics.text_screen import Finding, Look, RealTexts, View, language_rank, nearness, plain

NEAR_EARLIER, EARLIER = "nearly repeats a text of an earlier batch", "repeats a text of an earlier batch"
NEAR_KEPT, KEPT = "nearly repeats a text of this batch", "repeats a text of this batch"
SLACK = 2.0  # standard deviations by which the share of kept texts may lie above that of real ones by chance


class RowFilter(Protocol):
    """Says of rows, one after the other, why they are not kept."""

    def look(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Look at the rows of an answer."""

    def reason(self, place: int) -> str | None:
        """Why the row at a place of the answer is not kept; None if it is."""

    def keep(self, place: int) -> None:
        """Note that the row at a place is kept."""


@dataclass
class Quota:
    """How many kept texts show each finding."""

    n_kept: int = 0
    counts: Counter[tuple[str, float]] = field(default_factory=Counter)

    def is_full(self, finding: Finding) -> bool:
        """Whether one text more that shows a finding would be more than real texts show."""
        expected = finding.share * (self.n_kept + 1)
        return bool(self.counts[finding.reason, finding.limit] + 1 > expected + SLACK * expected**0.5)

    def keep(self, shown: Sequence[Finding]) -> None:
        self.n_kept += 1
        self.counts.update((finding.reason, finding.limit) for finding in shown)


class TextFilter:
    """Screens the texts of one column; missing ones pass.

    Parameters
    ----------
    column : str
    real : RealTexts
        What texts are held against.
    earlier : Series of str
        The texts of earlier batches.
    """

    def __init__(self, column: str, real: RealTexts, earlier: pd.Series) -> None:
        self._column, self._real = column, real
        self._earlier_equal = frozenset(plain(text) for text in earlier)
        self._others = [_Others(view, view.look(earlier)) for view in real.views]
        self._kept_equal: set[str] = set()
        self._quota = Quota()

    def look(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Look at the texts of an answer."""
        texts = [row[self._column] for row in rows]
        self._is_there = [isinstance(text, str) for text in texts]
        series = pd.Series([text if isinstance(text, str) else "" for text in texts], dtype=object)
        self._plain = [plain(text) for text in series]
        known = np.array([text in self._earlier_equal for text in self._plain], dtype=np.bool_)
        looked = self._real.looked_at(series)
        self._findings = [*self._real.findings(series, looked), Finding(EARLIER, known, 0.0)]
        for others, each in zip(self._others, looked, strict=True):
            self._findings += others.look(each)

    def reason(self, place: int) -> str | None:
        """Why the text at a place is not kept."""
        if not self._is_there[place]:
            return None
        if self._plain[place] in self._kept_equal:
            return f"{self._column!r} {KEPT}"
        full = next((finding for finding in self._shown(place) if self._quota.is_full(finding)), None)
        return None if full is None else f"{self._column!r} {full.reason}"

    def _shown(self, place: int) -> list[Finding]:
        near = [one for others in self._others for one in others.near_kept(place, self._quota.n_kept)]
        return [
            *(finding for finding in self._findings if finding.marks[place]),
            *(one for one in near if one.marks[0]),
        ]

    def keep(self, place: int) -> None:
        """Note that the text at a place is kept: further ones are held against it too."""
        if not self._is_there[place]:
            return
        self._quota.keep(self._shown(place))
        self._kept_equal.add(self._plain[place])
        for others in self._others:
            others.keep(place)


class _Others:
    """Synthetic texts in one view: of earlier batches, and of this batch as far as they are kept."""

    def __init__(self, view: View, earlier: Pieces) -> None:
        self._view, self._earlier = view, earlier
        self._kept: list[Pieces] = []

    def look(self, texts: Pieces) -> list[Finding]:
        """Look at the texts of an answer; what earlier batches have of them."""
        self._texts = texts
        self._to_kept = np.zeros(texts.shape[0])
        if self._kept:
            self._kept = [_stacked(self._kept)]
            self._to_kept = nearness(texts, self._kept[0]).nearest
        among = texts @ texts.T
        self._to_each_other = np.asarray(among if isinstance(among, np.ndarray) else among.todense(), dtype=np.float64)
        to_earlier = nearness(texts, self._earlier).nearest
        return list(self._view.near(NEAR_EARLIER, to_earlier, self._earlier.shape[0]))

    def near_kept(self, place: int, n_kept: int) -> list[Finding]:
        """What the kept texts have of the text at a place."""
        return list(self._view.near(NEAR_KEPT, self._to_kept[place : place + 1], n_kept))

    def keep(self, place: int) -> None:
        self._kept.append(self._texts[place : place + 1])
        self._to_kept = np.maximum(self._to_kept, self._to_each_other[:, place])


def _stacked(parts: Sequence[Pieces]) -> Pieces:
    return np.vstack(parts) if isinstance(parts[0], np.ndarray) else sparse.vstack(parts).tocsr()


def text_filters(
    columns: Sequence[str],
    real: pd.DataFrame,
    earlier: Sequence[pd.DataFrame],
    topic_share: float,
    vectors: Look | None = None,
) -> list[RowFilter]:
    """A filter for each column of free text; ``vectors`` gives texts as an embedding does, where there is one.

    Raises
    ------
    UsageError
        If py3langid is not installed.
    """
    if not columns:
        return []
    rank = language_rank()
    if rank is None:
        raise UsageError(
            "texts from a language model are screened by their language, and py3langid is not installed.",
            "Install it: `pip install 'synth_mlflow[llm]'`.",
        )
    filters: list[RowFilter] = []
    for column in columns:
        before = [rows[column] for rows in earlier if column in rows]
        known = pd.concat(before) if before else pd.Series(dtype=object)
        texts = RealTexts.learn(real[column].dropna().astype(str), np.random.default_rng(0), rank, topic_share, vectors)
        filters.append(TextFilter(column, texts, known.dropna().astype(str)))
    return filters
