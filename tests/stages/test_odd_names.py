"""Names with spaces, umlauts, quotes, markup and emoji go the whole way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from synth_mlflow import Workflow

NAME = "Müller & Söhne: ein/aus"
COLUMNS = {
    "age": "Alter (Jahre)",
    "income": "größe, [cm]",
    "region": '😀 <b>"x"</b>',
    "member": "a|b",
    "bought": "Kauf?",
}


@pytest.fixture
def rows(customers: Callable[..., pd.DataFrame]) -> Callable[[int, int], pd.DataFrame]:
    """Customers whose columns and values have odd names."""
    return lambda n, seed: customers(n, seed).rename(columns=COLUMNS).replace({"north": "<script>alert(1)</script>"})


@pytest.mark.slow
def test_odd_names_go_the_whole_way(uri: str, tmp_path: Path, rows: Callable[[int, int], pd.DataFrame]) -> None:
    rows(600, 1).to_csv(tmp_path / "Daten mit Leerzeichen.csv.gz", index=False)
    (tmp_path / "problem.md").write_text(
        f'---\nname: "{NAME}"\ndata: Daten mit Leerzeichen.csv.gz\ntarget: "Kauf?"\ntask: binary\nmetric: roc_auc\n'
        'success: {at_least: 0.6}\ngap: cost target\nprivacy: "not relevant: erfunden"\nevaluation: {share: 0.5}\n'
        'slices: {"jung | <b>": "`Alter (Jahre)` < 40"}\nmodel: {params: {num_iterations: 20}}\n---\n'
        "## What gap are we filling?\n<script>alert(2)</script>\n## Why can't real data solve it?\n| a | b |\n"
        "## What metric decides success, and why?\nAUC\n"
        "## Who owns this, and who may change the evaluation set?\nniemand\n"
    )
    workflow = Workflow(NAME, uri)
    workflow.define(tmp_path / "problem.md")
    workflow.freeze()
    law = {"generator": "Würfel: 1/2", "version": "1 ß", "params": {"ä": "ö"}, "seed": 1, "slice": None}
    with workflow.batch(**law, purpose='<i>"mehr"</i>') as b:
        b.write(rows(1000, 2))
    assert workflow.validate(b.batch).verdict == "pass"  # type: ignore[union-attr]  # one batch, one verdict
    workflow.sweep(repeats=3)
    handoff = workflow.report(tmp_path / "Übergabe.html")
    page = (tmp_path / "Übergabe.html").read_text()
    assert "<script>" not in page and "<i>" not in page and "Würfel: 1/2" in page
    mlflow.set_tracking_uri(uri)
    assert handoff.document.sweep.model_uri == "models:/Müller & Söhne- ein-aus/1"
    model = mlflow.pyfunc.load_model(handoff.document.sweep.model_uri)
    assert len(model.predict(rows(5, 3).drop(columns="Kauf?"))) == 5
