"""The `synth-mlflow` command: its verbs, and what happens to every error."""

from __future__ import annotations

import io
import os
import platform
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from synth_mlflow.cli import output
from synth_mlflow.cli.approved_commands import approve, fetch, publish, watch
from synth_mlflow.cli.generate_command import generate
from synth_mlflow.cli.options import completion
from synth_mlflow.cli.output import hide
from synth_mlflow.cli.project_commands import check, demo, init, list_installed, log_production, run_all, show, status
from synth_mlflow.cli.query_commands import blame, diff, export, identify, reproduce, retract, trace
from synth_mlflow.cli.query_commands import verify as verify_evidence
from synth_mlflow.cli.review_command import review
from synth_mlflow.cli.stage_commands import define, freeze, report, sweep, validate
from synth_mlflow.errors import SynthError, UsageError, closest, missing_library
from synth_mlflow.masks import without_passwords

INTERRUPTED = 130  # what shells expect after Ctrl-C
TERMINATED = 143  # and after SIGTERM
WHOLE = 1_000  # characters: longer than any first sentence


class OrderedGroup(click.Group):
    """Lists verbs in the order in which they are used, and offers the nearest one for a misspelt name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order in which they were added."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each verb with its whole first sentence; click would cut it to one line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.get_short_help_str(WHOLE)) for name, verb in self.commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a better message."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"there is no verb {args[0]!r}. {closest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


@click.group(cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="synth_mlflow", message="%(version)s")
def cli() -> None:
    """Synthetic training data on MLflow: documented, repeatable, and possible to hand over.

    Six stages, each an MLflow run: define, freeze, generate, validate, sweep, report. Exit codes: 0 done, 1 failed,
    2 usage, 3 gate closed, 4 evidence broken, 5 a trigger is due.
    """


for verb in (
    demo,
    init,
    define,
    freeze,
    generate,
    validate,
    review,
    sweep,
    report,
    approve,
    fetch,
    publish,
    watch,
    run_all,
    status,
    check,
    log_production,
    blame,
    retract,
    verify_evidence,
    reproduce,
    identify,
    trace,
    diff,
    export,
    show,
    list_installed,
    completion,
):
    cli.add_command(verb)


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; errors of users never show a traceback."""
    signal.signal(signal.SIGTERM, _terminated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal or a file cannot show is no error
            stream.reconfigure(errors="replace")
    sys.exit(_exit_code(list(arguments) if arguments is not None else sys.argv[1:]))


def _exit_code(arguments: list[str]) -> int:
    try:
        _refuse_windows()
        _refuse_bytes(arguments)
        result = cli.main(arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        _masked(error).show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        output.error("stopped by Ctrl-C; open runs were marked KILLED.", "Run the same command again to go on.")
        return INTERRUPTED
    except SystemExit as leaving:
        if leaving.code == TERMINATED:
            output.error("stopped by SIGTERM; open runs were marked KILLED.", "Run the same command again to go on.")
        raise
    except SynthError as error:
        return _print_error(error, "--debug" in arguments, "--json" in arguments)
    except OSError as error:  # a file of the user's that cannot be read or written
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        place = UsageError(f"{named}.", "Choose another place, or make this one readable and writable for you.")
        message = missing_library(error) or place
        return _print_error(message, "--debug" in arguments, "--json" in arguments, error)
    finally:
        hide()


def _refuse_windows() -> None:
    """Locks of files, groups of processes and rights of folders are those of Linux and macOS."""
    if platform.system() == "Windows":
        raise UsageError(
            "this is Windows; Linux or macOS was needed.",
            "Work in the Windows Subsystem for Linux: `wsl --install`, and install synth_mlflow there.",
        )


def _refuse_bytes(arguments: Sequence[str]) -> None:
    """A UsageError for a word that is no text, unless it is the name of a file."""
    for word in arguments:
        plain = word.encode("utf-8", "replace").decode()
        if plain != word and not os.path.lexists(word):
            raise UsageError(
                f"the argument {plain!r} is no UTF-8 text.", "Type it anew, in a terminal whose locale is UTF-8."
            )


def _masked(error: click.ClickException) -> click.ClickException:
    """The same error without the passwords that the command line may have held."""
    error.__dict__["message"] = without_passwords(error.message)
    return error


def _print_error(error: SynthError, debug: bool, as_json: bool, cause: BaseException | None = None) -> int:
    if debug:
        traceback.print_exception(cause or error)
    output.error(error.found, error.fix)
    if as_json:
        output.as_json({"error": type(error).__name__, "found": error.found, "fix": error.fix})
    return error.exit_code


def _terminated(_: int, __: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)
