"""Lists of words that are longer than one parameter: MLflow cuts a value at 6,000 characters, a list goes on in pages.

``synth.batches`` holds the first page, ``synth.batches/2`` the next, and so on; no word is ever divided. Every page is
a parameter: write-once, under the run's seal, and read with the run, without a request or a file more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PARAM_MAX = 6_000  # characters; MLflow cuts longer values and only warns


def pages(name: str, words: Iterable[str], longest: int = PARAM_MAX) -> dict[str, str]:
    """The parameters that hold a list, at least one.

    Raises
    ------
    ValueError
        If a single word is longer than a page.

    Examples
    --------
    >>> pages("synth.batches", ["one", "two", "three"], longest=8)
    {'synth.batches': 'one two', 'synth.batches/2': 'three'}
    >>> pages("synth.batches", [])
    {'synth.batches': ''}
    """
    filled = [""]
    for word in words:
        if len(word) > longest:
            raise ValueError(f"parameter {name} has a word of {len(word):,} characters, at most {longest:,} are kept")
        longer = f"{filled[-1]} {word}".lstrip()
        if len(longer) <= longest:
            filled[-1] = longer
        else:
            filled.append(word)
    return {_page(name, number): text for number, text in enumerate(filled, 1)}


def words_of(params: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The list that a run's parameters hold, over all of its pages; empty where there is none.

    Examples
    --------
    >>> words_of({"synth.batches": "one two", "synth.batches/2": "three"}, "synth.batches")
    ('one', 'two', 'three')
    """
    words, number = [], 1
    while (page := _page(name, number)) in params:
        words += params[page].split()
        number += 1
    return tuple(words)


def _page(name: str, number: int) -> str:
    return name if number == 1 else f"{name}/{number}"
