"""Texts of made-up labels, as people write them and as language models with bad habits do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

SUBJECTS = """
river garden engine kitchen market winter teacher harbour bridge orchard lantern soldier mountain painter captain window
village dentist library station gardener neighbour farmer musician tailor baker sculptor pilot nurse judge
"""
ACTS = """
crosses remembers follows repairs watches paints forgets measures carries answers sells borrows cleans hides loses opens
praises questions releases shakes touches visits washes admires builds collects describes enjoys feeds grabs
"""
THINGS = """
lanterns letters machines pebbles shadows baskets whistles carpets ladders songs bottles candles drawers feathers gloves
hammers islands jackets kettles lessons mirrors needles oranges pencils ropes saddles tickets umbrellas wheels
"""


def sentences(n: int, seed: int) -> pd.Series:
    """Short English texts of one subject matter."""
    rng = np.random.default_rng(seed)
    lists = (SUBJECTS, ACTS, THINGS, SUBJECTS, ACTS, THINGS)
    return pd.Series([" ".join(f"the {rng.choice(words.split())}" for words in lists) for _ in range(n)])


def labelled(n: int, seed: int) -> pd.DataFrame:
    """Texts with a label that their words give away, in part."""
    said = sentences(n, seed)
    rng = np.random.default_rng(seed)
    is_pleasant = said.str.contains("songs|oranges|candles|lessons|enjoys|praises") ^ (rng.random(n) < 0.1)
    return pd.DataFrame({"said": said, "label": np.where(is_pleasant, "pleasant", "plain")})


def answers_of(habit: str, real: Sequence[str]) -> Callable[[int, int], str]:
    """What a model with a habit answers: ``content(at, n_rows)`` for the request at a place."""

    def content(at: int, n_rows: int) -> str:
        rows = labelled(n_rows, 10_000 + at)
        rows["said"] = [_text(habit, text, n_rows * at + n, real) for n, text in enumerate(rows["said"])]
        found: list[dict[str, Any]] = rows.to_dict("records")
        if habit == "drift":
            found = [{"sentence": row["said"], "label": row["label"]} if n % 2 else row for n, row in enumerate(found)]
        return "I'm sorry, I can't help with that." if habit == "refuses all" else json.dumps({"rows": found})

    return content


def _text(habit: str, text: str, n: int, real: Sequence[str]) -> str:
    words = real[n % len(real)].split()
    said = {
        "near duplicates": f"{sentences(1, 999)[0]} {n}",
        "off topic": f"Quarterly invoice {n} becomes payable fourteen days after delivery abroad.",
        "refusals": f"I'm sorry, but as an AI language model I cannot write sentence {n}.",
        "other language": f"Der alte Mann {n} geht heute ohne seinen Hund durch den dunklen Wald.",
        "copies": " ".join([*words[6:], *words[:6]]),
    }
    return said.get(habit, text)
