"""The handoff's part about running the whole again: commands that work for somebody who has only the document."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from synth_mlflow.data.fit_commands import commands_of
from synth_mlflow.data.provenance import Door, Origin, Source
from synth_mlflow.handoff.collect import HandoffInputs
from synth_mlflow.handoff.document import Command
from synth_mlflow.handoff.links import without_credentials
from synth_mlflow.sweep.selection import RULE_WORDS
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch

MADE_HERE = ("generator", "code", "command")  # the sources whose rows can be made again by a command
PURPOSE_KEPT = 3_000  # characters of a purpose that a parameter keeps
FILE = "FILE"  # stands for real rows that the server does not hold


def rerun_commands(project: Project, material: HandoffInputs) -> tuple[Command, ...]:
    """The steps in order: the same project again from its records, then what a new project begins with."""
    here = f" --experiment {shlex.quote(project.server.experiment)}"
    return tuple(Command(command, does) for command, does in _steps(project, material, here))


def _steps(project: Project, material: HandoffInputs, here: str) -> Iterator[tuple[str, str]]:
    uri = shlex.quote(without_credentials(project.server.tracking_uri))
    yield f"export MLFLOW_TRACKING_URI={uri}", f"Where everything is recorded. {_needed(material)}"
    yield f"synth-mlflow verify{here}", "First of all: whether everything still is as it was recorded"
    yield (
        f"synth-mlflow reproduce{here}",
        "All of it at once, compared with what is recorded; or step by step:",
    )
    used = _swept(material)
    for batch in used:
        yield _batch_step(batch, _origin(project, batch), here)
    yield from _validate_steps(used, here)
    yield (
        _sweep_command(material, used) + here,
        f"Curve, choice and model; what is recorded already is found, not made twice{_left_out(material)}",
    )
    yield f"synth-mlflow report --output handoff.html{here}", "This document again"
    yield from _new_project_steps(material)


def _needed(material: HandoffInputs) -> str:
    recorded = json.loads(material.final.params[names.P_ENVIRONMENT])
    version = recorded["packages"].get("synth_mlflow", "as it was checked out then")
    return f"What follows needs what made the model: synth_mlflow {version}, Python {recorded['python']}"


def _swept(material: HandoffInputs) -> list[StoredBatch]:
    """The batches that the curve was drawn with, also where real rows alone were chosen; none that was retracted."""
    return [batch for batch in _drawn_with(material) if not batch.retracted]


def _left_out(material: HandoffInputs) -> str:
    retracted = [batch.id for batch in _drawn_with(material) if batch.retracted]
    return f"; retracted since, and left out: {', '.join(retracted)}" if retracted else ""


def _drawn_with(material: HandoffInputs) -> list[StoredBatch]:
    named = set(material.sweep.batches)
    return [batch for batch in material.batches if batch.id in named]


def _origin(project: Project, batch: StoredBatch) -> Origin:
    """What the record of a batch declares; a long one stands in its file alone."""
    params = batch.run.params
    settings = json.loads(params[names.P_GENERATOR_PARAMS])
    if settings == {"in": names.A_RECORD} or len(params[names.P_PURPOSE]) >= PURPOSE_KEPT:
        return project.record(batch).origin
    return Origin(
        generator=params[names.P_GENERATOR],
        version=params[names.P_GENERATOR_VERSION],
        params=settings,
        seed=json.loads(params[names.P_SEED]),
        slice=params[names.P_SLICE] or None,
        purpose=params[names.P_PURPOSE],
        door=_door(params[names.P_INGESTION]),
        source=Source(**json.loads(params[names.P_SOURCE])),
    )


def _door(text: str) -> Door:
    return next(door for door in get_args(Door) if door == text)


def _batch_step(batch: StoredBatch, origin: Origin, here: str) -> tuple[str, str]:
    made = f"{origin.generator} {origin.version}"
    if origin.door not in MADE_HERE:
        return (
            f"synth-mlflow verify {batch.run.run_id}{here}",
            f"Batch {batch.id}, made elsewhere by {made}: its rows are on its run, and go into the sweep as they are",
        )
    code = f" Needs the code of version {origin.version}." if origin.door == "code" else ""
    source = f" {FILE}: {_source_words(origin.source)}." if origin.source.kind == "file" else ""
    return (
        generate_command(batch, origin) + here,
        f"Batch {batch.id} again, by {made}: the very same rows are not recorded twice.{code}{source}",
    )


def generate_command(batch: StoredBatch, origin: Origin) -> str:
    """The command that makes the rows of a batch again."""
    settings = dict(origin.params)
    words = ["synth-mlflow", "generate"]
    if origin.door == "command":
        command = str(settings.pop("command"))
        words += ["--command", command, "--generator", origin.generator, "--generator-version", origin.version]
    else:
        words.append(origin.generator)
    words += ["--rows", str(batch.n_rows)]
    words += [] if origin.seed is None else ["--seed", str(origin.seed)]
    words += [] if origin.slice is None else ["--slice", origin.slice]
    words += ["--source", FILE] if origin.source.kind == "file" else []
    for name, value in sorted(settings.items()):
        words += ["--param", f"{name}={json.dumps(value, ensure_ascii=False)}"]
    return shlex.join([*words, "--purpose", origin.purpose])


def _validate_steps(used: Sequence[StoredBatch], here: str) -> Iterator[tuple[str, str]]:
    """Batches that learned from a file are judged against that file."""
    sources = {batch.id: Source(**json.loads(batch.run.params[names.P_SOURCE])) for batch in used}
    for batch_id, source in sources.items():
        if source.kind == "file":
            command = shlex.join(["synth-mlflow", "validate", batch_id, "--source", FILE])
            yield command + here, f"Its gate. {FILE}: {_source_words(source)}"
    if not sources or any(source.kind != "file" for source in sources.values()):
        yield (
            f"synth-mlflow validate{here}",
            "Batches that are not judged yet, through their gate",
        )


def _source_words(source: Source) -> str:
    return f"the {source.n_rows or 0:,} real rows whose digest is {source.digest}"


def _sweep_command(material: HandoffInputs, used: Sequence[StoredBatch]) -> str:
    params = material.sweep.params
    axis, values = params.get(names.P_AXIS), json.loads(params.get(names.P_AXIS_VALUES, params[names.P_RATIOS]))
    words = ["synth-mlflow", "sweep"]
    if axis == "weight":
        words += ["--axis", axis, "--weights", ",".join(f"{value:g}" for value in values)]
        words += ["--rows", params[names.P_AXIS_ROWS]]
    else:
        words += ["--axis", axis] if axis else []
        words += ["--slice", params[names.P_AXIS_SLICE]] if axis == "slice" else []
        words += ["--ratios", ",".join(f"{100 * value:g}" for value in values)]
    words += ["--repeats", params[names.P_REPEATS]]
    words += ["--mix", params[names.P_MIX], "--seed", params[names.P_SEED]]
    rules = {
        sentence.replace("ratio", "weight") if axis == "weight" else sentence: rule
        for rule, sentence in RULE_WORDS.items()
    }
    words += ["--rule", rules[params[names.P_RULE]]] if params[names.P_RULE] in rules else []
    for option, command in commands_of(params, names.P_COMMANDS).items():
        words += [option, command]
    for batch in used:
        words += ["--batch", batch.id]
    return shlex.join(words)


def _new_project_steps(material: HandoffInputs) -> Iterator[tuple[str, str]]:
    problem, frozen = material.problem, material.frozen.run
    yield (
        f"mlflow artifacts download --run-id {problem.run.run_id} --artifact-path {names.A_STATEMENT} --dst-path .",
        "For another project, when rows or task have changed: the statement to begin with",
    )
    if frozen.params[names.P_ROW_STORAGE] == "rows":
        yield (
            f"mlflow artifacts download --run-id {frozen.run_id} --dst-path rows",
            f"And the real rows of this one: {names.A_TRAINING} and {names.A_EVALUATION}",
        )
    yield (
        f"synth-mlflow define {names.A_STATEMENT} --experiment NEW-NAME",
        f"The statement, once it is edited; its `data` names the real rows ({problem.statement.facts.data} here)",
    )
    yield f"{_freeze_command(frozen.params)} --experiment NEW-NAME", "Their cut; then generate, validate, sweep, report"


def _freeze_command(params: Mapping[str, str]) -> str:
    words = ["synth-mlflow", "freeze", "--seed", params[names.P_SEED], "--store", params[names.P_ROW_STORAGE]]
    given: dict[str, Any] = json.loads(params.get(names.P_SPLIT_PARAMS, "{}"))
    for option in ("group", "time", "equal_rows"):
        words += [f"--{option.replace('_', '-')}", given[option]] if given.get(option) else []
    return shlex.join(words)
