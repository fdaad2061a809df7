"""Make rows in this process: with an installed generator, or with the user's own code.

A generator of your own, named as ``module:callable``: a class that keeps the contract, or a plain function.

A plain function is called as ``function(members, n_rows, seed, **params)``:

- ``members`` is a DataFrame of real rows, the function's own copy;
- ``n_rows`` is how many rows to return;
- ``seed`` is a whole number, and the only source of randomness: the same arguments must give the same rows;
- ``params`` are what `--param NAME=VALUE` gave; the record keeps them together with the defaults of those not given;
- if it has a parameter named ``slice``, that is the condition which every row must satisfy, as text, or None;
- it returns a DataFrame of ``n_rows`` rows with the columns and types of ``members``, or yields it in pieces, which
  are written as they come.

A class is called with the parameters and keeps the :class:`synth_mlflow.generators.Generator` contract.

The maker of a generator that runs in our own environment: an installed one, or ``module:callable``.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pandas as pd

from synth_mlflow.allowed_code import load_callable
from synth_mlflow.backends.base import (
    GeneratedRows,
    GenerationRequest,
    GeneratorRunner,
    fit_and_sample,
    installed_maker,
    instance,
)
from synth_mlflow.data.environment import SHORT, Code, code_of
from synth_mlflow.errors import UsageError
from synth_mlflow.plugins import installed

_CONTRACT = object()  # stands for the arguments that are no parameters while the others are bound
_imported: dict[str, str] = {}  # the digest of each module's file when it was first met in this process


def own_maker(target: str, params: Mapping[str, Any], version: str | None) -> GeneratorRunner:
    """The maker of ``module:callable``.

    Parameters
    ----------
    version : str, optional
        By default measured: the version of the distribution that ships the module, else its git commit and its
        file's digest; outside of git, a class's own ``version`` with the digest.

    Raises
    ------
    UsageError
        If it cannot be imported, does not take the parameters, or has no version.
    """
    maker = _load(target)
    code = _code_as_imported(_home(target, maker))
    facts: dict[str, Any] = {"code": dataclasses.asdict(code) if code else None}
    if inspect.isclass(maker):
        generator = _generator(target, maker, params)
        if hasattr(generator, "leaky"):
            facts["leaky"] = bool(generator.leaky)
        known = version or _measured(target, code, getattr(generator, "version", None))
        settings = _class_settings(target, generator, params)
        return GeneratorRunner(known, settings, "code", facts, target, fit_and_sample(generator))
    settings = _function_settings(target, maker, params)
    return GeneratorRunner(
        version or _measured(target, code, None), settings, "code", facts, target, _calls(maker, params)
    )


def _load(target: str) -> Callable[..., Any]:
    try:
        callable_object: Callable[..., Any] = load_callable(target, "the generator", methods=("fit",))
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # a module may raise anything while it is imported
        raise UsageError(
            f"generator {target!r} cannot be loaded: {type(error).__name__}: {error}.",
            "Write module:callable; the module is looked for in the working directory and among what is installed.",
        ) from error
    return callable_object


def _home(target: str, generator: Callable[..., Any]) -> ModuleType:
    """The module that holds the code: the one that defines it, which may be another than the one that was named."""
    named = target.partition(":")[0]
    if inspect.isfunction(generator) or inspect.isclass(generator):
        return sys.modules.get(generator.__module__, sys.modules[named])
    return sys.modules[named]


def _code_as_imported(module: ModuleType) -> Code | None:
    """Python imports a module once a process: a file that was edited since is not the code that would run."""
    code = code_of(module)
    if code is not None and _imported.setdefault(module.__name__, code.sha256) != code.sha256:
        raise UsageError(
            f"{code.file} was changed after this process had imported it: its old code would run under a new digest.",
            "Begin a new process (in a notebook: restart the kernel).",
        )
    return code


def _measured(target: str, code: Code | None, declared: object) -> str:
    if code is not None and code.version is not None:
        return code.version
    if code is not None and isinstance(declared, str) and declared.strip():
        return f"{declared}+sha256:{code.sha256[:SHORT]}"
    raise UsageError(
        f"the version of {target!r} is not known: its file belongs to no installed distribution and no git commit.",
        "Give it with `--generator-version VERSION` (in Python `version=`), or commit the file.",
    )


def _generator(target: str, made_of: type, params: Mapping[str, Any]) -> Any:
    if not callable(getattr(made_of, "fit", None)):
        raise UsageError(
            f"{target!r} is a class without a method `fit`.",
            "Keep the contract of `synth_mlflow.generators.Generator`, or write a function "
            "`f(members, n_rows, seed, **params)`.",
        )
    return instance(target, made_of, params)


def _class_settings(target: str, generator: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    if dataclasses.is_dataclass(generator) and not isinstance(generator, type):
        return dataclasses.asdict(generator)
    return _bound(target, type(generator), (), params)


def _function_settings(target: str, function: Callable[..., Any], params: Mapping[str, Any]) -> dict[str, Any]:
    if not _takes_slice(function):
        return _bound(target, function, (_CONTRACT,) * 3, params)
    if "slice" in params:
        raise UsageError("the slice of a batch is no parameter of its generator.", "Give it with `--slice`.")
    return _bound(target, function, (_CONTRACT,) * 3, {**params, "slice": _CONTRACT})


def _bound(
    target: str, function: Callable[..., Any], contract: tuple[object, ...], params: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters with the defaults of those not given."""
    try:
        signature = inspect.signature(function)
        bound = signature.bind(*contract, **params)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"generator {target!r} does not take these parameters: {error}.",
            "A function is called as f(members, n_rows, seed, **params), a class with the parameters alone.",
        ) from error
    bound.apply_defaults()
    settings: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            settings |= value
        elif kind is not inspect.Parameter.VAR_POSITIONAL and value is not _CONTRACT:
            settings[name] = value
    return {name: value for name, value in settings.items() if value is not _CONTRACT}


def _calls(
    function: Callable[..., Any], params: Mapping[str, Any]
) -> Callable[[pd.DataFrame, GenerationRequest], GeneratedRows]:
    def make(members: pd.DataFrame, request: GenerationRequest) -> GeneratedRows:
        part = {"slice": request.part.text if request.part else None} if _takes_slice(function) else {}
        made = function(members.copy(), request.rows, request.seed, **params, **part)
        return GeneratedRows(made if inspect.isgenerator(made) else [made])

    return make


def _takes_slice(function: Callable[..., Any]) -> bool:
    try:
        return "slice" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C, without a signature
        return False


def maker_here(generator: str, params: Mapping[str, Any], version: str | None) -> GeneratorRunner:
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
