"""Plugins: files of a folder, entry points of others, and messages for those that are not there."""

from importlib import metadata

import pytest

from synth_mlflow import plugins
from synth_mlflow.allowed_code import allowing
from synth_mlflow.errors import UsageError
from synth_mlflow.plugins import Plugin, find, installed


def test_every_built_in_plugin_loads_and_says_what_it_is():
    for folder in ("generators", "checks", "triggers", "exports"):
        found = installed(folder)
        assert found
        assert not [name for name in found if name.startswith("_")]
        assert all(plugin.load() and plugin.origin == "built in" for plugin in found.values())


@pytest.mark.parametrize(
    ("folder", "word"), [("generators", "generator"), ("checks", "check"), ("triggers", "trigger")]
)
def test_an_unknown_name_gets_the_closest(folder, word):
    known = next(iter(installed(folder)))
    with pytest.raises(UsageError, match=f"no {word} is called '{known}x'. Did you mean '{known}'"):
        find(folder, f"{known}x")


@pytest.fixture
def others(monkeypatch):
    group = "synth_mlflow.generators"
    entries = [
        metadata.EntryPoint("theirs", "mlflow.entities:Run", group),
        metadata.EntryPoint("forest", "collections:Counter", group),
        metadata.EntryPoint("broken", "no_such_module:plugin", group),
        metadata.EntryPoint("hollow", "mlflow:NoSuchThing", group),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda: metadata.EntryPoints(entries))


def test_entry_points_are_plugins_and_never_replace_a_built_in_one(others):
    found = installed("generators")
    with allowing(["mlflow"]):
        assert (found["theirs"].load().__name__, found["theirs"].origin) == ("Run", "unknown")
    assert found["forest"].origin == "built in"


def test_the_metadata_of_installed_packages_is_read_once_for_all_folders(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(metadata, "entry_points", lambda: asked.append("entry points") or metadata.EntryPoints())
    monkeypatch.setattr(metadata, "version", lambda name: asked.append(name) or "1")
    monkeypatch.syspath_prepend(tmp_path)  # where to import from has changed: plugins are looked for again
    for folder in ("generators", "checks", "triggers", "exports", "peers"):
        assert installed(folder)
    assert asked == ["synth_mlflow", "entry points"]


@pytest.mark.parametrize("name", ["broken", "hollow"])
def test_a_plugin_that_cannot_be_loaded_says_why(others, name):
    with (
        allowing(["no_such_module", "mlflow"]),
        pytest.raises(UsageError, match=rf"generator '{name}' \(.*\) cannot be loaded from .*\nInstall what it needs"),
    ):
        find("generators", name).load()


def test_a_checkout_that_was_not_installed_has_no_version(monkeypatch, tmp_path):
    def unknown(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", unknown)
    monkeypatch.syspath_prepend(tmp_path)  # where to import from has changed: plugins are looked for again
    assert {plugin.version for plugin in plugins.installed("triggers").values()} == {"checkout"}
    assert Plugin("x", "checks", "built in", "1", "math:pi").load() == pytest.approx(3.14159, abs=1e-5)
