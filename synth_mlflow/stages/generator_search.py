"""Which generator fits a table: candidates learn from a part of the training rows, and the other part judges them.

No evaluation row is used: whoever chooses among many candidates by the evaluation rows finds one that looks good there
by chance. The best candidate makes the batch, and the gate judges that one batch as it judges any other.
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from synth_mlflow.backends.base import GenerationRequest, installed_maker
from synth_mlflow.backends.batch_writer import parsed_slice
from synth_mlflow.backends.real_rows import real_members
from synth_mlflow.checks import CheckInput, CheckResult, Metric, failed_probes, judge
from synth_mlflow.checks.contamination import Contamination
from synth_mlflow.data.addresses import Place
from synth_mlflow.data.columns import conform
from synth_mlflow.data.constraints import as_texts, parse_constraints
from synth_mlflow.data.digests import are_among, json_digest, row_hashes
from synth_mlflow.data.markup import as_text
from synth_mlflow.data.mixing import mix_counts
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.splits import group_codes
from synth_mlflow.data.statement import Statement
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import GeneratorError, SynthError
from synth_mlflow.gate.attempts import (
    Attempt,
    AttemptOutcome,
    Candidate,
    GeneratorSearch,
    finite,
    newest_search,
    recorded_search,
)
from synth_mlflow.gate.in_force import policy_in_force
from synth_mlflow.gate.policy import Policy, reads_ratings
from synth_mlflow.generators import Generator
from synth_mlflow.plugins import BUILT_IN, find, installed
from synth_mlflow.stages.hidden_labels import without_rare_labels
from synth_mlflow.stages.sweep_inputs import settled_model
from synth_mlflow.stages.validate import check_result
from synth_mlflow.sweep.plan import RATIOS
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import now_ms
from synth_mlflow.tracking.embeddings import embedding_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet
from synth_mlflow.tracking.write import NewRun, create_run, writing

AUTO = "auto"
FITTED_SHARE = 2 / 3  # of the rows of a trial; the others judge
TRIAL_ROWS = 6_000  # training rows at most: both checks look at no more than some thousand
MIN_TRIAL_ROWS = 30
MAX_EXTRA = 2  # combinations of columns that are tried as constraints
SETTINGS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "forest": ({}, {"privacy": 0.25}, {"privacy": 0.75}),
    "bayes_net": ({},),
    "gaussian_copula": ({},),
}
"""Of built-in generators, in the order in which they are tried; others that are installed and do not leak follow."""
OPEN_SETTINGS: Mapping[str, tuple[Mapping[str, Any], ...]] = {"forest": ({}, {"privacy": 0.25}, {"privacy": 0.0})}
"""Instead, where the rows hide nothing and are on the server anyway."""


def search_generators(
    project: Project,
    *,
    seed: int = 0,
    slice: str | None = None,  # noqa: A002 - the word that users know
    source: Place | None = None,
) -> GeneratorSearch:
    """Try generators and settings on a part of the training rows, and record every attempt with its verdict.

    Candidates are tried in a stated order until one passes every check with nothing near a limit.

    Parameters
    ----------
    project : Project
    seed : int
        Of the division of the rows, the fits and the draws.
    slice : str, optional
        What the batch is to be made for.
    source : Path, optional
        Real rows to learn from instead of the training rows.

    Returns
    -------
    GeneratorSearch
        A search of the same rows under the same policy is read back, not made again.

    Raises
    ------
    GateError
        Before `freeze`.
    GeneratorError
        If there are too few rows to try anything, or every candidate raises an error.
    """
    frozen, problem = project.evaluation_set(), project.problem()
    statement, policy = problem.statement, policy_in_force(problem)
    members, declared = real_members(project, frozen, source)
    model = settled_model(project, frozen)
    trial = _Trial.on(members, frozen, statement, policy, parsed_slice(slice, frozen.schema), model, seed)
    tried = candidates(statement, frozen)
    key = json_digest(
        ["search", declared.digest, policy.digest, statement.digest, slice or "", seed, *map(_identity, tried)]
    )
    recorded = project.reader.recorded(key)
    if recorded:
        search = recorded_search(project, project.reader.verify_seal(recorded[-1]))
        return _usable(replace(search, run_id=recorded[-1].run_id))
    project.say(
        f"trying generators: each learns from {len(trial.fitted):,} training rows, and {len(trial.held_back):,} others "
        "judge it"
    )
    attempts = tuple(_tried(trial, tried, project.say))
    search = GeneratorSearch(attempts, len(trial.fitted), len(trial.held_back))
    return _usable(_write(project, search, trial, key))


def auto_rows(
    project: Project,
    ratios: Sequence[float] | None = None,
    *,
    generator: str | None = None,
    seed: int = 0,
    part: str | None = None,
    source: Place | None = None,
    params: Mapping[str, Any] | None = None,
) -> int:
    """As many rows as the greatest ratio needs; by default the greatest of a sweep's default ratios.

    Where a search has tried generators, with a reserve for rows that equal an evaluation row by chance.
    """
    frozen = project.evaluation_set().run.params
    needed = mix_counts(max(ratios or RATIOS), int(frozen[names.P_TRAINING_ROWS]))[1]
    if generator is None:
        return needed
    if generator == AUTO:
        search: GeneratorSearch | None = search_generators(project, seed=seed, slice=part, source=source)
    else:
        search = newest_search(project)
    if search is None:
        return needed
    maker = search.maker_of(generator, params or {})
    return search.rows_for(needed, int(frozen[names.P_EVALUATION_ROWS]), maker)


def candidates(statement: Statement, frozen: EvaluationSet) -> tuple[Candidate, ...]:
    """What is tried, in this order; generators that are known to reveal their members are not."""
    settings = dict(SETTINGS)
    # rows that stay where they are hide something, whatever the statement says
    is_open = not statement.privacy_matters and frozen.run.params[names.P_ROW_STORAGE] == "rows"
    if is_open:
        settings |= OPEN_SETTINGS
    plugins = {name: plugin for name, plugin in installed("generators").items() if plugin.origin == BUILT_IN}
    more = {"text": "resample"} if frozen.task_of(statement).texts and is_open else {}
    return tuple(
        Candidate(name, {**params, **more})
        for name in settings
        if name in plugins and not _plugin(name).leaky
        for params in settings[name]
    )


def next_in_line(project: Project, search: GeneratorSearch) -> tuple[tuple[Candidate, str], ...]:
    """Who makes a batch where that of the best has failed, each with how it did: runners-up, then those not tried.

    A search ends with the first candidate that passes its trial clearly; the trial has fewer rows than the batch.
    """
    tried = [one.candidate for one in search.attempts]
    untried = [
        one
        for one in candidates(project.problem().statement, project.evaluation_set())
        if one not in tried and not is_ruled_out(one, search.attempts)
    ]
    runners_up = [(one.candidate, f"{one.verdict} in its trial") for one in search.runners_up]
    return (*runners_up, *((one, "not tried, since one before it had passed") for one in untried))


def _plugin(name: str) -> type[Generator]:
    made_of: type[Generator] = find("generators", name).load(is_typed=True)
    return made_of


def _identity(candidate: Candidate) -> list[object]:
    return [candidate.generator, _plugin(candidate.generator).version, dict(candidate.params)]


@dataclass(frozen=True)
class _Trial:
    """The rows of all attempts, and how they are judged."""

    fitted: pd.DataFrame
    held_back: pd.DataFrame
    statement: Statement
    policy: Policy
    task: Task
    part: Slice | None
    frozen: EvaluationSet
    model: ModelSpec
    """With the settings of the baseline, by which batches are judged too."""
    seed: int
    began: int = field(default_factory=now_ms)
    """When the search began."""

    @classmethod
    def on(
        cls,
        members: pd.DataFrame,
        frozen: EvaluationSet,
        statement: Statement,
        policy: Policy,
        part: Slice | None,
        model: ModelSpec,
        seed: int,
    ) -> _Trial:
        """Divide training rows; rows of one group, and equal rows, as the evaluation set was divided."""
        if len(members) < MIN_TRIAL_ROWS:
            raise GeneratorError(
                f"{len(members):,} training rows are too few to try generators on, {MIN_TRIAL_ROWS} are needed.",
                'Name one: `synth-mlflow generate forest --purpose "…"`.',
            )
        task, rng = frozen.task_of(statement), np.random.default_rng([seed, 71])
        groups = group_codes(members, task)
        units = np.arange(len(members)) if groups is None else groups
        place = rng.permutation(int(units.max()) + 1)[units]
        order = np.argsort(place, kind="stable")[:TRIAL_ROWS]
        n_fitted = int(np.searchsorted(place[order], place[order[int(FITTED_SHARE * len(order))]]))  # whole groups
        fitted, held = (members.iloc[np.sort(side)].reset_index(drop=True) for side in np.split(order, [n_fitted]))
        return cls(fitted, held, statement, policy, task, part, frozen, model, seed)

    @property
    def checks(self) -> list[str]:
        """All that a batch must pass but for contamination, which looks for evaluation rows, and for answers of people:
        neither are here."""
        rows = [name for name in self.policy.required if not reads_ratings(name)]
        return [name for name in rows if not isinstance(find("checks", name).load(), Contamination)]

    def attempt(self, candidate: Candidate) -> tuple[Attempt, tuple[Metric, ...]]:
        """Fit, draw and judge; with the statistics that failed."""
        begun = time.monotonic()
        try:
            batch = self._drawn(candidate)
            results = {
                name: check_result(name, self._evidence(batch), self.policy.thresholds[name]) for name in self.checks
            }
        except SynthError as error:
            message = " ".join(filter(None, (error.found, error.fix)))
            return Attempt(candidate, "error", {}, (message,), 0, 1.0, time.monotonic() - begun), ()
        attempt, failed = self._judged(candidate, results, time.monotonic() - begun)
        return replace(attempt, equal_share=self._equal_share(batch)), failed

    def _equal_share(self, batch: pd.DataFrame) -> float:
        drawn, learned, held = (row_hashes(rows) for rows in (batch, self.fitted, self.held_back))
        return float(np.mean(are_among(drawn, held) & ~are_among(drawn, learned)))

    def _drawn(self, candidate: Candidate) -> pd.DataFrame:
        maker = installed_maker(candidate.generator, candidate.params)
        declared = [one.text for one in self.statement.constraints]
        request = GenerationRequest(
            len(self.fitted), self.seed, self.task, self.part, parse_constraints([*declared, *candidate.constraints])
        )
        pieces: list[pd.DataFrame] = []
        maker.run(self.fitted, request, pieces.append)
        return conform(pd.concat(pieces, ignore_index=True), self.frozen.schema, "the batch")

    def _evidence(self, batch: pd.DataFrame) -> CheckInput:
        statement = self.statement
        evidence = CheckInput(
            batch=batch,
            members=self.fitted,
            control=self.held_back,
            task=self.task,
            metric=statement.facts.metric,
            seed=self.seed,
            model=self.model,
            slice=self.part,
            slices=statement.slices,
            sensitive=tuple(statement.facts.sensitive),
            embedding=embedding_of(statement, self.frozen),
        )
        return without_rare_labels(evidence, statement) if self.frozen.keeps_values else evidence

    def _judged(
        self, candidate: Candidate, results: Mapping[str, CheckResult], seconds: float
    ) -> tuple[Attempt, tuple[Metric, ...]]:
        checks, reasons, near, failed = dict[str, str](), list[str](), 0, list[Metric]()
        for name, result in results.items():
            alpha = self.policy.alpha(name)
            ruling = judge(result.probes, result.inconclusive, alpha)
            checks[name] = ruling.verdict
            reasons_text = [f"{name}: {_of_trial(reason)}" for reason in ruling.reasons if ruling.verdict != "pass"]
            reasons = (
                reasons_text + reasons if ruling.verdict == "fail" else reasons + reasons_text
            )  # the verdict's own reason first
            beyond = failed_probes(result.probes, min(10 * alpha, 0.5))
            near += len(beyond)
            failed += beyond
        outcome: AttemptOutcome = "pass"
        if "fail" in checks.values():
            outcome = "fail"
        elif "inconclusive" in checks.values():
            outcome = "inconclusive"
        excess = max((_times(probe) for probe in failed), default=1.0)
        attempt = Attempt(candidate, outcome, checks, tuple(reasons), near, finite(excess), seconds)
        return attempt, tuple(failed)


def _of_trial(reason: str) -> str:
    """A reason of a check in the words of a trial, which has no evaluation rows."""
    return reason.replace("evaluation rows", "rows that judge")


def _times(probe: Metric) -> float:
    value = probe.value or 0.0
    over, under = (value, probe.limit) if probe.better == "low" else (probe.limit, value)
    return over / under if under > 0 else float("inf")


def _tried(trial: _Trial, candidates_to_try: tuple[Candidate, ...], say: Callable[[str], None]) -> Iterator[Attempt]:
    """Each attempt as it is made; the best of those that fail is tried once more, with constraints that may help."""
    best: tuple[Attempt, tuple[Metric, ...]] | None = None
    attempts: list[Attempt] = []
    for candidate in candidates_to_try:
        if is_ruled_out(candidate, attempts):
            continue
        with threadpool_limits(1, user_api="blas"):
            attempt, failed = trial.attempt(candidate)
        say(f"{candidate.words}: {attempt.verdict}{f' ({attempt.reasons[0]})' if attempt.reasons else ''}")
        yield attempt
        attempts.append(attempt)
        if attempt.is_clear:
            return
        if best is None or attempt.rank < best[0].rank:
            best = attempt, failed
    if best is None or best[0].verdict != "fail":
        return
    more = combinations_that_may_help(best[1], trial.fitted, trial.task.target)
    if more:
        attempt, _ = trial.attempt(replace(best[0].candidate, constraints=more))
        say(f"{attempt.candidate.words}: {attempt.verdict}")
        yield attempt


def is_ruled_out(candidate: Candidate, attempts: Sequence[Attempt]) -> bool:
    """Whether an earlier trial of the same generator makes another one pointless.

    Where only `privacy` failed, a setting that protects members less would fail as well; where only other checks
    failed, so would one that protects them more. A trial of a wide table takes minutes.
    """
    protection = _protection(candidate)
    if protection is None:
        return False
    for attempt in attempts:
        failed = {name for name, verdict in attempt.checks.items() if verdict == "fail"}
        if attempt.candidate.generator != candidate.generator or not failed:
            continue
        other = _protection(attempt.candidate) or 0.0
        if protection < other if failed == {"privacy"} else protection > other and "privacy" not in failed:
            return True
    return False


def _protection(candidate: Candidate) -> float | None:
    """The generator's parameter `privacy`; None where it has none."""
    parameter = inspect.signature(_plugin(candidate.generator)).parameters.get("privacy")
    return None if parameter is None else float(candidate.params.get("privacy", parameter.default))


def combinations_that_may_help(failed: tuple[Metric, ...], rows: pd.DataFrame, target: str) -> tuple[str, ...]:
    """Constraints `fixed(a, b)` for pairs of columns whose dependence a batch has lost.

    Parameters
    ----------
    failed : tuple of Metric
        Statistics that failed; those of pairs name the other column in their note.
    rows : DataFrame
        Training rows: a pair of which each row has a combination of its own is left out, and so is the target.
    """
    lines: list[str] = []
    for probe in failed:
        other = re.match(r"with '(.+?)'", probe.note)
        pair = sorted({probe.column or "", other.group(1)}) if other else []
        if len(pair) != 2 or target in pair or not set(pair) <= set(rows.columns):
            continue
        (text,) = as_texts({"fixed": pair})
        if text not in lines and not parse_constraints([text]).problems(rows):
            lines.append(text)
    return tuple(lines[:MAX_EXTRA])


def _usable(search: GeneratorSearch) -> GeneratorSearch:
    """The search; a GeneratorError with what the first candidate said where none could make any row."""
    if search.best is not None:
        return search
    first = search.attempts[0]
    raise GeneratorError(
        f"none of {len(search.attempts)} candidates can make rows of this table. {first.candidate.words}: "
        f"{first.reasons[0]}",
        f"All attempts are on run {search.run_id}.",
    )


def _write(project: Project, search: GeneratorSearch, trial: _Trial, key: str) -> GeneratorSearch:
    best, n = search.best, len(search.attempts)
    title = "none works" if best is None else f"{best.candidate.words}: {best.verdict}"
    new = NewRun("search", f"search · {title}", key, began=trial.began)
    run_id = create_run(project.server, new, parent=project.workflow_run)
    search = replace(search, run_id=run_id)
    with writing(project.server, run_id, "search") as draft:
        draft.param(names.P_KEY, key)
        draft.param(names.P_POLICY, trial.policy.digest)
        draft.param(names.P_TRAINING_DIGEST, trial.frozen.training_digest)
        draft.param(names.P_SEED, trial.seed)
        if best is not None:
            draft.param(names.P_GENERATOR, best.candidate.generator)
            draft.param(names.P_GENERATOR_PARAMS, dict(best.candidate.params))
            draft.tag(names.TAG_GENERATOR, best.candidate.generator)
            draft.tag(names.TAG_VERDICT, best.verdict)
        draft.metric(names.M_ATTEMPTS, n)
        draft.metric(names.M_SECONDS, sum(one.seconds for one in search.attempts))
        draft.text(names.A_ATTEMPTS, search.to_json())
        draft.table(names.A_ATTEMPTS_TABLE, *search.table())
        draft.describe(_description(search, title))
    return search


def _description(search: GeneratorSearch, title: str) -> str:
    rows = "\n".join(
        f"| {as_text(one.candidate.words)} | {one.verdict} | {as_text(one.reasons[0] if one.reasons else '')} |"
        for one in search.attempts
    )
    return (
        f"**{as_text(title)}.** Each candidate learned from {search.n_fitted:,} training rows and was judged by "
        f"{search.n_held_back:,} other training rows. No evaluation row was used, so the batch that the best one makes "
        f"is judged as any other.\n\n| candidate | verdict | why |\n|---|---|---|\n{rows}"
    )
