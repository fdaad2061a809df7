"""Rows are kept as long as they show nothing more often than real rows do."""

import sys
import zlib

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.errors import UsageError
from synth_mlflow.llm.filters import Quota, text_filters
from synth_mlflow.metrics.text_screen import Finding

ENDS = ("about brothers at sea", "with restless camera work", "from a forgotten village", "of quiet obsession")
REAL = [f"{a} {b} {c}" for a in ("warm", "dull", "sharp") for b in ("comedy", "thriller", "portrait") for c in ENDS]


def screened(texts, real=REAL, earlier=(), at_once=4, topic_share=0, vectors=None):
    """Why each text is not kept; None where it is."""
    before = [pd.DataFrame({"text": list(earlier)})] if earlier else []
    (each,) = text_filters(["text"], pd.DataFrame({"text": real}), before, topic_share, vectors)
    reasons = []
    for start in range(0, len(texts), at_once):
        rows = [{"text": text} for text in texts[start : start + at_once]]
        each.look(rows)
        for place in range(len(rows)):
            reasons.append(each.reason(place))
            if reasons[-1] is None:
                each.keep(place)
    return reasons


NEW = "An astonishing orchestra rehearses beneath collapsing scaffolding"


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_copies_within_the_batch_are_found_in_one_answer_and_across(at_once):
    texts = [NEW, NEW.upper(), f"{NEW} today", "Penguins negotiate diplomatic treaties underwater"]
    assert screened(texts, at_once=at_once) == [
        None,
        "'text' repeats a text of this batch",
        "'text' nearly repeats a text of this batch",
        None,
    ]


def test_copies_of_earlier_batches_are_found():
    found = screened([NEW, f"{NEW} today"], earlier=[f"{NEW}."])
    assert found == ["'text' repeats a text of an earlier batch", "'text' nearly repeats a text of an earlier batch"]


def test_copies_of_real_texts_and_refusals_are_found():
    assert screened([REAL[5], "As an AI model I cannot do that."]) == [
        "'text' repeats a real text",
        "'text' is a refusal or a remark of an assistant",
    ]


MEANINGS = {"feline": "cat", "kitten": "cat", "rug": "mat", "carpet": "mat", "lay": "sat", "rested": "sat"}


def meanings(texts):
    """Vectors of which words that mean the same share a place."""
    found = np.zeros((len(texts), 64))
    for row, text in enumerate(texts):
        for word in text.split():
            found[row, zlib.crc32(MEANINGS.get(word, word).encode()) % 64] += 1
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.where(length > 0, length, 1)


@pytest.fixture
def one_language(monkeypatch):
    monkeypatch.setattr("synth_mlflow.llm.filters.language_rank", lambda: lambda text: [("en", 0.0)])


def test_vectors_find_what_words_do_not(one_language):
    """Other words of one meaning: of a real text, of an earlier batch, and of this batch."""
    rng = np.random.default_rng(2)
    words = np.array(["cat", "mat", "sat", *(f"w{place}" for place in range(60))])
    real = [" ".join(rng.choice(words, 6, replace=False)) for _ in range(300)]
    first, second = "w1 w2 w3 cat mat sat", "w7 w8 w9 w11 cat mat"
    assert not any(set(first.split()) == set(text.split()) for text in real)
    texts = [first, "w1 w2 w3 kitten rug lay", "w7 w8 w9 w11 feline carpet"]
    plainly = screened(texts, real, earlier=[second])
    assert plainly == [None, None, None]
    assert screened(texts, real, earlier=[second], vectors=meanings) == [
        None,
        "'text' nearly repeats a text of this batch by its vector",
        "'text' nearly repeats a text of an earlier batch by its vector",
    ]


@pytest.mark.parametrize(("share", "n_kept", "allowed"), [(0.0, 500, 0), (0.1, 9, 3), (0.1, 99, 16), (1.0, 4, 9)])
def test_a_finding_may_be_shown_as_often_as_real_texts_show_it(share, n_kept, allowed):
    """As share x (n + 1) and two standard deviations: 1 + 2, 10 + 6.3, 5 + 4.5 by hand."""
    finding, quota = Finding("odd", np.array([True]), share), Quota(n_kept)
    for n in range(allowed):
        quota.counts["odd", 0.0] = n
        assert not quota.is_full(finding)
    quota.counts["odd", 0.0] = allowed
    assert quota.is_full(finding)


def test_a_missing_text_passes():
    assert screened([None, None, NEW]) == [None, None, None]


def test_a_table_without_texts_needs_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "py3langid", None)
    assert text_filters([], pd.DataFrame(), [], topic_share=0.05) == []
    with pytest.raises(
        UsageError, match=r"py3langid is not installed.\nInstall it: `pip install 'synth_mlflow\[llm\]'`"
    ):
        text_filters(["text"], pd.DataFrame({"text": REAL}), [], topic_share=0.05)
