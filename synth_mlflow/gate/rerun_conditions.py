"""The conditions that force a rerun: what the project recorded, held against what is known now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import get_args

from synth_mlflow.data.environment import installed_versions
from synth_mlflow.errors import PluginError, SynthError
from synth_mlflow.gate.in_force import recorded_origin
from synth_mlflow.plugins import find, installed
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import RecordedEstimate
from synth_mlflow.tracking.stored import EvaluationSet, Problem, StoredBatch
from synth_mlflow.triggers import CurrentState, ProductionValue, RecordedState, State, TriggerState

CONTAMINATION = "contamination"  # the check that no batch goes without


def recorded_facts(
    problem: Problem,
    frozen: EvaluationSet,
    final: StoredRun,
    batches: Iterable[StoredBatch],
    stated: RecordedEstimate | None,
) -> RecordedState:
    """What was recorded about a model when it was made.

    Parameters
    ----------
    final : StoredRun
        The run of the final model.
    batches : iterable of StoredBatch
        The batches inside the model.
    stated : RecordedEstimate, optional
        What the model is expected to score; None before its first handoff.
    """
    versions: dict[str, set[str]] = {}
    for batch in batches:
        name = batch.run.params[names.P_GENERATOR]
        versions.setdefault(name, set()).add(batch.run.params[names.P_GENERATOR_VERSION])
    sides = (names.P_TRAINING_ROWS, names.P_EVALUATION_ROWS)
    return RecordedState(
        generators={name: tuple(sorted(distinct)) for name, distinct in versions.items()},
        statement_digest=final.params[names.P_STATEMENT],
        n_real_rows=sum(int(frozen.run.params[side]) for side in sides),
        metric=problem.statement.facts.metric,
        expected=stated.interval if stated else None,
        n_expected_rows=stated.estimate.n_rows if stated else 0,
        schema_digest=frozen.schema_digest,
        environment=flat_environment(json.loads(final.params[names.P_ENVIRONMENT])),
    )


def installed_generators(generators: Iterable[str]) -> dict[str, str]:
    """The version of each wanted generator that is installed here; those that are not are left out."""
    versions = {}
    for name in set(generators) & set(installed("generators")):
        try:
            plugin = find("generators", name)
            with plugin.guarded():
                versions[name] = str(plugin.declared().version)
        except SynthError:  # installed, and not loadable: nothing is known about its version
            continue
    return versions


def flat_environment(recorded: dict[str, object]) -> dict[str, str]:
    """Python and the packages of an environment, each with its version."""
    packages = recorded.get("packages")
    versions = {str(name): str(version) for name, version in packages.items()} if isinstance(packages, dict) else {}
    return {"python": str(recorded["python"]), **versions}


def installed_environment() -> dict[str, str]:
    """Python and the packages that are installed here, each with its version."""
    return flat_environment(installed_versions())


def evaluate(problem: Problem, recorded: RecordedState, present: CurrentState) -> Sequence[TriggerState]:
    """Every condition that the statement names, with its state; *cannot tell* where its plugin is missing or raises."""
    return [
        _state(problem.run, name, threshold, recorded, present)
        for name, threshold in problem.statement.facts.rerun_when.items()
    ]


def _state(
    problem: StoredRun, name: str, threshold: object, recorded: RecordedState, present: CurrentState
) -> TriggerState:
    words = f"{name}: {json.dumps(threshold, default=str)}"
    if name not in installed("triggers"):
        origin = recorded_origin(problem, "triggers", name)
        return TriggerState(name, words, "cannot tell", f"trigger {name!r}{origin} is not installed here")
    try:
        plugin = find("triggers", name)
        with plugin.guarded():
            state = plugin.load().evaluate(threshold, recorded, present)
            if not isinstance(state, TriggerState) or state.state not in get_args(State):
                raise TypeError(f"it returned {state!r}, a TriggerState was needed")
            return state
    except PluginError as error:
        return TriggerState(name, words, "cannot tell", error.found)


def retracted_inside(inside: Sequence[StoredBatch]) -> TriggerState:
    """The one condition that no statement can leave out: a batch inside the model was retracted."""
    bad = [batch for batch in inside if batch.retracted]
    texts = [f"{b.id} was retracted {b.taken_back.words if b.taken_back else 'by a tag'}" for b in bad]
    reason = "; ".join(texts) or _none_retracted(len(inside))
    state: State = "due" if bad else "not due"
    return TriggerState("retracted", "a batch inside the newest model was retracted", state, reason)


def without_check(runs: Iterable[StoredRun], batch_ids: Iterable[str], check: str = CONTAMINATION) -> list[str]:
    """The batches that a check has never judged, in the order given."""
    judged = {run.params.get(names.P_BATCH) for run in runs if run.counts and run.params.get(names.P_CHECK) == check}
    return [batch for batch in batch_ids if batch not in judged]


def unjudged_inside(runs: Iterable[StoredRun], batch_ids: Iterable[str]) -> list[TriggerState]:
    """A condition of models with batches that were never held against the evaluation set; nothing for others."""
    missing = without_check(runs, batch_ids)
    if not missing:
        return []
    reason = f"nobody has looked for evaluation rows in {', '.join(missing)}: `synth-mlflow validate`, then sweep again"
    return [TriggerState(CONTAMINATION, "a batch inside the newest model has no check of contamination", "due", reason)]


def _none_retracted(n_batches: int) -> str:
    if not n_batches:
        return "the newest model holds no synthetic batch"
    if n_batches == 1:
        return "the one batch inside the newest model was not retracted"
    return f"none of the {n_batches:,} batches inside the newest model was retracted"


def production_values(runs: Iterable[StoredRun], final: StoredRun) -> tuple[ProductionValue, ...]:
    """What was measured in production since a model was made, oldest first.

    Parameters
    ----------
    runs : iterable of StoredRun
        Finished runs, oldest first; those of other stages are left out.
    """
    return tuple(
        ProductionValue(
            run.metrics[names.M_SCORE], int(run.metrics[names.M_ROWS]) if names.M_ROWS in run.metrics else None
        )
        for run in runs
        if run.stage == "production" and run.started >= final.started
    )
