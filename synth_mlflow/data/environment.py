"""The environment in which something was made: Python, platform, the packages that matter, the state of the code."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("synth_mlflow", "numpy", "pandas", "scipy", "scikit-learn", "lightgbm", "pyarrow", "mlflow")


def environment(*more_packages: str) -> dict[str, Any]:
    """Versions of Python and of the packages that matter, the platform, and the git state of the working directory."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version for name in (*PACKAGES, *more_packages) if (version := _version(name))},
        "git": git_state(Path.cwd()),
    }


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
