"""The ratio curve as text."""

from __future__ import annotations

from synth_mlflow.cli.output import WIDTH, curve_lines
from synth_mlflow.queries.status import CurvePoint


def test_each_ratio_has_its_interval_on_one_scale() -> None:
    points = [CurvePoint(0, 0.6, 0.5, 0.7, 0.6, False), CurvePoint(0.25, 0.8, 0.7, 0.9, 0.5, True)]
    real, quarter, scale = curve_lines(points)
    assert real.startswith("    0 %  0.6") and "×" not in real
    assert quarter.startswith("   25 %  0.8") and quarter.endswith("chosen")
    at = 19
    assert real[at] == "├" and real.rstrip()[-1] == "┤"
    assert quarter[at] == "×" and quarter[at + WIDTH - 1] == "┤"
    assert scale.split() == ["0.5", "0.9"]


def test_a_curve_without_any_spread_is_drawn() -> None:
    assert "●" in curve_lines([CurvePoint(0, 1.0, 1.0, 1.0, 1.0, True)])[0]
