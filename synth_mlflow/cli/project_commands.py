"""The verbs around the stages: begin a project, run it whole, see how it stands."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth_mlflow.cli import output
from synth_mlflow.cli.options import (
    GlobalOptions,
    OptionalPath,
    OptionalTable,
    Ratios,
    Repeats,
    Rows,
    Setting,
    fit_commands,
    real_rows_option,
    shared,
)
from synth_mlflow.cli.session import open_workflow
from synth_mlflow.data.addresses import Place
from synth_mlflow.errors import SynthError

if TYPE_CHECKING:
    from synth_mlflow.queries.status import Status
    from synth_mlflow.workflow import Workflow


DUE = 5
SHOWN_BATCHES = 12  # newest
DEMO_FOLDER = "synth-mlflow-demo"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=DEMO_FOLDER)
@shared
def demo(
    given: GlobalOptions,
    folder: Path,
) -> None:
    """All six stages on a real table that ships with scikit-learn; files go to FOLDER."""
    from synth_mlflow.cli.run_command import Plan, run_whole
    from synth_mlflow.cli.templates import write_demo

    write_demo(folder)
    plan = Plan(
        folder / "problem.md", "gaussian_copula", handoff=folder / "handoff.html", source=folder / "partner_clinic.csv"
    )
    return run_whole(plan, given)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--from", "table", type=OptionalTable(), metavar="TABLE",
              help="Fill in what this table shows: target, task, metric, columns.")  # fmt: skip
@click.option("--target", metavar="COLUMN", help="With --from: the column to predict.")
@shared
def init(
    given: GlobalOptions,
    folder: Path | None,
    table: Place | None,
    target: str | None,
) -> None:
    """Write problem.md and limits.md into FOLDER, to be filled in by people, and an MLproject for `mlflow run`.

    With --from, FOLDER may be left out: it is named after the table.
    """
    if table is None and (folder is None or target is not None):
        raise click.UsageError("a FOLDER was needed, or --from TABLE (with which --target goes).")
    from synth_mlflow.cli.templates import write_templates

    folder = folder or Path(table.name.partition(".")[0] if table else "")
    if folder.is_file():
        raise click.UsageError(f"{folder} is a file, a folder was needed; a table is given with `--from {folder}`.")
    written = write_templates(folder, table, target, None if given.as_json else output.line)
    if given.as_json:
        return output.as_json({"written": written})
    for path in written:
        output.line(f"written: {path}")
    return output.next_command(f"fill in both files, then `synth-mlflow run {folder / 'problem.md'}`", is_prose=True)


@click.command("run")
@click.argument("problem", type=click.Path(path_type=Path), default="problem.md")
@click.option("--generator", default="auto", show_default=True,
              help="The generator of the batch; auto tries several on training rows.")  # fmt: skip
@click.option("--param", "params", type=Setting(), multiple=True, help="A parameter of the generator.")
@click.option("--rows", type=Rows(), default="auto", show_default=True, help="How many rows to make.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every stage.")
@click.option("--source", type=OptionalTable(), help="Learn from these real rows instead of the training rows.")
@click.option("--ratios", type=Ratios(), default="0,25,50,75", show_default=True, help="Synthetic shares, in percent.")
@click.option("--repeats", type=Repeats(), help="Of the sweep.  [default: 6; 3 where a command takes a minute]")
@click.option("--output", "handoff", type=OptionalPath(), default="handoff.html", show_default=True,
              help="Where the handoff goes.")  # fmt: skip
@fit_commands
@shared
def run_all(
    given: GlobalOptions,
    problem: Path,
    generator: str,
    params: tuple[tuple[str, Any], ...],
    rows: int | None,
    seed: int,
    source: Place | None,
    ratios: tuple[float, ...],
    repeats: int | None,
    handoff: Path | None,
    train_command: str,
    predict_command: str,
    timeout: float,
) -> None:
    """All six stages for a filled-in PROBLEM; what is recorded already is not done again."""
    from synth_mlflow.cli.run_command import Plan, run_whole
    from synth_mlflow.stages.requests import NamedCommands

    commands = NamedCommands(train=train_command or "", predict=predict_command or "", timeout_seconds=timeout)
    plan = Plan(problem, generator, rows, seed, repeats, handoff, source, ratios, dict(params), commands)
    return run_whole(plan, given)


@click.command()
@click.option("--repair", is_flag=True, help="Mark runs that a killed process left open as KILLED.")
@shared
def status(
    given: GlobalOptions,
    repair: bool,
) -> None:
    """Six ticks, batches, the curve, the rerun conditions, and the next command."""
    workflow = open_workflow("status", given)
    repaired = workflow.repair() if repair else None
    current = workflow.status()
    if given.as_json:
        return output.as_json(
            current if repaired is None else {**output.plain(current), "repaired": output.plain(repaired)}
        )
    if repaired is not None:
        if repaired.n_paths:
            output.line(f"repaired: {repaired.n_paths:,} paths name the folder beside the database now")
        output.line(f"repaired: {len(repaired.killed)} runs marked KILLED, {len(repaired.left)} still being written")
    _tell_status(current)
    return output.next_command(current.next_command)


def _tell_status(current: Status) -> None:
    from synth_mlflow.cli.output import curve_lines

    output.line(f"project {current.project}")
    for stage in current.stages:
        output.line(f"  {'✓' if stage.done else '·'} {stage.stage:<9} {stage.words}")
    for verdict in current.verdicts[-SHOWN_BATCHES:]:
        output.line(f"    {verdict.batch}: {'retracted' if verdict.retracted else verdict.verdict}")
    if len(current.verdicts) > SHOWN_BATCHES:
        output.line(f"    and {len(current.verdicts) - SHOWN_BATCHES:,} older batches (`--json` has them all)")
    for review in current.reviews[-SHOWN_BATCHES:]:
        output.line(f"    reviewed {review}")
    if current.curve:
        output.line("  the curve (● score with its 95 % interval, × duplicated real rows instead)")
        for text in curve_lines(current.curve):
            output.line(f"  {text}")
    for trigger in current.triggers:
        output.line(f"  {'!' if trigger.state == 'due' else ' '} {trigger.state:<11} {trigger.condition}")
    for warning in _warnings(current):
        output.line(f"  ! {warning}")


def _warnings(current: Status) -> list[str]:
    return [
        *(f"retracted: {taken}" for taken in current.retracted),
        *(f"left unfinished, counts as no evidence: {left}" for left in current.unfinished),
        *(f"broken evidence: {broken}" for broken in current.broken),
    ]


def _rerun(workflow: Workflow) -> str:
    """The command that makes the project's stages again; after a retraction with another seed."""
    from synth_mlflow.tracking import names

    with workflow.project.reader.at_one_moment():
        statement = workflow.project.problem().run.params[names.P_STATEMENT_PATH]
        n_retracted = sum(batch.retracted for batch in workflow.project.batches())
    return f"synth-mlflow run {shlex.quote(statement)}{f' --seed {n_retracted}' if n_retracted else ''}"


@click.command()
@click.option("--new-data", type=OptionalTable(), help="The real rows of today; those not seen yet are counted.")
@click.option("--statement", type=OptionalPath(), help="problem.md as it stands today.")
@click.option("--generator-version", "versions", multiple=True, metavar="NAME=VERSION",
              help="The present version of a generator, if not what is installed.")  # fmt: skip
@real_rows_option
@shared
def check(
    given: GlobalOptions,
    new_data: Place | None,
    statement: Path | None,
    versions: tuple[str, ...],
) -> int:
    """The conditions that force a rerun; exits with 5 when one is due."""
    workflow = open_workflow("check", given)
    states = workflow.check(new_data=new_data, statement=statement, generators=_versions(versions))
    due = [state for state in states if state.state == "due"]
    if given.as_json:
        output.as_json(states)
    else:
        for state in states:
            output.line(f"{state.state:<11} {state.name}: {state.condition}")
            output.line(f"{'':<11} {state.reason}")
        output.next_command(_rerun(workflow) if due else "synth-mlflow status")
    return DUE if due else 0


@click.command("log-production")
@click.option("--metric", "value", type=float, required=True, help="The value of the project's metric.")
@click.option("--n", "n_rows", type=click.IntRange(1), help="How many rows it was measured on.")
@shared
def log_production(
    given: GlobalOptions,
    value: float,
    n_rows: int | None,
) -> None:
    """Record a value of the metric that was measured in production; `check` judges it."""
    run_id = open_workflow("log-production", given).log_production(value, n_rows)
    if given.as_json:
        return output.as_json({"run_id": run_id})
    output.line(f"recorded: run {run_id}")
    return output.next_command("synth-mlflow check")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@shared
def show(
    given: GlobalOptions,
    file: Path,
) -> int:
    """The provenance record inside any Parquet FILE; exits with 1 where there is none."""
    import json

    from synth_mlflow.data.provenance import record_in_file
    from synth_mlflow.errors import UsageError

    if not file.is_file():
        raise UsageError(f"there is no file {file}.")
    record = record_in_file(file)
    if record is None:
        output.error(
            f"{file} carries no provenance record.", "It was not written by synth_mlflow, or lost it on the way."
        )
        return 1
    fields = json.loads(record.to_json())
    if given.as_json:
        output.as_json(fields)
        return 0
    origin = fields.pop("origin")
    for name, value in {**origin, **fields}.items():
        output.line(f"{name + ':':<18} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    return 0


@click.command("list")
@shared
def list_installed(given: GlobalOptions) -> None:
    """Generators, peers, checks, triggers and export formats that are installed."""
    from synth_mlflow.plugins import installed

    entries: list[dict[str, Any]] = []
    for folder in ("generators", "peers", "checks", "triggers", "exports"):
        for name, plugin in installed(folder).items():
            entry = {"kind": folder[:-1], "name": name, "origin": plugin.origin, "version": plugin.version}
            try:
                with plugin.guarded():
                    loaded = plugin.load(is_typed=True) if folder == "peers" else plugin.declared(is_typed=True)
                    entry["version"] = getattr(loaded, "version", plugin.version)
                    if folder == "peers":
                        entry |= {"name": f"{name}:MODEL", "version": "its own", "setup": loaded.setup}
                    entries.append({**entry, "summary": loaded.summary, "leaky": getattr(loaded, "leaky", False)})
            except SynthError as error:
                entries.append({**entry, "summary": error.found, "leaky": False})
    if given.as_json:
        return output.as_json(entries)
    rows = [
        [
            item["kind"],
            item["name"],
            item["version"],
            item["origin"],
            ("LEAKY: " if item["leaky"] else "") + item["summary"],
        ]
        for item in entries
    ]
    output.table(["kind", "name", "version", "origin", "what it is"], rows)
    for item in entries:
        if "setup" in item:
            name = item["name"].partition(":")[0]
            output.line(f"an environment for {name}: {item['setup']}")
            output.line(f"  then: synth-mlflow generate {item['name']} --python {name}-env/bin/python")
    return output.next_command("synth-mlflow status")


def _versions(given: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for text in given:
        name, equals, version = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VERSION")
        versions[name] = version
    return versions
