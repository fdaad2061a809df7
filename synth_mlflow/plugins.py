"""Find plugins: one file each in a built-in folder, or an entry point of somebody else's package.

A built-in plugin is a module of the folder whose name does not start with an underscore and that defines
``plugin``: a class that keeps the folder's contract. Adding one edits no list.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.abc
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from synth_mlflow.allowed_code import refuse_standard_library, require_allowed
from synth_mlflow.errors import PluginError, SynthError, closest

_OBJECTS = ("checks", "triggers", "exports")  # their plugins are made once, without arguments; generators per batch
BUILT_IN = "built in"  # the origin of what no other package brings


@dataclass(frozen=True)
class Plugin:
    """One installed plugin: where it comes from, and how to load it."""

    name: str
    folder: str
    origin: str
    version: str
    target: str

    @property
    def title(self) -> str:
        """Kind, name, and the distribution that brings it with its version.

        Examples
        --------
        >>> Plugin("tide", "triggers", "sea-checks", "1.2", "sea:tide").title
        "trigger 'tide' (sea-checks 1.2)"
        """
        return f"{kind(self.folder)} {self.name!r} ({self.origin} {self.version})"

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn whatever a plugin raises into one error that says whose it is; ``--debug`` shows the traceback.

        Raises
        ------
        PluginError
            If anything but an error of this product is raised inside the block.
        """
        try:
            yield
        except SynthError:
            raise
        except Exception as error:  # a plugin may raise anything
            raise PluginError(
                f"{self.title} raised {type(error).__name__}: {error}.",
                f"Tell whoever keeps {self.origin}; `--debug` shows where."
                if self.origin != BUILT_IN
                else "`--debug` shows where.",
            ) from error

    def load(self, *, is_typed: bool = False) -> Any:
        """Import the plugin: the class of a generator or peer, an object of the class of any other kind.

        A check, trigger or export format may also be given as an object that was made already.

        Parameters
        ----------
        is_typed : bool
            Whether a person named it on this command line; what a file or a server names must be allowed.

        Raises
        ------
        UsageError
            If it is another package's and nobody allowed it.
        PluginError
            If the module cannot be imported, whatever it raises, or has no such attribute.
        """
        module, _, attribute = self.target.partition(":")
        if self.origin != BUILT_IN:
            what = f"{self.folder[:-1]} {self.name!r} of package {self.origin}"
            refuse_standard_library(module, what)
            if not is_typed:
                require_allowed(self.target, what)
        try:
            plugin = getattr(importlib.import_module(module), attribute)
            return plugin() if isinstance(plugin, type) and self.folder in _OBJECTS else plugin
        except Exception as error:  # a plugin may raise anything
            raise PluginError(
                f"{self.title} cannot be loaded from {self.target}: {error}.",
                "Install what it needs, or name another one: `synth-mlflow list`.",
            ) from error

    def declared(self, *, is_typed: bool = False) -> Any:
        """What the plugin says of itself in constants of its class: its version, its summary, its thresholds.

        Those of a built-in plugin are read from its source, without importing what its work needs.

        Raises
        ------
        UsageError, PluginError
            As :meth:`load`, which all others are read by.
        """
        module, _, attribute = self.target.partition(":")
        if self.origin != BUILT_IN or module in sys.modules:
            return self.load(is_typed=is_typed)
        constants = _constants_of(module, attribute)
        return self.load(is_typed=is_typed) if constants is None else SimpleNamespace(**constants)


@functools.cache
def _constants_of(module: str, attribute: str) -> dict[str, Any] | None:
    """The constants of the class that a module gives a name at its end; None where one is no literal."""
    tree = ast.parse(_source(module) or "")
    named = [
        node.value.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Name)
        and any(isinstance(target, ast.Name) and target.id == attribute for target in _targets(node))
    ]
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in named]
    try:
        return {
            target.id: ast.literal_eval(node.value)
            for node in (classes[0].body if classes else [])
            if isinstance(node, ast.AnnAssign) and node.value is not None and "ClassVar" in ast.unparse(node.annotation)
            for target in _targets(node)
            if isinstance(target, ast.Name)
        } or None
    except ValueError:
        return None


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _source(module: str) -> str | None:
    spec = importlib.util.find_spec(module)
    loader = None if spec is None else spec.loader
    return loader.get_source(module) if isinstance(loader, importlib.abc.InspectLoader) else None


def installed(folder: str) -> dict[str, Plugin]:
    """Every plugin of one folder, such as ``generators`` or ``exports``, by name; built-in ones first."""
    package = importlib.import_module(f"synth_mlflow.{folder}")
    return dict(_installed(folder, _changed(package.__path__), metadata.entry_points, _changed(sys.path)))


def find(folder: str, name: str) -> Plugin:
    """One plugin by its name.

    Raises
    ------
    PluginError
        If no plugin has that name.
    """
    plugins = installed(folder)
    if name not in plugins:
        raise PluginError(
            f"no {kind(folder)} is called {name!r}. {closest(name, plugins)}",
            "`synth-mlflow list` shows what is installed.",
        )
    return plugins[name]


def kind(folder: str) -> str:
    """What a plugin of a folder is called.

    >>> kind("checks")
    'check'
    """
    return folder[:-1].replace("_", " ")


def provenance(folder: str, names: Iterable[str]) -> dict[str, str]:
    """The distribution and version of each of some plugins that another package brings; recorded with every use.

    Plugins of our own are left out: the version of this package is recorded beside everything.
    """
    known = installed(folder)
    others = {name: known[name] for name in names if name in known and known[name].origin != BUILT_IN}
    return {name: f"{plugin.origin} {plugin.version}" for name, plugin in others.items()}


def _changed(folders: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Each folder with the time of its last change: whoever installs a package changes one of those to import from."""
    paths = [Path(folder) for folder in folders]
    return tuple((str(path), path.stat().st_mtime_ns) for path in paths if path.exists())


@functools.lru_cache(maxsize=64)
def _installed(
    folder: str,
    files_changed: tuple[tuple[str, int], ...],  # noqa: ARG001 - part of the cache's key
    entry_points: Callable[[], Any],
    changed: tuple[tuple[str, int], ...],
) -> dict[str, Plugin]:
    by_name = {plugin.name: plugin for plugin in _built_in(folder, _version("synth_mlflow", changed))}
    theirs = _entry_points(entry_points, changed).select(group=f"synth_mlflow.{folder}")
    for plugin in _third_party(theirs, folder):
        by_name.setdefault(plugin.name, plugin)
    return by_name


@functools.lru_cache(maxsize=8)
def _entry_points(
    entry_points: Callable[[], Any],
    changed: tuple[tuple[str, int], ...],  # noqa: ARG001 - part of the cache's key
) -> Any:
    """Those of all groups: the metadata of every installed package is read once, not at every question."""
    return entry_points()


def _built_in(folder: str, version: str) -> list[Plugin]:
    package = importlib.import_module(f"synth_mlflow.{folder}")
    return [
        Plugin(module.name, folder, BUILT_IN, version, f"{package.__name__}.{module.name}:plugin")
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_")
    ]


def _third_party(entries: Iterable[metadata.EntryPoint], folder: str) -> list[Plugin]:
    return [
        Plugin(
            entry.name,
            folder,
            entry.dist.name if entry.dist else "unknown",
            entry.dist.version if entry.dist else "unknown",
            entry.value,
        )
        for entry in entries
    ]


@functools.lru_cache(maxsize=8)
def _version(
    distribution: str,
    changed: tuple[tuple[str, int], ...],  # noqa: ARG001 - part of the cache's key
) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # a checkout that was not installed, as under `mlflow run`
        return "checkout"
