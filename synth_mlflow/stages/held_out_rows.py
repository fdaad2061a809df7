"""Rows on their way in that hold something of the frozen evaluation set: refused, or counted and told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from synth_mlflow.checks import Evidence, judge, sound
from synth_mlflow.data.digests import Hashes, row_digests
from synth_mlflow.errors import EvidenceError, UsageError
from synth_mlflow.gate.policy import load_check, policy_of
from synth_mlflow.measures.rate_excess import Sizes
from synth_mlflow.measures.shared_keys import KeyCounts
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet

CHECK = "contamination"
ALPHA = 0.0025  # how seldom rows that equal evaluation rows by chance alone may be refused


def equal_rows(project: Project, frozen: EvaluationSet, digests: Hashes, what: str, fix: str) -> int:
    """How many rows equal an evaluation row, every row looked at; a UsageError where they are more than by chance.

    Rows of coarse tables repeat. How often is measured on training and evaluation rows, and on the training rows that
    the same rows equal.
    """
    real = project.row_digests(frozen.run)
    n_equal = int(np.isin(digests, real["evaluation"]).sum())
    if not n_equal:
        return 0
    sizes = Sizes(len(digests), len(real["training"]), len(real["evaluation"]))
    found = KeyCounts.of(np.concatenate([real["training"], real["evaluation"], digests]), sizes).matches()
    if found.beyond_chance(ALPHA):
        raise UsageError(
            f"{n_equal:,} of the {len(digests):,} rows of {what} are rows of the frozen evaluation set, about "
            f"{max(found.expected, found.expected_from_training):,.1f} would be by chance: nobody may learn from them.",
            fix,
        )
    n_shared = int(np.isin(digests, np.intersect1d(real["evaluation"], real["training"])).sum())
    but = f" but on the {n_shared:,} that equal a training row as well" if n_shared else ""
    project.say(
        f"{n_equal:,} of the {len(digests):,} rows of {what} equal an evaluation row, no more than by chance: no model "
        f"is fitted on them{but}"
    )
    return n_equal


def without_evaluation_rows(project: Project, frozen: EvaluationSet, rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """Real rows from elsewhere that may be learned from; a UsageError where they hold something of the evaluation set.

    The check that every batch must pass judges them, so that changed evaluation rows do not come in either.
    """
    fix = "Take the evaluation rows, and what was made from them, out of the file."
    equal_rows(project, frozen, row_digests(rows, frozen.salt), what, fix)
    rows = project.without_evaluation_rows(rows, frozen)
    if not len(rows):
        raise UsageError(f"every row of {what} equals an evaluation row; none may be learned from.", fix)
    try:
        training = project.training_rows(frozen)
    except EvidenceError:
        if frozen.run.params[names.P_STORE] == "rows":
            raise
        project.say(f"the training rows are not here, so {what} is held against evaluation rows by equal rows alone")
        return rows
    _judge(project, frozen, rows, training, what, fix)
    return rows


def _judge(
    project: Project, frozen: EvaluationSet, rows: pd.DataFrame, training: pd.DataFrame, what: str, fix: str
) -> None:
    statement = project.problem().statement
    thresholds = policy_of(statement).thresholds[CHECK]
    control = project.evaluation_rows(frozen)
    evidence = Evidence(rows, training, control, statement.task, statement.facts.metric, seed=0)
    result = sound(load_check(CHECK).run(replace(evidence, training=training), thresholds))
    ruling = judge(result.probes, result.inconclusive, thresholds["alpha"])
    if ruling.verdict == "fail":
        raise UsageError(f"{what} holds something of the frozen evaluation set: {ruling.reasons[0]}.", fix)
