"""Addresses in the MLflow UI that land where they should; the bare experiment page opens elsewhere.

Where to read on, for people who meet a project in the MLflow UI: its experiment, its model, its newest handoff.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from synth_mlflow.data.markup import as_text
from synth_mlflow.data.mixing import percent
from synth_mlflow.data.statement import Statement, success_in_words
from synth_mlflow.sweep.explain import in_short
from synth_mlflow.tracking import names
from synth_mlflow.tracking.models import describe_model, format_words
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.server import Server
from synth_mlflow.tracking.views import TRAINING, VIEWS, view_path, views_in_words
from synth_mlflow.tracking.write import describe_experiment, set_tags


def run_path(experiment_id: str, run_id: str) -> str:
    """The page of a run, from any other page of the UI."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{TRAINING}"


def artifact_path(experiment_id: str, run_id: str, path: str) -> str:
    """The page that shows one artifact of a run, from any other page of the UI."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{quote(path)}?{TRAINING}"


def run_url(server: Server, run_id: str, experiment_id: str = "") -> str | None:
    """The page of a run, of this project or another experiment; None where the tracking URI is no HTTP server."""
    page = run_path(experiment_id or server.experiment_id, run_id)
    return None if server.web is None else f"{server.web.rstrip('/')}/{page}"


def runs_url(server: Server, web: str) -> str:
    """The list of this project's runs on a UI at ``web``, under the view that people begin with."""
    return f"{web.rstrip('/')}/{view_path(server.experiment_id, VIEWS[0])}"


def artifact_url(server: Server, web: str, run_id: str, path: str) -> str:
    """The page that shows one artifact of a run."""
    return f"{web.rstrip('/')}/{artifact_path(server.experiment_id, run_id, path)}"


def download_url(server: Server, run_id: str, path: str) -> str:
    """Where one artifact can be fetched: from the server, or by MLflow's own ``runs:/`` where there is none."""
    if server.web is None:
        return f"runs:/{run_id}/{path}"
    return f"{server.web.rstrip('/')}/get-artifact?path={quote(path, safe='')}&run_uuid={run_id}"


HANDOFF_LINE = "Handed over in: "
POINTING = 20
"""Up to so many batches in a model each point to its handoff, which takes a request each; `trace` tells it of any."""


def describe_project(project: Project) -> None:
    """Say on top of the experiment what the project is, how far it is, and where its newest handoff lies.

    What asks for one more request an argument is left out: the batches are counted by `status`.
    """
    problem = project.find_problem()
    if problem is not None:
        newest = [project.reader.latest(stage) for stage in ("evaluation_set", "sweep", "handoff")]
        newest += [project.reader.latest("draft")] if newest[-1] is None else []
        describe_experiment(project.server, _about(problem.statement, [problem.run, *filter(None, newest)]))


def point_to_handoff(project: Project, handoff: StoredRun, batch_runs: Sequence[str], outcome: str) -> None:
    """Link a handoff from what it hands over: the sweep, the final model, its batches, and the registered model.

    Parameters
    ----------
    batch_runs : sequence of str
        The run ids of the batches in the model; where there are more than `POINTING`, only the others are linked.
    outcome : str
        Whether the model does what the statement asks.
    """
    sweep = project.reader.run(handoff.params[names.P_SWEEP])
    finals = [run for run in project.reader.children(sweep.run_id) if run.stage == "final" and run.counts]
    inside = handoff.batches
    batches = project.reader.by_ids(batch_runs) if len(batch_runs) <= POINTING else []
    line = f"{HANDOFF_LINE}{_handoff_link(handoff)}"
    line_and_score = f"{line}. {handoff.params[names.P_ESTIMATE_TEXT]}"
    line_by_run = [(sweep, line), *((batch, line) for batch in batches), *((final, line_and_score) for final in finals)]
    for run, words in line_by_run:
        set_tags(project.server, run.run_id, {names.TAG_NOTE: _with_line(run.tags.get(names.TAG_NOTE, ""), words)})
    tags = {
        names.TAG_SCORE: f"{handoff.metrics[names.M_SCORE]:.4f}",
        names.TAG_VERDICT: outcome,
        names.TAG_HANDOFF: handoff.run_id,
    }
    table = project.evaluation_set().table
    reading = as_text(table.how_to_read) if table is not None else ""
    for final in finals:
        name, version = final.params[names.P_MODEL_NAME], final.params[names.P_MODEL_VERSION]
        words = _model_words(final, inside, line_and_score, tags, reading)
        describe_model(project.server, name, version, words, tags)


def _about(statement: Statement, runs: Sequence[StoredRun]) -> str:
    facts = statement.facts
    rows = "\n".join(
        f"| {run.stage} | {_state(run)} | [open]({run_path(run.experiment_id, run.run_id)}) |" for run in runs
    )
    newest = next((_handoff_link(run) for run in runs if run.stage in ("handoff", "draft")), "not written yet")
    experiment_id = runs[0].experiment_id
    return (
        f"**{as_text(facts.name)}**: {_result(facts.metric, runs)}. "
        f"[Start here]({view_path(experiment_id, VIEWS[0])}). Newest handoff: {newest}.\n\n"
        "Synthetic training data, documented by synth_mlflow. Saved views, which are also in the menu *Views*:\n\n"
        f"{views_in_words(experiment_id)}\n\n"
        f"Gap: {facts.gap}. Metric: {as_text(facts.metric)}; success is {success_in_words(statement)}.\n\n"
        f"| stage | state | |\n|---|---|---|\n{rows}\n\n"
        "Every step is a run: problem, evaluation_set, batch (with its checks), sweep (with a child a ratio), handoff; "
        "filter by ``tags.`synth.stage` = 'batch'`` and the like. `synth-mlflow status` tells the rest."
    )


def _result(metric: str, runs: Sequence[StoredRun]) -> str:
    """What the newest sweep has come to."""
    sweep = next((run for run in runs if run.stage == "sweep"), None)
    if sweep is None:
        return "no ratio is chosen yet"
    chosen, values = float(sweep.params[names.P_CHOSEN]), sweep.metrics
    gain = values[names.M_GAIN] if chosen else None
    return as_text(in_short(f"{percent(chosen)} synthetic", metric, values[names.M_SCORE], gain))


def _state(run: StoredRun) -> str:
    try:
        return _state_words(run)
    except (KeyError, ValueError):  # somebody else's words are no reason to fail a verb; `verify` names them
        return "cannot be read"


def _state_words(run: StoredRun) -> str:
    params = run.params
    if run.stage == "evaluation_set":
        n_frozen, n_training = (int(params[name]) for name in (names.P_EVALUATION_ROWS, names.P_TRAINING_ROWS))
        return f"{n_frozen:,} real rows frozen, {n_training:,} to learn from"
    if run.stage == "sweep":
        return f"{percent(float(params[names.P_CHOSEN]))} synthetic chosen"
    if run.stage in ("handoff", "draft"):
        return _handoff_words(run)
    return "written by people"


def _handoff_words(handoff: StoredRun) -> str:
    if handoff.stage == "draft":
        return "a draft, no model yet"
    draft = "a draft" if handoff.tags.get(names.TAG_DRAFT) == "true" else "final"
    superseded = ", superseded" if handoff.tags.get(names.TAG_SUPERSEDED) == "true" else ""
    return f"{draft}{superseded}, {percent(float(handoff.params[names.P_CHOSEN]))} synthetic"


def _handoff_link(handoff: StoredRun) -> str:
    path = artifact_path(handoff.experiment_id, handoff.run_id, names.A_HANDOFF_HTML)
    return f"[the handoff document]({path}) ({_handoff_words(handoff)})"


def _with_line(note: str, line: str) -> str:
    lines = [old for old in note.rstrip().splitlines() if not old.startswith(HANDOFF_LINE)]
    return "\n".join(lines).rstrip() + f"\n\n{line}"


def _model_words(final: StoredRun, batches: Iterable[str], line: str, tags: Mapping[str, str], reading: str) -> str:
    params = final.params
    how_to_read = f"\n\n{reading}" if reading else ""
    return (
        f"{percent(float(params[names.P_CHOSEN]))} synthetic rows, from {', '.join(sorted(batches)) or 'no batch'}. "
        f"Expected {params[names.P_METRIC]} on new data: {tags[names.TAG_SCORE]} ({tags[names.TAG_VERDICT]})."
        f"\n\n{line}{how_to_read}\n\n{format_words(final.tags.get(names.TAG_FORMAT, ''))}\n\nWhat it is made of: "
        f"`synth-mlflow trace models:/{params[names.P_MODEL_NAME]}/{params[names.P_MODEL_VERSION]}`."
    )
