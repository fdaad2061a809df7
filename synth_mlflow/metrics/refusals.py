"""Refusals and remarks of assistants that stand in place of a text or around it."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pandas as pd

REFUSALS = re.compile(
    r"(?i)\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\bI(?:'|’)?(?:m| am) (?:sorry|afraid)\b[^.]{0,40}\b(?:can(?:'|’)?t|cannot|can not|unable)\b"
    r"|\bI (?:cannot|can(?:'|’)t|can not|won(?:'|’)t|am unable to|am not able to)"
    r" (?:help|assist|comply|fulfil|fulfill|provide|generate|create|write|continue|do that)"
    r"|\bI (?:do not|don(?:'|’)t) (?:have|possess) (?:personal|feelings|opinions|access to)\b"
    r"|^\s*(?:sure|certainly|of course)[,!:.]? (?:here|below) (?:is|are|(?:'|’)s)\b"
    r"|^\s*here(?:'|’)?s? (?:is|are) (?:a|an|the|your|some) "
    r"(?:\w+ )?(?:review|text|example|sentence|message|row)s?\b"
)
"""In English: assistants write such remarks in it, whatever they are asked to write."""


def refusals(texts: pd.Series) -> npt.NDArray[np.bool_]:
    """Which texts are refusals or remarks of an assistant; an array of shape (n_texts,)."""
    return np.asarray(texts.astype(str).str.contains(REFUSALS).to_numpy(), dtype=np.bool_)
