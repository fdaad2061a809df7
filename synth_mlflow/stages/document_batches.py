"""The handoff's part about batches: each one's record and verdicts, from the parameters of its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from synth_mlflow.data.record import Source, source_in_words
from synth_mlflow.gate.verdicts import CheckVerdict, Verdict
from synth_mlflow.handoff import document as handoff
from synth_mlflow.tracking import names
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import StoredBatch


def describe_batch(
    batch: StoredBatch, verdict: Verdict, checks: Sequence[StoredRun], *, in_model: bool
) -> handoff.Batch:
    """One batch as the handoff tells of it.

    Parameters
    ----------
    checks : sequence of StoredRun
        Its check runs, for the numbers behind the verdict; empty for a batch that is told of in a line.
    """
    params, runs = batch.run.params, {run.run_id: run for run in checks}
    return handoff.Batch(
        batch=batch.id,
        run_id=batch.run.run_id,
        generator=params[names.P_GENERATOR],
        generator_version=params[names.P_GENERATOR_VERSION],
        parameters=json.loads(params[names.P_GENERATOR_PARAMS]),
        seed=json.loads(params[names.P_SEED]),
        slice=params[names.P_SLICE] or None,
        purpose=params[names.P_PURPOSE],
        n_rows=batch.n_rows,
        sha256=batch.digest,
        verdict=verdict.verdict,
        in_model=in_model,
        checks=tuple(_check(check, runs.get(check.run_id)) for check in verdict.checks),
        retracted=_retraction(batch),
        record=_record(params),
    )


def _check(check: CheckVerdict, run: StoredRun | None) -> handoff.Check:
    probes = tuple(map(_probe, json.loads(run.params[names.P_DECIDING]))) if run else ()
    accepted = (check.acceptance,) if check.accepted else ()
    return handoff.Check(check.check, check.run_id, check.verdict, (*accepted, *check.reasons), probes)


def _probe(probe: Mapping[str, Any]) -> handoff.Probe:
    return handoff.Probe(**{field.name: probe[field.name] for field in fields(handoff.Probe)})


def _retraction(batch: StoredBatch) -> handoff.Retraction | None:
    if not batch.retracted:
        return None
    told = json.loads(batch.run.params.get(names.P_RETRACTION, "{}"))
    when = told.get("at", batch.run.params[names.P_CREATED_AT])
    return handoff.Retraction(told.get("reason", "no reason was recorded"), told.get("by", "unknown"), when)


def _record(params: Mapping[str, str]) -> tuple[handoff.Fact, ...]:
    recorded = json.loads(params[names.P_ENVIRONMENT])
    git = recorded.get("git")
    told = {
        "learned from": source_in_words(Source(**json.loads(params[names.P_SOURCE]))),
        "made": f"{params[names.P_CREATED_AT]} by {params[names.P_CREATED_BY]}",
        "environment": f"Python {recorded['python']}, "
        + ", ".join(f"{name} {version}" for name, version in recorded["packages"].items()),
        "code": f"git {git['commit'][:12]}{' (dirty)' if git['dirty'] else ''}" if git else "",
        "statement digest": params[names.P_STATEMENT],
        "evaluation set digest": params[names.P_EVALUATION_DIGEST],
        "record digest": params[names.P_RECORD],
    }
    return tuple(handoff.Fact(name, value) for name, value in told.items() if value)
