"""Review by a judge model: can a language model whose answers agree with those of people tell the rows of a batch from
real ones?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from synth_mlflow.checks import Check, CheckInput, CheckResult
from synth_mlflow.checks._ratings import result_of
from synth_mlflow.checks.review import ONE_ANSWER
from synth_mlflow.metrics.raters import Rating, cohen_kappa, majority

NOBODY = (
    "no judge model whose answers count has answered a blind sheet: `synth-mlflow review BATCH --judge MODEL` asks one"
)


class ModelReview:
    """How well each judge model tells real rows from synthetic ones.

    The answers of a model count only if its agreement with people was shown: on the rows of all sheets of the project
    that both have answered, the lower bound of Cohen's kappa between the model and what most people said must exceed
    `agreement_kappa`. Else the model is an opinion of unknown worth, and decides nothing.
    """

    summary: ClassVar[str] = "judge models that answered a blind sheet and agree with people: how well each tells rows"
    version: ClassVar[str] = "1"
    reads_ratings: ClassVar[bool] = True
    stricter: ClassVar[Mapping[str, str]] = {"alpha": "lower"}
    """A larger `alpha` narrows the intervals, and lets batches pass on fewer answers."""
    defaults: ClassVar[Mapping[str, float]] = {
        "alpha": 0.05,  # of all bounds together
        "rater_auc": 0.7,  # of any model that counts
        "agreement_kappa": 0.4,  # "moderate": J. R. Landis, G. G. Koch, Biometrics 33 (1977)
    }

    def run(self, evidence: CheckInput, policy: Mapping[str, float]) -> CheckResult:
        """Look at the answers of models to sheets of this batch, and at what people answered anywhere."""
        models = [each for each in evidence.ratings if each.own and each.by_model]
        left_out = {
            each.run_id: why
            for each in models
            if (why := _why_not(each, evidence.ratings, policy["agreement_kappa"], 1 - policy["alpha"]))
        }
        counted = [each for each in models if each.run_id not in left_out]
        return result_of(counted, left_out, models, policy["alpha"], policy["rater_auc"], NOBODY)


def _why_not(model: Rating, ratings: Sequence[Rating], least: float, confidence: float) -> str:
    """Why the answers of a model do not count; empty if they do."""
    if not model.says_something:
        return ONE_ANSWER
    own, people = _on_shared_sheets(model.rater, ratings)
    if not own:
        return "agreement not shown: no sheet that it has answered was answered by people"
    agreement = cohen_kappa(own, people, confidence=confidence)
    if agreement is None:
        return f"agreement not shown: on {len(own):,} rows both gave one answer alone"
    value, low, _ = agreement
    if low > least:
        return ""
    return (
        f"agreement not shown: on {len(own):,} rows its kappa with people is {value:.2f}, whose lower bound {low:.2f} "
        f"does not exceed {least:g}"
    )


def _on_shared_sheets(model: str, ratings: Sequence[Rating]) -> tuple[list[float], list[float]]:
    """The answers of a model, and what most people said, on the rows of all sheets that both have answered."""
    own, people = list[float](), list[float]()
    for each in ratings:
        if not (each.by_model and each.rater == model):
            continue
        same = [
            other.answers
            for other in ratings
            if other.sheet == each.sheet and not other.by_model and other.says_something
        ]
        if same:
            own += each.answers
            people += majority(same)
    return own, people


plugin: type[Check] = ModelReview
