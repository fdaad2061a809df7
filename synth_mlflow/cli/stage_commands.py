"""The verbs of the six stages; `generate` has a file of its own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth_mlflow.cli import options, output
from synth_mlflow.cli.options import (
    DATA_HELP,
    GlobalOptions,
    OptionalCount,
    OptionalPath,
    OptionalTable,
    OptionalText,
    Ratios,
    Repeats,
    Rows,
    Weights,
    engine_options,
    fit_commands,
    real_rows_option,
    shared,
)
from synth_mlflow.cli.review_command import leave_sheet
from synth_mlflow.cli.session import open_workflow
from synth_mlflow.data.addresses import Place

if TYPE_CHECKING:
    from synth_mlflow.gate.verdicts import Verdict
    from synth_mlflow.handoff.report import Handoff
    from synth_mlflow.tracking.stored import EvaluationSet
    from synth_mlflow.workflow import Workflow

GATE_CLOSED = 3


@click.command()
@click.argument("problem", type=click.Path(path_type=Path), default="problem.md")
@shared
def define(
    given: GlobalOptions,
    problem: Path,
) -> None:
    """Stage 1: record the problem statement, a filled-in problem.md."""
    from synth_mlflow.data.statement import read_statement

    workflow = open_workflow("define", given, begins=read_statement(problem).facts.name)
    problem_run, name = workflow.define(problem), workflow.project.server.experiment
    table = problem_run.statement.table
    facts = {"run_id": problem_run.run.run_id, "experiment": name, "statement_sha256": problem_run.statement.digest}
    if given.as_json:
        return output.as_json({**facts, "schema": None if table is None else table.to_json()})
    if table is not None:
        from synth_mlflow.cli.schema_table import tell_schema

        tell_schema(table)
    output.line(f"problem statement of {name!r} recorded: run {problem_run.run.run_id}")
    from synth_mlflow.tracking import names

    if names.P_PANEL in problem_run.run.params:
        output.line(f"warning: {problem_run.run.params[names.P_PANEL]}")
    if names.P_CHOICES in problem_run.run.params:
        output.line(f"warning: {choices_as_text(problem_run.run.params[names.P_CHOICES])}")
    if workflow.project.find_evaluation_set() is None:
        output.line(_held_out(problem_run))
    following = "freeze" if workflow.project.find_evaluation_set() is None else "status"
    return output.next_command(f"synth-mlflow {following} --experiment {shlex.quote(name)}")


def choices_as_text(recorded: str) -> str:
    """What was found of choice sets, and the commands that help, each on a line of its own."""
    choices = json.loads(recorded)
    return "\n  ".join([f"{choices['words']}:", *choices["lines"]])


def _held_out(problem: Any) -> str:
    """How many rows `freeze` will hold out, while that can still be changed."""
    from synth_mlflow.data.statement import larger_share
    from synth_mlflow.tracking import names

    n_rows, share = int(problem.run.params[names.P_DATA_ROWS]), problem.statement.facts.evaluation.share
    sentence = f"`freeze` will hold out about {round(n_rows * share):,} of {n_rows:,} rows, for good."
    larger = larger_share(n_rows, share)
    if larger is None:
        return sentence
    return (
        f"{sentence} So few decide little: `evaluation: {{share: {larger}}}` in problem.md would hold out "
        f"{round(n_rows * larger):,}; run `define` again after the change."
    )


@click.command()
@click.option(
    "--group", type=OptionalText(), metavar="COLUMN", help="Cut by whole groups of this column; with --time by both."
)
@click.option("--time", type=OptionalText(), metavar="COLUMN", help="Hold out the latest rows by this column.")
@click.option("--equal-rows", type=OptionalText(), metavar="together|both-sides",
              help="Of a random split: keep equal rows on one side [default], or split them too.")  # fmt: skip
@click.option("--store", type=click.Choice(["rows", "reference"]), default="rows", show_default=True,
              help="Keep the real rows on the server, or only digests and positions.")  # fmt: skip
@click.option("--data", type=OptionalTable(), help="Where the real rows are now, if not where `define` found them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random cut.")
@engine_options
@fit_commands
@shared
def freeze(
    given: GlobalOptions,
    group: str | None,
    time: str | None,
    equal_rows: Any,
    store: Any,
    data: Place | None,
    seed: int,
    engine: Any,
    scheduler: str | None,
    train_command: str,
    predict_command: str,
    timeout: float,
) -> None:
    """Stage 2: freeze the real evaluation set and measure the baseline."""
    workflow = open_workflow("freeze", given)
    frozen = workflow.freeze(
        data=data,
        group=group,
        time=time,
        equal_rows=equal_rows,
        store=store,
        seed=seed,
        engine=engine,
        scheduler=scheduler or "",
        train_command=train_command,
        predict_command=predict_command,
        timeout_seconds=timeout,
    )
    from synth_mlflow.tracking import names

    params, metrics = frozen.run.params, frozen.run.metrics
    if given.as_json:
        return output.as_json(
            {
                "run_id": frozen.run.run_id,
                "evaluation_digest": frozen.digest,
                "evaluation_rows": int(params[names.P_EVALUATION_ROWS]),
                "training_rows": int(params[names.P_TRAINING_ROWS]),
                "baseline": metrics[names.M_SCORE],
                "smallest_detectable_gain": metrics[names.M_SMALLEST_GAIN],
                "evaluation_share": metrics[names.M_SHARE],
                "warning": params[names.P_WARNING],
            }
        )
    _tell_frozen(frozen, workflow.project.problem().statement.facts.success.gain_at_least)
    return output.next_command('synth-mlflow generate auto --purpose "…"')


def _tell_frozen(frozen: EvaluationSet, required_gain: float | None) -> None:
    """What was frozen, and what it can decide of the gain that the statement asks for."""
    from synth_mlflow.sweep.baseline import power_words
    from synth_mlflow.tracking import names

    params, metrics = frozen.run.params, frozen.run.metrics
    output.line(f"frozen: {int(params[names.P_EVALUATION_ROWS]):,} evaluation rows, {params[names.P_SPLIT_METHOD]}")
    output.line(f"held out: {params[names.P_BALANCE]}")
    if frozen.caveat:
        output.line(frozen.caveat)
    output.line(f"digest: {frozen.digest}")
    output.line(
        f"real-only baseline: {params[names.P_METRIC]} {metrics[names.M_SCORE]:.4f} "
        f"({metrics[names.M_SCORE_LOW]:.4f} to {metrics[names.M_SCORE_HIGH]:.4f})"
    )
    output.line(power_words(metrics[names.M_SMALLEST_GAIN], required_gain))
    if params[names.P_WARNING]:
        output.line(f"warning: {params[names.P_WARNING]}")
    for outlook in (names.P_RARE, names.P_OUTLOOK):
        if outlook in params:
            output.line(params[outlook])
    if names.P_PANEL in params:
        output.line(f"warning: {params[names.P_PANEL]}")


@click.command()
@click.argument("batch", type=OptionalText(), default="", shell_complete=options.batches)
@click.option(
    "--source", type=OptionalTable(), help="The real rows that a batch was learned from, if not the project's."
)
@click.option("--review", type=OptionalCount(), metavar="N",
              help="Judge nothing: leave a blind sheet of N rows of BATCH for people, half of them real.")  # fmt: skip
@click.option("--output", "folder", type=OptionalPath(), help="With --review: the folder for the sheet.  [default: .]")
@click.option("--queue", type=OptionalText(), metavar="RATER",
              help="With --review: also put the sheet into a review queue of MLflow for this rater.")  # fmt: skip
@real_rows_option
@shared
def validate(
    given: GlobalOptions,
    batch: str | None,
    source: Place | None,
    review: int | None,
    folder: Path | None,
    queue: str | None,
) -> int:
    """Stage 4: judge BATCH, or every batch that is unvalidated. Exits with 3 when none of their gates opens."""
    if review is not None:
        return leave_sheet(given, batch, review, folder, queue)
    if folder is not None or queue is not None:
        raise click.UsageError("--output and --queue belong to --review N.")
    workflow = open_workflow("validate", given)
    judged = workflow.validate(batch, source=source)
    verdicts = judged if isinstance(judged, list) else [judged]
    if given.as_json:
        output.as_json(verdicts)
    else:
        tell_verdicts(verdicts)
        _tell_what_is_next(workflow, verdicts)
    return 0 if any(verdict.gate_open for verdict in verdicts) else GATE_CLOSED


@click.command()
@click.option("--ratios", type=Ratios(), default="0,25,50,75", show_default=True, help="Synthetic shares, in percent.")
@click.option("--repeats", type=Repeats(),
              help="Draws of rows and seed a ratio.  [default: 6; 3 where a command takes a minute]")  # fmt: skip
@click.option("--mix", type=click.Choice(["augment", "replace"]), default="augment", show_default=True,
              help="Add synthetic rows to the real ones, or keep the total.")  # fmt: skip
@click.option("--rule", type=click.Choice(["highest", "plateau", "peak", "one-standard-error", "least"]),
              default="highest", show_default=True, help="How the ratio is chosen.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--batch", "batches", type=OptionalText(), multiple=True, shell_complete=options.batches,
              help="Sweep this batch; by default all that passed.")  # fmt: skip
@click.option("--refine", is_flag=True, help="Sweep the midpoints around the peak as well.")
@click.option("--extra-real", type=OptionalTable(), help="Held-back real rows, to compare the synthetic ones with.")
@click.option("--jobs", type=int, default=-1, show_default=True, help="Fits at a time; -1 takes every core.")
@click.option("--by", type=click.Choice(["generator"]), help="Sweep each generator's batches, and all together.")
@click.option("--axis", type=click.Choice(["ratio", "weight", "slice", "mix"]), default="ratio", show_default=True,
              help="Sweep the ratio, the rows' weight, the ratio in one slice, or each batch's share.")  # fmt: skip
@click.option("--weights", type=Weights(), help="Of --axis weight; else 0,0.1,0.25,0.5,1.")
@click.option("--rows", type=Rows(), default="auto", show_default=True,
              help="Synthetic rows that every weight takes; auto: all, at most 3 for each real row.")  # fmt: skip
@click.option("--slice", type=OptionalText(), metavar="NAME", help="Of --axis slice: its name in problem.md.")
@engine_options
@fit_commands
@real_rows_option
@shared
def sweep(
    given: GlobalOptions,
    ratios: tuple[float, ...],
    repeats: int | None,
    mix: Any,
    rule: Any,
    seed: int,
    batches: tuple[str | None, ...],
    jobs: int,
    refine: bool,
    extra_real: Place | None,
    by: Any,
    axis: Any,
    weights: tuple[float, ...] | None,
    rows: int | None,
    slice: str | None,  # noqa: A002 - the option's name
    engine: Any,
    scheduler: str | None,
    train_command: str | None,
    predict_command: str | None,
    timeout: float,
) -> None:
    """Stage 5: train at every ratio, choose one, and register the model."""
    workflow = open_workflow("sweep", given)
    named = [batch for batch in batches if batch]
    curve = workflow.sweep(
        ratios,
        repeats,
        mix=mix,
        rule=rule,
        seed=seed,
        batches=named,
        n_jobs=jobs,
        refine=refine,
        extra_real=extra_real,
        by=by,
        engine=engine,
        scheduler=scheduler or "",
        train_command=train_command or "",
        predict_command=predict_command or "",
        timeout_seconds=timeout,
        axis=axis,
        weights=weights,
        rows=rows,
        slice=slice,
    )
    if given.as_json:
        return output.as_json(curve.to_json())
    tell_curve(curve)
    output.line(f"{curve.halves} The expected score on new data is stated by the first `report`, for good.")
    return output.next_command("synth-mlflow report --output handoff.html")


@click.command()
@click.option("--output", "target", type=OptionalPath(), help="Also write this file: .html, .md or .json.")
@click.option("--limits", type=OptionalPath(), help="limits.md; else the one beside problem.md.")
@click.option("--data", type=OptionalTable(), help=f"{DATA_HELP} The first report of a sweep asks for them.")
@click.option("--sign", "signer", metavar="NAME", help="Write no new document: sign the newest one in this name.")
@click.option("--role", help="As what: `model owner`, `data steward`; with --sign.")
@click.option("--handoff", metavar="RUN", help="The handoff to sign, if not the newest.")
@click.option("--champion", is_flag=True, help="With --sign: give the model the alias `champion`.")
@click.option("--source", "sources", type=OptionalTable(), multiple=True,
              help="With --champion: real rows that a batch was learned from; its checks are run again.")  # fmt: skip
@shared
def report(
    given: GlobalOptions,
    target: Path | None,
    limits: Path | None,
    data: Place | None,
    signer: str | None,
    role: str | None,
    handoff: str | None,
    champion: bool,
    sources: tuple[Path, ...],
) -> None:
    """Stage 6: write the handoff document from the tracking server, or sign it."""
    if signer is not None:
        if role is None or limits is not None or data is not None:
            raise click.UsageError("--sign needs --role, and signs a written document: no --limits, no --data.")
        return _sign(given, signer, role, handoff, champion, target, sources)
    if role is not None or handoff is not None or champion or sources:
        raise click.UsageError("--role, --handoff, --champion and --source belong to --sign NAME.")
    written = open_workflow("report", given).report(target, limits=limits, data=data)
    if given.as_json:
        return output.as_json(written.document.to_json())
    output.line(f"handoff written: run {written.run_id}{f', file {target}' if target else ''}")
    output.line(f"  {written.document.sweep.estimate.words}")
    for item in written.owed:
        output.line(f"  DRAFT, missing: {item}")
    return output.next_command(after_report(written))


def after_report(written: Handoff) -> str:
    """The command after a handoff: again while it is a draft, once people have written what is missing."""
    again = shlex.quote(str(written.path or "handoff.html"))
    return f"synth-mlflow report --output {again}" if written.owed else "synth-mlflow check"


def _sign(
    given: GlobalOptions,
    name: str,
    role: str,
    handoff: str | None,
    champion: bool,
    target: Path | None,
    sources: tuple[Path, ...],
) -> None:
    workflow = open_workflow("report", given)
    signed = workflow.sign(name, role=role, handoff=handoff, champion=champion, output=target, sources=sources)
    if given.as_json:
        return output.as_json(signed)
    output.line(f"signed by {signed.name} ({signed.role}) at {signed.at}: run {signed.run_id}")
    output.line(f"  the document of handoff {signed.handoff}, sha256 {signed.sha256}")
    for other in signed.others:
        output.line(f"  also signed by {other}")
    if signed.champion:
        output.line(f"  {signed.champion} is the champion now")
    return output.next_command("synth-mlflow verify")


def tell_verdicts(verdicts: list[Any]) -> None:
    """Each batch with its verdict and the reasons."""
    for verdict in verdicts:
        checks = ", ".join(f"{check.check} {check.verdict}" for check in verdict.checks)
        output.line(f"{verdict.batch}: {verdict.verdict.upper()} ({checks})")
        for reason in verdict.reasons[:8]:
            output.line(f"  {reason}")
    if not verdicts:
        output.line("there is no batch to validate")


def _tell_what_is_next(workflow: Workflow, verdicts: list[Verdict]) -> None:
    if any(verdict.gate_open for verdict in verdicts):
        return output.next_command("synth-mlflow sweep")
    steps = workflow.next_steps() if verdicts else ()
    if not steps:
        return output.next_command(workflow.status().next_command)
    output.line(f"what may help: {steps[0]}")
    command = steps[0].lines[0] if steps[0].where == "terminal" else "synth-mlflow define problem.md"
    return output.next_command(command)


def tell_curve(curve: Any) -> None:
    """The curve as a table, and the decision."""
    from synth_mlflow.sweep.plan import source_name

    columns = [curve.axis.noun, curve.metric, "95 % interval", "gain", "placebo", ""]
    chosen = curve.at(curve.chosen)
    for source, points in curve.by_source().items():
        if curve.rivals:
            output.line(source_name(source))
        rows = [
            [
                curve.words(point.ratio),
                f"{point.score:.4f}",
                f"{point.low:.4f} to {point.high:.4f}",
                f"{point.gain:+.4f}" if point.ratio else "",
                f"{point.placebo:.4f}" if point.ratio else "",
                "chosen" if point is chosen else "",
            ]
            for point in points
        ]
        output.table(columns, rows)
    output.line(curve.decision)
