"""Names of approved data: `project/NAME@approved` for the newest version, `project/NAME/2` for one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from synth_mlflow.errors import UsageError

APPROVED = "approved"  # the alias of the newest version
FORMATS = ("parquet", "delta", "hugging-face", "mlflow")  # that its rows are published in
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_ADDRESS = re.compile(r"(?P<project>.+)/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d{1,9}))", re.DOTALL)
_FIX = "Write `project/NAME@approved` for the newest version, or `project/NAME/2` for version 2."


@dataclass(frozen=True)
class ApprovedName:
    """A name in a project, and which of its versions is meant."""

    project: str
    name: str
    version: int | None = None
    """None for the newest."""

    @property
    def text(self) -> str:
        """As people write it.

        >>> ApprovedName("churn", "young").text, ApprovedName("churn", "young", 2).text
        ('churn/young@approved', 'churn/young/2')
        """
        which = f"@{APPROVED}" if self.version is None else f"/{self.version}"
        return f"{self.project}/{self.name}{which}"

    def at(self, version: int) -> ApprovedName:
        """The same name with a version."""
        return replace(self, version=version)


def parse_address(text: str) -> ApprovedName:
    """Read the address of one version; the project is the experiment's name, which may hold slashes.

    Raises
    ------
    UsageError
        If it is no such address.

    Examples
    --------
    >>> parse_address("churn/young@approved")
    ApprovedName(project='churn', name='young', version=None)
    >>> parse_address("/Shared/churn/young/2")
    ApprovedName(project='/Shared/churn', name='young', version=2)
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no address of approved data.", _FIX)
    if match["alias"] not in (None, APPROVED):
        raise UsageError(f"{text!r} has the alias {match['alias']!r}; {APPROVED!r} is the only one.", _FIX)
    version = None if match["version"] is None else int(match["version"])
    return ApprovedName(match["project"], checked_name(match["name"]), version)


def parse_name(text: str) -> tuple[str | None, str]:
    """Read a name without a version: the project, None where it is left out, and the name.

    Examples
    --------
    >>> parse_name("churn/young"), parse_name("young"), parse_name("churn/young@approved")
    (('churn', 'young'), (None, 'young'), ('churn', 'young'))
    """
    project, _, name = text.removesuffix(f"@{APPROVED}").rpartition("/")
    return project or None, checked_name(name)


def checked_name(name: str) -> str:
    """The name, if it can be one.

    Raises
    ------
    UsageError
        If it does not begin with a letter, is too long, or holds other characters than a name may.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is no name of approved data: a letter, then up to 63 letters, digits, `.`, `_` or `-`.",
            "Give a name such as `young` or `rare-claims`.",
        )
    return name
