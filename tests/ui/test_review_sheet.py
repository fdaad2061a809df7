"""The blind sheet as raters open it: by keyboard, at any width, in light and dark; what they download can be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from ui_addresses import DESKTOP, PHONE, expect_readable

from synth_mlflow.data.task import Task
from synth_mlflow.review.answers import read_answers
from synth_mlflow.review.page import write_sheet
from synth_mlflow.review.sheet import SheetKey

pytestmark = pytest.mark.slow

PageAt = Callable[..., Page]
KEY = SheetKey("a" * 64, "b" * 64, 6)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A sheet with long texts, right-to-left ones, conversations, and a hostile one."""
    texts = ["A long story about lamps. " * 60, "שלום עולם", "<img src=x onerror=document.title='broken'>"]
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": "مرحبا"}] * 6 for text in texts]
    rows = pd.DataFrame({"text": texts, "chat": [json.dumps(chat) for chat in chats], "n": [1, 2, 3]})
    rows = rows.astype({"text": "str", "chat": "str"})
    sheet = KEY.made_of(rows, rows, Task("n", "regression", roles={"chat": "conversation"}))
    return write_sheet(sheet, tmp_path_factory.mktemp("sheet"), "sheet")[0].as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_nothing_and_nothing_hangs_over(
    address: str, page_at: PageAt, size: tuple[int, int], dark: bool
) -> None:
    page = page_at(address, size, dark=dark)
    expect_readable(page)
    assert page.title() == "Which rows are real?"


def test_answers_by_keyboard_are_downloaded_and_can_be_read(address: str, page_at: PageAt, tmp_path: Path) -> None:
    page = page_at(address)
    for key in "rsc":
        page.keyboard.press(key)
    page.get_by_role("button", name="Download answers").click()
    expect(page.locator("#state")).to_have_text("3 of 6 rows have no answer yet; the first is row 4")
    page.reload()
    expect(page.locator("#state")).to_have_text("3 of 6 rows are answered")
    page.keyboard.press("s")
    page.keyboard.press("s")
    page.locator("#row-6").get_by_role("radio", name="Real").check()
    page.keyboard.press("p")
    page.keyboard.press("c")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download answers").click()
    target = tmp_path / "answers.csv"
    waiting.value.save_as(target)
    words = ["real", "synthetic", "cannot say", "synthetic", "cannot say", "real"]
    assert read_answers(target) == {KEY.sheet_id: dict(enumerate(words, start=1))}
    assert page.errors == []


def test_a_long_text_unfolds(address: str, page_at: PageAt) -> None:
    page = page_at(address, PHONE)
    whole = page.locator("details.long > .text").first
    expect(whole).to_be_hidden()
    page.locator("details.long > summary").first.press("Enter")
    expect(whole).to_be_visible()


def test_it_asks_nobody_for_anything(address: str, page_at: PageAt) -> None:
    page = page_at("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
