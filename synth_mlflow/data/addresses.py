"""Addresses of tables that are no files of this machine: web, object stores, Delta tables, databases, variables.

| address | a table |
|---|---|
| ``https://host/rows.csv``, ``http://…`` | a file behind a web server |
| ``s3://``, ``gs://``, ``hf://``, ``dbfs:/`` | a file, a folder or a pattern in an object store |
| ``delta:PLACE``, ``PLACE@v12`` | a Delta table, the newest version or this one |
| ``sql:VARIABLE:select …`` | the rows of a query; the variable of the environment has the URL of the database |
| ``env:VARIABLE`` | the address that a variable of the environment holds |

Passwords, signatures and tokens of an address are never shown or recorded: ``str(address)`` has none.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from synth_mlflow.errors import EvidenceError, UsageError
from synth_mlflow.masks import without_passwords

WEB = ("https", "http")
STORES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "hf": "hf", "dbfs": "dbfs"}
"""Schemes of object stores, and what each is usually called."""
USUAL = "https://, s3://, gs://, hf://, dbfs:/, file://, delta:FOLDER, sql:VARIABLE:QUERY, env:VARIABLE"
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://")
_ONE_SLASH = re.compile(r"(https?|s3a?|gcs|gs|hf):/(?=[^/])")  # what `pathlib` makes of two
_SHORT = re.compile(r"(?P<scheme>file|dbfs|delta|sql|env):(?!//)")
_VERSION = re.compile(r"(?P<table>.+)@v(?P<version>\d+)")
_SQL = re.compile(r"sql:(?P<variable>\w+):(?P<query>.+)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_]\w*")
LOG = "_delta_log"


@dataclass(frozen=True)
class Address:
    """Where a table is, if it is no file of this machine."""

    text: str = field(repr=False)
    """As it was given; may hold a secret."""

    def __str__(self) -> str:
        return without_passwords(self.text, is_uri=True)

    @property
    def scheme(self) -> str:
        """What stands before the colon; ``delta`` of every Delta table whose version is named."""
        if versioned(self.text)[1] is not None and self.text.startswith(("s3", "gs", "gcs")):
            return "delta"
        return self.text.partition(":")[0].lower()

    @property
    def is_recordable(self) -> bool:
        """Whether it can be read again by what is recorded of it."""
        return str(self) == self.text

    @property
    def name(self) -> str:
        """What a file of this table would be called.

        Examples
        --------
        >>> Address("https://host/a/rows.csv.gz?page=2").name, Address("delta:data/rows@v3").name
        ('rows.csv.gz', 'rows')
        """
        if self.scheme in {"sql", "env"}:
            return self.text.split(":")[1]
        path = versioned(self.text.removeprefix("delta:"))[0]
        path = urlsplit(path).path if self.scheme in WEB else path
        return unquote(path.rstrip("/").rpartition("/")[2]) or "table"


Place = Path | Address
"""Where a table is: a file, a folder or a pattern of this machine, or an address."""


def place_of(given: str | os.PathLike[str] | Address, beside: Path = Path()) -> Place:
    """What a text names.

    Parameters
    ----------
    given : str, path or Address
    beside : Path
        The folder that paths are relative to.

    Raises
    ------
    UsageError
        If it is an address of an unknown kind.

    Examples
    --------
    >>> place_of("rows.csv", Path("data"))
    PosixPath('data/rows.csv')
    >>> str(place_of("s3://bucket/rows?token=secret"))
    's3://bucket/rows?token=***'
    """
    if isinstance(given, Address):
        return given
    text = _ONE_SLASH.sub(r"\1://", os.fspath(given), count=1) if _ONE_SLASH.match(os.fspath(given)) else str(given)
    match = _ADDRESS.match(text) or _SHORT.match(text)
    if match is None or _is_file_here(text):
        return _local(beside / text)
    scheme = match["scheme"].lower()
    if scheme == "file":
        return _local(beside / url2pathname(urlsplit(text).path))
    if scheme not in {*WEB, *STORES, "delta", "sql", "env"}:
        raise UsageError(f"{text!r}: addresses that begin with {scheme!r} are not read.", f"Known: {USUAL}.")
    return _delta(text, beside) if scheme == "delta" else _checked(text, scheme)


def _is_file_here(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # too long for a path, as a query is
        return False


def _checked(text: str, scheme: str) -> Address:
    if scheme == "sql" and not _SQL.fullmatch(text):
        raise UsageError(f"{text!r} is no query.", 'Write "sql:VARIABLE:select …": the variable has the URL.')
    if scheme == "env" and not _VARIABLE.fullmatch(text.removeprefix("env:")):
        raise UsageError(f"{text!r} names no variable of the environment.", "Write `env:VARIABLE`.")
    return Address(text)


def is_rewritable(text: str) -> bool:
    """Whether pandas reads it by its name: a file or an address of one, no query and no Delta table.

    >>> is_rewritable("rows.csv"), is_rewritable("s3://bucket/rows.csv"), is_rewritable("sql:SHOP_DB:select 1")
    (True, True, False)
    """
    return not text.startswith(("sql:", "env:", "delta:")) and versioned(text)[1] is None


def _local(path: Path) -> Place:
    """A path; an address where it is a Delta table, which is not simply all files of its folder."""
    table, version = versioned(str(path))
    if (path / LOG).is_dir():
        return Address(f"delta:{path.resolve()}")
    if version is not None and not path.exists() and (Path(table) / LOG).is_dir():
        return Address(f"delta:{Path(table).resolve()}@v{version}")
    return path


def _delta(text: str, beside: Path) -> Address:
    table = text.removeprefix("delta:")
    if _ADDRESS.match(table):
        return Address(text)
    return Address(f"delta:{(beside / table).resolve()}")


def absolute(place: Place) -> Place:
    """The same place, whatever the working directory."""
    return place if isinstance(place, Address) else place.resolve()


def uri_of(place: Place) -> str:
    """As a URI, for the records of other tools."""
    return str(place) if isinstance(place, Address) else place.as_uri()


def versioned(text: str) -> tuple[str, int | None]:
    """A table and its version.

    Examples
    --------
    >>> versioned("s3://bucket/rows@v12"), versioned("rows")
    (('s3://bucket/rows', 12), ('rows', None))
    """
    match = _VERSION.fullmatch(text)
    return (text, None) if match is None else (match["table"], int(match["version"]))


def query_of(address: Address) -> tuple[str, str]:
    """The variable with the URL of the database, and the query."""
    match = _SQL.fullmatch(address.text)
    assert match is not None  # as `place_of` has checked
    return match["variable"], match["query"].strip()


def from_environment(variable: str, what: str) -> str:
    """The value of a variable.

    Raises
    ------
    UsageError
        If it is not set.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UsageError(
            f"{what} is read from the environment, and the variable {variable} is not set.",
            f"Set it where this command runs: `export {variable}=…`.",
        )
    return value


def recorded_place(text: str) -> Place:
    """The place that a run has recorded.

    Raises
    ------
    EvidenceError
        If its address had a secret, which was not recorded.
    """
    place = place_of(text)
    if isinstance(place, Address) and "***" in text:
        raise EvidenceError(
            f"the recorded address {text} had a secret, which is not recorded.", "Give the address: `--data ADDRESS`."
        )
    return place


def data_text(given: Any) -> Any:
    """`data` of problem.md as one text: a mapping names a query or a variable.

    Raises
    ------
    ValueError
        If a mapping has other keys than ``sql`` and ``url_env``.

    Examples
    --------
    >>> data_text({"sql": "select * from rows", "url_env": "SHOP_DB"})
    'sql:SHOP_DB:select * from rows'
    >>> data_text({"url_env": "SHOP_URL"})
    'env:SHOP_URL'
    """
    if not isinstance(given, dict):
        return given
    variable, query = given.get("url_env"), given.get("sql", "-")
    if set(given) - {"sql", "url_env"} or not all(isinstance(x, str) and x.strip() for x in (variable, query)):
        raise ValueError("needs a path or an address, `{url_env: VARIABLE}`, or `{sql: QUERY, url_env: VARIABLE}`")
    if not _VARIABLE.fullmatch(str(variable)):
        raise ValueError("needs the name of a variable of the environment as `url_env`, never a URL itself")
    return f"sql:{variable}:{query.strip()}" if "sql" in given else f"env:{variable}"
