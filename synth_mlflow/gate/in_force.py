"""The policy in force, also where the checks that it asks for are not installed on this machine."""

from __future__ import annotations

import json

from synth_mlflow.errors import EvidenceError, PluginError, SynthError
from synth_mlflow.gate.policy import Policy, policy_of
from synth_mlflow.plugins import installed
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import Problem


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
    kept = _kept(project, problem.run)
    told = json.loads(project.reader.file(kept, names.A_POLICY).read_text(encoding="utf-8"))
    policy = Policy(tuple(told["required"]), told["thresholds"], told["accepted"])
    if policy.digest != problem.run.params[names.P_POLICY]:
        raise EvidenceError(f"the policy that run {kept.run_id} keeps is not the one of the problem statement.")
    return policy


def recorded_origin(problem: StoredRun, folder: str, name: str) -> str:
    """The distribution and version that brought a plugin when the statement was defined, in brackets; else nothing."""
    told = json.loads(problem.params.get(names.P_PLUGINS, "{}"))
    origin = told.get(folder, {}).get(name)
    return f" ({origin})" if origin else ""


def _missing(problem: Problem) -> list[str]:
    """The checks that a statement names and that are not here, each with where it came from."""
    asked = problem.statement.facts.validation
    wanted = [*asked.get("required", []), *asked.get("accept_inconclusive", {}), *asked]
    known = {*installed("checks"), "required", "accept_inconclusive"}
    missing = dict.fromkeys(name for name in wanted if name not in known)
    return [f"check {name!r}{recorded_origin(problem.run, 'checks', name)}" for name in missing]


def _kept(project: Project, problem: StoredRun) -> StoredRun:
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
