"""Refusals and remarks of assistants that stand in place of a text or around it."""

from __future__ import annotations

import re

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
