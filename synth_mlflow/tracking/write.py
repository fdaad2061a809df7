"""Write runs: files first, then one batch of parameters, metrics and tags, then the status that makes the run count.

Log the datasets that a run read.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking.context import registry

from synth_mlflow.data.digests import canonical_json, file_digest
from synth_mlflow.data.private import private_room
from synth_mlflow.errors import ServerError
from synth_mlflow.masks import without_passwords
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import TAG_MAX, Input, RunDraft, is_gone, now_ms, seal_of, this_process
from synth_mlflow.tracking.read import PARENT, Reader, StoredRun
from synth_mlflow.tracking.server import Server, guard, server_failures
from synth_mlflow.tracking.views import missing_views

COLLISIONS_MAX = 4  # of datasets that others log in the same moment
CONTEXT = "mlflow.data.context"


@guard
def log_inputs(server: Server, run_id: str, inputs: Sequence[Input], models: Sequence[str] = ()) -> None:
    """Two that log a dataset first, in one moment, collide in MLflow's table; asked again, it finds the other's."""
    datasets = [_dataset_input(item) for item in inputs]
    looked_at = {"models": [LoggedModelInput(model_id) for model_id in models]} if models else {}
    for left in reversed(range(COLLISIONS_MAX)):
        try:
            server.client.log_inputs(run_id, datasets, **looked_at)
        except MlflowException as error:
            if not left or "dataset" not in str(error):
                raise
        else:
            return


def _dataset_input(item: Input) -> DatasetInput:
    batch = {"batch": item.batch, "digest": item.digest} if item.batch else {}
    dataset = Dataset(
        name=item.name,
        digest=item.digest[: names.DATASET_DIGEST_LENGTH],
        source_type=names.SOURCE_TYPE if batch else "artifact",
        source=canonical_json({"uri": item.uri, **batch}),
        profile=canonical_json({"num_rows": item.n_rows, "num_columns": item.n_columns}),
    )
    return DatasetInput(dataset, [InputTag(CONTEXT, item.context)])


BATCH_MAX = 100  # parameters or tags in one request
METRICS_MAX = 900  # metrics in one request
OPEN = ("RUNNING", "SCHEDULED")
LEFT_BEHIND = "its process ended before it was complete; put away by a run that took its place"
TABLES = "mlflow.loggedArtifacts"  # what the UI needs to show a JSON artifact as a table


@dataclass(frozen=True)
class NewRun:
    """A run that is about to be made."""

    stage: str
    name: str
    key: str
    """Its idempotency key: what a killed process left under the same key is completed, not duplicated."""
    tags: Mapping[str, str] = field(default_factory=dict)
    began: int | None = None
    """When its work began, in milliseconds since 1970; None for now."""


def create_run(server: Server, new: NewRun, *, parent: str | None = None) -> str:
    """Make one run that does not count yet, or find the one that a killed process left; returns its id."""
    known = Reader(server).find_by_key(new.key)
    return _create(server, new, known, parent)


def create_children(server: Server, parent: str, new: Sequence[NewRun]) -> list[str]:
    """Make the runs of several parts of a whole, in one search; returns their ids in the order given."""
    known = Reader(server).children(parent)
    return [_create(server, item, known, parent) for item in new]


@guard
def _create(server: Server, new: NewRun, known: Sequence[StoredRun], parent: str | None) -> str:
    return resumed(server, new, known) or make_run(server, new, parent)


def resumed(server: Server, new: NewRun, known: Sequence[StoredRun]) -> str | None:
    """Take up what a dead process has left under the key of a run; its id, or None if nothing can be taken up."""
    same = [run for run in known if run.tags.get(names.TAG_KEY) == new.key and not run.discarded and is_abandoned(run)]
    left = [run for run in same if _is_left(server, run)]
    open_ones = [run for run in left if _can_be_completed(run)]
    for run in left:
        if run not in open_ones:
            _delete_whole(server, run)
    if not open_ones:
        return None
    run = max(open_ones, key=lambda run: len(run.params))  # the one with most fits
    server.client.set_tag(run.run_id, names.TAG_OWNER, this_process())
    _set_status(server, run.run_id, "RUNNING")
    if names.TAG_ERROR in run.tags:
        delete_tag(server, run.run_id, names.TAG_ERROR)
    return run.run_id


def _can_be_completed(run: StoredRun) -> bool:
    """Not one whose process was killed just before it counted, since parameters are write-once; nor a mere claim."""
    return all(map(names.vouches_for_fits, run.params)) and names.TAG_CLAIM not in run.tags


def make_run(server: Server, new: NewRun, parent: str | None, more: Mapping[str, str] | None = None) -> str:
    """Make a run that does not count yet, with further tags if there are any; returns its id."""
    tags = {
        names.TAG_SCHEMA: names.SCHEMA,
        names.TAG_STAGE: new.stage,
        names.TAG_KEY: new.key,
        names.TAG_PROJECT: server.experiment,
        names.TAG_OWNER: this_process(),
        **({PARENT: parent} if parent else {}),
        **{tag: value[:TAG_MAX] for tag, value in new.tags.items()},
        **(more or {}),
    }
    made = server.client.create_run(server.experiment_id, new.began, registry.resolve_tags(tags), new.name)
    return str(made.info.run_id)


def _set_status(server: Server, run_id: str, status: str) -> None:
    """Change the status of an open run; it has it already if the answer to the request was lost."""
    try:
        server.client.update_run(run_id, status=status)
    except server_failures():
        if server.client.get_run(run_id).info.status != status:
            raise


def _delete_whole(server: Server, run: StoredRun) -> None:
    """Delete a run after its parts: finished parts of a whole that is gone would be evidence of nothing.

    The stages of a workflow are no parts of it: each counts on its own.
    """
    for part in Reader(server).children(run.run_id) if run.stage != "workflow" else ():
        _delete_whole(server, part)
    if run.stage == "final":
        from synth_mlflow.tracking.models import archive_models  # which loads what writes models

        archive_models(server, run.run_id)
    discard_run(server, run.run_id)


def delete_tag(server: Server, run_id: str, tag: str) -> None:
    """Delete a tag; one that is gone already was deleted by a request whose answer was lost."""
    try:
        server.client.delete_tag(run_id, tag)
    except MlflowException:
        if tag in Reader(server).run(run_id).tags:
            raise


def is_abandoned(run: StoredRun) -> bool:
    """Whether nobody can still be writing a run: its process is dead, or it has been silent for a day elsewhere."""
    return is_gone(run.tags.get(names.TAG_OWNER, ""), run.started)


def _is_left(server: Server, run: StoredRun) -> bool:
    """Whether a run counts for nothing: it was not written to its end, or what it is a part of was not."""
    if not run.counts or run.parent is None:
        return not run.counts
    whole = Reader(server).run(run.parent)
    return whole.stage != "workflow" and not whole.counts


@contextmanager
def writing(server: Server, run_id: str, stage: str = "", ended: int | None = None) -> Iterator[RunDraft]:
    """Fill a run; it counts when the block ends, and is FAILED or KILLED when the block raises.

    The run says the number of its stage, if it has one, and when its work ended, if that is not now.

    Nothing is sent before the block has ended well, so that a refused or interrupted run holds no half of its evidence.
    """
    with tempfile.TemporaryDirectory(prefix="synth-mlflow-", dir=private_room()) as folder:
        draft = RunDraft(run_id, server, Path(folder), stage_number=names.STAGE_NUMBERS.get(stage), ended=ended)
        with marking_failure(server, run_id):
            yield draft
            _complete(draft)


@contextmanager
def marking_failure(server: Server, run_id: str) -> Iterator[None]:
    """Mark a run FAILED or KILLED if the block raises."""
    try:
        yield
    except BaseException as error:
        end_run(server, run_id, _bad_status(error), str(error) or type(error).__name__)
        raise


@contextmanager
def ending_children_badly(server: Server, run_ids: Sequence[str]) -> Iterator[None]:
    """If the block raises, mark as FAILED or KILLED those of the runs that nobody has finished."""
    try:
        yield
    except BaseException as error:
        reader = Reader(server)
        for run_id in run_ids:
            if not reader.run(run_id).counts:
                end_run(server, run_id, _bad_status(error), str(error) or type(error).__name__)
        raise


def _bad_status(error: BaseException) -> str:
    return "KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED"


def end_run(server: Server, run_id: str, status: str, reason: str = "", ended: int | None = None) -> None:
    """Give a run its final status; a server that is gone is no further error, since one is on its way already.

    ``ended`` is when its work ended, in milliseconds since 1970; None for now.
    """
    try:
        if status != "FINISHED" and server.client.get_run(run_id).info.status == "FINISHED":
            return  # what counts goes on counting
        if reason:
            server.client.set_tag(run_id, names.TAG_ERROR, without_passwords(reason)[:TAG_MAX])
        server.client.set_terminated(run_id, status, ended)
    except server_failures():
        if status == "FINISHED" and server.client.get_run(run_id).info.status != status:
            raise


@guard
def set_tags(server: Server, run_id: str, tags: Mapping[str, str]) -> None:
    """Change what may legitimately change about a run."""
    server.client.log_batch(run_id, tags=[RunTag(name, value[:TAG_MAX]) for name, value in tags.items()])


@guard
def show_on_run(server: Server, run_id: str, tags: Mapping[str, str], metrics: Mapping[str, float]) -> None:
    """Show tags and numbers on a run that holds no evidence itself."""
    shown = [Metric(name, value, now_ms(), 0) for name, value in metrics.items()]
    server.client.log_batch(run_id, shown, tags=[RunTag(name, value[:TAG_MAX]) for name, value in tags.items()])


@guard
def add_params(server: Server, run_id: str, params: Mapping[str, str]) -> None:
    """State further facts about a run that is complete; the server refuses to change what stands there already."""
    server.client.log_batch(run_id, params=[Param(name, value) for name, value in params.items()])


@guard
def log_lineage(server: Server, run_id: str, inputs: Sequence[Input], tags: Mapping[str, str]) -> None:
    """Add dataset inputs, and the tags by which people search, to a run that somebody else writes."""
    log_inputs(server, run_id, inputs)
    set_tags(server, run_id, tags)


@guard
def discard_run(server: Server, run_id: str) -> None:
    """Put a run away: out of sight as MLflow deletes, and marked so that it never counts again.

    An open run is ended first, so that whoever is killed between these writes leaves none that is open and not listed.
    """
    if server.client.get_run(run_id).info.status in OPEN:
        end_run(server, run_id, "KILLED", LEFT_BEHIND)
    server.client.set_tag(run_id, names.TAG_DISCARDED, "true")
    try:
        server.client.delete_run(run_id)
    except MlflowException:
        if not Reader(server).run(run_id).deleted:  # else it was done by a request whose answer was lost
            raise


def set_param_once(server: Server, run_id: str, name: str, value: str) -> str:
    """State a fact that only one can state: the server keeps the first; returns what stands there.

    The primary key of the server's table of parameters decides, whoever asks and however many at once.
    """
    try:
        add_params(server, run_id, {name: value})
    except ServerError:
        if name not in Reader(server).run(run_id).params:
            raise
    return Reader(server).run(run_id).params[name]


@guard
def describe_experiment(server: Server, markdown: str) -> None:
    """What the UI shows on top of the experiment; it links the saved views, and those that are missing are written."""
    client, experiment_id = server.client, server.experiment_id
    for tag, value in missing_views(client.get_experiment(experiment_id).tags).items():
        client.set_experiment_tag(experiment_id, tag, value)
    client.set_experiment_tag(experiment_id, names.TAG_NOTE, markdown[:TAG_MAX])


def adopted_as_workflow(server: Server, run_id: str, name: str) -> None:
    """Make the run that ``mlflow run`` created the root of what follows."""
    tags = {
        names.TAG_SCHEMA: names.SCHEMA,
        names.TAG_STAGE: "workflow",
        names.TAG_PROJECT: server.experiment,
        names.TAG_OWNER: this_process(),
        names.TAG_NAME: name,
    }
    set_tags(server, run_id, tags)


@guard
def _complete(draft: RunDraft) -> None:
    client, run_id = draft.server.client, draft.run_id
    files = sorted(path for path in draft.folder.rglob("*") if path.is_file())
    for path in files:
        relative = path.relative_to(draft.folder).as_posix()
        draft.param(names.P_ARTIFACT_PREFIX + relative, file_digest(path))
    if draft.stage_number is not None:
        draft.metric(names.M_STAGE, draft.stage_number)
    draft.param(names.P_SEAL, seal_of(draft.params, [(m.key, m.step, m.value) for m in draft.metrics]))
    if files:
        client.log_artifacts(run_id, str(draft.folder))
    if draft.inputs or draft.models:
        log_inputs(draft.server, run_id, draft.inputs, draft.models)
    if draft.tables:
        draft.tag(TABLES, canonical_json([{"path": path, "type": "table"} for path in draft.tables]))
    _log(draft)
    if draft.before_it_counts is not None:
        draft.before_it_counts()
    end_run(draft.server, run_id, "FINISHED", ended=draft.ended)


def _log(draft: RunDraft) -> None:
    """One request for nearly every run; more only beyond what MLflow takes at once."""
    params = [Param(name, value) for name, value in draft.params.items()]
    tags = [RunTag(name, value) for name, value in draft.tags.items()]
    n_requests = max(
        math.ceil(len(draft.metrics) / METRICS_MAX),
        math.ceil(len(params) / BATCH_MAX),
        math.ceil(len(tags) / BATCH_MAX),
    )
    for at in range(n_requests):
        draft.server.client.log_batch(
            draft.run_id,
            metrics=draft.metrics[at * METRICS_MAX : (at + 1) * METRICS_MAX],
            params=params[at * BATCH_MAX : (at + 1) * BATCH_MAX],
            tags=tags[at * BATCH_MAX : (at + 1) * BATCH_MAX],
        )
