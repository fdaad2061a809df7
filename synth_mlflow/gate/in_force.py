"""The policy in force, also where the checks that it asks for are not installed on this machine.

What every row of a project must keep, as its statement declares it and its real rows show it.

Whether rows may enter training at all, whatever checks say of them: not if they were retracted, under any name, and
not if they were made for another evaluation set than the one in force.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from synth_mlflow.data.constraints import Constraints, Fixed
from synth_mlflow.data.digests import Hashes, are_among, row_digests
from synth_mlflow.errors import EvidenceError, GateError, PluginError, SynthError
from synth_mlflow.gate.policy import Policy, policy_of
from synth_mlflow.later import later
from synth_mlflow.plugins import installed
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import EvaluationSet, Problem, StoredBatch
from synth_mlflow.tracking.stored_run import reading

if TYPE_CHECKING:
    from synth_mlflow.data.chunks import distinctive_rows
    from synth_mlflow.data.tables import restore
else:  # only rows to compare need them, and what they load
    distinctive_rows = later("synth_mlflow.data.chunks", "distinctive_rows")
    restore = later("synth_mlflow.data.tables", "restore")


def policy_in_force(problem: Problem) -> Policy:
    """The policy of the statement in force, for verbs that run its checks.

    Raises
    ------
    PluginError
        If a check that it asks for is not installed here; names it, and the distribution that brought it.
    """
    missing = _missing(problem)
    if missing:
        raise PluginError(
            f"the statement asks for {' and '.join(missing)}, not installed here.",
            "Install it, or take it out of `validation` in problem.md and define the statement again.",
        )
    return policy_of(problem.statement)


def readable_policy(project: Project, problem: Problem) -> Policy:
    """The policy of the statement in force, for verbs that only show what was recorded under it.

    Where it cannot be made anew, because a check is missing here or cannot be loaded, it is read back from the server.

    Raises
    ------
    EvidenceError
        If it was not kept, or is not the one that the statement's run vouches for.
    """
    try:
        if not _missing(problem):
            return policy_of(problem.statement)
    except SynthError:  # a plugin that is broken: the recorded policy is as good for reading
        pass
    return recorded_policy(project, problem)


def recorded_policy(project: Project, problem: Problem) -> Policy:
    """The policy of the statement in force as it was recorded with it, whatever checks are installed here.

    Raises
    ------
    EvidenceError
        If it was not kept, or is not the one that the statement's run vouches for.
    """
    recorded = policy_run(project, problem.run)
    path = project.reader.file(recorded, names.A_POLICY)
    with reading(recorded, names.A_POLICY):
        policy = Policy.from_json(json.loads(path.read_text(encoding="utf-8")))
    if policy.digest != problem.run.params[names.P_POLICY]:
        raise EvidenceError(f"the policy that run {recorded.run_id} keeps is not the one of the problem statement.")
    return policy


def recorded_origin(problem: StoredRun, folder: str, name: str) -> str:
    """The distribution and version that brought a plugin when the statement was defined, in brackets; else nothing."""
    plugins = json.loads(problem.params.get(names.P_PLUGINS, "{}"))
    origin = plugins.get(folder, {}).get(name)
    return f" ({origin})" if origin else ""


def _missing(problem: Problem) -> list[str]:
    """The checks that a statement names and that are not here, each with where it came from."""
    rules = problem.statement.facts.validation
    check_names = [*rules.get("required", []), *rules.get("accept_inconclusive", {}), *rules]
    known = {*installed("checks"), "required", "accept_inconclusive"}
    missing = dict.fromkeys(name for name in check_names if name not in known)
    return [f"check {name!r}{recorded_origin(problem.run, 'checks', name)}" for name in missing]


def policy_run(project: Project, problem: StoredRun) -> StoredRun:
    """A run that keeps the policy: the statement's, or the check of an earlier version."""
    if names.A_POLICY in problem.artifacts:
        return problem
    digest = problem.params[names.P_POLICY]
    checks = project.reader.finished(where=f"params.`{names.P_POLICY}` = '{digest}'")
    if not checks:
        raise EvidenceError(
            f"the policy of the statement in run {problem.run_id} asks for checks that are not installed here, and "
            "was not kept.",
            "Install them: `synth-mlflow list` shows what is there.",
        )
    return checks[-1]


def kept_constraints(project: Project, frozen: EvaluationSet, learned_from: pd.DataFrame | None) -> Constraints:
    """The statement's constraints; combinations are those of the project's real rows and of ``learned_from``.

    Raises
    ------
    UsageError
        If these rows break a constraint themselves, with the number.
    """
    declared = project.problem().statement.constraints
    if not any(isinstance(one, Fixed) for one in declared):
        return declared
    real = [project.training_rows(frozen), project.evaluation_rows(frozen)]
    return declared.seen_in(pd.concat(real if learned_from is None else [*real, learned_from], ignore_index=True))


ANY_SHARE = 0.1
"""Of a batch: so many rows of a retracted one shut it, if chance does not give as many and they are no real rows."""


def shut_for_good(project: Project, batch: StoredBatch) -> str:
    """Why no check can open the gate of a batch; empty if there is no reason.

    Raises
    ------
    EvidenceError
        If rows that it has to be compared with are gone, or are not those that were recorded.
    """
    return made_for_another_set(project.evaluation_set(), batch) or rows_of_retracted(project, batch)


def made_for_another_set(frozen: EvaluationSet, batch: StoredBatch) -> str:
    """Why a batch that was made before the evaluation set in force was frozen is shut out; empty if it was not."""
    made_for = batch.run.params.get(names.P_EVALUATION_DIGEST, "")
    if made_for == frozen.digest:
        return ""
    return (
        f"it was made for another evaluation set (digest {made_for[:12]}…) than the one in force "
        f"({frozen.digest[:12]}…), whose rows its generator may have seen; generate it again"
    )


def refuse_other_set(frozen: EvaluationSet, run: StoredRun, what: str, command: str) -> None:
    """A GateError for a sweep or handoff that was measured on another evaluation set than the one in force."""
    measured_on = run.params.get(names.P_EVALUATION_DIGEST, "")
    if measured_on != frozen.digest:
        raise GateError(
            f"{what} rests on evaluation set {measured_on[:12]}…, and {frozen.digest[:12]}… is in force: what was "
            "measured before the second freeze ended with it.",
            f"Generate, validate and sweep again, then `{command}`.",
        )


def rows_of_retracted(project: Project, batch: StoredBatch) -> str:
    """Why the rows of a batch count as retracted though its own run is not; empty if they do not.

    They are compared as they lie in its file: what a run or its digests claim of them counts for nothing.
    """
    runs = _other_retracted(project, batch.run.run_id, batch.digest)
    if not runs:
        return ""
    frozen = project.evaluation_set()
    rows = row_digests(project.batch_rows(batch, frozen.schema), frozen.salt)
    return next(_reasons(project, frozen, runs, rows, batch.digest), "")


def retracted_like(project: Project, frozen: EvaluationSet, rows: Hashes, digest: str) -> str:
    """Why rows that are about to become a batch count as retracted; empty if they do not.

    Parameters
    ----------
    rows : array of shape (n_rows,)
        Digests of the rows with the salt of the evaluation set in force.
    digest : str
        The content digest of the table.
    """
    return next(_reasons(project, frozen, _other_retracted(project, "", digest), rows, digest), "")


def _other_retracted(project: Project, run_id: str, digest: str) -> list[StoredRun]:
    """The runs of retracted batches, deleted ones too; those of the very same rows first."""
    runs = [run for run in project.reader.retracted() if run.run_id != run_id]
    return sorted(runs, key=lambda run: run.params.get(names.P_BATCH_DIGEST) != digest)


def _reasons(
    project: Project, frozen: EvaluationSet, runs: list[StoredRun], rows: Hashes, digest: str
) -> Iterator[str]:
    from synth_mlflow.metrics.row_pairs import are_mostly_of  # which loads scikit-learn

    for run in runs:
        name = run.params.get(names.P_BATCH, run.run_id)
        if run.params.get(names.P_BATCH_DIGEST) == digest:
            yield f"its rows are those of batch {name}, which was retracted{_words(run)}"
            continue
        theirs, distinctive = _digests_of(project, frozen, run)
        shared = int(are_among(rows, theirs).sum())
        if not shared:
            continue
        real = np.concatenate(list(project.row_digests(frozen.run).values()))
        made, theirs_made = (
            rows[~are_among(rows, real)],
            theirs[~are_among(theirs, real)],
        )  # others copy real rows as well
        if (
            are_mostly_of(rows, theirs)
            or int(are_among(made, distinctive).sum()) > ANY_SHARE * len(rows)
            or are_mostly_of(made, theirs_made, ANY_SHARE * len(rows) / max(len(made), 1))
        ):
            yield f"{shared:,} of its {len(rows):,} rows are those of batch {name}, which was retracted{_words(run)}"


def _words(run: StoredRun) -> str:
    retraction = StoredBatch(run).taken_back
    return f" {retraction.words}" if retraction else ""


def _digests_of(project: Project, frozen: EvaluationSet, run: StoredRun) -> tuple[Hashes, Hashes]:
    """The row digests of a retracted batch under the salt in force, and those that their values alone identify."""
    if run.params.get(names.P_EVALUATION_DIGEST) == frozen.digest:
        digests = project.row_digests(run)
        theirs, distinctive = np.concatenate([digests["distinctive"], digests["common"]]), digests["distinctive"]
    else:  # digests of another set have another salt
        path = project.reader.file(run, names.A_BATCH)
        if set(pq.read_schema(path).names) != set(frozen.schema):  # rows of other columns are no rows of this table
            return np.array([], dtype=np.uint64), np.array([], dtype=np.uint64)
        theirs = row_digests(restore(pd.read_parquet(path), frozen.schema), frozen.salt)
        distinctive = theirs[distinctive_rows(path, frozen.schema)]
    return theirs, distinctive
