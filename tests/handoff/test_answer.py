"""The answer's sentences follow from the numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synth_mlflow.handoff.answer import answer, judge_success
from synth_mlflow.handoff.document import Estimate, Success

SCORE = Estimate(0.91, 0.90, 0.92)


@pytest.mark.parametrize(
    ("success", "gain", "outcome"),
    [
        (Success("gain_at_least", 0.02), Estimate(0.04, 0.03, 0.05), "success"),
        (Success("gain_at_least", 0.03), Estimate(0.04, 0.03, 0.05), "success"),
        (Success("gain_at_least", 0.04), Estimate(0.04, 0.03, 0.05), "undecided"),
        (Success("gain_at_least", 0.06), Estimate(0.04, 0.03, 0.05), "no success"),
        (Success("gain_at_least", 0.02), None, "no success"),
        (Success("at_least", 0.9), None, "success"),
        (Success("at_least", 0.915), None, "undecided"),
        (Success("at_least", 0.95), None, "no success"),
    ],
)
def test_success_is_judged_by_the_whole_interval(success, gain, outcome):
    assert judge_success(success, SCORE, gain)[0] == outcome


def test_sentences_of_a_project_that_gained(document):
    found = answer(document)
    assert found.headline == "50 % synthetic rows in the training mix"
    assert found.sentences == (
        "With 4,800 synthetic rows beside 4,800 real rows, average_precision is 0.912 (0.904 to 0.919), against 0.871 "
        "from real rows alone: a gain of +0.041 (+0.031 to +0.052).",
        "The statement asks for a gain of at least 0.02: the whole interval, +0.031 to +0.052, meets it.",
        "The curve is flat: 50 % and 75 % cannot be told apart from its peak at 50 %.",
        "Of 3 batches made, 1 is in the model, holding 5,000 rows from forest.",
    )


def test_sentences_of_a_project_that_gained_nothing(document):
    sweep = replace(document.sweep, chosen=0.0, peak=0.25, plateau=(0.25,))
    batches = tuple(replace(batch, in_model=False) for batch in document.batches)
    found = answer(replace(document, sweep=sweep, batches=batches))
    assert (found.outcome, found.headline) == ("no success", "Real rows alone: no synthetic rows in the model")
    assert found.sentences[0].startswith("No ratio earned its place")
    assert found.sentences[2] == "The curve has a sharp peak at 25 %: every other ratio is measurably worse."
    assert found.sentences[3] == "The model holds no synthetic batch."
