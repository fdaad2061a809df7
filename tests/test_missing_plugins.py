"""A plugin that is not installed here, or raises: reading shows what is recorded, the rest refuses in a sentence."""

from __future__ import annotations

from functools import partial
from importlib import metadata

import pytest
import shop
import their_plugins

from synth_mlflow import Workflow
from synth_mlflow.allowed_code import allowing
from synth_mlflow.errors import PluginError, StatementError
from synth_mlflow.gate import rerun_conditions
from synth_mlflow.plugins import find
from synth_mlflow.tracking import names

LAW = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None, "purpose": "more", "source": "none"}


class Entry:
    """An entry point with a distribution, as `importlib.metadata` gives them."""

    def __init__(self, group, name, target):
        self.group, self.name, self.value = group, name, f"their_plugins:{target}"
        self.dist = type("Distribution", (), {"name": "sea-checks", "version": "1.2"})


class Entries(list):
    """As `metadata.entry_points` gives them."""

    def select(self, group):
        return [entry for entry in self if entry.group == group]


@pytest.fixture(autouse=True)
def _allowed():
    """Somebody at this machine has allowed their code."""
    with allowing(["their_plugins"]):
        yield


def install_for(patch, **groups):
    """Install plugins of another package by group and name; the next call takes them away again."""
    known = [Entry(f"synth_mlflow.{group}", *each) for group, entries in groups.items() for each in entries.items()]
    patch.setattr(metadata, "entry_points", lambda: Entries(known))


@pytest.fixture
def install(monkeypatch):
    return partial(install_for, monkeypatch)


@pytest.fixture(scope="module")
def judged_folder(done_folder, tmp_path_factory):
    """A finished project whose statement asks for a check and a trigger of another package."""
    folder = tmp_path_factory.mktemp("judged")
    workflow = shop.on_copy(done_folder, folder)
    text = (folder / "problem.md").read_text()
    more = "validation: {required: [tide]}\nrerun_when: {moon: full, task: off}\n"
    (folder / "problem.md").write_text(text.replace("---\n", f"---\n{more}", 1))
    with pytest.MonkeyPatch.context() as patch, allowing(["their_plugins"]):
        patch.chdir(folder)
        install_for(patch, checks={"tide": "tide"}, triggers={"moon": "moon"})
        workflow.define(folder / "problem.md")
        (verdict,) = workflow.validate()
    assert verdict.gate_open, verdict
    return folder


@pytest.fixture
def judged(install, judged_folder, tmp_path):
    """The project on a copy of its store; both plugins are installed."""
    install(checks={"tide": "tide"}, triggers={"moon": "moon"})
    return shop.on_copy(judged_folder, tmp_path)


@pytest.mark.slow
def test_what_another_package_brings_is_recorded_with_every_use(judged):
    problem = judged.project.find_problem().run
    assert problem.params[names.P_PLUGINS] == (
        '{"checks":{"tide":"sea-checks 1.2"},"triggers":{"moon":"sea-checks 1.2"}}'
    )
    (tide,) = judged.project.reader.finished("tide")
    assert tide.params[names.P_PLUGINS] == '{"checks":{"tide":"sea-checks 1.2"}}'
    assert names.P_PLUGINS not in judged.project.reader.finished("fidelity")[0].params


@pytest.mark.slow
def test_verbs_that_read_show_what_is_recorded(judged, install):
    before = judged.status().verdicts
    install()
    workflow = Workflow("shop", judged.project.server.tracking_uri)
    status = workflow.status()
    assert status.verdicts == before and status.verdicts[0].gate_open
    (moon,) = (state for state in status.triggers if state.name == "moon")
    assert moon.state == "cannot tell"
    assert moon.reason == "trigger 'moon' (sea-checks 1.2) is not installed here"
    conditions = ["new_real_rows", "metric_drop", "generator", "moon", "retracted"]
    assert [state.name for state in workflow.check()] == conditions
    assert "verdict pass" in str(workflow.trace(status.verdicts[0].batch).lines())
    assert status.verdicts[0].batch in workflow.export("prov-json")
    assert workflow.batches()["verdict"].tolist() == ["pass"]
    assert "tide" in workflow.checks()["check"].tolist()
    assert workflow.verify().holds


@pytest.mark.slow
def test_other_verbs_refuse_in_one_sentence(judged, install):
    install()
    workflow = Workflow("shop", judged.project.server.tracking_uri)
    for verb in (workflow.validate, workflow.sweep):
        with pytest.raises(PluginError, match=r"for check 'tide' \(sea-checks 1.2\), not installed here.\nIn"):
            verb()


@pytest.mark.slow
def test_a_trigger_that_raises_takes_nothing_with_it(judged, install):
    install(checks={"tide": "tide"}, triggers={"moon": "broken"})
    (moon,) = (state for state in judged.status().triggers if state.name == "moon")
    assert (moon.state, moon.reason) == (
        "cannot tell",
        "trigger 'moon' (sea-checks 1.2) raised ZeroDivisionError: on the rocks.",
    )


@pytest.mark.slow
def test_a_trigger_that_returns_nonsense_cannot_tell(judged, monkeypatch):
    monkeypatch.setattr(their_plugins.Moon, "evaluate", lambda *_: "due")
    (moon,) = (state for state in judged.check() if state.name == "moon")
    assert moon.state == "cannot tell" and "returned 'due', a TriggerState was needed" in moon.reason


@pytest.mark.slow
def test_a_check_that_raises_is_one_sentence_and_leaves_no_verdict(judged, install):
    with judged.batch(**LAW | {"seed": 3}) as b:
        b.write(shop.customers(300, 3))
    install(checks={"tide": "broken"}, triggers={"moon": "moon"})
    with pytest.raises(PluginError, match=r"check 'tide' \(sea-checks 1.2\) raised ZeroDivisionError.*\nTell whoever"):
        judged.validate(b.batch.batch)
    assert len(judged.project.reader.finished("tide")) == 1


def test_an_export_or_a_generator_that_raises_is_one_sentence(frozen, install):
    install(exports={"chart": "broken"}, generators={"tide": "Broken"})
    with pytest.raises(PluginError, match=r"export 'chart' \(sea-checks 1.2\) raised ZeroDivisionError"):
        frozen.export("chart")
    with pytest.raises(PluginError, match=r"generator 'tide' \(sea-checks 1.2\) raised AttributeError: .*leaky"):
        frozen.generate("tide", rows=5, purpose="x")


def test_the_list_shows_what_is_broken(install, call):
    install(exports={"chart": "nothing_there"}, checks={"tide": "broken"})
    code, printed, _ = call("list")
    assert code == 0 and "export 'chart' (sea-checks 1.2)" in printed and "broken" in printed


def test_define_says_what_to_do_about_a_plugin_that_cannot_be_loaded(uri, write_project, install):
    install(triggers={"moon": "nothing_there"})
    with pytest.raises(StatementError, match=r"'moon' \(sea-checks 1.2\).* cannot be loaded.* Install what it needs"):
        Workflow("shop", uri).define(write_project(more="rerun_when: {moon: full}"))
    install(triggers={"moon": "moon"})
    with pytest.raises(StatementError, match=r"`rerun_when.moon`: a colour that the moon has \(found 'green'\)"):
        Workflow("shop", uri).define(write_project(more="rerun_when: {moon: green}"))


def test_a_generator_whose_module_raises_has_no_version(install, monkeypatch):
    install(generators={"tide": "nothing_there"})
    assert rerun_conditions.installed_generators(["tide", "forest"]).keys() == {"forest"}
    monkeypatch.setattr("importlib.import_module", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # of our own folder
        find("generators", "forest")
