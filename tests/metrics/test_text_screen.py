"""Single texts beside real ones: what is found, and how often real texts show it themselves."""

import numpy as np
import pandas as pd
import pytest
from stand_in_texts import sentences

from synth_mlflow.metrics.near_texts import TextPieces
from synth_mlflow.metrics.text_screen import OFF_TOPIC, Languages, RealTexts, View, language_rank, nearness, plain


@pytest.fixture(scope="module")
def real():
    return RealTexts.learn(sentences(300, 0), np.random.default_rng(0), language_rank())


def marked(real, *texts):
    """The reasons that speak against each text."""
    series = pd.Series(texts)
    found = list(real.findings(series, real.looked_at(series)))
    return [{finding.reason for finding in found if finding.marks[place]} for place in range(len(texts))]


def test_neighbours_are_found_and_no_text_is_its_own():
    texts = pd.Series(["rain on the roof", "dogs bark loudly", "dogs bark loudly"])
    pieces = TextPieces.learn(texts).pieces(texts)
    assert nearness(pieces, pieces).nearest == pytest.approx([1, 1, 1])
    assert nearness(pieces, pieces, np.arange(3)).nearest == pytest.approx([0, 1, 1])
    assert nearness(pieces, pieces[:0]).nearest.tolist() == [0, 0, 0]


def test_vectors_have_neighbours_as_pieces_do():
    vectors = np.eye(3)[[0, 1, 1]]
    assert nearness(vectors, vectors, np.arange(3)).nearest == pytest.approx([0, 1, 1])
    assert nearness(vectors[:1], vectors[:1], np.arange(1)).nearest == pytest.approx([-1])


def test_what_differs_in_case_and_stops_is_equal():
    assert plain("A fine film!") == plain("a  fine film") != plain("a fine song")
    assert plain("!!!") == "!!!"


def test_each_fault_has_its_reason(real):
    (copy,) = marked(real, sentences(300, 0)[7].upper() + "!")
    assert "repeats a real text" in copy and "nearly repeats a real text" in copy
    found = marked(
        real,
        "I'm sorry, but as an AI language model I cannot write that.",
        "Der alte Mann geht heute ohne seinen Hund durch den dunklen Wald.",
        "Quarterly invoices become payable fourteen days after delivery abroad.",
    )
    assert "is a refusal or a remark of an assistant" in found[0]
    assert "is in another language" in found[1]
    assert "is off topic" in found[2] and "is in another language" not in found[2]


def test_further_real_texts_show_findings_no_more_often_than_real_ones(real):
    further = sentences(400, 1)
    for finding in real.findings(further, real.looked_at(further)):
        assert finding.marks.mean() <= finding.share + 3 * np.sqrt(finding.share / 400) + 0.003, finding.reason


def test_more_texts_have_near_copies_by_chance(real):
    few, many = (
        {one.limit: one.share for one in real.views[0].near("near", np.zeros(1), n_others)} for n_others in (300, 3_000)
    )
    assert all(many[limit] >= few[limit] for limit in few) and max(many.values()) <= 1
    assert few == pytest.approx(dict(real.views[0].near_shares))


def test_vectors_say_what_is_near_and_what_is_off_topic():
    """Real texts lie around one direction; vectors are what stands in the text."""
    rng = np.random.default_rng(3)
    points = pd.Series([" ".join(map(str, (1.0, *row))) for row in rng.normal(0, 0.3, (300, 6))])
    view = View.learn(points, directions, OFF_TOPIC, by=" by its vector")
    asked = pd.Series([points[5], "0 0 0 0 0 0 1", "1 0 0 0 0 0 0"])
    found = nearness(directions(asked), view.real)
    (first, *_, last), floors = view.near("near", found.nearest), list(view.off_topic(found.around))
    assert first.reason == "near by its vector" and last.marks.tolist() == [True, False, False]
    assert np.any([one.marks for one in floors], axis=0).tolist() == [False, True, False]
    assert sorted(view.near_shares.values()) == pytest.approx([0.002, 0.01, 0.05], abs=0.006)


def directions(texts):
    found = np.array([[float(number) for number in text.split()] for text in texts])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_floor_that_is_not_wanted_or_cannot_be_known_is_none():
    rng = np.random.default_rng(0)
    assert RealTexts.learn(sentences(300, 0), rng, None, topic_share=0).views[0].topic_floors == {}
    assert RealTexts.learn(sentences(50, 0), rng, None).views[0].topic_floors == {}
    assert RealTexts.learn(sentences(0, 0), rng, language_rank()).languages is None


def test_languages_of_real_texts_are_expected_and_others_not():
    english = ["The weather was lovely in the mountains yesterday.", "She reads a book about the history of trade."]
    french = ["Il fait très beau dans les montagnes ce matin.", "Elle lit un livre sur la vie des oiseaux."]
    german = ["Das Wetter war gestern in den Bergen sehr schön.", "Sie liest ein Buch über die Geschichte der Stadt."]
    both = Languages.learn(pd.Series(english * 30 + french * 30), language_rank())
    assert both.expected == {"en", "fr"}
    assert both.others(pd.Series([*english, *french, *german])).tolist() == [False] * 4 + [True] * 2
