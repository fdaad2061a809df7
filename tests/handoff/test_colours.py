"""Every pair of colours that stands on the page is readable, in the light and in the dark."""

from __future__ import annotations

import re
from importlib import resources

import pytest

CSS = resources.files("synth_mlflow.handoff").joinpath("templates/handoff.css").read_text()
ON_EVERYTHING = ("ink", "soft", "link")
GROUNDS = ("paper", "card", "tint", "good-tint")
PAIRS = [(text, ground) for text in ON_EVERYTHING for ground in GROUNDS] + [
    ("good", "good-tint"),
    ("bad", "bad-tint"),
    ("open", "open-tint"),
    ("ink", "open-tint"),
    ("bad", "paper"),
    ("open", "paper"),
]
AA = 4.5  # WCAG 2.2, success criterion 1.4.3, for text of ordinary size


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_contrast(scheme, text, ground):
    colours = _schemes()[scheme]
    assert _contrast(colours[text], colours[ground]) >= AA


def test_contrast_is_that_of_the_standard():
    assert _contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def _schemes() -> list[dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks[:2]]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
