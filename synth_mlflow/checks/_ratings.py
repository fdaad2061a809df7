"""What the answers to blind sheets say of a batch: the part that people and judge models share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from synth_mlflow.checks import CheckResult, Metric
from synth_mlflow.metrics.raters import Rating, fleiss_kappa, rows_to_pass


def judged_ratings(ratings: Sequence[Rating], alpha: float, limit: float) -> tuple[list[Metric], list[str]]:
    """The probes of some answers, and why those that leave the matter open do so.

    A lower bound beyond the limit fails the batch. It is taken at ``alpha`` divided among all answers, so that many
    raters find no more by chance than one. A batch passes when the upper bound of every rater lies below the limit, on
    one of the rater's sheets; ``alpha`` is divided among the sheets of that rater, so that further sheets do not make
    it easier. Of several raters each has to be convinced, which needs no correction (R. L. Berger, Technometrics 24
    (1982)).
    """
    probes, doubts = [], []
    for each in ratings:
        low, _ = each.interval(1 - alpha / len(ratings))
        shown = each.interval()
        note = f"AUC {each.auc:.3f}, 95 % interval {shown[0]:.3f} to {shown[1]:.3f}, on {len(each.answers):,} rows"
        probes.append(Metric("rater_auc_lower_bound", low, limit, column=each.rater, note=note))
    for rater in dict.fromkeys(each.rater for each in ratings):
        mine = [each for each in ratings if each.rater == rater]
        least = min(each.interval(1 - alpha / len(mine))[1] for each in mine)
        if not least < limit:  # so that NaN never passes
            doubts.append(_doubt(mine, least, limit))
    return probes, doubts


def _doubt(mine: Sequence[Rating], least: float, limit: float) -> str:
    best, needed = max(mine, key=lambda each: len(each.answers)), rows_to_pass(limit)
    remedy = "no number of rows shows that a limit of 0.5 or less is kept"
    if needed is not None:
        remedy = f"{needed:,} rows show it in four of five cases where the rater can only guess"
    return (
        f"{best.rater} tells real rows from synthetic ones with an AUC of {best.auc:.3f} on {len(best.answers):,} "
        f"rows, whose upper bound {least:.3f} is not below {limit:g}; {remedy}"
    )


def ratings_table(ratings: Sequence[Rating], notes: Mapping[str, str]) -> pd.DataFrame:
    """One line for each answered sheet.

    Parameters
    ----------
    notes : mapping of str to str
        Why the answers of a run are not counted, by run id.
    """
    rows = [
        [
            each.rater,
            each.sheet,
            len(each.answers),
            each.answers.count(0.5),
            each.auc,
            *each.interval(),
            notes.get(each.run_id, ""),
        ]
        for each in ratings
    ]
    columns = ["rater", "sheet", "rows", "cannot say", "auc", "low", "high", "not counted because"]
    return pd.DataFrame(rows, columns=columns)


def agreement_words(ratings: Sequence[Rating]) -> str:
    """How well the raters of each sheet agree, beyond chance; empty where no sheet has two raters."""
    texts = []
    for sheet in dict.fromkeys(each.sheet for each in ratings):
        answers = [each.answers for each in ratings if each.sheet == sheet]
        kappa = fleiss_kappa(answers)
        if kappa is not None:
            texts.append(f"{len(answers)} raters of sheet {sheet}: Fleiss' kappa {kappa:.2f}")
    return "; ".join(texts)


def result_of(
    counted: Sequence[Rating],
    left_out: Mapping[str, str],
    everything: Sequence[Rating],
    alpha: float,
    limit: float,
    none: str,
) -> CheckResult:
    """What counted answers give.

    Parameters
    ----------
    counted, everything : sequence of Rating
        Of the batch that is judged.
    left_out : mapping of str to str
        Why the answers of a run are not counted, by run id.
    none : str
        What is said where nothing counts.
    """
    probes, doubts = judged_ratings(counted, alpha, limit)
    aside = [f"{each.rater} is not counted: {left_out[each.run_id]}" for each in everything if each.run_id in left_out]
    metrics = {"raters": float(len({each.rater for each in counted}))}
    if counted:
        metrics["rater_auc_highest"] = max(each.auc for each in counted)
    words = ". ".join(part for part in (agreement_words(counted), "; ".join(aside)) if part)
    return CheckResult(
        probes=tuple(probes),
        inconclusive="; ".join(doubts if counted else [none, *aside]),
        metrics=metrics,
        tables={"raters": ratings_table(everything, left_out)},
        words=words and f"{words}.",
    )
