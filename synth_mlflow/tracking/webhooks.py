"""What is called when approved data are retracted: a URL for each name, which anybody who may write can add or remove.

It stands in a tag of the project's first problem statement, and is no evidence. A call sends a few facts as JSON, never
a row, and nothing else that this machine knows: no password of a `.netrc`, no cookie. It follows no redirect.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.auth import AuthBase

from synth_mlflow.errors import UsageError
from synth_mlflow.masks import without_passwords
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.server import Server
from synth_mlflow.tracking.write import delete_tag, set_tags

SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 4, 8
LONGEST = 2_000  # characters of a URL
VARIABLE = "env:"
_FIX = "Give an http or https URL without a password in it, or `env:NAME` for a URL that a variable holds."


@dataclass(frozen=True)
class Call:
    """What became of one call."""

    webhook: str
    """Host and scheme alone, or the name of the variable: paths of such URLs are often secrets."""
    answer: str
    """``200``, or why there was none."""
    delivered: bool


def subscribe(server: Server, root: str, name: str, webhook: str) -> None:
    """Have a URL called when a batch of any version of a name is retracted.

    Raises
    ------
    UsageError
        If it is no URL that can be called, or carries a password.
    """
    set_tags(server, root, {_tag(name, checked_webhook(webhook)): webhook})


def unsubscribe(server: Server, problems: Iterable[StoredRun], name: str, webhook: str) -> None:
    """Call a URL no longer.

    Raises
    ------
    UsageError
        If it is none of the name's.
    """
    tag = _tag(name, webhook)
    holders = [run for run in problems if tag in run.tags]
    if not holders:
        raise UsageError(f"{shown(webhook)} is no webhook of {name!r}.", f"`synth-mlflow watch {name}` lists them.")
    for run in holders:
        delete_tag(server, run.run_id, tag)


def checked_webhook(webhook: str) -> str:
    """The webhook, if it can be one.

    Examples
    --------
    >>> checked_webhook("https://chat.example/hooks/1"), checked_webhook("env:TEAM_HOOK")
    ('https://chat.example/hooks/1', 'env:TEAM_HOOK')
    """
    if webhook.startswith(VARIABLE) and webhook.removeprefix(VARIABLE).isidentifier():
        return webhook
    if not _can_be_called(webhook) or without_passwords(webhook, is_uri=True) != webhook:
        raise UsageError(f"{without_passwords(webhook, is_uri=True)[:80]!r} cannot be a webhook.", _FIX)
    return webhook


def webhooks_of(problems: Iterable[StoredRun], name: str) -> list[str]:
    """The webhooks of a name."""
    prefix = f"{names.TAG_WEBHOOK_PREFIX}{name}/"
    tags = [value for run in problems for tag, value in run.tags.items() if tag.startswith(prefix) and value]
    return list(dict.fromkeys(tags))


def shown(webhook: str) -> str:
    """A webhook as it may be shown to everybody.

    >>> shown("https://chat.example/hooks/s3cret"), shown("env:TEAM_HOOK")
    ('https://chat.example/…', 'env:TEAM_HOOK')
    """
    if webhook.startswith(VARIABLE):
        return webhook
    parts = urlsplit(webhook)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/…" if parts.path.strip("/") else "", "", ""))


def call(webhook: str, message: Mapping[str, Any]) -> Call:
    """Send facts to a webhook; whatever happens is told, and nothing is raised."""
    url = os.environ.get(webhook.removeprefix(VARIABLE), "") if webhook.startswith(VARIABLE) else webhook
    if not _can_be_called(url):
        what = "the variable is not set here" if not url else "it is no http or https URL that is called"
        return Call(shown(webhook), what, delivered=False)
    try:
        answer = requests.post(
            url,
            json=dict(message),
            timeout=(SECONDS_TO_CONNECT, SECONDS_TO_ANSWER),
            allow_redirects=False,
            auth=_NoPassword(),
            stream=True,  # what it answers is not read
        )
        answer.close()
    except (requests.RequestException, OSError, ValueError) as error:
        return Call(shown(webhook), f"it could not be reached: {type(error).__name__}", delivered=False)
    return Call(shown(webhook), str(answer.status_code), delivered=answer.ok and not answer.is_redirect)


class _NoPassword(AuthBase):
    """Keeps the passwords of a `.netrc` out of a call."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _can_be_called(url: str) -> bool:
    """Whether a URL is http or https, and no address by which clouds tell a machine its own secrets."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or len(url) > LONGEST or not url.isprintable() or " " in url:
        return False
    try:
        return not ipaddress.ip_address(host).is_link_local
    except ValueError:
        return True


def _tag(name: str, webhook: str) -> str:
    return f"{names.TAG_WEBHOOK_PREFIX}{name}/{hashlib.sha256(webhook.encode()).hexdigest()[:12]}"
