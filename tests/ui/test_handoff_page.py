"""The handoff page as people open it: readable at any width, in light and dark, by keyboard and by screen reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page
from ui_addresses import DESKTOP, PHONE, expect_readable

pytestmark = pytest.mark.slow

PageAt = Callable[..., Page]


@pytest.fixture
def address(demo: tuple[Path, str]) -> str:
    """The demo's handoff, on disk."""
    return (demo[0] / "synth-mlflow-demo" / "handoff.html").as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_nothing_and_nothing_hangs_over(
    address: str, page_at: PageAt, size: tuple[int, int], dark: bool
) -> None:
    page = page_at(address, size, dark=dark)
    expect_readable(page)


def test_it_asks_nobody_for_anything(address: str, page_at: PageAt) -> None:
    page = page_at("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_folded_parts_open_by_keyboard(address: str, page_at: PageAt) -> None:
    page = page_at(address)
    summary = page.locator("summary").first
    summary.focus()
    before = summary.evaluate("it => it.parentElement.open")
    page.keyboard.press("Enter")
    assert summary.evaluate("it => it.parentElement.open") is not before


def test_on_a_phone_only_the_statistics_of_checks_have_to_be_scrolled(address: str, page_at: PageAt) -> None:
    page = page_at(address, PHONE)
    wide = page.locator(".scroll").evaluate_all(
        "all => all.filter(it => it.scrollWidth > it.clientWidth + 1).map(it => it.querySelector('caption').innerText)"
    )
    assert set(wide) <= {"Deciding numbers"}
