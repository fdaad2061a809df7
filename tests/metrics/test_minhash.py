"""Near copies by MinHash: the same as the exact search where texts are near, nothing where they are not."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.metrics.minhash import nearest_by_minhash, signatures
from synth_mlflow.metrics.near_texts import TextPieces, nearest_texts

LETTERS = list("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(2)
    words = ["".join(rng.choice(LETTERS, rng.integers(4, 9))) for _ in range(900)]
    return pd.Series([" ".join(rng.choice(words, 15)) for _ in range(400)])


def test_near_copies_are_those_of_the_exact_search(texts):
    known = TextPieces.learn(texts)
    real = known.pieces(texts)
    edited = known.pieces(texts.str.replace(r"^\w+ \w+", "other words", regex=True).iloc[::-1])
    found = nearest_by_minhash((edited, signatures(edited)), (real, signatures(real)))
    exact = nearest_texts(edited, real)
    assert found.place.tolist() == exact.place.tolist() == list(range(399, -1, -1))
    assert found.similarity == pytest.approx(exact.similarity, abs=1e-6)


def test_a_text_is_not_its_own_neighbour_and_an_empty_one_has_none(texts):
    with_gaps = pd.concat([texts, texts.iloc[:1], pd.Series(["", ""])], ignore_index=True)
    pieces = TextPieces.learn(with_gaps).pieces(with_gaps)
    both = pieces, signatures(pieces)
    found = nearest_by_minhash(both, both, own=np.arange(len(with_gaps)))
    assert found.place[0] == 400 and found.place[400] == 0
    assert found.similarity[[0, 400]].tolist() == pytest.approx([1, 1])
    assert found.similarity[-2:].tolist() == [0, 0] and (found.similarity[1:400] < 0.6).all()
