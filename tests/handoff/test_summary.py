"""The answer's sentences follow from the numbers."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from synth_mlflow.handoff.document import Estimate, Success
from synth_mlflow.handoff.render import to_html
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
    assert found.verdict == (
        "The statement asks for a gain of at least 0.02. +0.039 is expected, and the whole interval reaches what was "
        "asked for."
    )
    assert found.sentences[:4] == (
        "The model is trained on 4,800 real rows and 4,800 synthetic rows.",
        "The ratio need not be exact: 50 % scores highest, and 75 % may do as well.",
        "Of 3 batches made, 1 is in the model, holding 5,000 rows from forest.",
        f"The model to use: {document.sweep.model_uri}.",
    )
    assert found.sentences[4].startswith("Train again")


def test_the_first_page_has_one_interval_for_a_gain(document):
    found = answer(document)
    figures = {figure.name: (figure.value, figure.more) for figure in found.figures}
    assert figures["Gain over real rows alone"] == ("+0.039", "+0.029 to +0.050")
    assert figures["Chosen ratio"] == ("50 %", "4,800 synthetic beside 4,800 real")
    page = to_html(document)
    first = page[page.index('id="answer"') : page.index('id="problem"')]
    assert first.count("+0.0") == 4  # the estimate and its interval, and the estimate in the verdict
    assert not re.search(r"corrected|significant|peak|placebo", first)


def test_a_trigger_that_is_due_says_so_on_the_first_page(document):
    due = replace(document.triggers[0], state="due", condition="rows have come")
    assert answer(replace(document, triggers=(due,))).sentences[-1] == (
        "Train again now, since this has happened: rows have come."
    )
    assert not answer(replace(document, triggers=())).sentences[-1].startswith("Train again")


def test_sentences_of_a_project_that_gained_nothing(document):
    points = tuple(replace(point, helps=False) for point in document.sweep.points)
    sweep = replace(document.sweep, points=points, chosen=0.0, peak=0.25, plateau=(0.0, 0.25, 0.5, 0.75))
    sweep = replace(sweep, shape="no peak")
    batches = tuple(replace(batch, in_model=False) for batch in document.batches)
    success = Success("gain_at_least", 0.02, 0.0, 0.0, 0.0)
    found = answer(replace(document, sweep=sweep, batches=batches, success=success))
    assert (found.outcome, found.headline) == ("no success", "Real rows alone: no synthetic rows in the model")
    assert found.sentences[0].startswith("No ratio is shown to help")
    assert found.sentences[1:3] == (
        "No ratio scores better than another by more than chance; 25 % scores highest.",
        "The model holds no synthetic batch.",
    )
    assert {figure.name: figure.value for figure in found.figures}["Gain over real rows alone"] == "none"


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


@pytest.mark.parametrize(
    ("shape", "plateau", "words"),
    [
        ("sharp", (0.5,), "Keep to 50 %: every other ratio that was tried scores less"),
        ("uncertain", (0.5,), "50 % scores highest, but a second sweep may well find another ratio best"),
    ],
)
def test_how_much_the_choice_matters_is_told_in_plain_words(document, shape, plateau, words):
    sweep = replace(document.sweep, shape=shape, plateau=plateau)
    assert answer(replace(document, sweep=sweep)).sentences[1].startswith(words)


def test_a_peak_at_the_end_of_what_was_tried_is_not_to_be_kept_to(document):
    last = max(point.ratio for point in document.sweep.points)
    sweep = replace(document.sweep, shape="sharp", plateau=(last,), peak=last)
    told = answer(replace(document, sweep=sweep)).sentences[1]
    assert "is the greatest ratio that was tried: a greater one may do better" in told


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
