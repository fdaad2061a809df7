"""The search among generators: recorded, repeated, and blind to the evaluation rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from synth_mlflow import UsageError, Workflow
from synth_mlflow.checks import CheckResult, Metric
from synth_mlflow.cli.run_command import Plan, _by_runners_up
from synth_mlflow.data.task import Task
from synth_mlflow.gate.attempts import Attempt, AttemptOutcome, Candidate, GeneratorSearch
from synth_mlflow.gate.verdicts import Verdict
from synth_mlflow.stages.generator_search import (
    _Trial,
    candidates,
    combinations_that_may_help,
    is_ruled_out,
    next_in_line,
)
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project


def attempt(name: str, verdict: AttemptOutcome, *, near: int = 0, excess: float = 1.0, more: str = "") -> Attempt:
    added = (more,) if more else ()
    return Attempt(Candidate(name, {}, added), verdict, {"fidelity": verdict}, (), near, excess, 0.1)


@pytest.mark.slow
def test_a_search_is_recorded_once_and_sees_no_evaluation_row(
    frozen: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> pd.DataFrame:
        raise AssertionError("a search has asked for evaluation rows")

    with monkeypatch.context() as patch:
        patch.setattr(Project, "evaluation_rows", refuse)
        search = frozen.search_generators()
    assert search.attempts
    assert all(one.checks and "contamination" not in one.checks for one in search.attempts)
    assert frozen.search_generators() == search
    (run,) = frozen.project.reader.finished("search")
    assert (run.run_id, run.metrics[names.M_ATTEMPTS]) == (search.run_id, len(search.attempts))
    assert search.n_fitted + search.n_held_back == len(frozen.training_rows())
    batch = frozen.generate("auto", rows=60, purpose="more customers")
    assert search.best is not None
    assert batch.record.origin.generator == search.best.candidate.generator
    assert batch.record.notes["chosen_by_search"] == search.run_id
    assert frozen.project.batch(batch.batch).run.params[names.P_SEARCH] == search.run_id
    assert frozen.verify().holds


def test_auto_takes_no_parameters_of_its_own(frozen: Workflow) -> None:
    with pytest.raises(UsageError, match="`auto` chooses the generator"):
        frozen.generate("auto", rows=10, purpose="x", params={"privacy": 1})


def test_as_many_rows_as_a_sweep_needs_are_the_default(frozen: Workflow) -> None:
    n_training = int(frozen.project.evaluation_set().run.params[names.P_TRAINING_ROWS])
    batch = frozen.generate("bootstrap_noise", purpose="more")
    assert frozen.project.batch(batch.batch).n_rows == 3 * n_training


def test_no_candidate_is_known_to_leak(frozen: Workflow) -> None:
    found = candidates(frozen.project.problem().statement, frozen.project.evaluation_set())
    assert {one.generator for one in found} == {"forest", "bayes_net", "gaussian_copula"}
    assert found[0] == Candidate("forest", {})


def test_rows_that_are_elsewhere_are_not_copied_to_the_server(
    frozen: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` hands out real texts, and leaves of single rows, only where the real rows are on the server anyway."""
    statement, stored = frozen.project.problem().statement, frozen.project.evaluation_set()
    assert not statement.privacy_matters
    monkeypatch.setattr(type(stored), "task_of", lambda *_: Task("bought", "binary", None, {"region": "text"}))
    elsewhere = replace(stored, run=replace(stored.run, params={**stored.run.params, names.P_ROW_STORAGE: "reference"}))
    assert {"privacy": 0.0, "text": "resample"} in [one.params for one in candidates(statement, stored)]
    assert all("text" not in one.params for one in candidates(statement, elsewhere))
    assert {"privacy": 0.0} not in [one.params for one in candidates(statement, elsewhere)]


@pytest.mark.parametrize(
    ("attempts", "best"),
    [
        ([attempt("a", "fail"), attempt("b", "inconclusive"), attempt("c", "pass")], "c"),
        ([attempt("a", "pass", near=2), attempt("b", "pass", near=1)], "b"),
        ([attempt("a", "fail", excess=3), attempt("b", "fail", excess=2)], "b"),
        ([attempt("a", "error"), attempt("b", "fail"), attempt("c", "pass", more="fixed(x, y)")], "b"),
        ([attempt("a", "pass"), attempt("b", "pass")], "a"),
    ],
)
def test_the_best_passes_most_clearly_without_further_constraints(attempts: list[Attempt], best: str) -> None:
    found = GeneratorSearch(tuple(attempts), 200, 100).best
    assert found is not None
    assert found.candidate.generator == best


def test_runners_up_have_not_failed_and_need_nothing_more() -> None:
    tried = [attempt("a", "fail"), attempt("b", "pass", near=1), attempt("c", "pass"), attempt("d", "inconclusive")]
    search = GeneratorSearch((*tried, attempt("e", "pass", more="fixed(x, y)")), 200, 100)
    assert [one.candidate.generator for one in search.runners_up] == ["b", "d"]


@pytest.mark.slow
def test_where_the_best_fails_in_full_the_next_best_make_batches_until_one_does_not(
    frozen: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = [attempt(name, "pass", near=near) for near, name in enumerate(["forest", "bootstrap_noise", "bayes_net"])]
    search = GeneratorSearch((*tried, attempt("gaussian_copula", "pass", near=9)), 200, 100, "r")
    monkeypatch.setattr(Workflow, "search_generators", lambda *_, **__: search)
    outcomes = iter(("fail", "pass"))
    monkeypatch.setattr(Workflow, "validate", lambda _, batch, **__: Verdict(batch.batch, next(outcomes), (), ()))
    _by_runners_up(frozen, Plan(Path("problem.md"), rows=40), show=False)
    made = [frozen.project.record(batch).origin.generator for batch in frozen.project.batches()]
    assert made == ["bootstrap_noise", "bayes_net"]


def test_where_the_first_candidate_ended_the_search_and_fails_in_full_the_next_settings_are_made(
    frozen: Workflow,
) -> None:
    first, *others = candidates(frozen.project.problem().statement, frozen.project.evaluation_set())
    ended = GeneratorSearch((Attempt(first, "pass", {}, (), 0, 1.0, 0.1),), 200, 100)
    assert [one for one, _ in next_in_line(frozen.project, ended)] == others
    near = Attempt(others[0], "pass", {}, (), 1, 1.0, 0.1)
    (runner_up, how), *_ = next_in_line(frozen.project, GeneratorSearch((*ended.attempts, near), 200, 100))
    assert (runner_up, how) == (others[0], "pass in its trial")


def test_the_reason_of_a_failed_trial_comes_first_and_speaks_of_the_rows_of_the_trial() -> None:
    far = Metric("density_auc", 0.9, 0.6, floor=0.5, p_value=1e-9)
    results = {"fidelity": CheckResult((), "too few rows: 5 evaluation rows"), "privacy": CheckResult((far,), "")}
    trial = SimpleNamespace(policy=SimpleNamespace(alpha=lambda name: 0.01))
    found, _ = _Trial._judged(trial, Candidate("forest", {}), results, 0.1)  # type: ignore[arg-type]
    assert found.verdict == "fail" and found.reasons[0].startswith("privacy: density_auc")
    assert found.reasons[1] == "fidelity: too few rows: 5 rows that judge"


@pytest.mark.parametrize(
    ("failed", "ruled_out"),
    [
        ({"privacy"}, [0.25]),
        ({"fidelity"}, [0.75]),
        ({"utility", "fidelity"}, [0.75]),
        ({"privacy", "fidelity"}, []),
        (set(), []),
    ],
)
def test_settings_that_would_fail_for_the_same_reason_are_not_tried(failed: set[str], ruled_out: list[float]) -> None:
    checks = {name: "fail" if name in failed else "pass" for name in ("fidelity", "utility", "privacy")}
    tried = [Attempt(Candidate("forest", {}), "fail" if failed else "pass", checks, (), 1, 2.0, 0.1)]
    further = [Candidate("forest", {"privacy": privacy}) for privacy in (0.25, 0.75)]
    assert [one.params["privacy"] for one in further if is_ruled_out(one, tried)] == ruled_out
    assert not is_ruled_out(Candidate("bayes_net", {}), tried)


def test_a_search_comes_back_from_json_as_it_was() -> None:
    search = GeneratorSearch((attempt("a", "pass", more="fixed(x, y)"), attempt("b", "fail")), 200, 100, "run")
    assert GeneratorSearch.from_json(search.to_json()) == search
    assert search.found == search.attempts[0]


def test_rows_that_equal_evaluation_rows_are_made_on_top() -> None:
    one = Attempt(Candidate("a", {}), "pass", {}, (), 0, 1.0, 0.1, equal_share=0.01)
    assert GeneratorSearch((one,), 10_000, 500).rows_for(1_000, 500) == 1_014  # 1 % + 3 · 0.1 %, of 1,000 / 0.987
    assert GeneratorSearch((one,), 10_000, 500).rows_for(1_000, 1_000) == 1_027


def test_pairs_of_columns_become_constraints_but_for_the_target_and_for_rows_of_their_own() -> None:
    rows = pd.DataFrame({"a": [0, 1, 2] * 40, "b": [5, 6, 7] * 40, "y": [0, 1] * 60, "own": range(120)})
    failed = tuple(
        Metric("correlation_gap", 0.3, 0.1, column=column, note=f"with {other!r}")
        for column, other in (("a", "b"), ("b", "a"), ("a", "y"), ("a", "own"))
    )
    assert combinations_that_may_help(failed, rows, "y") == ("fixed(a, b)",)
    assert combinations_that_may_help((Metric("column_distance", 0.3, 0.1, column="a"),), rows, "y") == ()
