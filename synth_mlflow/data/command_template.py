"""A command with places for what changes from run to run, such as `python make.py --out {output} --seed {seed}`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synth_mlflow.data.tables import SUFFIXES
from synth_mlflow.errors import UsageError, closest

PLACES = ("output", "rows", "seed", "members", "slice")
_PLACE = re.compile(r"\{(\w+)\}")
_OUTPUT = re.compile(r"\{output\}((?:\.\w+)*)")


@dataclass(frozen=True)
class CommandTemplate:
    """A command that no shell reads: its words, with the places in them.

    Parameters
    ----------
    text : str
        Split into words as a shell would, with its quotes, and with nothing else that a shell does.
    params : mapping
        Values for places with other names than those in `PLACES`; each must have its place.

    Raises
    ------
    UsageError
        If it has no place for the output, or a place or a parameter that nothing belongs to.

    Examples
    --------
    >>> template = CommandTemplate("make --out {output}.csv --rate {rate}", {"rate": 3})
    >>> template.ending
    '.csv'
    >>> template.words({"output": "/tmp/batch.csv"})
    ['make', '--out', '/tmp/batch.csv', '--rate', '3']
    """

    text: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [*PLACES, *self.params]
        taken = [name for name in self.params if name in (*PLACES, "command")]
        if taken:
            raise UsageError(f"{taken[0]!r} cannot be the name of a parameter: it has another meaning in a command.")
        if "output" not in self.places:
            raise UsageError(
                f"the command {self.text!r} has no place for the rows that it makes.",
                "Write {output} where it takes the path of its output: `--out {output}`.",
            )
        for name in sorted(self.places):
            if name not in known:
                raise UsageError(f"the command has a place {{{name}}} that nothing belongs to. {closest(name, known)}")
        for name in self.params:
            if name not in self.places:
                raise UsageError(f"parameter {name!r} has no place in the command.", f"Write {{{name}}} where it goes.")
        if self.ending not in SUFFIXES:
            raise UsageError(
                f"the command's output ends in {self.ending}.", f"Let it write one of {', '.join(SUFFIXES)}."
            )

    @property
    def places(self) -> frozenset[str]:
        """The names of the places in it."""
        return frozenset(name for word in self._split() for name in _PLACE.findall(word))

    @property
    def ending(self) -> str:
        """The kind of file that it writes: what follows ``{output}``, else Parquet."""
        found = sorted({ending for word in self._split() for ending in _OUTPUT.findall(word)})
        if len(found) > 1:
            raise UsageError(f"the command writes one file, found {{output}} with the endings {', '.join(found)}.")
        return found[0] or ".parquet"

    def words(self, values: Mapping[str, Any]) -> list[str]:
        """The words with these values and the parameters put in; a place without a value stays as it is."""
        known = {**self.params, **values}
        return [self._filled(word, known) for word in self._split()]

    def _split(self) -> list[str]:
        try:
            return shlex.split(self.text)
        except ValueError as error:
            raise UsageError(f"the command {self.text!r} cannot be split into words: {error}.") from error

    def _filled(self, word: str, known: Mapping[str, Any]) -> str:
        if "output" in known:
            word = _OUTPUT.sub("{output}", word)  # the value has the ending already
        return _PLACE.sub(lambda place: _text(known[place[1]]) if place[1] in known else place[0], word)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
