"""The guardrail of a statement: no slice may fall by more than it allows, and that must be shown.

A ratio passes when the 95 % interval of every slice's gain lies above the allowed drop: a test of non-inferiority, as
guardrail metrics of experiments are judged (S. Wellek, Testing Statistical Hypotheses of Equivalence and
Noninferiority, 2010). All slices must pass, so that no correction for their number is needed (R. Berger, Technometrics
24 (1982), doi:10.2307/1267823).
"""

from __future__ import annotations

from collections.abc import Mapping

from synth_mlflow.data.task import Guardrail
from synth_mlflow.model.curve import SlicePoint


def objections(guardrail: Guardrail, slices: Mapping[str, SlicePoint]) -> str:
    """Why a ratio with these slices may not be chosen; empty if it may."""
    told = [words for name, part in slices.items() if (words := _objection(guardrail, name, part))]
    return f"{'; '.join(told)} ({guardrail.max_slice_drop:.3g} is allowed)" if told else ""


def assurance(guardrail: Guardrail, slices: Mapping[str, SlicePoint]) -> str:
    """How a ratio without objections keeps the guardrail, in one sentence."""
    words = f"The guardrail holds: no slice falls by more than the {guardrail.max_slice_drop:.3g} that is allowed"
    left = [repr(name) for name, part in slices.items() if _is_open(guardrail, part)]
    if not left:
        return f"{words}."
    why = guardrail.accept_inconclusive.rstrip(".")
    return f"{words}; {', '.join(left)} cannot show it, which was accepted beforehand: {why}."


def _objection(guardrail: Guardrail, name: str, part: SlicePoint) -> str:
    if part.gain is not None and part.gain < -guardrail.max_slice_drop:
        return f"slice {name!r} falls by {-part.gain:.3g}"
    if guardrail.accept_inconclusive or not _is_open(guardrail, part):
        return ""
    if part.score is None:
        return f"the metric is undefined on slice {name!r} ({part.n_rows:,} evaluation rows)"
    if part.gain_low is None:
        return f"slice {name!r} ({part.n_rows:,} evaluation rows) is too small to tell"
    return f"slice {name!r} may fall by {-part.gain_low:.3g}, the low end of its 95 % interval"


def _is_open(guardrail: Guardrail, part: SlicePoint) -> bool:
    """Whether the slice cannot show that it does not fall further."""
    return part.gain_low is None or part.gain_low < -guardrail.max_slice_drop
