"""Stage 4 on a server: what a killed validation leaves, and what the next one does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from synth_mlflow import Batch, Workflow
from synth_mlflow.checks import utility
from synth_mlflow.errors import GateError, StatementError, UsageError
from synth_mlflow.gate.revisions import iso
from synth_mlflow.stages.sweep_inputs import settled_model
from synth_mlflow.stages.validate import evidence_of
from synth_mlflow.tracking import names

LAW: dict[str, Any] = {"generator": "law", "version": "1", "params": {}, "seed": 1, "slice": None, "purpose": "try"}


def written(workflow: Workflow, rows: pd.DataFrame, **more: Any) -> Batch:
    """A batch made elsewhere."""
    with workflow.batch(**LAW, **more) as b:
        b.write(rows)
    assert b.batch is not None
    return b.batch


@pytest.mark.slow
def test_killed_validation_is_completed_and_repeats_nothing(
    frozen: Workflow, customers: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = written(frozen, customers(900, 3))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(utility.plugin, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        frozen.validate(batch)
    assert [(run.stage, run.status) for run in frozen.project.reader.children(batch.run_id)] == [
        ("contamination", "FINISHED"),
        ("fidelity", "FINISHED"),
        ("utility", "KILLED"),
    ]
    monkeypatch.undo()
    assert frozen.validate(batch).verdict == "pass"  # type: ignore[union-attr]  # one batch, one verdict
    assert sorted(frozen.checks()["check"]) == ["contamination", "fidelity", "utility"]
    assert len(frozen.project.reader.children(batch.run_id)) == 3


@pytest.mark.slow
def test_a_batch_from_a_silo_is_judged_against_the_silo(
    frozen: Workflow, customers: Callable[..., pd.DataFrame], tmp_path: Any
) -> None:
    silo = customers(700, 8)
    silo.to_csv(tmp_path / "silo.csv", index=False)
    batch = frozen.generate("gaussian_copula", rows=300, seed=1, purpose="try", source=tmp_path / "silo.csv")
    with pytest.raises(UsageError, match="Give it: `synth-mlflow validate"):
        frozen.validate(batch)
    silo.assign(age=30).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(UsageError, match="Give the file that was learned from"):
        frozen.validate(batch, source=tmp_path / "other.csv")
    verdict = frozen.validate(batch, source=tmp_path / "silo.csv")
    assert not isinstance(verdict, list) and len(verdict.checks) == 3


def test_batches_are_judged_by_the_model_of_the_baseline(
    frozen: Workflow, customers: Callable[..., pd.DataFrame]
) -> None:
    project = frozen.project
    made = written(frozen, customers(300, seed=5))
    (batch,) = (one for one in project.batches() if one.id == made.batch)
    settled = settled_model(project, project.evaluation_set())
    assert settled.params and evidence_of(project, project.evaluation_set(), batch, None).model == settled


@pytest.mark.slow
def test_several_batches_at_once(frozen: Workflow, customers: Callable[..., pd.DataFrame]) -> None:
    for seed in (3, 4):
        written(frozen, customers(500, seed))
    verdicts = frozen.validate()
    assert isinstance(verdicts, list) and len(verdicts) == 2
    again: list[str] = []
    frozen.project.say = again.append
    frozen.validate()
    assert len(again) == 2 and all("validated already" in line for line in again)


THEIRS = """
from synth_mlflow.checks import CheckResult, Metric


class Grown:
    summary = "nobody is too young"
    version = "3"
    defaults = {"least_age": 18}

    def run(self, evidence, policy):
        share = float((evidence.batch["age"] < policy["least_age"]).mean())
        return CheckResult((Metric("too_young", share, 0.0, column="age"),), words="Asked by law.")


plugin = Grown()
"""


@pytest.mark.slow
def test_somebody_elses_check_and_a_changed_policy(
    frozen: Workflow, customers: Callable[..., pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = written(frozen, customers(500, 3))
    first = frozen.validate(batch)
    assert not isinstance(first, list) and [check.check for check in first.checks][1:] == ["fidelity", "utility"]
    (tmp_path / "their_checks.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    theirs = metadata.EntryPoint("grown", "their_checks:plugin", "synth_mlflow.checks")
    monkeypatch.setattr(metadata, "entry_points", lambda: metadata.EntryPoints([theirs]))
    statement = (tmp_path / "problem.md").read_text()
    asked = "validation: {required: [grown], grown: {least_age: 30}}\nslices:"
    (tmp_path / "problem.md").write_text(statement.replace("slices:", asked, 1))
    with pytest.raises(StatementError, match=r"grown.*nobody has allowed"):
        frozen.define(tmp_path / "problem.md")
    assert "their_checks" not in sys.modules
    frozen.allow_code = ("their_checks",)
    frozen.define(tmp_path / "problem.md")
    assert list(frozen.batches()["verdict"]) == ["unvalidated"]
    second = frozen.validate(batch)
    assert not isinstance(second, list) and second.verdict == "fail"
    assert second.reasons[0].startswith("grown: too_young of 'age' is ")
    runs = frozen.project.reader.children(batch.run_id)
    assert [run.params[names.P_CHECK] for run in runs].count("fidelity") == 2  # the old verdicts stay
    assert len({run.params[names.P_POLICY] for run in runs}) == 2
    asked_run = next(run for run in runs if run.params[names.P_CHECK] == "grown")
    assert asked_run.params[names.P_CHECK_VERSION] == "3"
    assert "Asked by law." in asked_run.tags[names.TAG_NOTE]


def test_a_source_that_no_batch_was_learned_from_is_refused(
    frozen: Workflow, customers: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    batch = written(frozen, customers(20, 3))
    for what in (batch, None):
        with pytest.raises(UsageError, match=r"silo.csv was given, and .* was(| not) learned from a file"):
            frozen.validate(what, source=tmp_path / "silo.csv")
    assert frozen.project.reader.children(batch.run_id) == []


@pytest.mark.slow
def test_doubt_that_nobody_accepted_says_how_to(frozen: Workflow, customers: Callable[..., pd.DataFrame]) -> None:
    batch = written(frozen, customers(20, 3))
    frozen.validate(batch)
    with pytest.raises(GateError, match="the gate is closed") as refusal:
        frozen.sweep(ratios=(0, 0.02), batches=[batch.batch])
    assert 'accept_inconclusive: {CHECK: "why"}' in refusal.value.fix


@pytest.mark.slow
def test_doubt_that_was_accepted_is_told_on_every_run(
    frozen: Workflow, customers: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    statement = (tmp_path / "problem.md").read_text()
    asked = 'validation: {accept_inconclusive: {fidelity: "cold start", utility: "cold start"}}\nslices:'
    (tmp_path / "problem.md").write_text(statement.replace("slices:", asked, 1))
    frozen.define(tmp_path / "problem.md")
    batch = written(frozen, customers(20, 3))
    verdict = frozen.validate(batch)
    assert not isinstance(verdict, list) and verdict.gate_open
    said = "is inconclusive, accepted beforehand: cold start"
    assert all(any(f"{check} {said}" in reason for reason in verdict.reasons) for check in ("fidelity", "utility"))
    assert said in verdict._repr_html_()
    batch_run = frozen.project.batch(batch.batch).run
    assert said in batch_run.tags[names.TAG_NOTE]
    assert said in batch_run.tags[names.TAG_REASON]
    doubted = [run for run in frozen.project.reader.children(batch.run_id) if run.stage in ("fidelity", "utility")]
    assert all(said in run.tags[names.TAG_NOTE] for run in doubted)
    table = frozen.checks()
    assert set(table["verdict"]) == {"inconclusive", "pass"}
    doubted_rows = table[table["verdict"] == "inconclusive"]
    assert all("accepted beforehand: cold start" in reason for reason in doubted_rows["reason"])


@pytest.mark.slow
def test_doubt_that_was_accepted_once_it_was_known_is_told_so(
    frozen: Workflow, customers: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    batch = written(frozen, customers(20, 3))
    frozen.validate(batch)
    statement = (tmp_path / "problem.md").read_text()
    asked = 'validation: {accept_inconclusive: {fidelity: "cold start", utility: "cold start"}}\nslices:'
    (tmp_path / "problem.md").write_text(statement.replace("slices:", asked, 1))
    frozen.define(tmp_path / "problem.md")
    verdict = frozen.validate(batch)
    assert not isinstance(verdict, list) and verdict.gate_open
    accepted_on = iso(frozen.project.problems()[-1].ended or 0)[:10]
    said = f"is inconclusive, accepted after the verdict, on {accepted_on}: cold start"
    assert all(any(f"{check} {said}" in reason for reason in verdict.reasons) for check in ("fidelity", "utility"))
    run = frozen.project.batch(batch.batch).run
    assert said in run.tags[names.TAG_NOTE] and said in run.tags[names.TAG_REASON]
    assert sum(said in reason for reason in frozen.checks()["reason"]) == 2
