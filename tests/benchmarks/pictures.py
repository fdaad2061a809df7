"""The README's pictures: the demo's project in the MLflow UI and its handoff document, taken anew; by hand.

    .venv/bin/python tests/benchmarks/pictures.py

They go to docs/images/.
"""

from __future__ import annotations

# ruff: noqa: E402 - the tests' own modules are found first
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "ui")]

from playwright.sync_api import Browser, Page, sync_playwright
from started import mlflow_server

from synth_mlflow.tracking.server import connect
from synth_mlflow.tracking.ui import runs_url

PICTURES = TESTS.parent / "docs" / "images"
PROJECT = "demo-breast-cancer"
PATIENCE_MS = 120_000  # busy machines are slow


def main() -> None:
    """Run the demo, serve it, and take the pictures."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as name:
        folder = Path(name)
        environment = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
        subprocess.run([sys.executable, "-m", "synth_mlflow", "demo", "-q"], cwd=folder, env=environment, check=True)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        with mlflow_server(folder / "server", "--backend-store-uri", uri) as server, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            runs = _page(chromium, runs_url(connect(PROJECT, uri), server.uri))
            runs.get_by_role("link", name="handoff").first.wait_for()
            _take(runs, "mlflow-ui.png")
            _take(_page(chromium, next(folder.glob("**/handoff.html")).as_uri()), "handoff.png")


def _page(chromium: Browser, url: str) -> Page:
    page = chromium.new_page(viewport={"width": 1400, "height": 860})
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    page.goto(url)
    return page


def _take(page: Page, picture: str) -> None:
    page.wait_for_timeout(3_000)  # what is drawn after the words
    page.screenshot(path=PICTURES / picture)


if __name__ == "__main__":
    main()
