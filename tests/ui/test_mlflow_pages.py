"""What people see of a project in the MLflow UI, in a real browser on a real server."""

from __future__ import annotations

from collections.abc import Callable

import mlflow
import pytest
from playwright.sync_api import Page, expect
from ui_addresses import ML, Shown

from synth_mlflow.tracking.server import connect
from synth_mlflow.tracking.ui import runs_url
from synth_mlflow.tracking.views import VIEWS, View, view_path

pytestmark = pytest.mark.slow

PageAt = Callable[..., Page]
ROOT = "demo-breast-cancer: 50 %"
WIDE, NARROW = (1400, 1000), (900, 1000)


def test_the_printed_address_opens_the_stages_under_their_result(shown: Shown, page_at: PageAt) -> None:
    server = connect("demo-breast-cancer", shown.server.uri)
    page = page_at(runs_url(server, shown.server.uri))
    expect(page.get_by_text("50 % synthetic, balanced_accuracy").first).to_be_visible()
    expect(page.get_by_role("link", name=ROOT)).to_be_visible()
    expect(page.get_by_text("matching runs")).to_be_visible()
    handoff = page.get_by_role("link", name="the handoff document").first
    assert shown.runs["handoff"] in (handoff.get_attribute("href") or "")


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("problem", ["The problem", "written by people"]),
        ("evaluation_set", ["The frozen evaluation set", "real rows that no generator ever sees"]),
        ("batch", ["PASS.", "A synthetic batch: 288 rows"]),
        ("privacy", ["PASS", "real training rows"]),
        ("sweep", ["Chosen: 50 % synthetic.", "Handed over in:"]),
        ("final", ["The model at 50 % synthetic rows"]),
        ("handoff", ["Nothing is missing."]),
    ],
)
def test_every_run_says_what_it_is(shown: Shown, page_at: PageAt, stage: str, words: list[str]) -> None:
    page = page_at(shown.run(stage))
    more = page.get_by_text("Show more")
    page.get_by_text("About this run").first.wait_for()
    page.get_by_text("Description").first.wait_for()
    for text in words:
        expect(page.get_by_text(text).first).to_be_attached()
    assert more.count() in {0, 1}


def test_a_batch_leads_up_down_and_to_the_handoff(shown: Shown, page_at: PageAt) -> None:
    page = page_at(shown.run("batch"))
    for name in (ROOT, f"fidelity · {shown.batch}", f"privacy · {shown.batch}"):
        expect(page.get_by_role("link", name=name)).to_be_visible()
    expect(page.get_by_role("link", name="the handoff document")).to_be_attached()
    expect(page.get_by_text("synthetic", exact=True)).to_be_visible()  # the dataset's context


def test_the_sweep_draws_its_curve(shown: Shown, page_at: PageAt) -> None:
    page = page_at(shown.run("sweep").replace("?", "/model-metrics?"))
    expect(page.get_by_text("synth.curve_score", exact=True).first).to_be_visible()
    page.locator(".js-plotly-plot").first.wait_for()


@pytest.mark.parametrize(
    ("stage", "path", "words"),
    [
        ("batch", "batch/preview.json", "mean_texture"),
        ("batch", "batch/record.json", "generator"),
        ("sweep", "curve_table.json", "gain"),
        ("problem", "problem.md", "What gap are we filling?"),
    ],
)
def test_the_viewer_shows_tables_and_texts(shown: Shown, page_at: PageAt, stage: str, path: str, words: str) -> None:
    page = page_at(shown.artifact(stage, path))
    expect(page.get_by_text(words).first).to_be_visible()


def test_the_viewer_shows_the_curve_and_the_handoff(shown: Shown, page_at: PageAt) -> None:
    picture = page_at(shown.artifact("sweep", "curve.png"))
    picture.locator("img[src^='blob:'], img[src*='curve.png']").first.wait_for()
    document = page_at(shown.artifact("handoff", "report/handoff.html"))
    inside = document.frame_locator("iframe").first
    expect(inside.get_by_role("heading", level=1)).to_be_visible()


def test_ratios_can_be_compared(shown: Shown, page_at: PageAt) -> None:
    ratios = mlflow.MlflowClient(shown.server.uri).search_runs([shown.experiment_id], "tags.`synth.stage` = 'ratio'")
    listed = ",".join(f'"{run.info.run_id}"' for run in ratios)
    page = page_at(f'{shown.server.uri}/#/compare-runs?runs=[{listed}]&experiments=["{shown.experiment_id}"]&{ML}')
    expect(page.get_by_text("Comparing 4 Runs").first).to_be_visible()
    axes = page.locator(".js-plotly-plot .axis-title")
    expect(axes.first).to_be_visible()  # the page draws after it has said what it compares
    assert sorted({name.strip() for name in axes.all_text_contents()}) == ["synth.ratio", "synth.rows", "synth.score"]


def test_the_registered_model_says_what_it_is_made_of(shown: Shown, page_at: PageAt) -> None:
    page = page_at(f"{shown.server.uri}/#/models/demo-breast-cancer/versions/1?{ML}")
    expect(page.get_by_text(f"50 % synthetic rows, from {shown.batch}").first).to_be_visible()
    expect(page.get_by_role("link", name="the handoff document").first).to_be_attached()


def test_the_menu_lists_every_view(shown: Shown, page_at: PageAt) -> None:
    page = page_at(f"{shown.server.uri}/#/experiments/{shown.experiment_id}/runs?{ML}")
    page.get_by_role("button", name="Views").click()
    for view in VIEWS:
        expect(page.get_by_text(view.name, exact=True).first).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize(("view", "n_runs"), [*zip(VIEWS, (8, 1, 5, 0, 2), strict=True)], ids=lambda it: str(it)[:20])
def test_each_view_opens_by_its_link_with_its_runs(
    shown: Shown, page_at: PageAt, view: View, n_runs: int, size: tuple[int, int], dark: bool
) -> None:
    page = page_at(f"{shown.server.uri}/{view_path(shown.experiment_id, view)}", size, dark=dark)
    expect(page.get_by_role("button", name=view.name)).to_be_visible()  # of the menu: it names the view that is open
    noun = "matching run" if n_runs == 1 else "matching runs"
    expect(page.get_by_text(f"{n_runs} {noun}")).to_be_visible()
    expect(page.get_by_text("Model training")).to_be_visible()
    expect(page.get_by_text("undefined")).to_have_count(0)


def test_the_view_of_the_curve_draws_it_and_folds_all_other_charts(shown: Shown, page_at: PageAt) -> None:
    (curve,) = [view for view in VIEWS if view.opens_charts]
    page = page_at(f"{shown.server.uri}/{view_path(shown.experiment_id, curve)}", WIDE)
    expect(page.get_by_text("Score by ratio (percent)")).to_be_visible()
    page.locator(".js-plotly-plot").first.wait_for()
    assert page.locator(".js-plotly-plot").count() <= len(curve.charts)
