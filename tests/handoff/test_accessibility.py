"""The handoff page in a real browser: axe-core finds no violation, nothing scrolls sideways."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from selenium import webdriver

from synth_mlflow.handoff.document import Document
from synth_mlflow.handoff.render import to_html

pytestmark = pytest.mark.slow

WIDTHS, MODES = (400, 1600), ("light", "dark")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not on this machine: `apt-get install chromium chromium-driver`")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.set_script_timeout(240)  # a busy machine is no failure
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core 4.4."""
    return resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")


def test_the_page_is_for_everybody(document: Document, browser: webdriver.Chrome, axe: str, tmp_path: Path) -> None:
    (tmp_path / "handoff.html").write_text(to_html(document), encoding="utf-8")
    for width in WIDTHS:
        for mode in MODES:
            _show(browser, tmp_path / "handoff.html", width, mode)
            shown = browser.execute_script("return document.documentElement.scrollWidth")
            assert shown <= width, (width, mode, shown)
            assert _violations(browser, axe) == [], (width, mode)
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_every_fold_and_link_is_reached_by_the_keyboard(
    document: Document, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    (tmp_path / "handoff.html").write_text(to_html(document), encoding="utf-8")
    _show(browser, tmp_path / "handoff.html", 1600, "light")
    unreachable = browser.execute_script(
        "return [...document.querySelectorAll('a[href], summary, .scroll')].filter(e => e.tabIndex < 0).length"
    )
    assert unreachable == 0


def _show(browser: webdriver.Chrome, page: Path, width: int, mode: str) -> None:
    """The page at one width, in one colour scheme, with everything unfolded."""
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    colours = {"features": [{"name": "prefers-color-scheme", "value": mode}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", colours)
    browser.get(page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(fold => fold.open = true)")


def _violations(browser: webdriver.Chrome, axe: str) -> list[str]:
    browser.execute_script(axe)  # by the driver: the page's own policy lets no script in
    found = browser.execute_async_script(
        "axe.run(document, {runOnly: {type: 'tag', values: arguments[0]}}).then(arguments[1])", RULES
    )
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found["violations"]]
