"""`reproduce`: what the records give again, what differs, and what cannot be done and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from synth_mlflow import Workflow
from synth_mlflow.audit import reproduce as module
from synth_mlflow.audit.reproduce import Reproduction
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.tracking import names

GENERATOR = """
import pathlib
from tests.shop import customers
def steady(members, n_rows, seed):
    return customers(n_rows, 100 + seed)
def counting(members, n_rows, seed):
    counter = pathlib.Path("counter"); n = int(counter.read_text()) if counter.exists() else 0
    counter.write_text(str(n + 1))
    return customers(n_rows, 200 + seed + n)
"""


def outcomes(found: Reproduction) -> dict[str, str]:
    return {step.what.partition(" on the recorded")[0].partition(" (")[0]: step.outcome for step in found.steps}


@pytest.fixture
def silo(demo: tuple[Path, str]) -> Path:
    return demo[0] / "synth-mlflow-demo" / "partner_clinic.csv"


@pytest.mark.slow
def test_everything_comes_out_again(demo_workflow: Workflow, silo: Path) -> None:
    batch = demo_workflow.project.batches()[0].id
    found = demo_workflow.reproduce(sources=[silo])
    assert found.versions == () and found.outcome == "identical"
    assert list(outcomes(found)) == ["training rows", "evaluation rows", f"batch {batch}", "model"]
    assert "predictions match" in found.steps[-1].words and found._repr_html_().count("<table") == 1

    run = demo_workflow.project.reader.run(found.run_id)
    assert (run.stage, run.parent, run.params[names.P_OUTCOME]) == ("reproduction", found.handoff, "identical")
    assert demo_workflow.verify().holds


@pytest.mark.slow
def test_rows_of_a_silo_have_to_be_given(demo_workflow: Workflow, demo: tuple[Path, str]) -> None:
    batch = demo_workflow.project.batches()[0].id
    found = demo_workflow.reproduce()
    assert outcomes(found)[f"batch {batch}"] == "cannot" and outcomes(found)["model"] == "identical"
    assert "`--source FILE`" in found.steps[2].words and found.outcome == "cannot"
    wrong = demo_workflow.reproduce(sources=[demo[0] / "synth-mlflow-demo" / "clinic.csv"])
    assert outcomes(wrong)[f"batch {batch}"] == "cannot"


@pytest.mark.slow
def test_the_curve_and_a_batch_made_elsewhere(done: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed_environment", lambda: {"python": "3.99"})
    found = done.reproduce(sweep=True)
    assert outcomes(found)["model"] == outcomes(found)["the curve"] == "identical"
    assert any(text.startswith("python ") and text.endswith("3.99 is here") for text in found.versions)
    batch = next(step for step in found.steps if step.what.startswith("batch"))
    assert batch.outcome == "cannot" and "law 1 made it elsewhere" in batch.words


@pytest.mark.slow
def test_code_that_only_a_record_names(frozen: Workflow, tmp_path: Path) -> None:
    (tmp_path / "maker_of_rows.py").write_text(GENERATOR)
    given = {"rows": 400, "purpose": "more", "version": "1"}
    batches = [frozen.generate(f"maker_of_rows:{name}", **given).batch for name in ("steady", "counting")]
    frozen.validate()
    frozen.sweep((0, 0.5), 3)
    frozen.report()
    found = outcomes(frozen.reproduce())
    assert [found[f"batch {batch}"] for batch in batches] == ["cannot", "cannot"] and found["model"] == "identical"
    again = frozen.reproduce(allow_external=True)
    assert [outcomes(again)[f"batch {batch}"] for batch in batches] == ["identical", "different"]
    assert again.outcome == "different" and "0 of 400 rows are equal" in again.steps[3].words
    if frozen.latest_curve().chosen:
        assert outcomes(again)["model on the rows made here"] == "within interval"


def test_refusals(done: Workflow) -> None:
    with pytest.raises(UsageError, match="'nothing' is no handoff"):
        done.reproduce("nothing")
    with pytest.raises(GateError, match="none of which is the previous one"):
        done.reproduce("previous")


def test_command_line(done: Workflow, call: Callable[..., tuple[int, str, str]]) -> None:
    at = ("--tracking-uri", done.project.server.tracking_uri, "-q")
    code, out, _ = call("reproduce", *at)
    assert code == 0 and "identical       training rows" in out and "cannot          batch law-" in out
    code, out, _ = call("reproduce", "newest", "--json", *at)
    assert code == 0 and json.loads(out)["outcome"] == "cannot"
