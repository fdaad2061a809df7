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
        opened = _open(address, tracking_uri, data)
        if opened.approval.is_mix:
            raise UsageError(
                f"{opened.name.text} is a mix of real and synthetic rows.", f"`load_mix({address!r})` loads it."
            )
        return _batch(opened, deep=deep)


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
        opened = _open(address, tracking_uri, data)
        if not opened.approval.is_mix:
            raise UsageError(f"{opened.name.text} is a batch.", f"`load_batch({address!r})` loads it.")
        return _mix(opened)


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
        opened = replace(_open(address, tracking_uri, data), run_id=run_id)
        return _mix(opened) if opened.approval.is_mix else _batch(opened, deep=deep)


@dataclass(frozen=True)
class _Opened:
    """A version whose gate is open."""

    name: ApprovedName
    project: Project
    reader: KnownRuns
    frozen: EvaluationSet
    approval: StoredApproval
    batches: tuple[StoredBatch, ...]
    run_id: str | None = None
    """The run that reads it, where it is not the active one."""


def _open(address: str, tracking_uri: str | None, data: Place | str | None) -> _Opened:
    name = parse_address(address)
    server = connect(name.project, tracking_uri, ask_first=False)
    project, reader = Project(server), KnownRuns(server)
    project.reader, project.real_file = reader, None if data is None else place_of(data)
    approval = the_approval(reader.known, name)
    name = name.at(approval.version)
    reader.verify_seal(approval.run)
    reader.use_bundle(approval.run)
    batches = require_standing(project, approval, name)
    return _Opened(name, project, reader, project.evaluation_set(), approval, batches)


def _batch(opened: _Opened, *, deep: bool) -> ApprovedBatch:
    (batch,) = opened.batches
    path = opened.reader.file(batch.run, names.A_BATCH)
    if deep or not _is_file_of_its_checks(opened, batch):
        opened.project.batch_rows(batch, opened.frozen.schema)
    rows_to_fit = None if batch.holds_no_evaluation_row and not deep else _rows_to_fit(opened, batch, path)
    record = opened.project.record(batch)
    given = batch_input(batch, len(opened.frozen.schema.kinds))
    version = _version(opened, [replace(given, name=opened.name.text[:NAME_MAX])])
    return ApprovedBatch(version, opened.frozen.schema, opened.project, record, path, rows_to_fit)


def _is_file_of_its_checks(opened: _Opened, batch: StoredBatch) -> bool:
    """Whether each run that is of rows with this content digest, batch or check, deleted or not, names this very file.

    Else the file may hold other rows: a copy of the batch, under which somebody has hung its checks.
    """
    same = [run for run in opened.reader.known if run.params.get(names.P_BATCH_DIGEST) == batch.digest]
    files = {run.params.get(names.P_BATCH_FILE) or run.artifacts.get(names.A_BATCH) for run in same}
    return files == {batch.file_sha256}


def _rows_to_fit(opened: _Opened, batch: StoredBatch, path: Path) -> npt.NDArray[np.bool_] | None:
    """Which rows equal no evaluation row; None for all of them."""
    with reading(batch.run, names.A_BATCH):
        rows = restore(read_parquet(path), opened.frozen.schema)
    to_fit = ~opened.project.equal_evaluation_rows(rows, opened.frozen)
    return None if to_fit.all() else to_fit


def _mix(opened: _Opened) -> ApprovedMix:
    mix = chosen_mix(opened.project, opened.frozen, opened.approval.subject, opened.batches)
    if mix.digest != opened.approval.digest:
        raise EvidenceError(
            f"the rows of {opened.name.text} have content digest {mix.digest[:12]}…, approval "
            f"{opened.approval.run.run_id} says {opened.approval.digest[:12]}…: someone changed one of them.",
            f"Approve the mix again: `synth-mlflow approve --mix --as {opened.name.name}`.",
        )
    target = opened.project.problem().statement.task.target
    records = tuple(opened.project.record(batch) for batch in opened.batches)
    version = _version(opened, _mix_inputs(opened, mix))
    return ApprovedMix(version, opened.frozen.schema, opened.project, mix, target, records)


def _mix_inputs(opened: _Opened, mix: ChosenMix) -> list[Input]:
    """The mix by its name, and what it is made of, so that whoever looks for a batch finds its readers too."""
    n_columns, uri = len(opened.frozen.schema.kinds), f"runs:/{opened.approval.subject.run_id}/"
    name = opened.name.text[:NAME_MAX]
    whole = Input(name, mix.digest, names.CONTEXT_TRAINING, uri, len(mix.rows), n_columns)
    return [whole, frozen_inputs(opened.frozen)[0], *(batch_input(batch, n_columns) for batch in opened.batches)]


def _version(opened: _Opened, inputs: Sequence[Input]) -> ApprovedVersion:
    approval = opened.approval
    named = opened.run_id and (opened.project.server, users_run(opened.project.server, opened.run_id))
    active = named or active_run()
    if active:
        log_inputs(*active, inputs)
    return ApprovedVersion(
        address=opened.name.text,
        kind=approval.kind,
        run_id=approval.run.run_id,
        digest=approval.digest,
        batches=approval.batches,
        by=approval.by,
        role=approval.role,
        at=approval.at,
        logged_on=active[1] if active else None,
    )
