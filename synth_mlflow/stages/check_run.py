"""What one check leaves on the server: its run, with every test, the verdict and the pictures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from synth_mlflow.checks import CheckResult, Judgement, Metric, as_json, failed_probes
from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.data.markup import as_text
from synth_mlflow.gate.policy import Policy, load_check, reads_ratings
from synth_mlflow.gate.revisions import accepted_after, revisions_of
from synth_mlflow.gate.verdicts import acceptance_words, checks_by_batch
from synth_mlflow.plugins import provenance
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft
from synth_mlflow.tracking.lineage import batch_input, frozen_inputs
from synth_mlflow.tracking.long_lists import PARAM_MAX
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.write import NewRun, writing

N_DECIDING = 5  # probes shown on a run and in the handoff; the run keeps all


def new_check_run(batch: StoredBatch, name: str, policy: Policy, ratings: Sequence[str] = ()) -> NewRun:
    """The run of one check of a batch; its key says which rows, policy and version of the check.

    Parameters
    ----------
    ratings : sequence of str
        The runs of answers to blind sheets that it looks at.
    """
    tags = {
        names.TAG_CHECK: name,
        names.TAG_VERDICT: "unvalidated",
        **{tag: batch.run.tags.get(tag, "") for tag in (names.TAG_BATCH, names.TAG_GENERATOR, names.TAG_SLICE)},
    }
    key = json_digest([name, batch.run.run_id, batch.digest, policy.digest, load_check(name).version, *ratings])
    return NewRun(name, f"{name} · {batch.id}", key, tags)


def write_check(
    project: Project,
    batch: StoredBatch,
    policy: Policy,
    name: str,
    run_id: str,
    result: CheckResult,
    ruling: Judgement,
    ratings: Sequence[str] = (),
) -> None:
    """Write what one check has found; its run counts afterwards.

    Parameters
    ----------
    ratings : sequence of str
        As :func:`new_check_run` was given them.
    """
    accepted = _accepted(project, batch, policy, name, ruling)
    failed, frozen = failed_probes(result.probes, policy.alpha(name)), project.evaluation_set()
    with writing(project.server, run_id) as draft:
        draft.stage_number = names.CHECKING
        draft.param(names.P_CHECK, name)
        draft.param(names.P_CHECK_VERSION, load_check(name).version)
        if origin := provenance("checks", [name]):
            draft.param(names.P_PLUGINS, {"checks": origin})
        draft.param(names.P_BATCH, batch.id)
        draft.param(names.P_BATCH_DIGEST, batch.digest)
        draft.param(names.P_BATCH_FILE, batch.file_sha256)
        draft.param(names.P_EVALUATION_DIGEST, frozen.digest)
        draft.param(names.P_POLICY, policy.digest)
        draft.param(names.P_STATEMENT, project.problem().statement.digest)
        draft.param(names.P_ALPHA, policy.alpha(name))
        draft.param(names.P_THRESHOLDS, dict(policy.thresholds[name]))
        draft.param(names.P_VERDICT, ruling.verdict)
        draft.tag(names.TAG_VERDICT, ruling.verdict)
        draft.tag(names.TAG_REASON, "\n".join([*accepted.words, *ruling.reasons]))
        if accepted.after:
            draft.param(names.P_ACCEPTED_AFTER, accepted.after)
        if names.P_EMBEDDING in frozen.run.params:
            draft.param(names.P_EMBEDDING, frozen.run.params[names.P_EMBEDDING])
        draft.param(names.P_DECIDING, _recorded_statistics(result.probes, failed))
        if reads_ratings(name):
            draft.words(names.P_RATINGS, ratings)
        else:
            draft.inputs += [*frozen_inputs(frozen), batch_input(batch, len(frozen.schema.kinds))]
        _keep(draft, result)
        draft.text(names.A_POLICY, canonical_json(policy.to_json()))
        notes = [*accepted.words, *([frozen.caveat] if frozen.caveat else [])]
        draft.describe(_description(batch, name, policy, result, ruling, notes))


def _keep(draft: RunDraft, result: CheckResult) -> None:
    probes = {"probes": [as_json(probe) for probe in result.probes], "inconclusive": result.inconclusive}
    draft.text(names.A_PROBES, canonical_json(probes))
    for metric, value in result.metrics.items():
        draft.metric(names.M_PREFIX + metric, value)
    for stem, table in result.tables.items():
        draft.frame(f"{stem}.json", table)
    for stem, figure in result.figures.items():
        draft.picture(f"{stem}.png", figure)


def _description(
    batch: StoredBatch, name: str, policy: Policy, result: CheckResult, ruling: Judgement, notes: Sequence[str]
) -> str:
    reasons = "\n".join(f"- {as_text(reason)}" for reason in ruling.reasons[:10])
    rows = "\n".join(_table_row(probe) for probe in _worst(result.probes))
    people = "".join(f" {as_text(note.removesuffix('.'))}." for note in notes)
    words = f"{as_text(result.words) if reads_ratings(name) else result.words}\n\n" if result.words else ""
    how = _OF_ANSWERS if reads_ratings(name) else _of_rows(policy.alpha(name), len(result.probes))
    return (
        f"**{ruling.verdict.upper()}**: the {name} of batch {batch.id}.{people}\n\n{reasons}\n\n"
        f"| statistic | column | value | limit | real against real |\n|---|---|---|---|---|\n{rows}\n\n{words}"
        f"{how}"
    )


_OF_ANSWERS = (
    "A rater fails the batch where the lower bound of the AUC lies beyond the limit, and lets it pass where the upper "
    f"bound lies below it. The numbers are in `{names.A_PROBES}`, the answers on the runs beside this one."
)


def _of_rows(alpha: float, n_probes: int) -> str:
    return (
        f"A statistic fails where it lies beyond its limit and beyond what 99 of 100 draws of real rows show, and "
        f"survives Holm's correction at a false-alarm rate of {alpha:g} over all {n_probes} "
        f"statistics. They are in `{names.A_PROBES}`, the pictures beside it."
    )


@dataclass(frozen=True)
class Accepted:
    """Whether people accepted that a check is inconclusive."""

    words: tuple[str, ...] = ()
    after: str = ""
    """When, in ISO 8601, if they knew the verdict by then."""


def _accepted(project: Project, batch: StoredBatch, policy: Policy, name: str, ruling: Judgement) -> Accepted:
    why = policy.accepted.get(name, "") if ruling.verdict == "inconclusive" else ""
    if not why:
        return Accepted()
    earlier = itertools.chain.from_iterable(checks_by_batch(project).values())
    same = [
        run
        for run in earlier
        if run.params.get(names.P_CHECK) == name and run.params.get(names.P_BATCH_DIGEST) == batch.digest
    ]
    after = accepted_after(revisions_of(project), name, same)
    return Accepted((f"{name} is inconclusive, {acceptance_words(why, after)}",), after)


def _worst(probes: Sequence[Metric]) -> list[Metric]:
    """The probes that decide, or come nearest to it."""
    return sorted((p for p in probes if p.value is not None), key=_badness, reverse=True)[:N_DECIDING]


def _recorded_statistics(probes: Sequence[Metric], failed: Sequence[Metric]) -> str:
    """The worst probes as a parameter: as many as it takes, since values from the rows stand in their words."""
    statistics = [{**as_json(probe), "failed": probe in failed} for probe in _worst(probes)]
    while len(canonical_json(statistics)) > PARAM_MAX:
        statistics.pop()
    return canonical_json(statistics)


def _table_row(probe: Metric) -> str:
    floor = "" if probe.floor is None else f"{probe.floor:.4g}"
    return (
        f"| {as_text(probe.name)} | {as_text(probe.column or '')} | {probe.value:.4g} | {probe.limit:.4g} | {floor} |"
    )


def _badness(probe: Metric) -> float:
    if probe.value is None:
        return float("-inf")
    distance = probe.value - probe.limit
    return (distance if probe.better == "low" else -distance) / max(abs(probe.limit), 1e-9)
