"""What notebooks show of the main objects: short, and escaped."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from synth_mlflow import Workflow
from synth_mlflow.triggers import TriggerState, TriggerStates


@pytest.mark.slow
def test_the_main_objects_show_themselves_shortly(done: Workflow) -> None:
    handoff = done.report()
    shown = {"workflow": done._repr_html_(), "handoff": handoff._repr_html_()}
    assert "report" in shown["workflow"]
    assert handoff.run_id in shown["handoff"]
    assert all(len(text) < 5_000 and "<table>" in text for text in shown.values())


def test_a_handoff_links_its_document(done: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert '<a href="a%20page.html"' in done.report(tmp_path / "a page.html")._repr_html_()
    assert "<a " not in done.report()._repr_html_()  # no file, and no server whose page could be opened


@pytest.mark.slow
def test_answers_of_the_other_verbs_show_themselves_too(done: Workflow) -> None:
    batch = done.batches()["batch"][0]
    shown = {
        "check": done.check()._repr_html_(),
        "verify": done.verify()._repr_html_(),
        "validate": done.validate()._repr_html_(),
        "sign": done.sign(name="<Ann>", role="owner")._repr_html_(),
        "retract": done.retract(batch, reason="wrong <units>", by="Ann")._repr_html_(),
        "verify after": done.verify()._repr_html_(),
    }
    assert "everything matches" in shown["verify"] and batch in shown["validate"]
    assert all("<units>" not in text and "<Ann>" not in text and len(text) < 5_000 for text in shown.values())


def test_conditions_that_are_due_are_named_first() -> None:
    states = TriggerStates(
        [TriggerState("task", "the <task>", "due", "it was"), TriggerState("age", "", "not due", "")]
    )
    assert states._repr_html_().startswith("<p><b>A rerun is due: task.</b></p>")
    assert "the &lt;task&gt;" in states._repr_html_()
    assert "No condition asks" in TriggerStates(states[1:])._repr_html_()


def test_a_workflow_without_a_project_shows_its_name(uri: str) -> None:
    assert "&lt;shop&gt;" in Workflow("<shop>", uri)._repr_html_()


def test_help_says_what_every_argument_is() -> None:
    untold = [
        f"{name}({argument})"
        for name, verb in inspect.getmembers(Workflow, inspect.isfunction)
        if not name.startswith("_")
        for argument in list(inspect.signature(verb).parameters)[1:]
        if not re.search(rf"^\s*(\w+, )*{argument}(, \w+)* :", inspect.getdoc(verb) or "", re.MULTILINE)
    ]
    assert untold == []
