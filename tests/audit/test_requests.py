"""What is asked of the server grows with pages of results, and with nothing else."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import shop
from many_runs import grow
from watched import counted

from synth_mlflow import Workflow
from synth_mlflow.tracking import read


def new_limits() -> Path:
    """Limits that no handoff has yet: one that says nothing new is not written again."""
    path = Path(f"limits-{uuid.uuid4().hex}.md")
    path.write_text(shop.LIMITS.replace("Made-up rows.", f"Made-up rows, {path.stem}."))
    return path


MODEL = "models:/demo-breast-cancer/1"
VERBS: dict[str, Callable[[Workflow], object]] = {
    "status": lambda workflow: workflow.status(),
    "check": lambda workflow: workflow.check(),
    "report": lambda workflow: workflow.report(limits=new_limits()),
    "trace of a model": lambda workflow: workflow.trace(MODEL),
    "trace of a batch": lambda workflow: workflow.trace(workflow.project.batches()[0].id),
    "batches": lambda workflow: workflow.batches(),
    "checks": lambda workflow: workflow.checks(),
}


def requests(workflow: Workflow, verb: str) -> Counter[str]:
    """The requests that one verb makes, beginning anew."""
    seen, asked = counted(workflow)
    VERBS[verb](seen)
    return asked


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_requests_do_not_grow_with_runs(demo_workflow: Workflow, tmp_path: Path, verb: str) -> None:
    before = requests(demo_workflow, verb)
    grow(tmp_path / "mlflow.db", n_batches=40, n_sweeps=6, n_inside=30)
    after = requests(demo_workflow, verb)
    if verb == "report":  # a small model's one batch is found and pointed to the handoff; of many, notes are read
        before -= Counter(log_batch=1)
    assert after == before
    assert len(demo_workflow.project.batches()) == 41


@pytest.mark.parametrize(("verb", "n_searches"), [("status", 4), ("check", 2)])
def test_light_verbs_search_few_times_and_look_the_rest_up(
    demo_workflow: Workflow, tmp_path: Path, verb: str, n_searches: int
) -> None:
    """All that says how far the project is; contamination of the model's batches; for `status` two that look for ruins.

    The rest is the history of the sweep's five metrics that have steps, which its seal covers.
    """
    grow(tmp_path / "mlflow.db", n_batches=4, n_sweeps=3, n_inside=2)
    assert requests(demo_workflow, verb) == Counter(search_runs=n_searches, get_metric_history=5)


def test_what_is_read_once_is_read_again_by_the_next_verb(demo_workflow: Workflow) -> None:
    before = demo_workflow.status()
    demo_workflow.retract(before.verdicts[0].batch, reason="wrong rate")
    assert not before.retracted and len(demo_workflow.status().retracted) == 1
    assert [state.state for state in demo_workflow.check() if state.name == "retracted"] == ["due"]


def test_requests_grow_with_pages(demo_workflow: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(tmp_path / "mlflow.db", n_batches=40, n_sweeps=0)
    before = requests(demo_workflow, "checks").total()
    monkeypatch.setattr(read, "PAGE", 20)  # 164 checks are 9 pages, 41 batches 3
    assert requests(demo_workflow, "checks").total() == before + 8 + 2


@pytest.mark.slow
def test_a_grown_project_reads_like_a_small_one(demo_workflow: Workflow, tmp_path: Path) -> None:
    first = demo_workflow.status()
    grow(tmp_path / "mlflow.db", n_batches=8, n_sweeps=2, n_inside=3)
    found = demo_workflow.status()
    assert {verdict.verdict for verdict in found.verdicts} == {"pass"} and len(found.verdicts) == 9
    assert [stage.done for stage in found.stages] == [stage.done for stage in first.stages]
    document = demo_workflow.report().document
    assert len(document.batches_in_model()) == 3 and len(document.earlier_sweeps) == 2
    assert {len(batch.checks) for batch in document.batches} == {4}
