"""What a trace tells of each single thing, with the numbers that matter."""

from __future__ import annotations

import json
from collections.abc import Sequence

from synth_mlflow.data.mixes import percent
from synth_mlflow.data.record import Source, source_in_words
from synth_mlflow.gate.verdicts import Verdict
from synth_mlflow.lifecycle.tree import Fact, Node
from synth_mlflow.tracking import names
from synth_mlflow.tracking.lineage import Version
from synth_mlflow.tracking.promises import promise_of
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import StoredSignOff
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
    """The registered model of a sweep: its score on the rows that chose, and what it is promised to score."""
    ratio, stated = float(final.params[names.P_CHOSEN]), promise_of(final)
    facts: dict[str, Fact] = {"ratio": ratio, **_score(final), "promised": "nothing before a handoff"}
    if stated:
        score, low, high = stated.interval
        facts["promised"] = f"{score:.4f} ({low:.4f} to {high:.4f})"
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
