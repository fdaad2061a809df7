"""What the two pages show, fold and leave to the runs."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from synth_mlflow.handoff.document import Limits, SignOff
from synth_mlflow.handoff.render import to_html, to_markdown
from synth_mlflow.handoff.summary import tallies

RENDERERS = (to_html, to_markdown)


@pytest.mark.parametrize("render", RENDERERS)
def test_pages_are_the_same_every_time(document, render):
    assert render(document) == render(document)


@pytest.mark.parametrize("render", RENDERERS)
def test_pages_say_everything_that_a_newcomer_needs(document, render):
    page = re.sub(r"</?code[^>]*>|`", "", render(document))
    for words in (
        "50 % synthetic rows in the training mix",
        "reaches what was asked for",
        "Nobody while the project runs.",
        "forest-91c0",
        "too many short contracts",
        "the labels of March were flipped",
        "The smallest ratio that helps",
        "needs 9,600 synthetic rows more",
        "models:/churn-cold-start/3",
        "Only contracts signed online",
        "synth-mlflow check --new-data FILE",
        "synth-mlflow reproduce",
        document.sha256,
    ):
        assert words.replace("'", "&#39;" if render is to_html else "'") in page, words


@pytest.mark.parametrize("render", RENDERERS)
def test_draft_stands_at_the_top_with_what_is_missing(document, render):
    owed = ("Maren Okafor writes `When not to use this model`.",)
    draft = replace(
        document,
        header=replace(document.header, owed=owed),
        limits=Limits(known="Few rows.", when_not_to_use=None, next=None),
    )
    page = render(draft)
    assert page.lower().index("draft: still missing") < page.index("50 % synthetic rows")
    assert page.count("Nobody has written this yet") == 2
    assert "draft: still missing" not in render(document).lower()


@pytest.mark.parametrize("render", RENDERERS)
def test_runs_are_not_links_where_there_is_no_server(document, render):
    page = render(replace(document, links={}))
    assert "mlflow.example.org/#" not in page
    assert "1111111111" in page


@pytest.mark.parametrize("render", RENDERERS)
def test_of_many_batches_only_the_models_are_spelt_out(document, render):
    passed, failed, _ = document.batches
    others = tuple(replace(failed, batch=f"bad-{i}", run_id=f"{i:032x}") for i in range(80))
    page = render(replace(document, batches=(passed, *others)))
    assert "80 further batches" in page
    assert page.count("bad-42") == 1
    assert page.count("forest-7f3a") > 1


@pytest.mark.parametrize("render", RENDERERS)
def test_a_project_without_batches_has_a_page(document, render):
    sweep = replace(document.sweep, chosen=0.0, picture=None, slices=(), decisions=(), model_uri=None)
    bare = replace(document, batches=(), sweep=sweep, triggers=(), earlier_sweeps=(), warnings=())
    page = render(bare)
    assert "No synthetic batch was made." in page
    assert "No model was logged." in page
    assert "nothing will ask for a rerun" in page


@pytest.mark.parametrize("render", RENDERERS)
def test_a_signature_under_another_state_is_told(document, render):
    good = SignOff("Ada Lind", "owner", "2026-11-22T13:00:00Z", document.sha256, "ab" * 16)
    assert "another state" not in render(replace(document, sign_offs=(good,)))
    assert "another state" in render(replace(document, sign_offs=(good, replace(good, sha256="0" * 64))))


def test_the_page_has_one_heading_of_each_stage_in_order(document):
    page = to_html(document)
    found = re.findall(r'<h2 id="[a-z]+-title"><span class="nr">(\d)</span> ([A-Za-z ]+)</h2>', page)
    assert found == [
        ("1", "Problem"),
        ("2", "Evaluation set"),
        ("3", "Generation"),
        ("4", "Validation"),
        ("5", "Ratio sweep"),
        ("6", "Handoff"),
    ]


def test_every_anchor_of_the_page_exists_once(document):
    page = to_html(document)
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(identifiers)) == len(identifiers)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(identifiers)
    assert set(re.findall(r'aria-labelledby="([^"]+)"', page)) <= set(identifiers)


@pytest.mark.parametrize("render", RENDERERS)
def test_many_reasons_are_cut_short(document, render):
    bad = document.batches[1]
    check = replace(bad.checks[0], reasons=tuple(f"reason {i}" for i in range(45)))
    page = render(replace(document, batches=(replace(bad, checks=(check,)),)))
    assert "40 further reasons" in page
    assert "reason 4" in page


def test_verdicts_are_counted_by_check(document):
    found = [(tally.check, tally.counts["pass"], tally.counts["fail"]) for tally in tallies(document)]
    assert found == [("fidelity", 2, 1), ("utility", 3, 0), ("privacy", 3, 0)]
    assert "| fidelity | 2 | 1 | 0 |" in to_markdown(document)


def test_long_tables_are_folded(document):
    sweeps = tuple(replace(document.earlier_sweeps[0], run_id=f"{i:032x}") for i in range(20))
    slices = document.sweep.slices * 20
    page = to_html(replace(document, earlier_sweeps=sweeps, sweep=replace(document.sweep, slices=slices)))
    assert "<summary>20 earlier sweeps</summary>" in page
    assert "<summary>40 rows</summary>" in page


def test_many_steps_to_rerun_are_folded(document):
    step = document.commands[0]
    few, many = (to_html(replace(document, commands=(step,) * n_steps)) for n_steps in (30, 31))
    assert "All 31 steps" in many and many.count('<details class="long">') == few.count('<details class="long">') + 1


def test_a_long_plateau_is_named_by_its_ends(document):
    points = tuple(replace(document.sweep.points[2], ratio=at / 20) for at in range(1, 16))
    sweep = replace(document.sweep, points=(document.sweep.points[0], *points), plateau=tuple(p.ratio for p in points))
    assert "14 others from 5 % to 75 % may do as well" in to_html(replace(document, sweep=sweep))


def test_the_folds_of_long_lists_stay_folded_on_paper(document):
    batches = tuple(replace(document.batches[0], run_id=f"{i:032x}") for i in range(30))
    page = to_html(replace(document, batches=batches))
    assert page.count('<details class="long">') == 2
    assert "details:not(.long)::details-content" in page


def test_a_model_of_real_rows_alone_is_not_said_to_hold_synthetic_data(document):
    assert "Handoff of a model trained with synthetic data" in to_html(document)
    alone = replace(document, batches=tuple(replace(batch, in_model=False) for batch in document.batches))
    assert "Handoff of a model trained on real rows alone" in to_html(alone)
