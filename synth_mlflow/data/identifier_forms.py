"""Texts that name people, devices or accounts by a public form: e-mail, UUID, IP address, IBAN, telephone number."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

SAMPLE = 200
_SHAPES = {
    "e-mail": re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"),
    "UUID": re.compile(r"\{?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\}?"),
    "IPv4": re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)"),
    "IPv6": re.compile(r"(?=.*:.*:)[0-9a-fA-F:]{3,39}"),
    "IBAN": re.compile(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}"),
    "phone": re.compile(r"(?:\+\d{1,3}|\(\d{2,5}\)|\d{3}[-.]\d{3}[-.])[\d\s().\-/]{5,}\d"),
}


def known_form(present: pd.Series) -> str:
    """The public form that every text of a column has; empty if there is none.

    >>> known_form(pd.Series(["ann@shop.example", "bob@shop.example"]))
    'e-mail'
    """
    if present.empty:
        return ""
    sample = present.drop_duplicates().head(SAMPLE).astype("str")
    for name, shape in _SHAPES.items():
        if sample.str.fullmatch(shape.pattern).all() and sample.map(_VALID.get(name, bool)).all():
            return name if present.drop_duplicates().astype("str").str.fullmatch(shape.pattern).all() else ""
    return ""


def fresh(name: str, examples: list[str], n_values: int, rng: np.random.Generator) -> list[str]:
    """Values of a public form, valid by its own rules; the caller leaves out those that are taken."""
    chosen = rng.integers(len(examples), size=n_values)
    shared = _n_shared(examples) if name == "e-mail" and len(examples) > 1 else 0
    drawn = [examples[place] for place in chosen]
    return [example[:shared] + _MAKERS[name](example[shared:], rng) for example in drawn]


def _n_shared(texts: list[str]) -> int:
    """How many characters all texts begin with."""
    first, last = min(texts), max(texts)
    same = [a == b for a, b in zip(first, last, strict=False)]
    return same.index(False) if False in same else len(same)


def iban_digits(text: str) -> str:
    """The two check digits of an IBAN (ISO 13616, MOD 97-10 of ISO 7064).

    >>> iban_digits("GB82 WEST 1234 5698 7654 32")
    '82'
    """
    bare = re.sub(r"\s", "", text)
    digits = "".join(str(int(character, 36)) for character in f"{bare[4:]}{bare[:2]}00")
    return f"{98 - int(digits) % 97:02d}"


def _is_iban(text: str) -> bool:
    return iban_digits(text) == text[2:4]


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


_VALID: Mapping[str, Callable[[str], bool]] = {"IBAN": _is_iban, "IPv6": _is_ipv6}


def _mail(example: str, rng: np.random.Generator) -> str:
    """The host of an example, which is no person's, behind a new name of the same shape."""
    local, _, host = example.rpartition("@")
    return f"{_scrambled(local, rng)}@{host}"


def _uuid(example: str, rng: np.random.Generator) -> str:
    bare = example.strip("{}")
    version = int(bare[14], 16)
    text = str(uuid.UUID(bytes=rng.bytes(16), version=version if 1 <= version <= 5 else 4))
    text = text.upper() if bare.upper() == bare and bare.lower() != bare else text
    return example.replace(bare, text)


def _ipv4(example: str, rng: np.random.Generator) -> str:
    """An address of the same first octet, so that private ones stay private."""
    first = example.partition(".")[0]
    second = example.split(".")[1] if first in {"172", "192", "169"} else str(rng.integers(256))
    return f"{first}.{second}.{rng.integers(256)}.{rng.integers(1, 255)}"


def _ipv6(example: str, rng: np.random.Generator) -> str:
    network = ipaddress.IPv6Address(example).packed[:4]
    return str(ipaddress.IPv6Address(network + rng.bytes(12)))


def _iban(example: str, rng: np.random.Generator) -> str:
    made = example[:4] + _scrambled(example[4:], rng)
    return f"{made[:2]}{iban_digits(made)}{made[4:]}"


def _phone(example: str, rng: np.random.Generator) -> str:
    """The country, and the area in brackets, of an example."""
    head = re.match(r"\+\d{1,3}|\(\d+\)|\d{3}", example)
    kept = head.group() if head else ""
    return kept + _scrambled(example[len(kept) :], rng)


def _scrambled(text: str, rng: np.random.Generator) -> str:
    """Other digits for digits, other letters for letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"

    def other(character: str) -> str:
        if character.isdigit():
            return str(rng.integers(10))
        if not (character.isascii() and character.isalpha()):
            return character
        made = letters[int(rng.integers(26))]
        return made.upper() if character.isupper() else made

    return "".join(map(other, text))


_MAKERS: Mapping[str, Callable[[str, np.random.Generator], str]] = {
    "e-mail": _mail, "UUID": _uuid, "IPv4": _ipv4, "IPv6": _ipv6, "IBAN": _iban, "phone": _phone,
}  # fmt: skip
