"""`trace`: from a model back to the rows and the problem behind it, and from a batch on to all that used it."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from synth_mlflow.errors import UsageError, closest
from synth_mlflow.lifecycle.ledger import Ledger
from synth_mlflow.lifecycle.nodes import (
    batch_node,
    evaluation_set_node,
    handoff_node,
    model_node,
    model_uri,
    outside_node,
    problem_node,
    ratio_node,
    sweep_node,
    tagged_node,
)
from synth_mlflow.lifecycle.tree import Node, tree_lines
from synth_mlflow.tracking import lineage, names
from synth_mlflow.tracking.models import versions_that_hold
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.run_ids import spelled_out
from synth_mlflow.tracking.stored import StoredBatch


@dataclass(frozen=True)
class Trace:
    """The tree of what was asked for."""

    what: str
    root: Node

    def lines(self) -> list[str]:
        """The tree as text, one thing a line."""
        return tree_lines(self.root)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(chr(10).join(self.lines()))}</pre>"


def trace(project: Project, what: str) -> Trace:
    """Follow a model, run or batch.

    Parameters
    ----------
    project : Project
    what : str
        ``models:/name/version``, ``models:/name@alias``, a batch's short id, or the id of any run: also of one that
        another tool wrote and that logged rows of this project as a dataset.

    Raises
    ------
    UsageError
        If there is no such thing, it belongs to another project, was not written to its end, or led to nothing.
    """
    ledger = Ledger(project)
    run = _resolved(ledger, what)
    if not ledger.holds(run):
        return Trace(what, _outside(ledger, _not_ours(ledger, run)))
    run = _subject(ledger, run)
    if run.stage not in _TREES:
        raise UsageError(
            f"run {run.run_id} ({run.name}) is a {run.stage} run: nothing was made from it.",
            f"Trace one of these: {', '.join(_TREES)}, or a check.",
        )
    return Trace(what, _TREES[run.stage](ledger, run))


def _resolved(ledger: Ledger, what: str) -> StoredRun:
    server = ledger.project.server
    if what in ledger.batches:
        return ledger.batches[what].run
    version = lineage.registered_version(server, what) if what.startswith("models:") else None
    run_id = spelled_out(version.run_id if version else what, ledger.all)
    found = ledger.all.get(run_id) or ledger.project.reader.find(run_id)
    if version and found and found.stage == "final" and found.counts and version.uri != model_uri(found):
        raise UsageError(
            f"{version.uri} names run {run_id} as its maker, and that run made {model_uri(found)}: somebody else "
            "registered it.",
            f"Trace what was made: `synth-mlflow trace {model_uri(found)}`.",
        )
    if found is None:
        known = [*ledger.batches, *map(model_uri, ledger.of_stage("final"))]
        raise UsageError(
            f"there is no batch, run or model {what!r}. {closest(what, _ids_like(what, ledger) or known)}",
            "Give a batch's short id (`synth-mlflow status` lists them), a run id, or `models:/NAME/VERSION`.",
        )
    return found


def _ids_like(what: str, ledger: Ledger) -> list[str]:
    """The run ids that begin like what was typed: half a run id is most often copied from a log."""
    return [run_id for run_id in ledger.finished if what and run_id.startswith(what[:6].lower())]


def _not_ours(ledger: Ledger, run: StoredRun) -> StoredRun:
    """A run of another tool; one of ours is refused, since it is another project's or counts for nothing."""
    if names.TAG_SCHEMA not in run.tags:
        return run
    if run.experiment_id != ledger.project.server.experiment_id:
        other = ledger.experiments.get(run.experiment_id, run.experiment_id)
        raise UsageError(f"run {run.run_id} belongs to project {other!r}.", f"Add `--experiment {other}`.")
    if run.counts:
        raise UsageError(f"run {run.run_id} ({run.name}) was deleted.", "Restore it in MLflow, then trace it again.")
    raise UsageError(
        f"run {run.run_id} ({run.name}) is {run.status}: it was not written to its end, and is no evidence.",
        "`synth-mlflow status` says what to do next.",
    )


def _subject(ledger: Ledger, run: StoredRun) -> StoredRun:
    """The run that a check, a baseline or a sign-off speaks about; any other run itself."""
    is_about_parent = names.TAG_CHECK in run.tags or run.stage in {"baseline", "sign-off"}
    return ledger.finished.get(run.parent or "", run) if is_about_parent else run


def _model(ledger: Ledger, final: StoredRun) -> Node:
    return _model_back(ledger, final).above(_handoffs(ledger, final.params[names.P_SWEEP]))


def _model_back(ledger: Ledger, final: StoredRun) -> Node:
    sweep = ledger.finished.get(final.params[names.P_SWEEP])
    return model_node(final).above([_sweep_back(ledger, sweep)] if sweep else [])


def _sweep(ledger: Ledger, sweep: StoredRun) -> Node:
    return _sweep_back(ledger, sweep).above(_made_by(ledger, sweep))


def _sweep_back(ledger: Ledger, sweep: StoredRun) -> Node:
    batches = [_batch_back(ledger, batch) for batch in ledger.batches_of(sweep)]
    return sweep_node(sweep).above([*batches, *_grounds(ledger, sweep)])


def _ratio(ledger: Ledger, run: StoredRun) -> Node:
    sweep = ledger.finished.get(run.parent or "")
    return ratio_node(run).above([_sweep_back(ledger, sweep)] if sweep else [])


def _handoff(ledger: Ledger, run: StoredRun) -> Node:
    finals = ledger.of_stage("final", names.P_SWEEP, run.params[names.P_SWEEP])
    return _handoff_node(ledger, run).above(_model_back(ledger, final) for final in finals)


def _batch(ledger: Ledger, run: StoredRun) -> Node:
    batch = StoredBatch(run)
    sweeps = [sweep for sweep in ledger.of_stage("sweep") if batch.id in sweep.batches]
    uses = [*(_use(ledger, sweep) for sweep in sweeps), *_orphans(ledger, batch)]
    return _batch_back(ledger, batch).above([*_grounds(ledger, run), *uses, *_readers(ledger, *batch.dataset_digests)])


def _orphans(ledger: Ledger, batch: StoredBatch) -> list[Node]:
    """The registered versions that hold a batch by their own tags alone: a sweep was killed after it registered one."""
    known = {model_uri(final) for final in ledger.of_stage("final")}
    tagged = [tagged_node(*found) for found in versions_that_hold(ledger.project.server, batch.id)]
    return [node for node in tagged if node.name not in known]


def _batch_back(ledger: Ledger, batch: StoredBatch) -> Node:
    return batch_node(batch, ledger.verdicts.get(batch.id))


def _use(ledger: Ledger, sweep: StoredRun) -> Node:
    """A sweep that tried a batch, with the models and handoffs that hold its rows: none where 0 % was chosen."""
    holds = float(sweep.params[names.P_CHOSEN]) > 0
    return sweep_node(sweep).above(_made_by(ledger, sweep) if holds else [])


def _problem(ledger: Ledger, run: StoredRun) -> Node:
    return problem_node(run).above(_built_on(ledger, names.P_STATEMENT, run.params[names.P_STATEMENT]))


def _evaluation_set(ledger: Ledger, run: StoredRun) -> Node:
    digest = run.params[names.P_EVALUATION_DIGEST]
    return evaluation_set_node(run).above(
        [*_built_on(ledger, names.P_EVALUATION_DIGEST, digest), *_readers(ledger, digest)]
    )


def _built_on(ledger: Ledger, param: str, value: str) -> list[Node]:
    batches = [_batch_back(ledger, StoredBatch(run)) for run in ledger.of_stage("batch", param, value)]
    sweeps = [sweep_node(run).above(_made_by(ledger, run)) for run in ledger.of_stage("sweep", param, value)]
    return [*batches, *sweeps]


def _grounds(ledger: Ledger, run: StoredRun) -> list[Node]:
    """The statement and the evaluation set that a run stood on."""
    problems = ledger.of_stage("problem", names.P_STATEMENT, run.params[names.P_STATEMENT])
    frozen = ledger.of_stage("evaluation_set", names.P_EVALUATION_DIGEST, run.params[names.P_EVALUATION_DIGEST])
    return [*map(problem_node, problems[-1:]), *map(evaluation_set_node, frozen[:1])]


def _made_by(ledger: Ledger, sweep: StoredRun) -> list[Node]:
    finals = ledger.of_stage("final", names.P_SWEEP, sweep.run_id)
    return [*map(model_node, finals), *_handoffs(ledger, sweep.run_id)]


def _handoffs(ledger: Ledger, sweep_id: str) -> list[Node]:
    return [_handoff_node(ledger, run) for run in ledger.of_stage("handoff", names.P_SWEEP, sweep_id)]


def _handoff_node(ledger: Ledger, run: StoredRun) -> Node:
    return handoff_node(run, ledger.sign_offs.get(run.run_id, []))


def _readers(ledger: Ledger, *digests: str) -> list[Node]:
    """The runs outside of this project that logged a dataset as their input, with the models that they registered."""
    found = {run.run_id: run for digest in digests for run in ledger.project.reader.that_read(digest)}
    runs = [run for run in found.values() if not ledger.owns(run)]
    versions = lineage.versions_by_run(ledger.project.server, [run.run_id for run in runs])
    return [outside_node(run, _experiment(ledger, run), versions.get(run.run_id, [])) for run in runs]


def _outside(ledger: Ledger, run: StoredRun) -> Node:
    """A run of another tool, and what of this project it has read."""
    server = ledger.project.server
    read = lineage.inputs_of(server, run.run_id)
    versions = lineage.versions_by_run(server, [run.run_id]).get(run.run_id, [])
    batches = [batch for batch in ledger.batches.values() if read.intersection(batch.dataset_digests)]
    frozen = [
        side for side in ledger.of_stage("evaluation_set") if _dataset(side.params[names.P_EVALUATION_DIGEST]) in read
    ]
    return outside_node(run, _experiment(ledger, run), versions).above(
        [*(_batch_back(ledger, batch) for batch in batches), *map(evaluation_set_node, frozen)]
    )


def _experiment(ledger: Ledger, run: StoredRun) -> str:
    return ledger.experiments.get(run.experiment_id, run.experiment_id)


def _dataset(digest: str) -> str:
    return digest[: names.DATASET_DIGEST_LENGTH]


_TREES: Mapping[str, Callable[[Ledger, StoredRun], Node]] = {
    "final": _model,
    "sweep": _sweep,
    "ratio": _ratio,
    "batch": _batch,
    "handoff": _handoff,
    "problem": _problem,
    "evaluation_set": _evaluation_set,
}
