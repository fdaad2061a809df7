"""The decision in words, for each way that a sweep can end."""

from dataclasses import replace

import pytest

from synth_mlflow.errors import UsageError
from synth_mlflow.sweep.curve import Curve, Fragility, Point, SlicePoint
from synth_mlflow.sweep.explain import decide, judge_success
from synth_mlflow.sweep.learning_curve import LearningCurve
from synth_mlflow.sweep.plots import curve_figure


def point(ratio, score, **changed):
    """One ratio above a baseline of 0.8."""
    numbers = dict.fromkeys(("low", "high", "model_low", "model_high"), score)
    made = Point(
        ratio=ratio,
        n_real=100,
        n_synthetic=round(100 * ratio / (1 - ratio)),
        score=score,
        gain=score - 0.8,
        gain_low=score - 0.81,
        gain_high=score - 0.79,
        p_value=0.001,
        helps=ratio > 0,
        in_plateau=True,
        peak_probability=0.5,
        placebo=0.805,
        placebo_low=0.8,
        placebo_high=0.81,
        over_placebo=score - 0.805,
        over_placebo_low=score - 0.815,
        over_placebo_high=score - 0.795,
        extra=None,
        extra_low=None,
        extra_high=None,
        forbidden="",
        repeats=(score,),
        placebo_repeats=(0.8,),
        slices={},
        recalls={},
        **numbers,
    )
    return replace(made, **changed)


def curve(best, chosen=0.5):
    """The baseline and one ratio."""
    return Curve(
        metric="roc_auc",
        points=(point(0.0, 0.8), best),
        chosen=chosen,
        peak=0.5,
        plateau=[0.5],
        rule="the smallest ratio that helps",
        fragility=Fragility("sharp", "It is sharp.", "Sweep again.", 0.9, 0.05, None, 0.01),
        naive=best.score,
        corrected=0.845,
        corrected_gain=0.045,
        smallest_detectable=0.01,
        learning=LearningCurve((50, 100), (0.7, 0.8), 40.0, 20.0, 60.0, "Worth about 40 more real rows."),
        mix="augment",
        seed=0,
        n_evaluation=1_000,
        halves="",
        decision="",
    )


def test_yes_gives_gain_correction_controls_fragility_and_worth():
    said = decide(curve(point(0.5, 0.85, extra=0.87, recipe_gain_low=-0.01, recipe_gain_high=0.11)))
    assert said == (
        "Use 50 % synthetic rows (100 beside 100 real ones): the expected roc_auc on new data goes from 0.8 to 0.85, a "
        "gain of +0.05 (95 % interval +0.04 to +0.06); corrected for having been chosen, the score is 0.845. As many "
        "duplicated real rows do worse: the synthetic ones score +0.045 (95 % interval +0.035 to +0.055) above them. "
        "As many further real rows change the score by +0.07. All this holds for these real rows and batches; for "
        "other real and synthetic rows of this kind neither gain nor loss is shown (95 % interval of the change -0.01 "
        "to +0.11). It is sharp. Sweep again. Worth about 40 more real rows."
    )


OVER = {"over_placebo": 0.0, "over_placebo_low": -0.01, "over_placebo_high": 0.01}


@pytest.mark.parametrize(
    ("best", "words"),
    [
        (point(0.5, 0.801, helps=False, p_value=0.4), "neither gain nor loss is shown; a gain of 0.01 would have been"),
        (point(0.5, 0.78, helps=False, p_value=0.9), "(95 % interval -0.03 to -0.01): it is worse."),
        (point(0.5, 0.812, helps=False, p_value=0.06), "alone that would be a gain, but the one-sided test of all"),
        (point(0.5, 0.85, helps=False, **OVER), "is +0 (95 % interval -0.01 to +0.01), which shows neither"),
        (point(0.5, 0.85, helps=False, over_placebo_low=-0.2, over_placebo_high=-0.1), "real rows do better"),
        (point(0.5, 0.85, forbidden="slice 'old' falls by 0.1 (0.05 is allowed)"), "but slice 'old' falls by 0.1"),
        (point(0.5, 0.85), "no ratio that helps satisfies the rule"),
    ],
)
def test_no_gives_the_reason(best, words):
    said = decide(curve(best, chosen=0.0))
    assert said.startswith("Use no synthetic rows: roc_auc is 0.8 without them.")
    assert words in said
    assert "Sweep again" not in said  # advice on a ratio that nobody takes


ENDS = [(-0.03, -0.01), (-0.01, 0.02), (0.01, 0.03)]


@pytest.mark.slow
@pytest.mark.parametrize("gain", ENDS)
@pytest.mark.parametrize("over", ENDS)
@pytest.mark.parametrize("elsewhere", ENDS)
@pytest.mark.parametrize("p_value", [0.01, 0.3])
@pytest.mark.parametrize("helps", [True, False])
@pytest.mark.parametrize("forbidden", ["", "slice 'old' may fall by 0.1"])
def test_every_sentence_follows_from_its_interval(gain, over, elsewhere, p_value, helps, forbidden):
    """All cases that tests and intervals can make together: what helps has passed both tests, and lost neither."""
    if (helps and (p_value > 0.05 or gain[1] < 0 or over[1] < 0)) or (p_value <= 0.05 and gain[1] < 0):
        return
    middle = sum(gain) / 2
    numbers = dict(zip(("gain_low", "gain_high", "over_placebo_low", "over_placebo_high"), (*gain, *over), strict=True))
    numbers |= dict(zip(("recipe_gain_low", "recipe_gain_high"), elsewhere, strict=True))
    best = point(0.5, 0.8 + middle, helps=helps, p_value=p_value, over_placebo=sum(over) / 2, forbidden=forbidden)
    chosen = 0.5 if helps and not forbidden else 0.0
    said = decide(curve(replace(best, **numbers), chosen))
    assert said.startswith("Use 50 %" if chosen else "Use no synthetic rows")
    of_placebo = bool(chosen) or (p_value <= 0.05 and not helps)
    assert ("do worse" in said) is (of_placebo and over[0] > 0)
    assert ("do better" in said) is (of_placebo and over[1] < 0)
    assert ("neither to be better" in said) is (of_placebo and over[0] < 0 < over[1] and not helps)
    assert ("it is worse" in said) is (gain[1] < 0)
    nothing = not helps and p_value > 0.05 and gain[0] < 0 < gain[1]
    assert ("neither gain nor loss is shown;" in said) is nothing
    assert ("two-sided interval reaches 0" in said) is (bool(chosen) and gain[0] < 0)
    for words, found in (("a gain is shown (", 2), ("a loss is shown (", 0), ("neither gain nor loss is shown (", 1)):
        assert (f"of this kind {words}" in said) is (bool(chosen) and elsewhere == ENDS[found])


def test_no_speaks_of_the_ratio_that_helps_rather_than_of_the_highest():
    helping = point(0.25, 0.85, forbidden="slice 'old' falls by 0.1 (0.05 is allowed)")
    both = replace(curve(helping, chosen=0.0), points=(point(0.0, 0.8), helping, point(0.5, 0.86, helps=False)))
    assert "25 % gains +0.05" in decide(both) and "but slice 'old' falls by 0.1" in decide(both)


def test_guardrail_that_shuts_out_every_ratio_is_told():
    shut = point(0.5, 0.801, helps=False, p_value=0.4, forbidden="the metric is undefined on slice 'old'")
    assert "The guardrail shuts out every ratio; 50 %, since the metric is undefined on slice 'old'." in decide(
        curve(shut, chosen=0.0)
    )
    assert "shuts out" not in decide(curve(replace(shut, forbidden=""), chosen=0.0))


def test_slice_that_pays_is_named():
    slices = {
        "old": SlicePoint(50, 0.7, -0.1, -0.15, -0.05),
        "young": SlicePoint(50, 0.7, -0.2, -0.5, 0.1),
        "none": SlicePoint(0, None, None, None, None),
    }
    assert "It costs slice 'old' 0.1." in decide(curve(point(0.5, 0.85, slices=slices)))


def test_picture_of_a_no_says_no():
    figure = curve_figure(curve(point(0.5, 0.7), chosen=0.0))
    assert figure.axes[0].get_title(loc="left") == "Chosen: no synthetic rows"


@pytest.mark.parametrize("extra", [None, 0.87])
def test_picture_shows_held_back_rows_where_there_are_some(extra):
    figure = curve_figure(curve(point(0.5, 0.85, extra=extra, extra_low=extra, extra_high=extra)))
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert ("held-back real rows added" in labels) is (extra is not None)


@pytest.mark.parametrize(
    ("chosen", "said", "words"),
    [
        (0.5, "Worth.", "Worth about 40 more real rows\n(20 to 60)"),
        (0.5, "", "What more real rows give:\ntoo uncertain to compare with the mix"),
        (0.0, "", "What real rows alone give"),
    ],
)
def test_picture_shows_both_intervals_the_correction_and_the_worth_in_real_rows(chosen, said, words):
    shown = curve(point(0.5, 0.85), chosen)
    axes, beside = curve_figure(replace(shown, learning=replace(shown.learning, words=said))).axes
    labels = axes.get_legend_handles_labels()[1]
    assert {"95 %, expected score", "95 %, this very model"} <= set(labels)
    assert ("corrected for the choice" in labels) is (chosen > 0)
    assert beside.get_title(loc="left") == words


def test_notebook_shows_decision_and_table():
    shown = replace(curve(point(0.5, 0.85)), decision="Use <50 %>.")._repr_html_()
    assert "Use &lt;50 %&gt;." in shown
    assert "<table" in shown


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        ({"gain_at_least": 0.03}, "success"),
        ({"gain_at_least": 0.04}, "success, not certain"),
        ({"gain_at_least": 0.048}, "no success, not certain"),  # the naive gain of 0.05 would do
        ({"gain_at_least": 0.06}, "no success"),
        ({"at_least": 0.84}, "success"),
        ({"at_least": 0.847}, "no success"),
    ],
)
def test_success_is_judged_on_the_corrected_estimate(asked, outcome):
    assert judge_success(curve(point(0.5, 0.85)), asked).outcome == outcome


def test_unknown_success_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'gain_at_least'"):
        judge_success(curve(point(0.5, 0.85)), {"gain_atleast": 0.1})
