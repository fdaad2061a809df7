"""The commonest slip in a condition: a single `=`, and a text without quotes."""

from __future__ import annotations

import re

from synth_mlflow.errors import UsageError

_SINGLE = re.compile(r"(?<![<>=!])=(?!=)\s*([^\W\d]\w*(?=\s|$|\)))?")
_PLAIN = ("true", "false")


def refuse_single_equal(text: str, rest: str) -> None:
    """A UsageError with the condition as it must be written, where what cannot be read begins with `=`.

    Examples
    --------
    >>> refuse_single_equal("age < 25", "< 25")
    >>> refuse_single_equal("foreign = A201", "= A201")
    Traceback (most recent call last):
    synth_mlflow.errors.UsageError: slice 'foreign = A201' compares with a single `=`; write `foreign == "A201"`.
    """
    if rest.startswith("="):
        meant = _SINGLE.sub(_as_equal, text)
        raise UsageError(f"slice {text!r} compares with a single `=`; write `{meant}`.")


def _as_equal(match: re.Match[str]) -> str:
    word = match.group(1)
    return f"== {word or ''}" if word is None or word.lower() in _PLAIN else f'== "{word}"'
