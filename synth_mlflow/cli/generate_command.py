"""The verb `generate`: one batch or several, from any source of rows."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from synth_mlflow.cli import options, output
from synth_mlflow.cli.options import (
    GlobalOptions,
    OptionalPath,
    OptionalTable,
    OptionalText,
    Rows,
    Setting,
    real_rows_option,
    shared,
)
from synth_mlflow.cli.session import open_workflow
from synth_mlflow.cli.stage_commands import tell_verdicts
from synth_mlflow.data.addresses import Place

PILOT_ROWS = 200
AUTO = "auto"
LLM = "llm:"
FOR_MAKING = {"rows", "seed", "purpose", "part", "params", "batches", "source", "version", "timeout"}
"""Parameters that say how rows are made: with --from, the record says that."""
FOR_LLM = {
    "examples",
    "journal",
    "model_licence",
    "training_allowed",
    "relabel",
    "disagreement",
    "max_rows_asked",
    "max_tokens",
    "max_cost",
    "max_minutes",
}
SLICE_WARNING = "slice_warning"


@dataclass(frozen=True)
class GenerateOptions:
    """What was given on the command line."""

    generator: str | None
    named: str | None
    rows: int | None
    seed: int
    purpose: str | None
    part: str | None
    params: tuple[tuple[str, Any], ...]
    batches: int
    source: Place | None
    version: str | None
    command: str | None
    timeout: float | None
    python: str | None
    prompt: Path | None
    examples: int
    journal: Path | None
    model_licence: str | None
    training_allowed: str | None
    relabel: str | None
    disagreement: str
    max_rows_asked: int | None
    max_tokens: int | None
    max_cost: float | None
    max_minutes: float | None
    pilot: bool
    made: Place | None
    record: Path | None

    @property
    def name(self) -> str | None:
        """The generator, whichever way it was named."""
        return self.generator or self.named


@click.command()
@click.argument("generator", type=OptionalText(), default="", shell_complete=options.generators)
@click.option("--generator", "named", type=OptionalText(), metavar="NAME", help="The same as GENERATOR.")
@click.option("--rows", type=Rows(), default="auto", show_default=True, help="How many rows to make.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same rows.")
@click.option("--purpose", type=OptionalText(), metavar="TEXT", help="Why this batch is made; must be given.")
@click.option("--slice", "part", type=OptionalText(), metavar="CONDITION", help='Every row lies in it: "age < 25".')
@click.option("--param", "params", type=Setting(), multiple=True, help="A parameter of the generator.")
@click.option(
    "--batches", type=click.IntRange(1), default=1, show_default=True, help="Batches with seeds from SEED on."
)
@click.option("--source", type=OptionalTable(), help="Learn from these real rows instead of the training rows.")
@click.option("--generator-version", "version", type=OptionalText(), metavar="VERSION",
              help="Of a command, or of module:callable outside of git.")  # fmt: skip
@click.option("--command", type=OptionalText(), metavar="TEMPLATE",
              help='Run this: "python make.py --out {output} --rows {rows} --seed {seed}".')  # fmt: skip
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
              help="Kill what makes the rows after so long.  [default: 3600 for other programs]")  # fmt: skip
@click.option("--python", type=OptionalText(), metavar="PATH",
              help="The Python that a peer such as sdv:TVAESynthesizer is installed for.")  # fmt: skip
@click.option("--prompt", type=OptionalPath(), help="Ask llm:MODEL with this Jinja2 template.")
@click.option("--examples", type=click.IntRange(0), default=0, show_default=True,
              help="Real rows that each request sends to the model's endpoint.")  # fmt: skip
@click.option(
    "--journal", type=OptionalPath(), help="Where the model's answers are kept.  [default: beside the prompt]"
)
@click.option("--model-licence", type=OptionalText(), metavar="TEXT", help="Of llm:MODEL; must be given for it.")
@click.option("--training-allowed", type=OptionalText(), metavar="TEXT",
              help='Whether its terms allow training on its answers: "yes: where they say so"; needed.')  # fmt: skip
@click.option("--relabel", type=OptionalText(), metavar="MODEL", help="A second model that labels the rows again.")
@click.option("--disagreement", type=click.Choice(["reject", "keep"]), default="reject", show_default=True,
              help="What becomes of rows to which it gives another label.")  # fmt: skip
@click.option("--max-rows-asked", type=click.IntRange(1), metavar="N",
              help="Ask llm:MODEL for so many rows at most, kept or not.")  # fmt: skip
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Of all prompts and answers of a batch.")
@click.option("--max-cost", type=click.FloatRange(0, min_open=True), metavar="AMOUNT",
              help="By the server, or --param price_prompt=… and price_completion=… of a million tokens.")  # fmt: skip
@click.option("--max-minutes", type=click.FloatRange(0, min_open=True), metavar="N",
              help="Ask llm:MODEL for so long; the batch has the rows until then.")  # fmt: skip
@click.option("--pilot", is_flag=True,
              help="200 rows, validated at once, and a page of them beside real ones to read.")  # fmt: skip
@click.option("--from", "made", type=OptionalTable(), help="Take in a file that was made elsewhere.")
@click.option("--record", type=OptionalPath(), help="Its provenance, as YAML.")
@real_rows_option
@shared
def generate(given: GlobalOptions, **asked: Any) -> None:
    """Stage 3: make a synthetic batch with GENERATOR: `auto` for what fits best, an installed one, module:callable or
    peer:Model; ask llm:MODEL with a --prompt; run a --command; or take a file in with --from and --record.
    """
    options = GenerateOptions(**asked)
    _refuse_two_sources(options)
    workflow = open_workflow("generate", given)
    batches = _batches(workflow, options)
    if options.pilot:
        return _judge(workflow, batches, options.source, as_json=given.as_json)
    if given.as_json:
        return output.as_json(
            [{"batch": b.batch, "run_id": b.run_id, "rows": b.n_rows, "digest": b.digest} for b in batches]
        )
    for batch in batches:
        output.line(f"batch {batch.batch}: {batch.n_rows:,} rows, digest {batch.digest[:16]}…, run {batch.run_id}")
        if SLICE_WARNING in batch.record.notes:
            output.line(f"  mind: {batch.record.notes[SLICE_WARNING]}")
    return output.next_command("synth-mlflow validate")


def _batches(workflow: Any, options: GenerateOptions) -> list[Any]:
    if options.made is not None:
        return [workflow.adopt_file(options.made, options.record)]
    rows = PILOT_ROWS if options.pilot else options.rows
    if rows is None:
        from synth_mlflow.stages.generator_search import auto_rows

        rows = auto_rows(
            workflow.project,
            generator=options.name,
            seed=options.seed,
            part=options.part,
            source=options.source,
            params=dict(options.params),
        )
    return [_batch(workflow, options, rows, options.seed + at) for at in range(options.batches)]


def _batch(workflow: Any, options: GenerateOptions, rows: int, seed: int) -> Any:
    given: dict[str, Any] = {
        "rows": rows,
        "seed": seed,
        "purpose": options.purpose or "",
        "slice": options.part,
        "params": dict(options.params),
        "source": options.source,
        "pilot": options.pilot,
    }
    if options.timeout is not None:
        given["timeout_seconds"] = options.timeout
    if options.prompt is not None:
        return workflow.generate_by_llm((options.name or "").removeprefix(LLM), **_of_llm(options), **given)
    if options.command is None:
        return workflow.generate(options.name, version=options.version, python=options.python, **given)
    known = {"generator": options.name or "", "version": options.version or ""}
    return workflow.generate_by_command(options.command, **known, **given)


def _of_llm(options: GenerateOptions) -> dict[str, Any]:
    return {
        "prompt": options.prompt,
        "licence": options.model_licence or "",
        "training_allowed": options.training_allowed or "",
        **{name: getattr(options, name) for name in FOR_LLM - {"model_licence", "training_allowed"}},
    }


def _judge(workflow: Any, batches: list[Any], source: Place | None, *, as_json: bool) -> None:
    from synth_mlflow.tracking import names

    verdicts = [workflow.validate(batch, source=source) for batch in batches]
    if as_json:
        return output.as_json(verdicts)
    tell_verdicts(verdicts)
    for batch in batches:
        output.line(f"pilot {batch.batch}: read the artifact {names.A_PILOT} of run {batch.run_id}")
    return output.next_command("synth-mlflow generate … without --pilot, if rows and verdict are right", is_prose=True)


def _refuse_two_sources(options: GenerateOptions) -> None:
    if (options.made is None) != (options.record is None):
        raise click.UsageError(
            "--from FILE and --record FILE go together: no batch is taken in without its provenance."
        )
    if options.generator and options.named:
        raise click.UsageError("GENERATOR and --generator say the same; give one of them.")
    if options.made is not None and (options.name or options.command):
        raise click.UsageError("either GENERATOR, --command or --from FILE was needed, found two of them.")
    if options.made is None and not (options.name or options.command):
        raise click.UsageError("either GENERATOR or --from FILE was needed; `synth-mlflow list` shows the generators.")
    if options.pilot and (options.rows is not None or options.made is not None):
        raise click.UsageError(f"a pilot makes {PILOT_ROWS} rows: leave out --rows and --from.")
    if options.made is not None and (idle := _given(FOR_MAKING)):
        raise click.UsageError(f"{', '.join(idle)}: the file given with --from is made already; its record says how.")
    is_llm = (options.name or "").startswith(LLM)
    if is_llm != (options.prompt is not None):
        raise click.UsageError("llm:MODEL and --prompt FILE go together: a language model is asked with a prompt.")
    if not is_llm and (idle := _given(FOR_LLM)):
        raise click.UsageError(f"{', '.join(idle)}: for llm:MODEL only, and none is named.")
    if options.python is not None and (options.made is not None or options.command is not None):
        raise click.UsageError("--python is for a peer such as sdv:TVAESynthesizer, and none is named.")


def _given(names: Set[str]) -> list[str]:
    """Those options that stand on the command line, as they are written there."""
    context = click.get_current_context()
    return sorted(
        option.opts[0]
        for option in context.command.params
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    )
