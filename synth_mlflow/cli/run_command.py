"""All six stages in one process, under one workflow run."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_mlflow.cli import output
from synth_mlflow.cli.generate_command import AUTO
from synth_mlflow.cli.options import GlobalOptions
from synth_mlflow.cli.session import open_workflow
from synth_mlflow.cli.stage_commands import after_report, choices_as_text, tell_curve, tell_verdicts
from synth_mlflow.data.addresses import Place
from synth_mlflow.data.mixing import percent, read_ratios
from synth_mlflow.data.task import SCORED
from synth_mlflow.errors import GateError, GeneratorError, StatementError, SynthError, UsageError
from synth_mlflow.stages.requests import NamedCommands
from synth_mlflow.sweep.plan import RATIOS

if TYPE_CHECKING:
    from synth_mlflow.gate.verdicts import Verdict
    from synth_mlflow.handoff.draft_handoff import DraftHandoff
    from synth_mlflow.handoff.report import Handoff
    from synth_mlflow.stages.training_data import Batch
    from synth_mlflow.sweep.curve import Curve
    from synth_mlflow.workflow import Workflow

MAX_RUNNERS_UP = 2  # candidates that make a batch in full after the best one


@dataclass(frozen=True)
class Plan:
    """What to run."""

    problem: Path
    generator: str = "auto"
    rows: int | None = None
    """None for as many as the greatest ratio needs."""
    seed: int = 0
    repeats: int | None = None
    """Fits at every ratio; None leaves that to the sweep."""
    handoff: Path | None = None
    source: Place | None = None
    """Other real rows that the generator learns from; None for the training rows."""
    ratios: tuple[float, ...] = RATIOS
    """Shares of synthetic rows that are swept."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Of the generator."""
    commands: NamedCommands = field(default_factory=NamedCommands)


def run_whole(plan: Plan, given: GlobalOptions) -> None:
    """Run every stage that is not recorded already, and tell where to read on."""
    from synth_mlflow.data.statement import read_statement

    workflow = open_workflow("workflow", given, begins=read_statement(plan.problem).facts.name)
    handoff = _under_one_run(workflow, plan, show=not given.as_json)
    if given.as_json:
        return output.as_json(handoff.document.to_json())
    _where_to_read(workflow, plan, handoff)
    experiment = shlex.quote(workflow.project.server.experiment)
    return output.next_command(f"{after_report(handoff)} --experiment {experiment}")


def _under_one_run(workflow: Workflow, plan: Plan, *, show: bool) -> Handoff:
    from synth_mlflow.handoff.root_run import result_of
    from synth_mlflow.tracking.write import NewRun, create_run, show_on_run, writing

    project = workflow.project
    if project.workflow_run is not None:  # made by `mlflow run`, which also ends it
        handoff = _stages(workflow, plan, show=show)
        result = result_of(handoff.document)
        show_on_run(project.server, project.workflow_run, result.all_tags, result.metrics)
        return handoff
    new = NewRun("workflow", f"{project.server.experiment}: all six stages", uuid.uuid4().hex)
    project.workflow_run = create_run(project.server, new)
    with writing(project.server, project.workflow_run) as draft:
        handoff = _stages(workflow, plan, show=show)
        result = result_of(handoff.document)
        for tag, words in result.all_tags.items():
            draft.tag(tag, words)
        for name, value in result.metrics.items():
            draft.metric(name, value)
    return handoff


def _stages(workflow: Workflow, plan: Plan, *, show: bool) -> Handoff:
    from synth_mlflow.handoff.report import refuse_output
    from synth_mlflow.stages.fit_commands import named_commands
    from synth_mlflow.tracking import names

    say = workflow.project.say
    refuse_output(plan.handoff)
    read_ratios(plan.ratios)  # a ratio that makes no sense is refused before anything is recorded
    named_commands(plan.commands, "local")  # as is what no sweep could run
    say("stage 1 of 6: define")
    stated = workflow.define(plan.problem).run.params
    if names.P_PANEL in stated:
        say(f"warning: {stated[names.P_PANEL]}")
    if names.P_CHOICES in stated:
        say(f"warning: {choices_as_text(stated[names.P_CHOICES])}")
    try:
        say("stage 2 of 6: freeze")
        if workflow.project.find_evaluation_set() is None:
            is_scored = workflow.project.problem().statement.facts.task == SCORED
            frozen = workflow.freeze(seed=plan.seed, **(plan.commands.arguments if is_scored else {}))
            for outlook in (names.P_RARE, *([] if plan.source else [names.P_OUTLOOK])):  # of the training rows alone
                if outlook in frozen.run.params:
                    say(frozen.run.params[outlook])
        return _from_batch_to_handoff(workflow, plan, show=show)
    except (GateError, GeneratorError, StatementError, UsageError) as error:
        drafted = workflow.draft_handoff(error, _beside_the_final_one(workflow, plan.handoff))
        _show_no_model(workflow, drafted)
        say(f"DRAFT handoff: {drafted.path.resolve() if drafted.path else f'run {drafted.run_id}'}")
        raise _with_next_steps(error, drafted) from error


def _beside_the_final_one(workflow: Workflow, path: Path | None) -> Path | None:
    """Where a draft goes: a document of this project that is there already stays as it is."""
    if path is None or not path.exists() or workflow.project.reader.latest("handoff") is None:
        return path
    return path.with_stem(f"{path.stem}-draft")


def _show_no_model(workflow: Workflow, drafted: DraftHandoff) -> None:
    from synth_mlflow.handoff.root_run import result_without_model
    from synth_mlflow.tracking.write import show_on_run

    result, root = result_without_model(drafted), workflow.project.workflow_run
    assert root is not None  # everything is done under one
    show_on_run(workflow.project.server, root, result.all_tags, result.metrics)


def _with_next_steps(error: SynthError, drafted: DraftHandoff) -> SynthError:
    """The same error, with the first of the lines that may help."""
    step = drafted.steps[0]
    written = f"What was tried and what else may help: {drafted.path or f'run {drafted.run_id}'}."
    text = error.fix if step.why in (error.fix, error.found) else str(step)
    return type(error)(error.found, f"{text}\n{written}")


def _from_batch_to_handoff(workflow: Workflow, plan: Plan, *, show: bool) -> Handoff:
    say = workflow.project.say
    say("stage 3 of 6: generate")
    batch = _generated(workflow, plan, plan.generator, plan.params, _rows(workflow, plan))
    if plan.rows is not None:  # this very batch may have been there already
        _refuse_too_few(workflow, plan, _n_usable(workflow, batch))
    say("stage 4 of 6: validate")
    verdict = _validated(workflow, plan, batch, show=show)
    if plan.generator == AUTO and verdict.verdict == "fail":
        _by_runners_up(workflow, plan, show=show)
    say("stage 5 of 6: sweep")
    curve: Curve = workflow.sweep(plan.ratios, plan.repeats, seed=plan.seed, **plan.commands.arguments)
    if show:
        tell_curve(curve)
    say("stage 6 of 6: report")
    return workflow.report(plan.handoff)


def _generated(workflow: Workflow, plan: Plan, generator: str, params: Mapping[str, Any], rows: int) -> Batch:
    purpose = f"fill the gap that the statement names: {workflow.project.problem().statement.facts.gap}"
    return workflow.generate(generator, rows=rows, seed=plan.seed, purpose=purpose, source=plan.source, params=params)


def _validated(workflow: Workflow, plan: Plan, batch: Batch, *, show: bool) -> Verdict:
    verdicts = workflow.validate(batch, source=plan.source)
    assert not isinstance(verdicts, list)  # one batch was given
    if show:
        tell_verdicts([verdicts])
    return verdicts


def _by_runners_up(workflow: Workflow, plan: Plan, *, show: bool) -> None:
    """Where the batch of the best candidate has failed: batches of the next best, until one does not fail.

    The trial had fewer rows than the batch, and each batch stays recorded with its verdict.
    """
    from synth_mlflow.stages.generator_search import auto_rows, next_in_line

    project = workflow.project
    search = workflow.search_generators(seed=plan.seed, source=plan.source)
    for candidate, how in next_in_line(project, search)[:MAX_RUNNERS_UP]:
        project.say(f"the batch has failed; next: {candidate.words} ({how})")
        maker, params = candidate.generator, candidate.params
        rows = plan.rows or auto_rows(project, plan.ratios, generator=maker, params=params)
        batch = _generated(workflow, plan, maker, params, rows)
        if _validated(workflow, plan, batch, show=show).verdict != "fail":
            return


def _rows(workflow: Workflow, plan: Plan) -> int:
    """How many rows to make; a GateError before any is made where the sweep would need more than there can be."""
    from synth_mlflow.stages.generator_search import auto_rows

    if plan.rows is None:
        return auto_rows(
            workflow.project,
            plan.ratios,
            generator=plan.generator,
            seed=plan.seed,
            source=plan.source,
            params=plan.params,
        )
    _refuse_too_few(workflow, plan, _n_usable(workflow), plan.rows)
    return plan.rows


def _refuse_too_few(workflow: Workflow, plan: Plan, n_made: int, n_more: int = 0) -> None:
    """A GateError where the sweep would need more rows than are there and will be made."""
    from synth_mlflow.stages.generator_search import auto_rows

    needed = auto_rows(workflow.project, plan.ratios)
    if needed > n_made + n_more:
        needed_text = f"{n_more:,} are asked for and " if n_more else ""
        raise GateError(
            f"ratio {percent(max(plan.ratios))} needs {needed:,} synthetic rows beside the real training rows; "
            f"{needed_text}{n_made:,} are there.",
            f"Ask for more, `--rows {needed - n_made}` or `--rows auto`, or for a smaller ratio: `--ratios 0,25`.",
        )


def _n_usable(workflow: Workflow, also: Batch | None = None) -> int:
    """Rows of the batches that passed or may still pass, and of one more."""
    from synth_mlflow.gate.verdicts import recorded_verdicts

    batches = [batch for batch in workflow.project.batches() if not batch.is_pilot]
    usable = {v.batch for v in recorded_verdicts(workflow.project, batches) if v.gate_open or _is_open_yet(v)}
    return sum(batch.n_rows for batch in batches if batch.id in {*usable, also and also.batch})


def _is_open_yet(verdict: Verdict) -> bool:
    return verdict.verdict == "unvalidated" and not verdict.shut and not verdict.retracted


def _where_to_read(workflow: Workflow, plan: Plan, handoff: Handoff) -> None:
    from synth_mlflow.tracking import names
    from synth_mlflow.tracking.server import public_uri
    from synth_mlflow.tracking.ui import artifact_url, runs_url

    server = workflow.project.server
    web = server.web or "http://127.0.0.1:5000"
    for item in handoff.owed:
        output.line(f"DRAFT, missing: {item}")
    if plan.handoff:
        output.line(f"handoff:  {plan.handoff.resolve()}")
    if server.web is None:
        output.line(f"the UI:   mlflow ui --backend-store-uri {public_uri(server.tracking_uri)}")
    output.line(f"  runs:    {runs_url(server, web)}")
    output.line(f"  handoff: {artifact_url(server, web, handoff.run_id, names.A_HANDOFF_HTML)}")
