"""Values that name people, devices, accounts or goods by a public form: e-mail, UUID, IP address, IBAN, EAN."""

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
    "IPv4": re.compile(
        r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:/(?:3[0-2]|[12]?\d)|:\d{2,5})?"
    ),
    "MAC": re.compile(r"[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}"),
    "IPv6": re.compile(r"(?=.*:.*:)[0-9a-fA-F:]{3,39}"),
    "IBAN": re.compile(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}"),
    "ISIN": re.compile(r"[A-Z]{2}[A-Z0-9]{9}\d"),
    "EAN": re.compile(r"\d{8}|\d{12,14}"),
    "card": re.compile(r"\d(?:[ -]?\d){13,18}"),
    "phone": re.compile(r"(?:\+\d{1,3}|\(\d{2,5}\)|\d{3}[-.]\d{3}[-.])[\d\s().\-/]{5,}\d"),
}


CHECKED = ("ISIN", "EAN", "card")
"""Forms that the last digit alone tells from other codes: nine of ten codes fail each."""
MIN_CHECKED = 8
"""Distinct values, so that codes of another kind would all pass once in 10^8."""
GOODS = ("ISIN", "EAN")
"""Forms that name no person: where few of them repeat they are categories."""


def known_form(present: pd.Series) -> str:
    """The public form that every value of a column has, texts or whole numbers; empty if there is none.

    >>> known_form(pd.Series(["ann@shop.example", "bob@shop.example"]))
    'e-mail'
    """
    if present.empty or (pd.api.types.is_numeric_dtype(present.dtype) and present.min() < 10_000_000):
        return ""
    distinct = present.drop_duplicates().astype("str")
    sample = distinct.head(SAMPLE)
    for name in _SHAPES:
        if (name not in CHECKED or len(distinct) >= MIN_CHECKED) and are_of_form(name, sample):
            return name if are_of_form(name, distinct) else ""
    return ""


def are_of_form(name: str, texts: pd.Series) -> bool:
    """Whether all texts have a public form, with its check digits."""
    return bool(texts.str.fullmatch(_SHAPES[name].pattern).all() and texts.map(_VALID.get(name, bool)).all())


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


def luhn_digit(digits: str) -> str:
    """The check digit of a card, a SIM or a security after its other digits (ISO/IEC 7812-1, formula of H. P. Luhn).

    >>> luhn_digit("7992739871")
    '3'
    """
    doubled = [int(digit) * (2 - at % 2) for at, digit in enumerate(reversed(digits))]
    return str(-sum(n // 10 + n % 10 for n in doubled) % 10)


def ean_digit(digits: str) -> str:
    """The check digit of an article number after its other digits (GS1: EAN-8, UPC-A, EAN-13, GTIN-14).

    >>> ean_digit("400638133393")
    '1'
    """
    return str(-sum(int(digit) * (3 - 2 * (at % 2)) for at, digit in enumerate(reversed(digits))) % 10)


def _isin_digit(text: str) -> str:
    """The check digit of a security after its country and number (ISO 6166)."""
    return luhn_digit("".join(str(int(character, 36)) for character in text))


def _bare(text: str) -> str:
    return re.sub("[ -]", "", text)


_VALID: Mapping[str, Callable[[str], bool]] = {
    "IBAN": _is_iban,
    "IPv6": _is_ipv6,
    "ISIN": lambda text: _isin_digit(text[:-1]) == text[-1],
    "EAN": lambda text: ean_digit(text[:-1]) == text[-1],
    "card": lambda text: luhn_digit(_bare(text)[:-1]) == text[-1],
}


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
    mark = "/" if "/" in example else ":" if ":" in example else ""
    example, _, port = example.replace("/", ":").partition(":")
    first = example.partition(".")[0]
    if mark == "/":
        return f"{_network(first, example.split('.')[1], int(port), rng)}/{port}"
    second = example.split(".")[1] if first in {"172", "192", "169"} else str(rng.integers(256))
    made = f"{first}.{second}.{rng.integers(256)}.{rng.integers(1, 255)}"
    return f"{made}:{rng.integers(1024, 65536)}" if mark else made


def _network(first: str, second: str, length: int, rng: np.random.Generator) -> str:
    """The first address of a network of so many fixed bits."""
    second_part = second if first in {"172", "192", "169"} else str(rng.integers(256))
    address = f"{first}.{second_part}.{rng.integers(256)}.{rng.integers(256)}"
    return str(ipaddress.IPv4Network(f"{address}/{length}", strict=False).network_address)


def _mac(example: str, rng: np.random.Generator) -> str:
    """An address of the same maker, which its first half names."""
    made = example[2].join(f"{byte:02x}" for byte in rng.bytes(3))
    return example[:9] + (made.upper() if example.upper() == example else made)


def _isin(example: str, rng: np.random.Generator) -> str:
    made = example[:2] + _scrambled(example[2:-1], rng)
    return made + _isin_digit(made)


def _ean(example: str, rng: np.random.Generator) -> str:
    """An article of the same country, which the first digits name."""
    made = example[:3] + _scrambled(example[3:-1], rng)
    return made + ean_digit(made)


def _card(example: str, rng: np.random.Generator) -> str:
    """A card of the same kind, which the first digit names."""
    made = example[0] + _scrambled(example[1:-1], rng)
    return made + luhn_digit(_bare(made))


def _ipv6(example: str, rng: np.random.Generator) -> str:
    network = ipaddress.IPv6Address(example).packed[:4]
    return str(ipaddress.IPv6Address(network + rng.bytes(12)))


def _iban(example: str, rng: np.random.Generator) -> str:
    made = example[:4] + _scrambled(example[4:], rng)
    return f"{made[:2]}{iban_digits(made)}{made[4:]}"


def _phone(example: str, rng: np.random.Generator) -> str:
    """The country, and the area in brackets, of an example."""
    head = re.match(r"\+\d{1,3}|\(\d+\)|\d{3}", example)
    area = head.group() if head else ""
    return area + _scrambled(example[len(area) :], rng)


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
    "e-mail": _mail, "UUID": _uuid, "IPv4": _ipv4, "IPv6": _ipv6, "IBAN": _iban, "phone": _phone, "MAC": _mac,
    "ISIN": _isin, "EAN": _ean, "card": _card,
}  # fmt: skip
