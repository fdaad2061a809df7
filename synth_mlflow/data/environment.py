"""The environment in which something was made: Python, platform, the packages that matter, the state of the code.

The version of somebody's code: that of the distribution that ships it, else its commit and its file's digest.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from synth_mlflow.data.digests import file_digest

PACKAGES = ("synth_mlflow", "numpy", "pandas", "scipy", "scikit-learn", "lightgbm", "pyarrow", "mlflow")


def environment(*more_packages: str) -> dict[str, Any]:
    """Versions of Python and of the packages that matter, the platform, and the git state of the working directory."""
    return {
        **installed_versions(*more_packages),
        "platform": platform.platform(),
        "git": git_state(Path.cwd()),
    }


def installed_versions(*more_packages: str) -> dict[str, Any]:
    """Those of Python, ``python``, and of the packages that matter, ``packages``; those that are not here left out."""
    packages = {name: version for name in (*PACKAGES, *more_packages) if (version := _version(name))}
    return {"python": platform.python_version(), "packages": packages}


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit, whether the tree is dirty, and the digest of what differs; None outside of a git checkout."""
    commit = git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    difference = (git(folder, "diff", "HEAD") or "") + (git(folder, "status", "--porcelain") or "")
    return {
        "commit": commit.strip(),
        "dirty": bool(difference),
        "diff_sha256": hashlib.sha256(difference.encode()).hexdigest() if difference else None,
    }


def git(folder: Path, *arguments: str) -> str | None:
    """What a git command prints; None where it fails, or where git cannot be asked."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, errors="replace", timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):  # no git on this machine, or a checkout too large to ask
        return None
    return done.stdout if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


SHORT = 12  # hex digits of a digest in a version


@dataclass(frozen=True)
class Code:
    """What can be measured about the file that holds a piece of code."""

    file: str
    """Its name, without folders."""
    sha256: str
    distribution: str | None = None
    distribution_version: str | None = None
    commit: str | None = None
    dirty: bool = False
    """Whether git does not track the file, or a tracked file of its checkout differs from the commit."""

    @property
    def version(self) -> str | None:
        """The version that this evidence supports; None where neither a distribution nor git knows the file.

        Examples
        --------
        >>> Code("make.py", "5e" * 32, commit="0123456789abcdef", dirty=True).version
        'git:0123456789ab+sha256:5e5e5e5e5e5e+dirty'
        >>> Code("make.py", "5e" * 32, "maker", "1.2").version
        '1.2'
        """
        if self.distribution_version is not None:
            return self.distribution_version
        if self.commit is None:
            return None
        return f"git:{self.commit[:SHORT]}+sha256:{self.sha256[:SHORT]}{'+dirty' if self.dirty else ''}"


def code_of(module: ModuleType) -> Code | None:
    """Where a module's code comes from; None for one that has no file, as in a notebook.

    A distribution counts only if its own list of files names the module's: a file of the working directory may have
    the name of an installed package, and an editable install keeps its version while its files change.
    """
    if not getattr(module, "__file__", None):
        return None
    path = Path(str(module.__file__)).resolve()
    sha256 = file_digest(path)
    shipped = _distribution(path)
    if shipped is not None:
        return Code(path.name, sha256, shipped.name, shipped.version)
    commit = git(path.parent, "rev-parse", "HEAD")
    return Code(path.name, sha256, commit=commit.strip() if commit else None, dirty=_is_dirty(path))


def _distribution(path: Path) -> metadata.Distribution | None:
    places = [place for place in sys.path if place and path.is_relative_to(Path(place).resolve())]  # few have packages
    for distribution in metadata.distributions(path=places):
        named = [file for file in distribution.files or [] if file.name == path.name]
        if any(Path(str(distribution.locate_file(file))).resolve() == path for file in named):
            return distribution
    return None


def _is_dirty(path: Path) -> bool:
    untracked = git(path.parent, "ls-files", "--error-unmatch", path.name) is None
    return untracked or bool(git(path.parent, "status", "--porcelain", "--untracked-files=no"))
