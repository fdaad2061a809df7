"""A real `mlflow server` on the demo's project, and a headless Chromium that looks at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from started import mlflow_server
from ui_addresses import DESKTOP, Shown

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PATIENCE_MS = 120_000  # busy machines are slow
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, Debian's."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shown(demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The demo's store behind a server."""
    folder = tmp_path_factory.mktemp("ui")
    shutil.copy(demo[0] / "mlflow.db", folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("demo-breast-cancer")
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    runs = {run.data.tags["synth.stage"]: run for run in found}
    ids = {stage: run.info.run_id for stage, run in runs.items()}
    with mlflow_server(folder, "--backend-store-uri", uri) as server:
        yield Shown(server, experiment.experiment_id, ids, runs["batch"].data.tags["synth.batch"])


@pytest.fixture
def page_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages; each in a fresh profile, with what the console says of errors in ``page.errors``."""
    contexts = []

    def open_page(url: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Page:
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, color_scheme="dark" if dark else "light")
        contexts.append(context)
        # MLflow opens a chat panel over a third of a newcomer's page
        context.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.errors = []
        page.on("console", lambda told: page.errors.append(told.text) if told.type == "error" else None)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
