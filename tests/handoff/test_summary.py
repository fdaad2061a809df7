"""The answer's sentences follow from the numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synth_mlflow.handoff.document import Estimate, Success
from synth_mlflow.handoff.summary import answer, success_words, why_not


@pytest.mark.parametrize(
    ("success", "words"),
    [
        (Success("gain_at_least", 0.02, 0.039, 0.03, 0.05), "The whole interval, +0.030 to +0.050, meets it."),
        (Success("gain_at_least", 0.035, 0.039, 0.03, 0.05), "new data may decide otherwise"),
        (Success("gain_at_least", 0.06, 0.039, 0.03, 0.05), "lies below it"),
        (Success("gain_at_least", 0.02, 0.0, 0.0, 0.0), "real rows alone gain nothing."),
        (Success("at_least", 0.9, 0.908, 0.901, 0.92), "The whole interval, 0.901 to 0.920, meets it."),
        (Success("at_least", 0.905, 0.908, 0.9, 0.92), "0.908 was measured"),
    ],
)
def test_success_in_words(success, words):
    assert words in success_words(success)


def test_sentences_of_a_project_that_gained(document):
    found = answer(document)
    assert found.headline == "50 % synthetic rows in the training mix"
    assert found.verdict.startswith(
        "The statement asks for a gain of at least 0.02; corrected for the choice, +0.039 was"
    )
    assert found.sentences == (
        "With 4,800 synthetic rows beside 4,800 real rows, average_precision is 0.912 (0.904 to 0.919), against 0.871 "
        "from real rows alone: a gain of +0.041 (+0.031 to +0.052).",
        "The curve is flat around its peak at 50 %; the difference from 75 % is not significant.",
        "Of 3 batches made, 1 is in the model, holding 5,000 rows from forest.",
    )


def test_a_gain_is_told_from_the_real_rows_of_its_own_sweep(document):
    score = replace(document.baseline.score, value=0.5)  # of another seed
    said = answer(replace(document, baseline=replace(document.baseline, score=score))).sentences[0]
    assert "against 0.871 from real rows alone: a gain of +0.041" in said


def test_sentences_of_a_project_that_gained_nothing(document):
    points = tuple(replace(point, helps=False) for point in document.sweep.points)
    sweep = replace(document.sweep, points=points, chosen=0.0, peak=0.25, plateau=(0.0, 0.25, 0.5, 0.75))
    sweep = replace(sweep, shape="no peak")
    batches = tuple(replace(batch, in_model=False) for batch in document.batches)
    success = Success("gain_at_least", 0.02, 0.0, 0.0, 0.0)
    found = answer(replace(document, sweep=sweep, batches=batches, success=success))
    assert (found.outcome, found.headline) == ("no success", "Real rows alone: no synthetic rows in the model")
    assert found.sentences[0].startswith("No ratio is shown to help")
    assert found.sentences[1:] == (
        "The curve has no peak: no ratio differs significantly from the best.",
        "The model holds no synthetic batch.",
    )


@pytest.mark.parametrize(
    ("place", "changes", "words"),
    [
        (0, {}, "the chosen ratio gains +0.041 over it"),
        (1, {}, "measurably below the peak, by 0.023"),
        (2, {}, ""),
        (
            3,
            {},
            "is not significantly different from the peak, and needs 9,600 synthetic rows more than the chosen one",
        ),
        (
            3,
            {"forbidden": "slice 'women' may fall by 0.02"},
            "the guardrail shuts it out: slice 'women' may fall by 0.02",
        ),
        (3, {"n_synthetic": 1_000}, "is not significantly different from the peak; the rule takes 50 %"),
        (
            1,
            {"helps": False},
            "its gain (+0.009 to +0.027) is not shown to be more than duplicated real rows or chance over all ratios "
            "give",
        ),
        (
            1,
            {"helps": False, "gain": Estimate(0.01, -0.01, 0.03)},
            "its gain is not significantly different from zero (−0.010 to +0.030)",
        ),
        (
            3,
            {"helps": False, "gain": Estimate(-0.04, -0.05, -0.03)},
            "worse than real rows alone, by 0.040 (−0.050 to −0.030)",
        ),
    ],
)
def test_why_another_ratio_was_taken(document, place, changes, words):
    assert why_not(replace(document.sweep.points[place], **changes), document.sweep) == words


def test_a_sharp_peak_is_called_sharp(document):
    sweep = replace(document.sweep, shape="sharp", plateau=(0.5,))
    assert answer(replace(document, sweep=sweep)).sentences[1].startswith("The curve has a sharp peak at 50 %")


@pytest.mark.parametrize(
    ("forbidden", "words"),
    [
        ("slice 'women' may fall by 0.02", "The guardrail shuts out every ratio that helps, so"),
        ("", "No ratio that helps satisfies the rule, so"),
    ],
)
def test_ratios_that_help_and_may_not_be_chosen_are_not_said_to_bring_nothing(document, forbidden, words):
    points = tuple(replace(point, helps=point.ratio > 0, forbidden=forbidden) for point in document.sweep.points)
    sweep = replace(document.sweep, points=points, chosen=0.0)
    assert answer(replace(document, sweep=sweep)).sentences[0].startswith(words)
