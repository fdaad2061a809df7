"""What notebooks show of the main objects: short, and escaped."""

from __future__ import annotations

from synth_mlflow import Workflow


def test_the_main_objects_show_themselves_shortly(done: Workflow) -> None:
    handoff = done.report()
    shown = {"workflow": done._repr_html_(), "handoff": handoff._repr_html_()}
    assert "report" in shown["workflow"]
    assert handoff.run_id in shown["handoff"]
    assert all(len(text) < 5_000 and "<table>" in text for text in shown.values())


def test_a_workflow_without_a_project_shows_its_name(uri: str) -> None:
    assert "&lt;shop&gt;" in Workflow("<shop>", uri)._repr_html_()
