"""A file behind a web server: downloaded whole, or refused.

A connection that ends early is seen by the length that the server has announced, or by the last piece of a chunked
answer. A server that announces neither is asked twice, and both answers must be the same.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from email.message import Message
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from synth_mlflow.data.addresses import Address
from synth_mlflow.data.sources.copies import Copy
from synth_mlflow.data.table_files import JSON_SUFFIXES, PARQUET, SUFFIXES, TEXT_SUFFIXES, USUAL
from synth_mlflow.errors import UsageError

ATTEMPTS = 3
PAUSE_SECONDS = 0.5  # before the second attempt; twice as long before each further one
TIMEOUT_SECONDS = (10, 60)  # until it is connected, and between two pieces
PIECE_BYTES = 1 << 20
NAME_LENGTH = 100
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Answers after which asking again may help."""
_BY_TYPE = {
    "text/csv": ".csv",
    "application/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/vnd.apache.parquet": PARQUET,
    "application/vnd.apache.arrow.file": ".feather",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/x-jsonlines": ".jsonl",
}
_MARKUP = (b"<!doctype", b"<html", b"<?xml")
_ELSEWHERE = "Try again; or download it by other means, and name the file."
_REASONS = {
    "NameResolutionError": "no host of this name is known here",
    "getaddrinfo": "no host of this name is known here",
    "Timeout": "the server did not answer in time",
    "TimedOut": "the server did not answer in time",
    "SSL": "its certificate is not trusted here",
    "TooManyRedirects": "it redirects without end",
    "IncompleteRead": "the connection ended before the whole file had come",
    "ChunkedEncodingError": "the connection ended before the whole file had come",
    "Protocol": "the connection ended before the whole file had come",
    "NewConnectionError": "nothing listens there, or the network is down",
    "Decode": "what came is packed and damaged",
}
"""What the names of exceptions mean; their texts may hold the secrets of an address."""


class _PassingError(Exception):
    """What may be over when it is asked again."""


def fetch(address: Address, folder: Path) -> Copy:
    """Download a file.

    Raises
    ------
    UsageError
        If it cannot be had as a whole, is a web page, or its kind is not known.
    """
    if any(mark in urlsplit(address.text).path for mark in "*["):
        raise UsageError(f"{address} is a pattern, and a web server lists no files.", "Name one file.")
    for attempt in range(ATTEMPTS):
        try:
            return _downloaded(address, folder)
        except _PassingError as error:
            reason = str(error)
        if attempt + 1 < ATTEMPTS:
            time.sleep(PAUSE_SECONDS * 2**attempt)
    raise UsageError(f"{address} cannot be read: {reason}; it was asked {ATTEMPTS} times.", _ELSEWHERE)


def _downloaded(address: Address, folder: Path) -> Copy:
    try:
        with requests.Session() as session:
            saved = _saved(session, address, folder)
            if saved.is_vouched:
                return saved.copy(address, folder)
            again = _saved(session, address, folder)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _refusal(address, error) from None
    if again.digest != saved.digest:
        raise _PassingError("the server says no length, and two downloads of it differ")
    return again.copy(address, folder)


class _Saved:
    """A downloaded file, and what its server said of it."""

    def __init__(self, path: Path, digest: str, n_bytes: int, headers: Mapping[str, str]) -> None:
        self.path, self.digest, self.n_bytes, self.headers = path, digest, n_bytes, headers

    @property
    def is_vouched(self) -> bool:
        """Whether an early end of the connection would have been seen."""
        return "Content-Length" in self.headers or "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    def copy(self, address: Address, folder: Path) -> Copy:
        named = {"etag": "ETag", "modified": "Last-Modified", "version": "x-amz-version-id"}
        facts = {name: self.headers[header] for name, header in named.items() if header in self.headers}
        return Copy(self.path, folder, address, {**facts, "bytes": self.n_bytes, "sha256": self.digest})


def _saved(session: requests.Session, address: Address, folder: Path) -> _Saved:
    # packed on the way, a file would have another length than is announced
    headers = {"Accept-Encoding": "identity"}
    with session.get(address.text, stream=True, timeout=TIMEOUT_SECONDS, headers=headers) as response:
        _refuse_status(address, response)
        name = _file_name(address, response)
        path, digest, n_bytes = folder / name, hashlib.sha256(), 0
        with path.open("wb") as file:
            for piece in response.raw.stream(PIECE_BYTES, decode_content=not name.endswith(".gz")):
                if not n_bytes:
                    _refuse_page(address, name, piece)
                file.write(piece)
                digest.update(piece)
                n_bytes += len(piece)
        _refuse_short(response)
        return _Saved(path, digest.hexdigest(), n_bytes, response.headers)


def _refuse_short(response: requests.Response) -> None:
    """The length is checked by urllib3 as well, unless its settings were changed."""
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and response.raw.tell() < int(announced):
        raise _PassingError(f"{response.raw.tell():,} of {int(announced):,} bytes came")


def _refuse_status(address: Address, response: requests.Response) -> None:
    if any(each.url.startswith("https:") for each in response.history) and response.url.startswith("http:"):
        raise UsageError(f"{address} redirects from https to http, where others can change it.", _ELSEWHERE)
    status = response.status_code
    if status in PASSING:
        raise _PassingError(f"the server answers {status} ({response.reason})")
    if status in {401, 403, 407}:
        raise UsageError(
            f"{address}: access is denied; the server answers {status} ({response.reason}).",
            "Check the credentials: a signed address may have expired. Keep a secret address in a variable of the "
            "environment, and name it: `data: {url_env: VARIABLE}` in problem.md, `env:VARIABLE` elsewhere.",
        )
    if status in {404, 410}:
        raise UsageError(f"{address} is not there; the server answers {status}.", "Correct the address.")
    if status != 200:
        raise UsageError(f"{address} cannot be read; the server answers {status} ({response.reason}).", _ELSEWHERE)


def _refuse_page(address: Address, name: str, first: bytes) -> None:
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower()
    if start.startswith(_MARKUP) and name.lower().endswith((*TEXT_SUFFIXES, *JSON_SUFFIXES)):
        raise UsageError(
            f"{address} gives a web page in place of a table: it begins with {first.lstrip()[:20]!r}.",
            "Give the address of the file itself; some servers answer with a page where you must log in first.",
        )


def _refusal(address: Address, error: Exception) -> Exception:
    names_of_causes = repr(error) + type(error).__name__  # with the names of what caused it
    reason = next((words for name, words in _REASONS.items() if name in names_of_causes), type(error).__name__)
    if isinstance(error, requests.exceptions.SSLError) and "EOF" not in names_of_causes:
        return UsageError(f"{address}: {reason}.", "Name your authorities: `export REQUESTS_CA_BUNDLE=FILE`.")
    if isinstance(error, ValueError | requests.TooManyRedirects) and not isinstance(error, requests.JSONDecodeError):
        return UsageError(f"{address} cannot be read: {reason}.", "Correct the address.")
    return _PassingError(reason)


def _file_name(address: Address, response: requests.Response) -> str:
    """What the file is called: by the server, the address, or what the address redirects to; its kind else by type."""
    header = Message()
    header["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    candidates = [header.get_filename() or "", *map(_last_part, (address.text, response.url))]
    names = [_plain(name) for name in candidates if name.lower().endswith(SUFFIXES)]
    if names:
        return names[0]
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in _BY_TYPE:
        return f"table{_BY_TYPE[kind]}"
    if kind == "text/html":
        _refuse_page(address, ".csv", b"<html of type text/html")
    raise UsageError(
        f"{address} is not a kind of table that is read here: neither its name nor its type ({kind or 'none'}) is one.",
        f"Download it, call it one of {USUAL}, and name that file.",
    )


def _last_part(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _plain(name: str) -> str:
    """A name that is safe for a file, with its ending."""
    return re.sub(r"[^\w.-]+", "_", name.replace("\\", "/").rpartition("/")[2])[-NAME_LENGTH:].lstrip(".")
