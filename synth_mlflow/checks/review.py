"""Review: can people tell the rows of a batch from real ones?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from synth_mlflow.checks import Check, CheckInput, CheckResult
from synth_mlflow.checks._ratings import result_of

ONE_ANSWER = "the same answer was given for every row"
NOBODY = "nobody whose answers count has answered a blind sheet: `synth-mlflow validate BATCH --review 100` leaves one"


class Review:
    """How well each person who answered a blind sheet tells real rows from synthetic ones.

    A batch fails when one of them shows that they can (the lower bound of the AUC exceeds the limit), and passes when
    all of them show that they cannot (the upper bound lies below it). Answers that are the same for every row count for
    neither. No other check is replaced: people do not see copies, leaks and small shifts.
    """

    summary: ClassVar[str] = "people who answered a blind sheet: how well each tells real rows from synthetic ones"
    version: ClassVar[str] = "1"
    reads_ratings: ClassVar[bool] = True
    stricter: ClassVar[Mapping[str, str]] = {"alpha": "lower"}
    """A larger `alpha` narrows the intervals, and lets batches pass on fewer answers."""
    defaults: ClassVar[Mapping[str, float]] = {
        "alpha": 0.05,  # of all bounds together
        "rater_auc": 0.7,  # of any person
    }

    def run(self, evidence: CheckInput, policy: Mapping[str, float]) -> CheckResult:
        """Look at the answers of people to sheets of this batch."""
        people = [each for each in evidence.ratings if each.own and not each.by_model]
        left_out = {each.run_id: ONE_ANSWER for each in people if not each.says_something}
        counted = [each for each in people if each.says_something]
        return result_of(counted, left_out, people, policy["alpha"], policy["rater_auc"], NOBODY)


plugin: type[Check] = Review
