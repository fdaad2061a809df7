"""The maker of a generator that runs in our own environment: an installed one, or ``module:callable``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_mlflow.errors import UsageError
from synth_mlflow.plugins import installed
from synth_mlflow.stages.maker import Maker, installed_maker
from synth_mlflow.stages.own_code import own_maker


def maker_here(generator: str, params: Mapping[str, Any], version: str | None) -> Maker:
    """The maker; a UsageError if there is no such generator, or it does not take the parameters or the version."""
    if ":" in generator and generator not in installed("generators"):
        return own_maker(generator, params, version)
    refuse_version(generator, version)
    return installed_maker(generator, params)


def refuse_version(generator: str, version: str | None) -> None:
    """A UsageError for a version of what has one."""
    if version is not None:
        raise UsageError(
            f"version {version!r} was given for {generator!r}: the version of an installed generator is its own.",
            "Leave it out; it is for module:callable, and for commands.",
        )
