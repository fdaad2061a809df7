"""Whose code may run here: the one rule for everything that a file or a server can name.

- What this package brings is free, and so are scikit-learn's estimators, which it is built on.
- Another module is imported only if the person at this machine allowed it by name: ``--allow-code NAME``,
  ``Workflow(..., allow_code=("NAME",))``, or a line of :func:`settings_file`. ``NAME`` is a module or a package, which
  stands for all inside of it.
- No module of Python's standard library is ever taken, allowed or not, and a class is looked at before it is called.
- A module also holds what it has imported itself: ``their_module:pd.read_pickle`` is code of pandas, and is asked
  for as such. Of what is free only classes are taken.
- What a person types on the command line (`generate my_rows:make`, `--command`) is that person's own choice.
- What only the server names (the generator or the command of a recorded batch) asks each time: `--allow-external`.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import click

from synth_mlflow.errors import UsageError

FREE = ("synth_mlflow", "sklearn")
NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*", re.UNICODE)
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_allowed: ContextVar[frozenset[str]] = ContextVar("allowed_code", default=frozenset())
_external: ContextVar[bool] = ContextVar("allowed_external", default=False)


def settings_file() -> Path:
    """The file in which a person allows code once and for all: one module a line, after ``#`` a comment.

    ``~/.config/synth-mlflow/allow-code`` on Linux, the usual place for settings on other systems.
    """
    return Path(click.get_app_dir("synth-mlflow")) / "allow-code"


@contextmanager
def allowing(names: Iterable[str]) -> Iterator[None]:
    """Inside the block these modules are allowed, beside those that already are.

    Raises
    ------
    UsageError
        If a name is no module's, or is one of the standard library.
    """
    given = frozenset(map(_module_name, names))
    token = _allowed.set(_allowed.get() | given)
    try:
        yield
    finally:
        _allowed.reset(token)


@contextmanager
def allowing_external(allowed: bool) -> Iterator[None]:
    """Inside the block commands may run that only a record names, if a person said so for this very command."""
    token = _external.set(allowed)
    try:
        yield
    finally:
        _external.reset(token)


def external_is_allowed() -> bool:
    """Whether commands may run that only a record names."""
    return _external.get()


def require_allowed(target: str, what: str) -> None:
    """Refuse to import ``module:callable`` that a file or a server names, unless it is free or was allowed.

    Parameters
    ----------
    target : str
        ``module`` or ``module:callable``.
    what : str
        Who names it, for the message: "the estimator of problem.md".

    Raises
    ------
    UsageError
        With the option to paste.
    """
    module = target.partition(":")[0]
    refuse_standard_library(module, what)
    if _within(module, FREE) or _within(module, _allowed.get()) or _within(module, _settings()):
        return
    root = module.partition(".")[0]
    raise UsageError(
        f"{what} is {target!r}: code of module {module!r}, which nobody has allowed to run on this machine.",
        f"Read it. If it may run: add `--allow-code {root}` to this command (in Python "
        f'`Workflow(…, allow_code=("{root}",))`), or for good: `mkdir -p "{settings_file().parent}" && '
        f'echo {root} >> "{settings_file()}"`.',
    )


def refuse_standard_library(module: str, what: str) -> None:
    """A UsageError for a module of Python itself: it holds no estimator and no generator, but ways to run commands."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise UsageError(
            f"{what} names module {module!r} of Python's standard library; nothing in it is ever taken.",
            "Name a class or a function of your own module, or of an installed package.",
        )


def load_callable(target: str, what: str, *, methods: Iterable[str] = ()) -> Any:
    """Import ``module:callable``, and look at what it is before anybody calls it.

    Whether it may be imported is :func:`require_allowed`'s question, which comes first wherever a file or a server
    names it.

    Parameters
    ----------
    methods : iterable of str
        What a class must have; of several joined by ``|`` one.

    Raises
    ------
    UsageError
        If it is of the standard library, or no class with these methods and no function.
    ImportError, AttributeError, ValueError
        If it cannot be imported; a module may raise anything else.
    """
    module, _, path = target.partition(":")
    refuse_standard_library(module, what)
    module_object: Any = importlib.import_module(module)
    for part in path.split("."):
        module_object = getattr(module_object, part)
    if not callable(module_object):
        raise UsageError(f"{target!r} is of type {type(module_object).__name__}, a class or a function was needed.")
    home = getattr(module_object, "__module__", None) or module
    if inspect.isclass(module_object) or inspect.isroutine(module_object):
        refuse_standard_library(str(home), f"{what} ({target})")
    if inspect.isclass(module_object):
        _refuse_without(module_object, target, methods)
    return module_object


def _refuse_without(cls: type, target: str, methods: Iterable[str]) -> None:
    for either in methods:
        if not any(callable(getattr(cls, name, None)) for name in either.split("|")):
            raise UsageError(
                f"{target!r} is a class without a method `{either.replace('|', '` or `')}`.",
                "It was not called. Name a class that keeps the contract, or a function.",
            )


def require_own(target_object: Any, target: str, what: str) -> None:
    """Refuse what a file or a server names in an allowed module, and that module has only imported from another one.

    Parameters
    ----------
    target_object : callable
        What :func:`load_callable` gave for ``target``.
    what : str
        Who names it, for the message.

    Raises
    ------
    UsageError
        With the option to paste; also for a function of what is free, and for a path through anything but classes.
    """
    module, _, path = target.partition(":")
    if _within(module, FREE) and not inspect.isclass(target_object):
        raise UsageError(
            f"{target!r} is no class; of {' and '.join(FREE)} only classes are taken.", "Name an estimator."
        )
    holder: Any = importlib.import_module(module)
    for part in path.split(".")[:-1]:
        holder = getattr(holder, part)
        if not inspect.isclass(holder):
            raise UsageError(
                f"{what} is {target!r}, and {part!r} is of type {type(holder).__name__}: nothing was called.",
                "Name what you mean by its own module, such as `package.module:Class`.",
            )
        require_allowed(holder.__module__, f"{what} ({target})")
    if inspect.isclass(target_object) or inspect.isroutine(target_object):
        require_allowed(getattr(target_object, "__module__", None) or module, f"{what} ({target})")


@contextmanager
def importable_here() -> Iterator[None]:
    """Modules of the working directory can be imported inside the block; what is installed comes first."""
    here = str(Path.cwd())
    sys.path.append(here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(here)


def _module_name(name: str) -> str:
    module = name.strip().partition(":")[0]
    if not NAME.fullmatch(module):
        raise UsageError(f"{name!r} was allowed to run, a module or a package was needed.", "Such as `my_models`.")
    refuse_standard_library(module, "an allowance")
    return module


def _within(module: str, packages: Iterable[str]) -> bool:
    """Whether a module is one of these packages or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _settings() -> frozenset[str]:
    """The modules of the settings file; a file that others may write to is nobody's word."""
    path = settings_file()
    try:
        status = path.stat()
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Correct it or delete it.") from error
    if os.name == "posix" and (status.st_mode & _OTHERS_MAY_WRITE or status.st_uid not in {os.getuid(), 0}):
        raise UsageError(
            f"{path} says which code may run here, and others may write to it.",
            f'Read it, then: `chmod go-w "{path}"`.',
        )
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(_module_name(line) for line in lines if line)
