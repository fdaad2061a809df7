"""Fresh identifiers: unique values of the same form as a column's own, none of which belongs to a member.

What part each column plays in a generator: modelled, held constant, or regenerated as an identifier.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from synth_mlflow.data import schema
from synth_mlflow.data.columns import CATEGORICAL_KINDS, EXACT, Kind, schema_of
from synth_mlflow.data.identifier_forms import fresh as fresh_of_form
from synth_mlflow.data.identifier_forms import known_form
from synth_mlflow.data.schema import UNIQUE_SHARE

Role = Literal["number", "category", "constant", "identifier", "text"]


def roles_of(members: pd.DataFrame, target: str, known: Mapping[str, schema.Role] | None = None) -> Mapping[str, Role]:
    """The role of each column of a normalised table; the target is always modelled unless it is constant.

    Parameters
    ----------
    members : DataFrame
    target : str
    known : mapping of str to Role, optional
        What the project's schema says; columns that it does not name are judged by their values.

    Examples
    --------
    >>> roles_of(pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "x"], "y": [True, False]}), "y")
    {'a': 'number', 'b': 'constant', 'y': 'category'}
    """
    kinds, known = schema_of(members), known or {}
    return {name: _role(members[name], kinds[name], target, known.get(name)) for name in kinds}


def _role(column: pd.Series, kind: Kind, target: str, known: schema.Role | None) -> Role:
    modelled: Role = "category" if kind in CATEGORICAL_KINDS else "number"
    if schema.is_constant(column):
        return "constant"
    if column.name == target:
        return modelled
    role = known or schema.role_of(column, kind)
    if role in {"identifier", "group key"}:
        return "identifier"
    return "text" if role in {"text", "conversation"} else modelled


MAX_FORMS = 200  # distinct patterns that are kept; the commonest ones
MAX_STEPS = 3  # draws of a public form that find few new values; then it is a form like any other
SATURATED = 10  # times that each letter of a column occurs on average, so that others do not belong to it
_HEX = "0123456789abcdef"


@dataclass(frozen=True)
class Identifiers:
    """A column of unique values and how to make more of them."""

    name: str
    is_text: bool
    missing_share: float
    forms: tuple[tuple[str, ...], ...]
    """For each pattern, the characters that may stand at each position."""
    weights: tuple[float, ...]
    taken: frozenset[str]
    public: str = ""
    """The public form that every value has, such as ``e-mail``."""
    examples: tuple[str, ...] = ()
    """Values of the public form, whose host, country or network new ones take over."""
    repeats: tuple[int, ...] = ()
    """How many rows each value of the members names, where that is often more than one."""

    @classmethod
    def of(cls, column: pd.Series) -> Identifiers:
        """Learn the patterns of a column of strings or whole numbers."""
        is_text = not pd.api.types.is_numeric_dtype(column.dtype)
        present = column.dropna()
        texts = [str(value) for value in (present if is_text else present.astype("int64"))]
        forms = _forms(texts)
        weights = np.array(list(forms.values()), dtype=float)
        public = known_form(present if is_text else present.astype("int64"))
        counts = present.value_counts()
        return cls(
            str(column.name),
            is_text,
            float(column.isna().mean()),
            tuple(forms),
            tuple(weights / weights.sum()),
            frozenset(texts),
            public,
            tuple(texts[:MAX_FORMS]) if public else (),
            tuple(counts) if len(counts) < UNIQUE_SHARE * len(present) else (),
        )

    def blind_to_members(self) -> Identifiers:
        """The same, but members' values may be drawn by chance: that they never are would tell which they are."""
        return replace(self, taken=frozenset())

    def draw(self, n_rows: int, rng: np.random.Generator) -> pd.Series:
        """``n_rows`` values, distinct and unknown among the members; missing as often as there.

        A form that is nearly used up grows.
        """
        missing = rng.random(n_rows) < self.missing_share
        fresh = self._named(n_rows - int(missing.sum()), rng)
        if self.is_text:
            texts = np.full(n_rows, None, dtype=object)
            texts[~missing] = fresh
            return pd.Series(texts, name=self.name).astype("str")
        numbers = pd.array([None] * n_rows, dtype="Int64")
        numbers[~missing] = [int(text) for text in fresh]
        exact = pd.Series(numbers, name=self.name)
        if not self.missing_share:
            return exact.astype("int64")
        is_large = any(abs(int(text)) > EXACT for text in fresh)
        return exact if is_large else pd.Series(exact.to_numpy(dtype="float64", na_value=np.nan), name=self.name)

    def _named(self, n_values: int, rng: np.random.Generator) -> list[str]:
        """New names, each for one row, or for as many as members' names are for."""
        if not self.repeats:
            return self._fresh(n_values, rng)
        sizes: list[int] = []
        while sum(sizes) < n_values:
            sizes.append(int(rng.choice(self.repeats)))
        spread = np.repeat(self._fresh(len(sizes), rng), sizes)[:n_values]
        return list(rng.permutation(spread))

    def _fresh(self, n_values: int, rng: np.random.Generator) -> list[str]:
        fresh: dict[str, None] = {}
        step = 0
        while len(fresh) < n_values:
            drawn = self._draw_texts(n_values - len(fresh) + 16, step, rng)
            accepted = [text for text in drawn if text not in self.taken and text not in fresh and self._fits(text)]
            step += len(accepted) < len(drawn) // 4  # the form is nearly used up
            fresh.update(dict.fromkeys(accepted))
        return list(fresh)[:n_values]

    def _fits(self, text: str) -> bool:
        """Whether a drawn name can be held: whole numbers have 64 bits."""
        return self.is_text or -(2**63) <= int(text) < 2**63

    def _draw_texts(self, n_values: int, step: int, rng: np.random.Generator) -> list[str]:
        if self.public and step < MAX_STEPS:
            return fresh_of_form(self.public, list(self.examples), n_values, rng)
        chosen = rng.choice(len(self.forms), size=n_values, p=self.weights)
        texts = np.empty(n_values, dtype=object)
        for form in np.unique(chosen):
            rows = np.flatnonzero(chosen == form)
            texts[rows] = _fill(_roomier(self.forms[form], step), len(rows), rng)
        return list(texts)


def _roomier(pattern: tuple[str, ...], step: int) -> tuple[str, ...]:
    """A pattern with more room: first digits that all members share become free, then characters of its kind are added.

    >>> _roomier(("ab", "xy"), 2)[2], _roomier(("A", "0", "0123456789"), 2)
    ('abcdefghijklmnopqrstuvwxyz', ('A', '0123456789', '0123456789', '0123456789'))
    """
    if step == 0:
        return pattern
    freed = tuple(_freed(alphabet, at) for at, alphabet in enumerate(pattern))
    end = max((at + 1 for at, alphabet in enumerate(freed) if len(alphabet) > 1), default=len(freed))
    more = string.digits if any(set(each) & set(string.digits) for each in freed) else freed[end - 1]
    return (*freed[:end], *([more if len(more) > 1 else string.digits] * (step - 1)), *freed[end:])


def _freed(alphabet: str, at: int) -> str:
    if len(alphabet) == 1 and alphabet.isdigit():
        return string.digits if at else string.digits[1:]
    whole = (string.ascii_lowercase, string.ascii_uppercase)
    return next((letters for letters in whole if len(alphabet) > 1 and set(alphabet) <= set(letters)), alphabet)


def _fill(pattern: tuple[str, ...], n_values: int, rng: np.random.Generator) -> list[str]:
    columns = [np.array(list(alphabet))[rng.integers(len(alphabet), size=n_values)] for alphabet in pattern]
    return ["".join(characters) for characters in zip(*columns, strict=True)]


def _forms(texts: list[str]) -> Counter[tuple[str, ...]]:
    """Patterns with their counts: a character that all values of one length share stays, others become their class."""
    by_length: dict[int, list[str]] = {}
    for text in texts:
        by_length.setdefault(len(text), []).append(text)
    prefix = _common_prefix(texts)
    shared = {
        length: [_shared(group, at) or at < len(prefix) for at in range(length)] for length, group in by_length.items()
    }
    varied = "".join(
        c
        for text in dict.fromkeys(texts)
        for c, is_shared in zip(text, shared[len(text)], strict=True)
        if not is_shared
    )
    letters = _letters(varied, any(_is_mixed(group, at) for n, group in by_length.items() for at in range(n)))
    forms: Counter[tuple[str, ...]] = Counter()
    for length, group in by_length.items():
        forms.update(
            tuple(
                _alphabet(c, is_shared, at, letters)
                for at, (c, is_shared) in enumerate(zip(text, shared[length], strict=True))
            )
            for text in group
        )
    return Counter(dict(forms.most_common(MAX_FORMS)))


def _shared(group: list[str], at: int) -> bool:
    return len(group) > 1 and len({text[at] for text in group}) == 1


def _common_prefix(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    same = [a == b for a, b in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)]


@dataclass(frozen=True)
class _Letters:
    """The letters that a column has where its values differ."""

    lower: str
    upper: str
    hexadecimal: str = ""
    """Digits and letters that stand in each other's place, if these are hexadecimal numbers."""


def _is_mixed(group: list[str], at: int) -> bool:
    """Whether digits and letters stand in each other's place."""
    characters = {text[at] for text in group}
    return any(map(str.isdigit, characters)) and any(map(str.isalpha, characters))


def _letters(characters: str, is_mixed: bool) -> _Letters:
    lower, upper = (_used(characters, alphabet) for alphabet in (string.ascii_lowercase, string.ascii_uppercase))
    used = {lower, upper} - {""}
    for alphabet in (_HEX, _HEX.upper()):
        n_letters = sum(map(characters.count, alphabet[10:]))
        is_only = all(set(letters) <= set(alphabet) for letters in used)
        if is_mixed and used and is_only and n_letters >= SATURATED:
            return _Letters(lower, upper, alphabet)
    return _Letters(lower, upper)


def _used(characters: str, alphabet: str) -> str:
    """The letters of an alphabet that occur, if they occur so often that others would have as well; else all."""
    used = "".join(letter for letter in alphabet if letter in characters)
    return used if sum(map(characters.count, used)) >= SATURATED * len(used) else alphabet


def _alphabet(character: str, shared: bool, at: int, letters: _Letters) -> str:
    if shared or not (character.isascii() and character.isalnum()):
        return character
    if letters.hexadecimal:
        return letters.hexadecimal
    if character.isdigit():
        return string.digits if at else string.digits[1:]  # no whole number starts with 0
    return letters.lower if character.islower() else letters.upper
