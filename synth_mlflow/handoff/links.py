"""Where a link of the document may lead, and what it must not give away."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit, urlunsplit

_SCHEMES = ("http", "https")


def without_credentials(uri: str) -> str:
    """The same address without user name, password, and tokens in its query.

    Examples
    --------
    >>> without_credentials("postgresql://me:secret@db.example:5432/mlflow?password=x")
    'postgresql://db.example:5432/mlflow'
    >>> without_credentials("sqlite:///mlflow.db")
    'sqlite:///mlflow.db'
    """
    parts = _split(uri)
    if parts is None:
        return ""
    host = parts.netloc.rpartition("@")[2]
    if host == parts.netloc and not parts.query:
        return uri
    return urlunsplit((parts.scheme, host, parts.path, "", parts.fragment))


def is_web_address(url: str) -> bool:
    """Whether a link may carry this address: http or https with a host, or a path relative to the document.

    Examples
    --------
    >>> is_web_address("https://example.org/a"), is_web_address("figures/a.png"), is_web_address("#limits")
    (True, True, True)
    >>> is_web_address("javascript:alert(1)"), is_web_address("//example.org"), is_web_address("/etc/passwd")
    (False, False, False)
    """
    parts = _split(url)
    if parts is None or any(character.isspace() or not character.isprintable() for character in url):
        return False
    if parts.scheme:
        return is_server_address(url)
    return bool(url) and not parts.netloc and not url.startswith(("/", "\\")) and ":" not in url.partition("/")[0]


def is_server_address(url: str | None) -> bool:
    """Whether a link to a run may carry this address: http or https, with a host.

    Examples
    --------
    >>> is_server_address("http://localhost:5000/#/experiments/1"), is_server_address("mlruns"), is_server_address(None)
    (True, False, False)
    """
    parts = _split(url or "")
    return parts is not None and parts.scheme in _SCHEMES and bool(parts.netloc)


def _split(uri: str) -> SplitResult | None:
    try:
        return urlsplit(uri)
    except ValueError:  # as for an unclosed bracket of an IPv6 address
        return None
