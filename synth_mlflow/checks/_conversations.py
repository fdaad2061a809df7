"""Conversations of a batch beside real ones: do the speakers take turns, is every turn said, are they as long?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.checks import Metric
from synth_mlflow.checks._texts import MIN_JUDGED, N_SHOWN, SHOWN_LETTERS, TextFindings
from synth_mlflow.data.conversation_text import Turn, turns_of
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.distances import ks_distance, share_p_value
from synth_mlflow.metrics.null_distribution import Places
from synth_mlflow.metrics.passages import Tokenizer

Floats = npt.NDArray[np.float64]
Turns = tuple[Turn, ...]

TURNS_SHOWN = 6


@dataclass(frozen=True)
class _Sides:
    """Conversations of one column, read."""

    real: list[Turns]
    batch: list[Turns]
    one_a_group: Places
    """Places of real conversations, one of each group where they come in groups: these are independent."""


def conversation_findings(
    real: pd.DataFrame,
    batch: pd.DataFrame,
    task: Task,
    policy: Mapping[str, float],
    tokenize: Tokenizer,
    groups: Places | None = None,
) -> TextFindings:
    """Judge every column of conversations; ``groups`` has the group of each real row, where rows come in groups."""
    probes, shown = list[Metric](), list[pd.DataFrame]()
    for name in (name for name in real if name in task.conversations):
        there = real[name].notna().to_numpy()
        made, known = ([turns_of(text) for text in rows[name].dropna()] for rows in (batch, real))
        if min(len(made), len(known)) < MIN_JUDGED:
            continue
        first = np.arange(len(known)) if groups is None else np.unique(groups[there], return_index=True)[1]
        for probe, weight in _judged(_Sides(known, made, first), policy, tokenize):
            probes.append(replace(probe, column=str(name)))
            shown.append(_worst(str(name), probe.name, made, weight))
    return TextFindings(tuple(probes), pd.concat(shown, ignore_index=True) if shown else pd.DataFrame())


def _judged(sides: _Sides, policy: Mapping[str, float], tokenize: Tokenizer) -> Iterator[tuple[Metric, Floats]]:
    limit, length = policy["malformed_conversations"], policy["conversation_length"]
    speakers = {turn.speaker for turns in sides.real for turn in turns}

    def unknown(turns: Turns) -> bool:
        return any(turn.speaker not in speakers for turn in turns)

    yield _share("turns_out_of_order", sides, out_of_order, limit, _OUT_OF_ORDER)
    yield _share("empty_turns", sides, has_empty_turn, limit, "have a turn in which nothing is said")
    yield _share("unknown_speakers", sides, unknown, limit, "have a speaker whom no real conversation has")
    yield _distance("conversation_tokens", sides, lambda turns: n_tokens(turns, tokenize), length, "tokens")
    yield _distance("conversation_turns", sides, len, length, "turns")


_OUT_OF_ORDER = (
    "have turns out of order: user and assistant take turns, the user begins, the assistant ends, and a system turn "
    "stands first"
)


def out_of_order(turns: Turns) -> bool:
    """Whether user and assistant do not take turns, from a user's to an assistant's; turns of tools lie between.

    Examples
    --------
    >>> from synth_mlflow.data.conversation_text import Turn
    >>> user, assistant, system = (Turn(name, "…") for name in ("user", "assistant", "system"))
    >>> out_of_order((system, user, assistant)), out_of_order((user, user, assistant)), out_of_order((user,))
    (False, True, True)
    """
    roles = [turn.role for turn in turns]
    if "system" in roles[1:]:
        return True
    spoken = [role for role in roles if role in ("user", "assistant")]
    if not spoken or spoken[0] != "user" or roles[-1] != "assistant":
        return True
    inner = roles[roles[0] == "system" :]
    return any(_repeats(*pair) for pair in itertools.pairwise(inner))


def _repeats(role: str, after: str) -> bool:
    """Whether somebody speaks again at once, or a user answers a tool."""
    return (role == after and role != "tool") or (role == "tool" and after == "user")


def has_empty_turn(turns: Turns) -> bool:
    """Whether nothing is said in a turn, and no tool is called."""
    return any(not turn.said.strip() for turn in turns)


def n_tokens(turns: Turns, tokenize: Tokenizer) -> int:
    """The tokens of all turns."""
    return sum(len(tokenize(turn.said)) for turn in turns)


def _share(name: str, sides: _Sides, is_bad: Callable[[Turns], bool], limit: float, what: str) -> tuple[Metric, Floats]:
    """Conversations with a fault, beyond the share of real ones; by Fisher's exact test."""
    bad, natural = (np.array([is_bad(turns) for turns in side], dtype=bool) for side in (sides.batch, sides.real))
    independent = natural[sides.one_a_group]
    counts = int(independent.sum()), len(independent), int(bad.sum()), len(bad)
    p_value = share_p_value(*counts, alternative="greater")
    note = (
        f"{bad.sum():,} of {len(bad):,} conversations {what}; of {len(natural):,} real ones {natural.sum():,}: "
        "drop or correct them"
    )
    excess = max(float(bad.mean() - natural.mean()), 0.0)
    return Metric(name, excess, limit, p_value=p_value, note=note), bad.astype(np.float64)


def _distance(name: str, sides: _Sides, size: Callable[[Turns], int], limit: float, what: str) -> tuple[Metric, Floats]:
    """How far the lengths of conversations lie apart, by the test of A. N. Kolmogorov and N. V. Smirnov."""
    made, real = (np.array([size(turns) for turns in side], dtype=np.float64) for side in (sides.batch, sides.real))
    independent = real[sides.one_a_group]
    p_value = float(stats.ks_2samp(made, independent, method="asymp").pvalue)
    middle = [f"{np.median(each):,.0f}" for each in (made, real)]
    note = f"half of the conversations have more than {middle[0]} {what}, of the real ones more than {middle[1]}"
    value = ks_distance(pd.Series(real), pd.Series(made))
    return Metric(name, value, limit, p_value=p_value, note=note), np.abs(made - np.median(real))


def _worst(column: str, finding: str, made: list[Turns], weight: Floats) -> pd.DataFrame:
    places = [at for at in np.argsort(-weight, kind="stable")[:N_SHOWN] if weight[at] > 0]
    return pd.DataFrame({"column": column, "finding": finding, "text": [shown(made[at]) for at in places]})


def shown(turns: Turns) -> str:
    """A conversation in one line, cut where it is long."""
    parts = [f"{turn.speaker}: {turn.said}" for turn in turns[:TURNS_SHOWN]]
    return " / ".join(parts)[:SHOWN_LETTERS]
