"""What two handoffs say differently, part by part."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synth_mlflow.handoff.diff import Change, difference
from synth_mlflow.handoff.document import Document, Fact


def test_nothing_changed(document: Document) -> None:
    found = difference(document, replace(document, header=replace(document.header, built_by="somebody else")))
    assert found.changes == () and found.comparable and len(found.same) == 11
    assert found.words.startswith("Nothing changed")


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("policy", lambda d: replace(d, policy=(Fact("required checks", "fidelity"),))),
        ("choice", lambda d: replace(d, sweep=replace(d.sweep, chosen=d.sweep.points[1].ratio))),
        ("curve", lambda d: replace(d, sweep=replace(d.sweep, points=d.sweep.points[:-1]))),
        ("environment", lambda d: replace(d, sweep=replace(d.sweep, made_with=(Fact("python", "3.99"),)))),
        ("statement", lambda d: replace(d, problem=replace(d.problem, facts=(Fact("gap", "cost target"),)))),
        ("limits", lambda d: replace(d, limits=replace(d.limits, known=None))),
        ("triggers", lambda d: replace(d, triggers=d.triggers[1:])),
        ("data", lambda d: replace(d, evaluation=replace(d.evaluation, n_training=7))),
    ],
)
def test_each_part_is_told_apart(document: Document, part: str, change: object) -> None:
    found = difference(document, change(document))  # type: ignore[operator]
    assert {each.part for each in found.changes} == {part} and part not in found.same
    assert found.words == f"Changed: {part}."


def test_batches_are_the_same_where_their_rows_are(document: Document) -> None:
    first, *rest = document.batches
    renamed = replace(first, sha256="ab" * 32)
    found = difference(document, replace(document, batches=(renamed, *rest)))
    assert {each.part for each in found.changes} == {"batches", "verdicts"}
    gone, come = (each for each in found.changes if each.part == "batches")
    assert (gone.after, come.before) == ("", "") and gone.before == come.after
    gone_only = difference(document, replace(document, batches=()))
    assert {"generators", "batches", "verdicts"} == {each.part for each in gone_only.changes}


def test_scores_on_other_rows_are_not_to_be_compared(document: Document) -> None:
    other = replace(document, evaluation=replace(document.evaluation, sha256="cd" * 32))
    found = difference(document, other)
    assert not found.comparable and "different evaluation rows: do not compare them" in found.words


def test_shown_in_notebooks_with_every_text_escaped(document: Document) -> None:
    other = replace(document, problem=replace(document.problem, facts=(Fact("<b>", "<i>"),)))
    found = difference(document, other)
    assert Change("statement", "<b>", "", "<i>") in found.changes
    assert "<b>" not in found._repr_html_() and "&lt;i&gt;" in found._repr_html_()
