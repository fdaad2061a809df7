"""Functions and classes whose modules are imported when they are first called, so that each verb loads what it uses."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from synth_mlflow.errors import missing_library


def imported(module: str, name: str) -> Any:
    """A name of a module.

    Raises
    ------
    SynthError
        If a library of the system is missing, with what to install.
    """
    try:
        return getattr(import_module(module), name)
    except OSError as error:
        message = missing_library(error)
        if message is None:
            raise
        raise message from error


def later(module: str, name: str) -> Callable[..., Any]:
    """What stands for a function or a class until it is called.

    Examples
    --------
    >>> later("math", "floor")(2.5)
    2
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return imported(module, name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    return call
