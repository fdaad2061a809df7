"""The document of a run that stopped before a model: it says what was tried, why, and lines to paste."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from synth_mlflow import GateError, Workflow
from synth_mlflow.cli.run_command import _beside_the_final_one
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.gate.attempts import Attempt, Candidate, GeneratorSearch
from synth_mlflow.gate.verdicts import CheckVerdict, Verdict
from synth_mlflow.handoff.next_steps import Stopped, next_steps
from synth_mlflow.tracking import names


def stopped(*checks: CheckVerdict, search: GeneratorSearch | None = None) -> Stopped:
    verdict = Verdict("forest-1a2b", "fail", ("why",), checks)
    facts = {"name": "shop", "data": "rows.csv", "target": "bought", "constraints": ["age >= 17"]}
    made = [{"generator": "forest", "params": {"privacy": 0.5}}]
    told = ("the gate", "fix")
    data = ("/d/rows.csv", CsvFormat())
    return Stopped("shop", "my problem.md", *data, facts, (verdict,), made, search, 90, 0.25, *told)


FIDELITY = CheckVerdict("fidelity", "fail", ("column_distance of 'd\u2019age \"x\"' is 0.3 (limit 0.1)",), "r1")
PRIVACY = CheckVerdict("privacy", "fail", ("density_auc is 0.7 (limit 0.6)",), "r2")
UTILITY = CheckVerdict("utility", "inconclusive", ("too few rows",), "r3")


def test_a_constraint_that_helped_in_a_trial_comes_first_beside_those_declared() -> None:
    helped = Attempt(Candidate("forest", {}, ("fixed(a, b)",)), "pass", {}, (), 0, 1.0, 0.1)
    first, second, *_ = next_steps(stopped(FIDELITY, search=GeneratorSearch((helped,), 200, 100)))
    assert first.lines == ('constraints: ["age >= 17", "fixed(a, b)"]',)
    assert second.lines == ("synth-mlflow run 'my problem.md'",)


def test_other_candidates_are_offered_with_their_parameters() -> None:
    made = Attempt(Candidate("forest", {}), "pass", {}, (), 0, 1.0, 0.1)
    other = Attempt(Candidate("forest", {"privacy": 0.25}), "pass", {}, (), 0, 1.0, 0.1)
    bad = Attempt(Candidate("bayes_net", {}), "fail", {}, (), 0, 1.0, 0.1)
    steps = next_steps(stopped(FIDELITY, search=GeneratorSearch((made, other, bad), 200, 100)))
    lines = [line for step in steps for line in step.lines]
    assert "synth-mlflow run 'my problem.md' --generator forest --param privacy=0.25" in lines
    assert not [line for line in lines if "bayes_net" in line]
    drop = next(line for line in lines if line.startswith("python -c"))
    assert "d\u2019age" in drop


def test_no_candidate_is_offered_whose_batch_has_failed() -> None:
    tried = [
        Attempt(Candidate("forest", {"privacy": at} if at else {}), "pass", {}, (), 0, 1.0, 0.1) for at in (0, 0.25)
    ]
    search = GeneratorSearch(tuple(tried), 200, 100)
    failed = replace(stopped(FIDELITY, search=search), made=[{"generator": "forest", "params": {"privacy": 0.25}}])
    lines = [line for step in next_steps(failed) for line in step.lines]
    assert "synth-mlflow run 'my problem.md' --generator forest" in lines
    assert not [line for line in lines if "privacy=0.25" in line]


def test_what_attacks_find_is_answered_by_more_privacy() -> None:
    (step,) = next_steps(stopped(PRIVACY))
    assert step.lines == ("synth-mlflow run 'my problem.md' --generator forest --param privacy=0.75",)
    assert "density_auc is 0.7" in step.why


def test_many_columns_that_add_up_are_not_answered_by_leaving_one_out() -> None:
    reasons = (
        "meta_auc is 0.72 (limit 0.65): values of 30 columns are handed out, a little each; keep fewer columns",
        "reused_values of 'height' is 0.03 (limit 0.02): members' own values reappear",
    )
    wide = replace(PRIVACY, reasons=reasons)
    fewer, public = next_steps(stopped(wide))
    assert '[["FIRST", "SECOND", "bought"]]' in fewer.lines[0]
    assert "`data: /d/rows_fewer_columns.csv`" in fewer.why
    assert public.lines == ('privacy: "not relevant: WRITE WHY"',) and "only where nobody is harmed" in public.why
    copied = replace(wide, reasons=("exact_copies is 0.1 (limit 0.001)", *reasons))
    assert "rows_without_height.csv" in str(next_steps(stopped(copied)))


def test_a_doubt_is_accepted_with_a_reason_or_met_by_a_larger_set() -> None:
    accept, go_on, larger = next_steps(stopped(UTILITY))
    assert accept.lines == ('validation: {"accept_inconclusive": {"utility": "WRITE WHY"}}',)
    assert go_on.lines == ("synth-mlflow run 'my problem.md'",)
    assert larger.lines == ('name: "shop-larger-evaluation"', 'evaluation: {"share": 0.4}')
    assert len(next_steps(replace(stopped(UTILITY), share=0.4))) == 2
    assert "WRITE WHY" not in str(next_steps(stopped(UTILITY, FIDELITY)))  # no acceptance helps a batch that failed


def test_a_batch_that_teaches_too_little_may_pass_under_a_lower_limit_that_is_named() -> None:
    def weak(share: float) -> Stopped:
        reason = f"gain_share of 'y' is {share} (limit 0.8, real against real 0.79): synthetic 0.2, real 0.4"
        return stopped(CheckVerdict("utility", "fail", (reason,), "r4"))

    lower, go_on = next_steps(weak(0.67))
    assert lower.lines == ('validation: {"utility": {"gain_share": 0.6}}',) and "67% of what real rows" in lower.why
    assert go_on.lines == ("synth-mlflow run 'my problem.md'",)
    for share, gained in ((0.3, "30%"), (-0.2, "0%")):
        (more,) = next_steps(weak(share))
        assert more.lines == ("synth-mlflow run 'my problem.md' --source FILE",) and f" {gained} of what" in more.why


def test_without_a_batch_the_error_says_what_to_do() -> None:
    (step,) = next_steps(replace(stopped(), verdicts=(), fix="First: `synth-mlflow generate auto`."))
    assert step.lines == ("synth-mlflow generate auto",)


def test_the_draft_is_kept_once_and_written(frozen: Workflow, tmp_path: Path) -> None:
    error = GateError("the gate is closed", "Generate.")
    first = frozen.draft_handoff(error, tmp_path / "handoff.html")
    assert frozen.draft_handoff(error).run_id == first.run_id
    (run,) = frozen.project.reader.finished("draft")
    assert run.tags[names.TAG_DRAFT] == "true"
    page = (tmp_path / "handoff.html").read_text()
    assert "DRAFT: shop has no model" in page
    assert "roc_auc" in page
    assert json.loads(json.dumps(first.to_json()))["next_steps"]


@pytest.mark.slow
def test_run_ends_in_a_draft_where_the_gate_stays_shut(
    call: Callable[..., tuple[int, str, str]], write_project: Callable[..., Path], uri: str, tmp_path: Path
) -> None:
    problem = write_project(more="validation: {utility: {detectable_share: 0.99}}")
    draft = tmp_path / "handoff.md"
    options = ("--generator", "gaussian_copula", "--output", str(draft), "--tracking-uri", uri)
    code, _, errors = call("run", str(problem), *options)
    assert code == 3
    assert str(draft) in errors
    text = draft.read_text()
    assert "What to do next" in text
    assert "accept_inconclusive" in text


@pytest.mark.slow
def test_a_freeze_that_refuses_leaves_a_draft_too(
    call: Callable[..., tuple[int, str, str]], write_project: Callable[..., Path], uri: str, tmp_path: Path
) -> None:
    problem, draft = write_project(), tmp_path / "handoff.md"
    problem.write_text(problem.read_text().replace("gain_at_least: 0.01", "gain_at_least: 0.45"))
    code, _, errors = call("run", str(problem), "--output", str(draft), "--tracking-uri", uri)
    assert code == 2
    assert "Single columns alone score: 'age'" in errors
    assert 'columns: {"age": {role: ignored}}' in errors
    assert "Nothing is frozen" in draft.read_text()


@pytest.mark.parametrize("output", ["handoff.pdf", "nowhere/handoff.html"])
def test_a_document_that_cannot_be_written_is_refused_before_anything_is_done(
    call: Callable[..., tuple[int, str, str]], write_project: Callable[..., Path], uri: str, tmp_path: Path, output: str
) -> None:
    code, _, errors = call("run", str(write_project()), "--output", str(tmp_path / output), "--tracking-uri", uri)
    assert code == 2
    assert "stage 1" not in errors


def test_a_draft_leaves_a_finished_handoff_as_it_is(done: Workflow, tmp_path: Path) -> None:
    final = tmp_path / "handoff.html"
    assert _beside_the_final_one(done, final) == final
    final.write_text("final")
    assert _beside_the_final_one(done, final) == tmp_path / "handoff-draft.html"
    page = done.draft_handoff(GateError("the rows were retracted"), tmp_path / "draft.md").path
    assert page is not None
    assert "No synthetic row" not in page.read_text()
    assert "It stands as run" in page.read_text()
