"""Options and argument types that the verbs share.

Shell completion: verbs and options by click, batches and generators by what is there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from synth_mlflow.allowed_code import allowing
from synth_mlflow.cli import output
from synth_mlflow.data.addresses import Place, place_of
from synth_mlflow.data.sources.copies import one_command

DATA_HELP = "Where real rows that are kept by reference lie now."


@dataclass(frozen=True)
class GlobalOptions:
    """The options that every verb has."""

    experiment: str | None
    tracking_uri: str | None
    as_json: bool
    quiet: bool
    debug: bool
    allow_code: tuple[str | None, ...]
    real_file: Place | None = None
    """Given with `--data` to a verb that takes `real_rows_option`."""


class OptionalText(click.ParamType[Any]):
    """A text that may be given as '' for none, as MLproject files must."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | None:
        """None for a blank text."""
        return value if str(value).strip() else None


_OPTIONS = (
    click.option("--experiment", metavar="NAME", help="The project's experiment; not needed where there is one only."),
    click.option(
        "--tracking-uri", metavar="URI", help="The tracking server; else MLFLOW_TRACKING_URI, else mlflow.db."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
    click.option("-q", "--quiet", is_flag=True, help="No progress on stderr."),
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
    click.option(
        "--allow-code",
        type=OptionalText(),
        multiple=True,
        metavar="NAME",
        help="Let code of this module run, if problem.md or the server names it.",
    ),
)


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a verb, which takes them as one :class:`GlobalOptions` in front of its own."""

    @functools.wraps(command)
    def verb(**given: Any) -> Any:
        taken = GlobalOptions(
            **{field.name: given.pop(field.name) for field in fields(GlobalOptions) if field.name in given}
        )
        given_names = ",".join(text for text in taken.allow_code if text)  # an MLproject parameter is one text
        with one_command(), allowing(name.strip() for name in given_names.split(",") if name.strip()):
            return command(taken, **given)

    for option in reversed(_OPTIONS):
        verb = option(verb)
    return verb


class OptionalPath(click.ParamType[Any]):
    """A path that may be given as '' for none."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | None:
        """None for a blank text."""
        return Path(value) if str(value).strip() else None


class OptionalCount(click.ParamType[Any]):
    """A whole number that may be given as '' for none."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """None for a blank text."""
        text = str(value).strip().replace("_", "").replace(",", "")
        if text and not text.isdecimal():
            self.fail(f"{value!r} is no whole number", param, ctx)
        return int(text) if text else None


class OptionalTable(click.ParamType[Any]):
    """A table that may be given as '' for none: a path or an address."""

    name = "table"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place | None:
        """None for a blank text."""
        return place_of(value) if not isinstance(value, str) or value.strip() else None


real_rows_option = click.option("--data", "real_file", type=OptionalTable(), help=DATA_HELP)
"""Of a verb that needs the real rows, or the key of their digests, and has no other `--data`."""


class Rows(click.ParamType[Any]):
    """A number of rows, or `auto` for as many as the greatest default ratio needs."""

    name = "rows"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """None for `auto`."""
        if value is None or str(value) == "auto":
            return None
        text = str(value).replace("_", "").replace(",", "")
        if not text.isdigit():
            self.fail(f"{value!r} is no number of rows and not `auto`", param, ctx)
        return int(text)


class Ratios(click.ParamType[Any]):
    """A list of ratios in percent, such as 0,25,50,75."""

    name = "percents"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Shares between 0 and 1."""
        if isinstance(value, tuple):
            return value
        try:
            ratios = tuple(float(part) / 100 for part in str(value).replace("%", "").split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r} is no list of percents such as 0,25,50,75", param, ctx)
        if "%" not in str(value) and 0 < max(ratios, default=0.0) < 0.01:
            self.fail(
                f"{value!r} are percents, all below one: for a quarter give 25, for a quarter of a percent 0.25%",
                param,
                ctx,
            )
        return ratios


class Weights(click.ParamType[Any]):
    """A list of weights such as 0,0.25,1, or '' for none."""

    name = "weights"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...] | None:
        """Numbers; which of them can be weights is said where they are used."""
        if not str(value).strip():
            return None
        try:
            return tuple(float(part) for part in str(value).split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r} is no list of weights such as 0,0.1,0.25,0.5,1", param, ctx)


class Repeats(click.ParamType[Any]):
    """How many fits every ratio gets, or '' to leave that to the sweep."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """None for a blank text."""
        return click.IntRange(3).convert(value, param, ctx) if str(value).strip() else None


class Setting(click.ParamType[Any]):
    """`NAME=VALUE`; the value is read as JSON where it is JSON, else as text."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """The name and the value."""
        import json

        name, equals, text = str(value).partition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        try:
            return name.strip(), json.loads(text)
        except ValueError:
            return name.strip(), text


COMMAND = "synth-mlflow"
SHELLS = {
    "bash": ("~/.bashrc", f'eval "$({COMMAND} completion bash)"'),
    "zsh": ("~/.zshrc", f'eval "$({COMMAND} completion zsh)"'),
    "fish": ("~/.config/fish/config.fish", f"{COMMAND} completion fish | source"),
}


def batches(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The batches on the tracking server whose id begins like this."""
    from synth_mlflow.tracking.completion import batch_ids

    return [name for name in batch_ids(ctx.params.get("tracking_uri")) if name.startswith(incomplete)]


def generators(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The installed generators whose name begins like this."""
    from synth_mlflow.plugins import installed

    return [name for name in installed("generators") if name.startswith(incomplete)]


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@shared
@click.pass_context
def completion(ctx: click.Context, given: GlobalOptions, shell: str) -> None:
    """Print what makes SHELL complete verbs, options, batches and generators."""
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class is not None  # click ships all three
    script = completion_class(ctx.find_root().command, {}, COMMAND, "_SYNTH_MLFLOW_COMPLETE").source()
    file, line = SHELLS[shell]
    if given.as_json:
        return output.as_json({"shell": shell, "script": script, "file": file, "line": line})
    output.line(script)
    return output.line(f"# to keep it, put this line into {file}:  {line}")


def fit_commands(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name a trainer which is another program."""
    for option in (
        click.option("--timeout", type=click.FloatRange(0, min_open=True), default=3600.0, show_default=True,
                     metavar="SECONDS", help="Kill a command after so long."),
        click.option("--predict-command", type=OptionalText(), metavar="TEMPLATE",
                     help='Predict by this one: "python predict.py {model} {rows} {predictions}".'),
        click.option("--train-command", type=OptionalText(), metavar="TEMPLATE",
                     help='Fit by this program: "python fit.py {train} {validation} {model}".'),
    ):  # fmt: skip
        command = option(command)
    return command


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where fits run."""
    for option in (
        click.option("--scheduler", type=OptionalText(), metavar="URI",
                     help="The Dask scheduler, such as tcp://HOST:8786; else $SYNTH_MLFLOW_SCHEDULER."),
        click.option("--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True,
                     help="Where the fits run."),
    ):  # fmt: skip
        command = option(command)
    return command
