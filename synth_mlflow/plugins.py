"""Find plugins: one file each in a built-in folder, or an entry point of somebody else's package.

A built-in plugin is a module of the folder whose name does not start with an underscore and that defines
``plugin``: the class or function that the folder's interface asks for. Adding one edits no list.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from synth_mlflow.allowed_code import refuse_standard_library, require_allowed
from synth_mlflow.errors import UsageError, closest

BUILT_IN = "built in"  # the origin of what no other package brings


@dataclass(frozen=True)
class Plugin:
    """One installed plugin: where it comes from, and how to load it."""

    name: str
    folder: str
    origin: str
    version: str
    target: str

    def load(self, *, is_typed: bool = False) -> Any:
        """Import the plugin; what it is depends on its folder's interface.

        Parameters
        ----------
        is_typed : bool
            Whether a person named it on this command line; what a file or a server names must be allowed.

        Raises
        ------
        UsageError
            If it is another package's and nobody allowed it, or it cannot be imported or has no such attribute.
        """
        module, _, attribute = self.target.partition(":")
        if self.origin != BUILT_IN:
            what = f"{self.folder[:-1]} {self.name!r} of package {self.origin}"
            refuse_standard_library(module, what)
            if not is_typed:
                require_allowed(self.target, what)
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"{self.folder[:-1]} {self.name!r} ({self.target}) cannot be loaded: {error}.",
                "Install what it needs, or name another one: `synth-mlflow list`.",
            ) from error


def installed(folder: str) -> dict[str, Plugin]:
    """Every plugin of one folder, such as ``generators`` or ``exports``, by name; built-in ones first."""
    found = {plugin.name: plugin for plugin in _built_in(folder)}
    for plugin in _third_party(folder):
        found.setdefault(plugin.name, plugin)
    return found


def find(folder: str, name: str) -> Plugin:
    """One plugin by its name.

    Raises
    ------
    UsageError
        If no plugin has that name.
    """
    plugins = installed(folder)
    if name not in plugins:
        raise UsageError(
            f"no {folder[:-1].replace('_', ' ')} is called {name!r}. {closest(name, plugins)}",
            "`synth-mlflow list` shows what is installed.",
        )
    return plugins[name]


def _built_in(folder: str) -> list[Plugin]:
    package = importlib.import_module(f"synth_mlflow.{folder}")
    return [
        Plugin(
            module.name,
            folder,
            BUILT_IN,
            _version("synth_mlflow"),
            f"{package.__name__}.{module.name}:plugin",
        )
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_")
    ]


def _third_party(folder: str) -> list[Plugin]:
    return [
        Plugin(
            entry.name,
            folder,
            entry.dist.name if entry.dist else "unknown",
            entry.dist.version if entry.dist else "unknown",
            entry.value,
        )
        for entry in metadata.entry_points(group=f"synth_mlflow.{folder}")
    ]


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # a checkout that was not installed, as under `mlflow run`
        return "checkout"
