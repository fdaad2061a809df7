"""Run recorded checks again, from rows and seed, and compare them test by test.

Seals and digests lie beside what they protect: whoever may write runs can copy a check's run, edit its tests and
compute its seal anew. What they cannot change is what the rows give.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from synth_mlflow.checks import CheckResult, Metric, probe_from_json
from synth_mlflow.data.addresses import Place
from synth_mlflow.data.columns import conform
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import SynthError
from synth_mlflow.gate.policy import Policy, check_version, reads_ratings
from synth_mlflow.stages.ratings import rating_input
from synth_mlflow.stages.validate import check_result, evidence_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.long_lists import words_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch
from synth_mlflow.tracking.stored_run import reading

TOLERANCE = 1e-6
"""Relative; what other machines change in the last digits."""


@dataclass(frozen=True)
class Rechecked:
    """What came of running one recorded check again."""

    run_id: str
    run_name: str
    differences: tuple[str, ...]
    """Where the rows give something else than the run says."""
    not_run: str = ""
    """Why it could not be run again; empty if it was."""


def recheck(
    project: Project, batch: StoredBatch, runs: Sequence[StoredRun], sources: Sequence[Place] = ()
) -> Iterator[Rechecked]:
    """Run some recorded checks of one batch again.

    Parameters
    ----------
    project : Project
    batch : StoredBatch
    runs : sequence of StoredRun
        Check runs of the batch.
    sources : sequence of Path
        Files of real rows that batches were learned from and that the server does not hold.
    """
    for run in runs:
        try:
            differences = tuple(_differences(project, batch, run, sources))
        except KeyError as error:
            yield Rechecked(run.run_id, run.name, (), f"it does not say {error}, as earlier versions did not")
        except SynthError as error:
            yield Rechecked(run.run_id, run.name, (), error.found)
        else:
            yield Rechecked(run.run_id, run.name, differences)


def _differences(project: Project, batch: StoredBatch, run: StoredRun, sources: Sequence[Place]) -> Iterator[str]:
    name, version = run.params[names.P_CHECK], run.params.get(names.P_CHECK_VERSION)
    installed = check_version(name)
    if version != installed:
        raise SynthError(f"{name} {version} judged it, and {name} {installed} is installed")
    frozen = project.evaluation_set()
    path = project.reader.file(run, names.A_PROBES)
    with reading(run, names.A_PROBES):
        recorded = json.loads(path.read_text(encoding="utf-8"))
        probes, doubt = tuple(map(probe_from_json, recorded["probes"])), recorded["inconclusive"]
    thresholds = _policy(project, run).thresholds[name]
    statement = project.statement_with(run.params[names.P_STATEMENT])
    if reads_ratings(name):
        evidence = rating_input(project, batch, words_of(run.params, names.P_RATINGS))
    else:
        evidence = evidence_of(project, frozen, batch, _source_of(batch, frozen, sources), statement)
    project.say(f"running the {name} of {batch.id} again")
    with threadpool_limits(1, user_api="blas"):
        result = check_result(name, evidence, thresholds)
    yield from compared(probes, doubt, result)


def _policy(project: Project, run: StoredRun) -> Policy:
    path = project.reader.file(run, names.A_POLICY)
    with reading(run, names.A_POLICY):
        return Policy.from_json(json.loads(path.read_text(encoding="utf-8")))


def _source_of(batch: StoredBatch, frozen: EvaluationSet, sources: Sequence[Place]) -> Place | None:
    """The file among some that a batch was learned from, by its digest; None where it was learned from none."""
    learned = json.loads(batch.run.params[names.P_SOURCE])
    if learned["kind"] != "file":
        return None
    return next(
        (
            path
            for path in sources
            if table_digest(conform(read_table(path), frozen.schema, str(path)), frozen.schema) == learned["digest"]
        ),
        None,
    )


def compared(recorded: Sequence[Metric], inconclusive: str, result: CheckResult) -> Iterator[str]:
    """Where recorded tests and those that the rows give differ, a line each."""
    recomputed, stated = _by_name(result.probes), _by_name(recorded)
    for place in sorted(recomputed.keys() - stated.keys(), key=str):
        yield f"its test {_words(place)} is missing: the rows give {recomputed[place].value!r}"
    for place in sorted(stated.keys() - recomputed.keys(), key=str):
        yield f"its test {_words(place)} is none that the rows give"
    for place in sorted(recomputed.keys() & stated.keys(), key=str):
        for field in ("value", "limit", "better", "floor", "p_value"):
            old, new = getattr(stated[place], field), getattr(recomputed[place], field)
            if not _same(old, new):
                yield f"its test {_words(place)} says {field} {_short(old)}, the rows give {_short(new)}"
    if bool(inconclusive) != bool(result.inconclusive):
        old, new = (text or "no doubt" for text in (inconclusive, result.inconclusive))
        yield f"it says {old!r}, the rows give {new!r}"


def _by_name(probes: Sequence[Metric]) -> dict[tuple[str, str | None, int], Metric]:
    """By name and column, and a number where several share both."""
    by_name: dict[tuple[str, str | None, int], Metric] = {}
    for probe in probes:
        number = sum(1 for name, column, _ in by_name if (name, column) == (probe.name, probe.column))
        by_name[probe.name, probe.column, number] = probe
    return by_name


def _same(old: object, new: object) -> bool:
    if isinstance(old, int | float) and isinstance(new, int | float):
        return math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return old == new


def _words(place: tuple[str, str | None, int]) -> str:
    name, column, _ = place
    return name if column is None else f"{name} of {column!r}"


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
