"""`reproduce`: on any machine, from the records alone, make the batches and the model again, and compare.

The chosen model, fitted again with the recorded rows, settings and seed; and the whole curve.
"""

from __future__ import annotations

import dataclasses
import html
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from synth_mlflow.allowed_code import allowing_external
from synth_mlflow.audit.replay import BatchReplayer, CannotError, RecordedSweep, ReplayedBatch, recorded_sweep
from synth_mlflow.data.addresses import Place, recorded_place
from synth_mlflow.data.digests import array_digest, canonical_json, table_digest
from synth_mlflow.data.environment import environment
from synth_mlflow.data.markup import as_text, html_table
from synth_mlflow.data.mixing import FitRows
from synth_mlflow.data.tables import read_as
from synth_mlflow.errors import EvidenceError, SynthError, UsageError
from synth_mlflow.gate.rerun_conditions import flat_environment, installed_environment
from synth_mlflow.handoff.diff import handoff_run
from synth_mlflow.queries.run_index import model_uri
from synth_mlflow.sweep.curve import Curve, Point
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.sweep.plan import ALL_ROWS, DESIGN
from synth_mlflow.sweep.runner import run_sweep
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft, now_ms
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.write import NewRun, create_run, writing

Outcome = Literal["identical", "within interval", "different", "cannot"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
CLOSE = 1e-9  # of the greatest magnitude in a column: what another processor may round differently


@dataclass(frozen=True)
class Step:
    """One thing that was done again."""

    what: str
    outcome: Outcome
    words: str
    """The numbers, and for *cannot* the reason."""


@dataclass(frozen=True)
class Reproduction:
    """What came out when a handoff's batches and model were made again."""

    run_id: str
    handoff: str
    """Run id."""
    model: str
    versions: tuple[str, ...]
    """Each piece of software that is another one here than when the evidence was made."""
    steps: tuple[Step, ...]

    @property
    def outcome(self) -> Outcome:
        """*different* if any step is; else *cannot* if any could not be done; else the weaker of the other two."""
        outcomes = {step.outcome for step in self.steps}
        return next(
            outcome for outcome in ("different", "cannot", "within interval", "identical") if outcome in outcomes
        )

    def _repr_html_(self) -> str:
        rows = [[step.what, step.outcome, step.words] for step in self.steps]
        paragraphs = "".join(f"<p>{html.escape(text)}</p>" for text in self.versions)
        return f"{paragraphs}{html_table(['step', 'outcome', 'how'], rows)}"


def reproduce(
    project: Project,
    handoff: str = "newest",
    *,
    sources: Sequence[Place] = (),
    allow_external: bool = False,
    python: str | None = None,
    sweep: bool = False,
) -> Reproduction:
    """Make the batches and the model of a handoff again, compare digests and scores, and record what came out.

    Parameters
    ----------
    project : Project
    handoff : str
        Its run id, ``newest`` or ``previous``.
    sources : sequence of Path
        Real rows that batches learned from and that the server does not hold; recognised by their digests.
    allow_external : bool
        Whether commands may run, services be called, and code be loaded that only a record names.
    python : str, optional
        The Python of the environment in which peers are installed.
    sweep : bool
        Whether the whole curve is measured again too.

    Raises
    ------
    GateError, UsageError
        If there is no such handoff.
    EvidenceError
        If the sweep behind it is gone.
    """
    with allowing_external(allow_external):
        return _reproduce(project, handoff, sources, allow_external, python, sweep)


def _reproduce(
    project: Project, handoff: str, sources: Sequence[Place], allow_external: bool, python: str | None, sweep: bool
) -> Reproduction:
    began = now_ms()
    run = handoff_run(project, handoff)
    recorded = recorded_sweep(project, run.run_id)
    workshop = BatchReplayer(project, recorded.frozen, _by_digest(recorded, sources), allow_external, python)
    steps = [_real_rows(recorded, side) for side in ("training", "evaluation")]
    remade: dict[str, ReplayedBatch] = {}
    for batch in recorded.batches:
        project.say(f"making batch {batch.id} again")
        steps.append(_batch_step(workshop, batch, remade))
    steps += _model_steps(recorded, remade)
    if sweep:
        project.say("measuring the whole curve again")
        steps.append(_tried("the curve", lambda: _curve_step(recorded.curve, swept_again(recorded))))
    new = NewRun("reproduction", "reproduction", uuid.uuid4().hex, began=began)
    return _recorded(project, new, run.run_id, recorded, (_versions(recorded, remade), tuple(steps)))


def _by_digest(recorded: RecordedSweep, sources: Sequence[Place]) -> dict[str, pd.DataFrame]:
    schema = recorded.frozen.schema
    tables = [read_as(path, schema) for path in sources]
    project, frozen = recorded.project, recorded.frozen
    return {table_digest(table, schema): project.without_evaluation_rows(table, frozen) for table in tables}


def _tried(what: str, step: Callable[[], Step]) -> Step:
    """A step, or why it cannot be done."""
    try:
        return step()
    except EvidenceError as error:
        return Step(what, "different", error.found)
    except SynthError as error:
        return Step(what, "cannot", error.found)


def _real_rows(recorded: RecordedSweep, side: Literal["training", "evaluation"]) -> Step:
    def step() -> Step:
        project, params = recorded.project, recorded.frozen.run.params
        place = project.real_file or recorded_place(params[names.P_DATA_PATH])
        if params[names.P_ROW_STORAGE] != "rows" and isinstance(place, Path) and not place.exists():
            raise CannotError(f"they are kept by reference, and {place} is not here: give them with `--data FILE`")
        rows = recorded.training if side == "training" else recorded.evaluation
        return Step(f"{side} rows", "identical", f"{len(rows):,} rows match the frozen digest")

    return _tried(f"{side} rows", step)


def _batch_step(workshop: BatchReplayer, batch: StoredBatch, remade: dict[str, ReplayedBatch]) -> Step:
    def step() -> Step:
        replayed = remade[batch.id] = workshop.remake(batch)
        if replayed.digest == batch.digest:
            return Step(what, "identical", f"{len(replayed.rows):,} rows, digest {batch.digest[:12]}…")
        stored = workshop.project.batch_rows(batch, workshop.frozen.schema)
        recorded = batch.run.params[names.P_GENERATOR_VERSION]
        other = f"; version {replayed.version} made them, not {recorded}" if replayed.version != recorded else ""
        return Step(what, "different", f"{_likeness(stored, replayed.rows)}{other}")

    what = f"batch {batch.id}"
    return _tried(what, step)


def _likeness(stored: pd.DataFrame, made: pd.DataFrame) -> str:
    if len(stored) != len(made):
        return f"{len(made):,} rows instead of {len(stored):,}"
    equal = pd.Series(True, index=stored.index)
    close = equal.copy()
    for name in stored.columns:
        same = (stored[name] == made[name]) | (stored[name].isna() & made[name].isna())
        equal &= same.fillna(False).astype(bool)
        near = same.fillna(False).astype(bool)
        if pd.api.types.is_float_dtype(stored[name].dtype):
            near |= (stored[name] - made[name]).abs() <= CLOSE * stored[name].abs().max()
        close &= near
    text = f"{int(equal.sum()):,} of {len(stored):,} rows are equal"
    return f"{text}, the others to {CLOSE:g} of the greatest number in a column" if close.all() else text


def _model_steps(recorded: RecordedSweep, remade: Mapping[str, ReplayedBatch]) -> list[Step]:
    """On the recorded rows; where all batches could be made again and some differ, on what they are now, too."""
    what = f"model on the recorded rows ({recorded.curve.words(recorded.curve.chosen)})"
    steps = [_tried(what, lambda: _model_step(what, recorded, refit(recorded, recorded.tables)))]
    again = [remade.get(batch.id) for batch in recorded.batches]
    made = [each for each in again if each is not None]
    differ = any(each.digest != batch.digest for each, batch in zip(made, recorded.batches, strict=False))
    if len(made) == len(again) and differ and recorded.curve.chosen:
        other = "model on the rows made here"
        tables = [recorded.rows_to_fit(each.rows) for each in made]
        steps.append(_tried(other, lambda: _model_step(other, recorded, refit(recorded, tables))))
    return steps


def _model_step(what: str, recorded: RecordedSweep, refitted: RefittedModel) -> Step:
    point = recorded.curve.at(recorded.curve.chosen)
    stated = float(recorded.final.params.get(names.P_MODEL_SCORE, point.of_model))
    was = f"{stated:.6g} ({point.model_low:.4g} to {point.model_high:.4g})"
    score = f"{recorded.curve.metric} {refitted.score:.6g}, recorded {was}"
    recorded_predictions = recorded.final.params.get(names.P_PREDICTIONS)
    if refitted.score == stated and recorded_predictions in (None, refitted.predictions):
        predictions = "" if recorded_predictions is None else f"; predictions match digest {recorded_predictions[:12]}…"
        return Step(what, "identical", f"{score}{predictions}")
    inside = point.model_low <= refitted.score <= point.model_high
    return Step(what, "within interval" if inside else "different", score)


def _curve_step(before: Curve, now: Curve) -> Step:
    if now.to_json() == before.to_json():
        return Step("the curve", "identical", f"every number of {len(before.points)} ratios")
    pairs = [(point, now.at(point.ratio)) for point in before.points]
    texts = [f"{before.words(was.ratio)}: {refitted.score:.6g}, recorded {_interval(was)}" for was, refitted in pairs]
    if now.chosen != before.chosen:
        texts.insert(0, f"{now.words(now.chosen)} is chosen, {before.words(before.chosen)} was")
    inside = now.chosen == before.chosen and all(was.low <= refitted.score <= was.high for was, refitted in pairs)
    return Step("the curve", "within interval" if inside else "different", "; ".join(texts))


def _interval(point: Point) -> str:
    return f"{point.score:.6g} ({point.low:.4g} to {point.high:.4g})"


def _versions(recorded: RecordedSweep, remade: Mapping[str, ReplayedBatch]) -> tuple[str, ...]:
    """What is another version here than when the model and the batches were made."""
    made_with = {"the model": recorded.final, **{f"batch {batch.id}": batch.run for batch in recorded.batches}}
    now, texts = installed_environment(), dict.fromkeys([""])
    for what, run in made_with.items():
        before = flat_environment(json.loads(run.params[names.P_ENVIRONMENT]))
        texts |= dict.fromkeys(
            f"{name} {version} made {what}, {now.get(name, 'none')} is here"
            for name, version in before.items()
            if now.get(name) != version
        )
    for batch in recorded.batches:
        version = batch.run.params[names.P_GENERATOR_VERSION]
        if batch.id in remade and remade[batch.id].version != version:
            generator = batch.run.params[names.P_GENERATOR]
            texts[f"{generator} {version} made batch {batch.id}, {remade[batch.id].version} is here"] = None
    return tuple(text for text in texts if text)


def _recorded(
    project: Project,
    new: NewRun,
    handoff: str,
    recorded: RecordedSweep,
    versions_and_steps: tuple[tuple[str, ...], tuple[Step, ...]],
) -> Reproduction:
    run_id = create_run(project.server, new, parent=project.workflow_run or handoff)
    reproduction = Reproduction(run_id, handoff, model_uri(recorded.final), *versions_and_steps)
    with writing(project.server, run_id, "reproduction") as draft:
        _write(draft, recorded, reproduction)
    return reproduction


def _write(draft: RunDraft, recorded: RecordedSweep, reproduction: Reproduction) -> None:
    draft.param(names.P_HANDOFF, reproduction.handoff)
    draft.param(names.P_SWEEP, recorded.run.run_id)
    draft.param(names.P_EVALUATION_DIGEST, recorded.frozen.digest)
    draft.param(names.P_MODEL_URI, reproduction.model)
    draft.param(names.P_OUTCOME, reproduction.outcome)
    draft.param(names.P_ENVIRONMENT, environment())
    draft.text(names.A_REPRODUCTION, canonical_json(dataclasses.asdict(reproduction)))
    draft.frame(names.A_REPRODUCTION_TABLE, pd.DataFrame([dataclasses.asdict(step) for step in reproduction.steps]))
    rows = "\n".join(
        f"| {as_text(step.what)} | {step.outcome} | {as_text(step.words)} |" for step in reproduction.steps
    )
    others = "".join(f"- {as_text(text)}\n" for text in reproduction.versions) or "Everything is as it was.\n"
    draft.describe(
        f"**{reproduction.model} made again: {reproduction.outcome}.** Software: "
        f"{environment()['python']}\n\n{others}\n| step | outcome | how |\n|---|---|---|\n{rows}"
    )


def outcome_of(record: Mapping[str, Any]) -> Outcome:
    """The outcome that the file of a reproduction run gives."""
    steps = tuple(Step(**step) for step in record["steps"])
    return Reproduction(**{**record, "versions": tuple(record["versions"]), "steps": steps}).outcome


@dataclass(frozen=True)
class RefittedModel:
    """A model that was fitted again."""

    score: float
    """On the evaluation rows that chose."""
    predictions: str
    """Digest of what it says on the whole evaluation set."""


def refit(sweep: RecordedSweep, tables: Sequence[pd.DataFrame]) -> RefittedModel:
    """Fit the final model again.

    Parameters
    ----------
    sweep : RecordedSweep
    tables : sequence of DataFrame
        The rows of its batches, in their order; of each, the rows at the recorded places are taken.

    Raises
    ------
    EvidenceError
        If any recorded rows are no longer what they were.
    """
    statement, plan = sweep.problem.statement, sweep.plan(n_jobs=1)
    synthetic = pd.concat(tables, ignore_index=True)
    facts = statement.facts
    task = sweep.frozen.task_of(statement)
    bench = Evaluator.build(sweep.training, sweep.evaluation, task, facts.metric, sweep.spec, synthetic=synthetic)
    rows, seed = _rows(sweep, tables), plan.seed + ALL_ROWS + 1
    predictions = bench.trainer.predictions(rows, seed)
    everyone = np.ones(len(bench.truth), dtype=np.bool_)
    model = bench.trainer.model(rows, seed)
    return RefittedModel(bench.score(predictions, everyone), array_digest(model.predict(sweep.evaluation)))


_EARLIER = {
    1: ", which tested redraws of 80 % of the real rows",
    2: ", which tested every ratio with the degrees of freedom of the ratio that has fewest",
    3: ", whose intervals of AUC were too narrow on few rows of a class",
}


def swept_again(sweep: RecordedSweep) -> Curve:
    """The whole curve, measured again on the recorded rows.

    Raises
    ------
    UsageError
        If an earlier version made other fits, or read them in another way: its numbers cannot come out here.
    """
    if sweep.curve.design != DESIGN:
        raise UsageError(
            f"the curve is of design {sweep.curve.design} (of another version of this package"
            f"{_EARLIER.get(sweep.curve.design, '')}), and this version measures by design {DESIGN}: its model can be "
            "fitted again, its curve cannot.",
            "Install the recorded version of synth-mlflow, or sweep anew: `synth-mlflow sweep`.",
        )
    statement = sweep.problem.statement
    fitted = sweep.fitted
    return run_sweep(
        fitted.real,
        fitted.synthetic,
        sweep.evaluation,
        sweep.frozen.task_of(statement),
        statement.facts.metric,
        sweep.spec,
        sweep.plan(),
        slices=statement.slices,
        batches=fitted.origin,
        sources=sweep.sources,
    ).curve


def _rows(sweep: RecordedSweep, tables: Sequence[pd.DataFrame]) -> FitRows:
    """The rows of the recorded mix, as places in the pool: real rows, then batch after batch."""
    mix = pd.read_parquet(sweep.project.reader.file(sweep.final, names.A_MIX))
    starts = np.cumsum([len(sweep.training), *(len(table) for table in tables)])[:-1]
    first = {batch.id: int(start) for batch, start in zip(sweep.batches, starts, strict=True)}
    real = mix.loc[mix["from"] == "real", "row"].to_numpy(dtype=np.int64)
    added = mix.loc[mix["from"] != "real"]
    places = added["row"].to_numpy(dtype=np.int64) + added["from"].map(first).to_numpy(dtype=np.int64)
    return FitRows(real, places.astype(np.int64), sweep.curve.axis.weight(sweep.curve.chosen))
