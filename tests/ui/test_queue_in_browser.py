"""A review queue as its rater meets it in MLflow: every row is answered there, and the answers become a rating."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from started import mlflow_server

from synth_mlflow import Workflow

pytestmark = pytest.mark.slow

SAID = ("real", "synthetic", "cannot say", "real")


def test_a_rater_answers_in_the_browser(
    page_at: Callable[..., Page], frozen: Workflow, customers: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    given = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None, "purpose": "more"}
    with frozen.batch(**given, source="none") as batch:
        batch.write(customers(100, 2))
    with mlflow_server(tmp_path / "served", "--backend-store-uri", frozen.project.server.tracking_uri) as server:
        workflow = Workflow("shop", server.uri)
        short = workflow.project.batches()[0].id
        left = workflow.review_sheet(short, len(SAID), output=tmp_path, queue="Ada Lind")
        page = page_at(left.queue_page)
        page.get_by_role("button", name="Start review").click()
        for number, said in enumerate(SAID):
            expect(page.get_by_text(f"{number} of {len(SAID)} reviewed")).to_be_visible()
            page.get_by_role("combobox").click()
            page.get_by_role("option", name=said).click()
            page.get_by_role("button", name="Submit").click()
        expect(page.get_by_text(f"Completed ({len(SAID)})")).to_be_visible()
        rating = workflow.review(short, rater="Ada Lind")
        assert (rating.rows, rating.cannot_say, rating.counted) == (4, 1, True)
