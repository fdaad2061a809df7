"""Looking rows up in many sets of digests."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from synth_mlflow.queries.identify import match

digests = st.lists(st.sampled_from([0, 1, 2, 3, 2**63, 2**64 - 1]), max_size=8)


def hashes(values):
    return np.array(values, dtype=np.uint64)


@given(digests, st.lists(digests, max_size=5))
def test_same_answer_as_looking_up_row_by_row(rows, sets):
    found = match(hashes(rows), [hashes(each) for each in sets])
    assert found.holds[found.pattern].tolist() == [[row in each for each in sets] for row in rows]


def test_more_sets_than_one_word_has_bits():
    sets = [hashes([at, 1_000]) for at in range(130)]
    found = match(hashes([129, 64, 63, 1_000, 5_000]), sets)
    hits = [np.flatnonzero(found.holds[pattern]).tolist() for pattern in found.pattern]
    assert hits == [[129], [64], [63], list(range(130)), []]
    assert len(found.holds) == 5
