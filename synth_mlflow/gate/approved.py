"""The gate of approved data, asked again each time that somebody loads it by name.

The same rules as before a sweep, from what is recorded: the policy of the statement in force, the newest checks under
it, retractions by content, the evaluation set in force. Only the version of a check may be another one than that which
is installed, so that a newer package does not close the gate of data that stay what they were.
"""

from __future__ import annotations

from synth_mlflow.data.approved_names import ApprovedName
from synth_mlflow.errors import EvidenceError, GateError
from synth_mlflow.gate.in_force import recorded_policy, refuse_other_set
from synth_mlflow.gate.verdicts import group_checks, recomputed_verdict
from synth_mlflow.tracking import names
from synth_mlflow.tracking.approvals import StoredApproval
from synth_mlflow.tracking.long_lists import words_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch

SHOWN = 16  # hex digits of a digest that a list of batches gives


def require_standing(project: Project, approval: StoredApproval, address: ApprovedName) -> tuple[StoredBatch, ...]:
    """The batches whose rows a version holds, if all of them may still enter training.

    Parameters
    ----------
    project : Project
    approval : StoredApproval
        One that counts.
    address : ApprovedName
        How it was asked for.

    Raises
    ------
    GateError
        If a batch was retracted under any name, or its gate is closed for another reason.
    EvidenceError
        If a run, a file or a verdict is not what was recorded.
    """
    for run in (approval.run, approval.subject):
        project.reader.verify_seal(run)
    if approval.is_mix:
        refuse_other_set(project.evaluation_set(), approval.subject, f"{address.text}", "synth-mlflow approve --mix")
    batches = approved_batches(project, approval)
    policy = recorded_policy(project, project.problem())
    checks = group_checks(project.reader.checks_of([batch.run.run_id for batch in batches]))
    for batch in batches:
        project.reader.verify_seal(batch.run)
        retraction, again = batch.taken_back, "--mix" if approval.is_mix else "BATCH"
        if batch.retracted:
            raise GateError(
                f"{address.at(approval.version).text} is not handed out: batch {batch.id} was retracted"
                f"{f' {retraction.words}' if retraction else ''}.",
                f"Approve other rows: `synth-mlflow approve {again} --as {address.name}`.",
            )
        verdict = recomputed_verdict(project, batch, policy, checks.get(batch.run.run_id, []), any_version=True)
        if not verdict.gate_open:
            raise GateError(
                f"{address.at(approval.version).text} is not handed out: the gate of batch {batch.id} is closed "
                f"({verdict.verdict}): {'; '.join(verdict.reasons[:3])}.",
                f"Validate it: `synth-mlflow validate {batch.id} --experiment {address.project}`.",
            )
    return batches


def approved_batches(project: Project, approval: StoredApproval) -> tuple[StoredBatch, ...]:
    """The batches that an approval names, each with the digest that it names; of a mix, those of its final model.

    Raises
    ------
    EvidenceError
        If one is gone, or is another one than was approved.
    """
    stated = dict(zip(approval.batches, words_of(approval.run.params, names.P_BATCH_DIGESTS), strict=False))
    if approval.is_mix:
        batches = [batch for batch in project.batches() if batch.id in stated]
    else:
        batches = [StoredBatch(approval.subject)]
    if {batch.id: batch.digest[:SHOWN] for batch in batches} != stated or not batches:
        raise EvidenceError(
            f"approval {approval.run.run_id} ({approval.label}) names the batches {', '.join(stated) or 'none'}, and "
            "the project does not hold these with these digests: a run was deleted or changed.",
            "Restore it in MLflow, or approve the data again.",
        )
    if not approval.is_mix and approval.digest != batches[0].digest:
        raise EvidenceError(
            f"approval {approval.run.run_id} ({approval.label}) is of rows with digest {approval.digest[:12]}…, batch "
            f"{batches[0].id} has {batches[0].digest[:12]}…: someone changed one of them.",
        )
    return tuple(batches)
