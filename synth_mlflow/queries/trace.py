"""`trace`: from a model back to the rows and the problem behind it, and from a batch on to all that used it.

What a trace tells of each single thing, with the numbers that matter.

A tree of recorded things, and the same tree as text.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from synth_mlflow.data.mixing import percent
from synth_mlflow.data.provenance import Source, source_in_words
from synth_mlflow.errors import UsageError, closest
from synth_mlflow.gate.verdicts import Verdict
from synth_mlflow.queries.run_index import RunIndex
from synth_mlflow.tracking import lineage, names
from synth_mlflow.tracking.lineage import Version
from synth_mlflow.tracking.models import versions_that_hold
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun, expand_run_id
from synth_mlflow.tracking.sign_offs import StoredSignOff, estimate_of
from synth_mlflow.tracking.stored import StoredBatch

DIGEST_SHOWN = 12  # characters


def problem_node(run: StoredRun) -> Node:
    """A problem statement."""
    facts: dict[str, Fact] = {
        "target": run.params[names.P_TARGET],
        "metric": run.params[names.P_METRIC],
        "sha256": _short(run.params[names.P_STATEMENT]),
    }
    return Node("problem", run.params[names.P_GAP], run.run_id, facts)


def evaluation_set_node(run: StoredRun) -> Node:
    """A frozen evaluation set; its score is the real-only baseline's."""
    facts: dict[str, Fact] = {
        "rows": int(run.params[names.P_EVALUATION_ROWS]),
        "training rows": int(run.params[names.P_TRAINING_ROWS]),
        "baseline": run.metrics[names.M_SCORE],
    }
    return Node("evaluation set", _short(run.params[names.P_EVALUATION_DIGEST]), run.run_id, facts)


def batch_node(batch: StoredBatch, verdict: Verdict | None) -> Node:
    """A batch, with its record under it."""
    params = batch.run.params
    facts: dict[str, Fact] = {
        "rows": batch.n_rows,
        "generator": f"{params[names.P_GENERATOR]} {params[names.P_GENERATOR_VERSION]}",
        "seed": "none" if params[names.P_SEED] == "null" else int(params[names.P_SEED]),
        "slice": params[names.P_SLICE] or "none",
        "purpose": params[names.P_PURPOSE],
        "verdict": verdict.verdict if verdict else "unvalidated",
    }
    if batch.retracted:
        facts["verdict"] = "retracted"
    return Node("batch", batch.id, batch.run.run_id, facts, (_record_node(batch),))


def _record_node(batch: StoredBatch) -> Node:
    params = batch.run.params
    facts: dict[str, Fact] = {
        "made": params[names.P_CREATED_AT],
        "by": params[names.P_CREATED_BY],
        "learned from": source_in_words(Source(**json.loads(params[names.P_SOURCE]))),
        "statement": _short(params[names.P_STATEMENT]),
        "evaluation set": _short(params[names.P_EVALUATION_DIGEST]),
    }
    return Node("record", _short(params[names.P_RECORD]), batch.run.run_id, facts)


def sweep_node(run: StoredRun) -> Node:
    """A sweep, and the point of its curve that was chosen."""
    score, low, high = json.loads(run.params[names.P_CHOSEN_SCORE])
    params = run.params
    weights, is_weight = json.loads(params.get(names.P_AXIS_VALUES, "[]")), params.get(names.P_AXIS) == "weight"
    ratios = ", ".join(percent(ratio) for ratio in weights or json.loads(params[names.P_RATIOS]))
    facts: dict[str, Fact] = {
        "chosen ratio": float(params[names.P_CHOSEN]),
        **({"axis": params[names.P_AXIS]} if names.P_AXIS in params else {}),
        **({"chosen on it": float(params[names.P_AXIS_VALUE])} if names.P_AXIS_VALUE in params else {}),
        "of": ", ".join(f"{weight:g}" for weight in weights) if is_weight else ratios,
        "metric": run.params[names.P_METRIC],
        **{"score": score, "low": low, "high": high},
    }
    return Node("sweep", run.name, run.run_id, facts)


def ratio_node(run: StoredRun) -> Node:
    """One point of a curve."""
    return Node("ratio", run.name, run.run_id, {"ratio": run.metrics[names.M_RATIO], **_on_axis(run), **_score(run)})


def _on_axis(run: StoredRun) -> dict[str, Fact]:
    """Where a point stands on an axis that is not the ratio."""
    if names.M_AXIS_VALUE not in run.metrics:
        return {}
    return {"weight" if run.params[names.P_AXIS] == "weight" else "ratio in slice": run.metrics[names.M_AXIS_VALUE]}


def model_node(final: StoredRun) -> Node:
    """The registered model of a sweep: its score on the rows that chose, and what it is expected to score."""
    ratio, stated = float(final.params[names.P_CHOSEN]), estimate_of(final)
    facts: dict[str, Fact] = {"ratio": ratio, **_score(final), "expected": "not stated before a handoff"}
    if stated:
        score, low, high = stated.interval
        facts["expected"] = f"{score:.4f} ({low:.4f} to {high:.4f})"
    facts["batches inside"] = " ".join(final.batches) if ratio else "none"
    return Node("model", model_uri(final), final.run_id, facts)


def tagged_node(name: str, version: str) -> Node:
    """A registered version that names a batch in its own tags, and whose run is no finished one of the project."""
    return Node("model", f"models:/{name}/{version}", "", {"its run": "was put away, or is gone"})


def model_uri(final: StoredRun) -> str:
    """The address of the model that a final run registered."""
    return f"models:/{final.params[names.P_MODEL_NAME]}/{final.params[names.P_MODEL_VERSION]}"


def handoff_node(run: StoredRun, sign_offs: Sequence[StoredSignOff] = ()) -> Node:
    """A handoff document, with everybody who has signed it under it."""
    facts: dict[str, Fact] = {
        "ratio": float(run.params[names.P_CHOSEN]),
        "score": run.metrics[names.M_SCORE],
        "sha256": _short(run.params[names.P_DOCUMENT]),
    }
    return Node("handoff", _standing(run), run.run_id, facts, tuple(map(_sign_off_node, sign_offs)))


def _standing(run: StoredRun) -> str:
    standing = "draft" if run.tags.get(names.TAG_DRAFT) == "true" else "final"
    return f"{standing}, superseded" if run.tags.get(names.TAG_SUPERSEDED) == "true" else standing


def _sign_off_node(signed: StoredSignOff) -> Node:
    facts: dict[str, Fact] = {"at": signed.at, "sha256": _short(signed.document)}
    if signed.champion:
        facts[names.CHAMPION] = signed.champion
    return Node("sign-off", signed.words, signed.run.run_id, facts)


def outside_node(run: StoredRun, experiment: str, versions: list[Version]) -> Node:
    """A run that is no part of this project, with the models that it registered."""
    models = tuple(Node("model", version.uri, version.run_id) for version in versions)
    facts: dict[str, Fact] = {"experiment": experiment, "status": run.status}
    if run.stage:
        facts["stage"] = run.stage
    return Node("outside run", run.name, run.run_id, facts, models)


def _score(run: StoredRun) -> dict[str, Fact]:
    numbers = {"score": names.M_SCORE, "low": names.M_SCORE_LOW, "high": names.M_SCORE_HIGH}
    return {"metric": run.params[names.P_METRIC], **{name: run.metrics[metric] for name, metric in numbers.items()}}


def _short(digest: str) -> str:
    return f"{digest[:DIGEST_SHOWN]}…"


TEXT_SHOWN = 60  # characters of one fact in the printed tree; the JSON has all

Fact = str | int | float


@dataclass(frozen=True)
class Node:
    """One thing that is recorded, and the things behind it or made from it."""

    kind: str
    name: str
    run_id: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    children: tuple[Node, ...] = ()

    def above(self, children: Iterable[Node]) -> Node:
        """The same thing with further children."""
        return replace(self, children=(*self.children, *children))


def tree_lines(root: Node) -> list[str]:
    """A tree as text: what a thing is and its run, and what is known of it on the line below.

    Examples
    --------
    >>> leaf = Node("batch", "law-1", "b", {"rows": 1000})
    >>> for line in tree_lines(Node("sweep", "of 2", "a", {"ratio": 0.25}, (leaf, leaf))): print(line)
    sweep of 2 [run a]
    │   ratio 25 %
    ├── batch law-1 [run b]
    │       rows 1,000
    └── batch law-1 [run b]
            rows 1,000
    """
    return list(_lines(root))


def _lines(node: Node) -> Iterator[str]:
    yield _heading(node) + (f" [run {node.run_id}]" if node.run_id else "")
    if node.facts:
        yield ("│   " if node.children else "    ") + " · ".join(_facts(node.facts))
    for at, child in enumerate(node.children, start=1):
        first, further = ("└── ", "    ") if at == len(node.children) else ("├── ", "│   ")
        heading, *below = _lines(child)
        yield first + heading
        yield from (further + line for line in below)


def _heading(node: Node) -> str:
    return node.name if node.name.startswith(f"{node.kind} ") else f"{node.kind} {node.name}"


def _facts(facts: Mapping[str, Fact]) -> Iterator[str]:
    for name, value in facts.items():
        if name == "score" and "low" in facts:
            yield f"score {value:.4f} ({facts['low']:.4f} to {facts['high']:.4f})"
        elif name not in {"low", "high"}:
            yield f"{name} {_shown(name, value)}"


def _shown(name: str, value: Fact) -> str:
    if isinstance(value, int):
        return str(value) if name == "seed" else f"{value:,}"
    if isinstance(value, float):
        return percent(value) if name.endswith("ratio") else f"{value:.4f}"
    line = " ".join(value.split())
    return line if len(line) <= TEXT_SHOWN else line[: TEXT_SHOWN - 1] + "…"


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
    ledger = RunIndex(project)
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


def _resolved(ledger: RunIndex, what: str) -> StoredRun:
    server = ledger.project.server
    if what in ledger.batches:
        return ledger.batches[what].run
    version = lineage.registered_version(server, what) if what.startswith("models:") else None
    run_id = expand_run_id(version.run_id if version else what, ledger.all)
    run = ledger.all.get(run_id) or ledger.project.reader.find(run_id)
    if version and run and run.stage == "final" and run.counts and version.uri != model_uri(run):
        raise UsageError(
            f"{version.uri} names run {run_id} as its maker, and that run made {model_uri(run)}: somebody else "
            "registered it.",
            f"Trace what was made: `synth-mlflow trace {model_uri(run)}`.",
        )
    if run is None:
        known = [*ledger.batches, *map(model_uri, ledger.of_stage("final"))]
        raise UsageError(
            f"there is no batch, run or model {what!r}. {closest(what, _ids_like(what, ledger) or known)}",
            "Give a batch's short id (`synth-mlflow status` lists them), a run id, or `models:/NAME/VERSION`.",
        )
    return run


def _ids_like(what: str, ledger: RunIndex) -> list[str]:
    """The run ids that begin like what was typed: half a run id is most often copied from a log."""
    return [run_id for run_id in ledger.finished if what and run_id.startswith(what[:6].lower())]


def _not_ours(ledger: RunIndex, run: StoredRun) -> StoredRun:
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


def _subject(ledger: RunIndex, run: StoredRun) -> StoredRun:
    """The run that a check, a baseline, a sign-off or an approval speaks about; any other run itself."""
    is_about_parent = names.TAG_CHECK in run.tags or run.stage in {"baseline", "sign-off", "approval"}
    return ledger.finished.get(run.parent or "", run) if is_about_parent else run


def _model(ledger: RunIndex, final: StoredRun) -> Node:
    return _model_back(ledger, final).above(_handoffs(ledger, final.params[names.P_SWEEP]))


def _model_back(ledger: RunIndex, final: StoredRun) -> Node:
    sweep = ledger.finished.get(final.params[names.P_SWEEP])
    return model_node(final).above([_sweep_back(ledger, sweep)] if sweep else [])


def _sweep(ledger: RunIndex, sweep: StoredRun) -> Node:
    return _sweep_back(ledger, sweep).above(_made_by(ledger, sweep))


def _sweep_back(ledger: RunIndex, sweep: StoredRun) -> Node:
    batches = [_batch_back(ledger, batch) for batch in ledger.batches_of(sweep)]
    return sweep_node(sweep).above([*batches, *_grounds(ledger, sweep)])


def _ratio(ledger: RunIndex, run: StoredRun) -> Node:
    sweep = ledger.finished.get(run.parent or "")
    return ratio_node(run).above([_sweep_back(ledger, sweep)] if sweep else [])


def _handoff(ledger: RunIndex, run: StoredRun) -> Node:
    finals = ledger.of_stage("final", names.P_SWEEP, run.params[names.P_SWEEP])
    return _handoff_node(ledger, run).above(_model_back(ledger, final) for final in finals)


def _batch(ledger: RunIndex, run: StoredRun) -> Node:
    batch = StoredBatch(run)
    sweeps = [sweep for sweep in ledger.of_stage("sweep") if batch.id in sweep.batches]
    uses = [*(_use(ledger, sweep) for sweep in sweeps), *_orphans(ledger, batch)]
    return _batch_back(ledger, batch).above([*_grounds(ledger, run), *uses, *_readers(ledger, *batch.dataset_digests)])


def _orphans(ledger: RunIndex, batch: StoredBatch) -> list[Node]:
    """The registered versions that hold a batch by their own tags alone: a sweep was killed after it registered one."""
    known = {model_uri(final) for final in ledger.of_stage("final")}
    tagged = [tagged_node(*version) for version in versions_that_hold(ledger.project.server, batch.id)]
    return [node for node in tagged if node.name not in known]


def _batch_back(ledger: RunIndex, batch: StoredBatch) -> Node:
    return batch_node(batch, ledger.verdicts.get(batch.id))


def _use(ledger: RunIndex, sweep: StoredRun) -> Node:
    """A sweep that tried a batch, with the models that hold its rows, none where 0 % was chosen, and every handoff."""
    holds = float(sweep.params[names.P_CHOSEN]) > 0
    if holds:
        return sweep_node(sweep).above(_made_by(ledger, sweep))
    handoffs = _handoffs(ledger, sweep.run_id)
    return sweep_node(sweep).above(replace(node, facts={**node.facts, **_ONLY_COMPARED}) for node in handoffs)


_ONLY_COMPARED: Mapping[str, Fact] = {"this batch": "was compared, and is not in the model"}


def _problem(ledger: RunIndex, run: StoredRun) -> Node:
    return problem_node(run).above(_built_on(ledger, names.P_STATEMENT, run.params[names.P_STATEMENT]))


def _evaluation_set(ledger: RunIndex, run: StoredRun) -> Node:
    digest = run.params[names.P_EVALUATION_DIGEST]
    return evaluation_set_node(run).above(
        [*_built_on(ledger, names.P_EVALUATION_DIGEST, digest), *_readers(ledger, digest)]
    )


def _built_on(ledger: RunIndex, param: str, value: str) -> list[Node]:
    batches = [_batch_back(ledger, StoredBatch(run)) for run in ledger.of_stage("batch", param, value)]
    sweeps = [sweep_node(run).above(_made_by(ledger, run)) for run in ledger.of_stage("sweep", param, value)]
    return [*batches, *sweeps]


def _grounds(ledger: RunIndex, run: StoredRun) -> list[Node]:
    """The statement and the evaluation set that a run stood on."""
    problems = ledger.of_stage("problem", names.P_STATEMENT, run.params[names.P_STATEMENT])
    frozen = ledger.of_stage("evaluation_set", names.P_EVALUATION_DIGEST, run.params[names.P_EVALUATION_DIGEST])
    return [*map(problem_node, problems[-1:]), *map(evaluation_set_node, frozen[:1])]


def _made_by(ledger: RunIndex, sweep: StoredRun) -> list[Node]:
    finals = ledger.of_stage("final", names.P_SWEEP, sweep.run_id)
    return [*map(model_node, finals), *_handoffs(ledger, sweep.run_id)]


def _handoffs(ledger: RunIndex, sweep_id: str) -> list[Node]:
    return [_handoff_node(ledger, run) for run in ledger.of_stage("handoff", names.P_SWEEP, sweep_id)]


def _handoff_node(ledger: RunIndex, run: StoredRun) -> Node:
    return handoff_node(run, ledger.sign_offs.get(run.run_id, []))


def _readers(ledger: RunIndex, *digests: str) -> list[Node]:
    """The runs outside of this project that logged a dataset as their input, with the models that they registered."""
    readers = {run.run_id: run for digest in digests for run in ledger.project.reader.runs_reading(digest)}
    runs = [run for run in readers.values() if not ledger.owns(run)]
    versions = lineage.versions_by_run(ledger.project.server, [run.run_id for run in runs])
    return [outside_node(run, _experiment(ledger, run), versions.get(run.run_id, [])) for run in runs]


def _outside(ledger: RunIndex, run: StoredRun) -> Node:
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


def _experiment(ledger: RunIndex, run: StoredRun) -> str:
    return ledger.experiments.get(run.experiment_id, run.experiment_id)


def _dataset(digest: str) -> str:
    return digest[: names.DATASET_DIGEST_LENGTH]


_TREES: Mapping[str, Callable[[RunIndex, StoredRun], Node]] = {
    "final": _model,
    "sweep": _sweep,
    "ratio": _ratio,
    "batch": _batch,
    "handoff": _handoff,
    "problem": _problem,
    "evaluation_set": _evaluation_set,
}
