"""The page about approved data is run as it stands, on a project whose batch has passed."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from synth_mlflow import Workflow
from synth_mlflow.data.other_libraries import library
from synth_mlflow.errors import UsageError

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "approved-data.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def churn(done: Workflow, monkeypatch: pytest.MonkeyPatch) -> str:
    """The project under the name that the page gives it; returns its batch."""
    uri = done.project.server.tracking_uri
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as store, store:
        store.execute("UPDATE experiments SET name = 'churn' WHERE name = 'shop'")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "churn")
    return done.project.batches()[0].id


def installed(package: str) -> bool:
    try:
        library(package, package, "it")
    except UsageError:
        return False
    return True


@pytest.mark.slow
def test_the_page(churn: str, call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    approved, fetched, watched, published = blocks("bash")
    lines = [line for block in (approved, fetched, watched, published) for line in block.splitlines()]
    for line in lines:
        words = [churn if word == "BATCH" else word for word in shlex.split(line, comments=True)][1:]
        if "delta" in words and not installed("deltalake"):
            continue
        code, _, err = call(*words, "-q")
        assert code == (3 if "--mix" in words else 0), f"{line}: {err}"  # this sweep chose real rows alone
        if "fetch" in words:
            (code_block,) = blocks("python")
            known: dict[str, object] = {}
            monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
            exec(compile(code_block, "approved-data.md", "exec"), known)
            monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "churn")
            assert len(known["rows"]) == 1000  # type: ignore[arg-type]
    assert Path("young-dataset/README.md").read_text().startswith("---\npretty_name: churn/young/1\n")


def test_the_limits_that_it_names() -> None:
    from synth_mlflow.publications.parquet_folder import PART_ROWS
    from synth_mlflow.tracking.evaluation_dataset import MOST_ROWS
    from synth_mlflow.tracking.known_runs import PAGE as RUNS

    assert (PART_ROWS, MOST_ROWS, RUNS) == (1_000_000, 100_000, 1_000)
    assert "of a million rows" in PAGE and "100,000 rows" in PAGE and "more than 1,000 runs" in PAGE
