"""Approved data by name: their gate is asked, their digests are compared, and the run that trains says what it read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from synth_mlflow.data.addresses import Place, place_of
from synth_mlflow.data.approved_names import ApprovedName, parse_address
from synth_mlflow.data.table_files import read_parquet
from synth_mlflow.data.tables import restore
from synth_mlflow.errors import EvidenceError, UsageError
from synth_mlflow.gate.approved import require_standing
from synth_mlflow.stages.approved_rows import ApprovedBatch, ApprovedMix, ApprovedVersion
from synth_mlflow.stages.chosen_mix import ChosenMix, chosen_mix
from synth_mlflow.tracking import names
from synth_mlflow.tracking.approvals import StoredApproval, the_approval
from synth_mlflow.tracking.caller import one_verb
from synth_mlflow.tracking.draft import Input
from synth_mlflow.tracking.known_runs import KnownRuns
from synth_mlflow.tracking.lineage import batch_input, frozen_inputs
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.server import active_run, connect, users_run
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch
from synth_mlflow.tracking.stored_run import reading
from synth_mlflow.tracking.write import log_inputs

NAME_MAX = 500  # characters of the name of a dataset in MLflow


def load_batch(
    address: str, *, tracking_uri: str | None = None, data: Place | str | None = None, deep: bool = False
) -> ApprovedBatch:
    """An approved batch by its name.

    Its gate is asked again, its file is compared with its digest, and the active MLflow run, if there is one, gets it
    as a dataset input. A server is asked for it five times at most, unless other batches of the project were retracted.

    Parameters
    ----------
    address : str
        ``project/NAME@approved`` for the newest version, ``project/NAME/2`` for one of them.
    tracking_uri : str, optional
        By default MLflow's own setting.
    data : path, optional
        Where real rows that are kept by reference lie now; asked for where rows have to be compared with them.
    deep : bool
        Whether the content digest of the rows is computed again, and every row is compared with the evaluation rows,
        as before a sweep; else the SHA-256 of the file and what the sealed run of the batch says of its rows stand for
        it. The content digest is computed in any case where a check of these rows does not name this file, or another
        run does.

    Raises
    ------
    UsageError
        If it is no address of approved data, or names a mix.
    GateError
        If it was never approved, a batch was retracted, or its gate is closed.
    EvidenceError
        If a run or a file is not what was recorded.
    """
    with one_verb():
        found = _open(address, tracking_uri, data)
        if found.approval.is_mix:
            raise UsageError(
                f"{found.asked.text} is a mix of real and synthetic rows.", f"`load_mix({address!r})` loads it."
            )
        return _batch(found, deep=deep)


def load_mix(address: str, *, tracking_uri: str | None = None, data: Place | str | None = None) -> ApprovedMix:
    """The approved mix of a sweep by its name: the rows that its final model was fitted on.

    As :func:`load_batch`; rows are always compared with the content digest that was approved.

    Parameters
    ----------
    address, tracking_uri : str
        As there.
    data : path, optional
        Where the real rows lie now, if they are kept by reference.

    Raises
    ------
    UsageError, GateError, EvidenceError
        As there.
    """
    with one_verb():
        found = _open(address, tracking_uri, data)
        if not found.approval.is_mix:
            raise UsageError(f"{found.asked.text} is a batch.", f"`load_batch({address!r})` loads it.")
        return _mix(found)


def load_approved(
    address: str,
    *,
    tracking_uri: str | None = None,
    data: Place | str | None = None,
    deep: bool = False,
    run_id: str | None = None,
) -> ApprovedBatch | ApprovedMix:
    """A batch or a mix, whichever an address stands for; as :func:`load_batch` and :func:`load_mix`.

    Parameters
    ----------
    run_id : str, optional
        The run on the same server that reads it, in place of the active one.
    """
    with one_verb():
        found = replace(_open(address, tracking_uri, data), run_id=run_id)
        return _mix(found) if found.approval.is_mix else _batch(found, deep=deep)


@dataclass(frozen=True)
class _Found:
    """A version whose gate is open."""

    asked: ApprovedName
    project: Project
    reader: KnownRuns
    frozen: EvaluationSet
    approval: StoredApproval
    batches: tuple[StoredBatch, ...]
    run_id: str | None = None
    """The run that reads it, where it is not the active one."""


def _open(address: str, tracking_uri: str | None, data: Place | str | None) -> _Found:
    asked = parse_address(address)
    server = connect(asked.project, tracking_uri, ask_first=False)
    project, reader = Project(server), KnownRuns(server)
    project.reader, project.real_file = reader, None if data is None else place_of(data)
    approval = the_approval(reader.known, asked)
    asked = asked.at(approval.version)
    reader.verify_seal(approval.run)
    reader.use_bundle(approval.run)
    batches = require_standing(project, approval, asked)
    return _Found(asked, project, reader, project.evaluation_set(), approval, batches)


def _batch(found: _Found, *, deep: bool) -> ApprovedBatch:
    (batch,) = found.batches
    path = found.reader.file(batch.run, names.A_BATCH)
    if deep or not _is_file_of_its_checks(found, batch):
        found.project.batch_rows(batch, found.frozen.schema)
    kept = None if batch.holds_no_evaluation_row and not deep else _rows_to_fit(found, batch, path)
    record = found.project.record(batch)
    given = batch_input(batch, len(found.frozen.schema.kinds))
    version = _version(found, [replace(given, name=found.asked.text[:NAME_MAX])])
    return ApprovedBatch(version, found.frozen.schema, found.project, record, path, kept)


def _is_file_of_its_checks(found: _Found, batch: StoredBatch) -> bool:
    """Whether each run that is of rows with this content digest, batch or check, deleted or not, names this very file.

    Else the file may hold other rows: a copy of the batch, under which somebody has hung its checks.
    """
    same = [run for run in found.reader.known if run.params.get(names.P_BATCH_DIGEST) == batch.digest]
    files = {run.params.get(names.P_BATCH_FILE) or run.artifacts.get(names.A_BATCH) for run in same}
    return files == {batch.file_sha256}


def _rows_to_fit(found: _Found, batch: StoredBatch, path: Path) -> npt.NDArray[np.bool_] | None:
    """Which rows equal no evaluation row; None for all of them."""
    with reading(batch.run, names.A_BATCH):
        rows = restore(read_parquet(path), found.frozen.schema)
    kept = ~found.project.equal_evaluation_rows(rows, found.frozen)
    return None if kept.all() else kept


def _mix(found: _Found) -> ApprovedMix:
    mix = chosen_mix(found.project, found.frozen, found.approval.subject, found.batches)
    if mix.digest != found.approval.digest:
        raise EvidenceError(
            f"the rows of {found.asked.text} have content digest {mix.digest[:12]}…, approval "
            f"{found.approval.run.run_id} says {found.approval.digest[:12]}…: someone changed one of them.",
            f"Approve the mix again: `synth-mlflow approve --mix --as {found.asked.name}`.",
        )
    target = found.project.problem().statement.task.target
    records = tuple(found.project.record(batch) for batch in found.batches)
    version = _version(found, _mix_inputs(found, mix))
    return ApprovedMix(version, found.frozen.schema, found.project, mix, target, records)


def _mix_inputs(found: _Found, mix: ChosenMix) -> list[Input]:
    """The mix by its name, and what it is made of, so that whoever looks for a batch finds its readers too."""
    n_columns, uri = len(found.frozen.schema.kinds), f"runs:/{found.approval.subject.run_id}/"
    name = found.asked.text[:NAME_MAX]
    whole = Input(name, mix.digest, names.CONTEXT_TRAINING, uri, len(mix.rows), n_columns)
    return [whole, frozen_inputs(found.frozen)[0], *(batch_input(batch, n_columns) for batch in found.batches)]


def _version(found: _Found, inputs: Sequence[Input]) -> ApprovedVersion:
    approval = found.approval
    named = found.run_id and (found.project.server, users_run(found.project.server, found.run_id))
    active = named or active_run()
    if active:
        log_inputs(*active, inputs)
    return ApprovedVersion(
        address=found.asked.text,
        kind=approval.kind,
        run_id=approval.run.run_id,
        digest=approval.digest,
        batches=approval.batches,
        by=approval.by,
        role=approval.role,
        at=approval.at,
        logged_on=active[1] if active else None,
    )
