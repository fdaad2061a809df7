"""Counts of pieces of texts: the same as scikit-learn's, for every analyzer and any text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

from synth_mlflow.data import hashed_counts, kept_counts

ODD = [
    "",
    " ",
    "a",
    "ab ΑΣ  ΟΔΟΣ Σ",
    "İstanbul\n\n\tx",
    "日本語 の テスト、文です。",
    "👩‍👩‍👧‍👦 joined 🇩🇪",
    "\x00\x01 control \x1b[31m",
    "=1+1",
    "שלום, עולם",
    "long" * 2_000,
]
KINDS = [("word", 1, 2), ("word", 2, 3), ("char_wb", 2, 4), ("char_wb", 5, 5), ("char_wb", 1, 6), ("char", 2, 3)]


def vectorizer(analyzer: str, shortest: int, longest: int, **more: object) -> HashingVectorizer:
    counts = {"norm": None, "alternate_sign": False, "n_features": 2**18}
    return HashingVectorizer(analyzer=analyzer, ngram_range=(shortest, longest), **counts | more)


def assert_same(by: HashingVectorizer, texts: list[str]) -> None:
    ours, theirs = hashed_counts.hashed_counts(by, texts), by.transform(texts)
    assert ours.dtype == theirs.dtype
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", [{}, {"norm": "l2"}, {"binary": True, "dtype": np.float32}, {"lowercase": False}])
def test_counts_are_those_of_scikit_learn(kind, more):
    assert_same(vectorizer(*kind, **more), ODD)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=6))
def test_counts_of_any_text_are_those_of_scikit_learn(texts):
    for kind in KINDS:
        assert_same(vectorizer(*kind), texts)


def test_counts_of_many_letters_are_counted_in_blocks(monkeypatch):
    monkeypatch.setattr(hashed_counts, "MOST_LETTERS", 7)
    assert_same(vectorizer("char_wb", 3, 5), ODD)


def test_texts_are_counted_once(monkeypatch):
    by = vectorizer("char_wb", 3, 4, n_features=2**10)
    first = kept_counts.kept_counts(by, ["one text", "another", "one text"])
    monkeypatch.setattr(kept_counts, "hashed_counts", None)
    again = kept_counts.kept_counts(by, ["another", "one text"])
    np.testing.assert_array_equal(again.toarray(), first.toarray()[[1, 0]])
    assert kept_counts.kept_counts(by, []).shape == (0, 2**10)


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(kept_counts, "MAX_BYTES", 100)
    kept = kept_counts._RowCache()
    for text in ("first", "a text that has more pieces than are kept", "second"):
        kept.of(vectorizer("char_wb", 3, 4), [text])
        assert kept._n_bytes == sum(row.nbytes for row in kept._rows.values()) <= 100
    assert "second" in {text for _, text in kept._rows}


@pytest.mark.parametrize("most", [1, 10**6])
@pytest.mark.parametrize("more", [{}, {"n_features": 2**20}, {"binary": True, "dtype": np.float32}])
def test_counts_in_few_bytes_are_the_same(monkeypatch, most, more):
    monkeypatch.setattr(kept_counts, "PLACES_AT_ONCE", most)
    monkeypatch.setattr(kept_counts, "LETTERS_AT_ONCE", most)
    by, texts = vectorizer("char_wb", 3, 5, **more), [*ODD, "a " * 70_000]
    kept, theirs = kept_counts.TextCounts(kept_counts._RowCache().of(by, texts), by.n_features, by.dtype), by.transform
    for start, stop in ((0, None), (2, 5), (4, 4)):
        matrix, expected = kept.matrix(start, stop), theirs(texts)[start:stop]
        assert matrix.dtype == expected.dtype and matrix.shape == expected.shape
        for part in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(matrix, part), getattr(expected, part))


def test_a_kept_place_takes_three_bytes():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abcdefgh "), 600)) for _ in range(20)]
    kept = kept_counts.text_counts(vectorizer("char_wb", 3, 5, n_features=2**17), texts)
    assert sum(row.nbytes for row in kept.rows) == 3 * kept.sizes.sum()


def test_a_text_that_another_thread_has_counted_is_not_counted_again(monkeypatch):
    by, cache = vectorizer("word", 1, 1), kept_counts._RowCache()
    cache.of(by, ["one two"])
    asked = []
    monkeypatch.setattr(kept_counts, "hashed_counts", lambda by, texts: asked.append(texts) or by.transform(texts))
    rows = cache._counted(by, repr(by), ["one two", "three"])
    assert asked == [["three"]] and list(rows) == ["one two", "three"]
