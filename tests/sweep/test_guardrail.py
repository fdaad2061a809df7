"""The guardrail: a slice must show that it does not fall further than is allowed."""

import pytest

from synth_mlflow.data.task import Guardrail
from synth_mlflow.sweep.curve import SlicePoint
from synth_mlflow.sweep.selection import assurance, objections

STRICT, ACCEPTING = Guardrail(0.01), Guardrail(0.01, "we watch it in production")


def part(gain=None, low=None, high=None):
    """A slice of 40 rows."""
    return SlicePoint(40, 0.8, gain, low, high)


@pytest.mark.parametrize(
    ("found", "strict", "accepting"),
    [
        (part(0.0, -0.005, 0.005), "", ""),
        (part(-0.02, -0.03, 0.01), "slice 'old' falls by 0.02 (0.01 is allowed)", "slice 'old' falls by 0.02"),
        (part(0.02, -0.03, 0.07), "slice 'old' may fall by 0.03, the low end of its 95 % interval", ""),
        (part(), "slice 'old' (40 evaluation rows) is too small to tell", ""),
        (SlicePoint(40, None, None, None, None), "the metric is undefined on slice 'old' (40 evaluation rows)", ""),
    ],
)
def test_slice_must_show_that_it_does_not_fall(found, strict, accepting):
    for guardrail, words in ((STRICT, strict), (ACCEPTING, accepting)):
        told = objections(guardrail, {"old": found, "young": part(0.1, 0.05, 0.2)})
        assert told.startswith(words) and bool(told) == bool(words)


def test_assurance_names_what_was_accepted():
    assert assurance(STRICT, {"old": part(0.0, -0.005, 0.005)}).endswith("the 0.01 that is allowed.")
    told = assurance(ACCEPTING, {"old": part(0.02, -0.03, 0.07)})
    assert told.endswith("'old' cannot show it, which was accepted beforehand: we watch it in production.")
