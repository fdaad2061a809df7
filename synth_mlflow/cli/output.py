"""What a command prints: results, tables, a small picture of the curve, and how far it is.

Whether a stream may carry colours and live lines.

Progress on stderr: a line a step and, on a terminal, a live line with how long it takes and how much is left.

What the command line prints beside progress: results to stdout, errors to stderr.

The ratio curve as a few lines of text, for `status`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from synth_mlflow.handoff.links import without_credentials

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from synth_mlflow.queries.status import CurvePoint


def colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which colours were not turned off (``NO_COLOR``)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


SECONDS_UNSAID = 2.0  # what ends sooner needs no live line
SECONDS_BETWEEN = 30.0  # news of a long count in a log


class Progress:
    """Tells what is being done, how long it has been going on, and how much is left.

    In a log (no terminal, or ``NO_COLOR``) it writes plain lines only, and of a count one line in half a minute.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.begun = time.monotonic()
        self._step: Step | None = None
        self._told = self.begun

    def __call__(self, text: str) -> None:
        """Begin a step: one line on stderr."""
        if self.quiet:
            return
        hide()
        self._step, self._told = Step(harmless(text)), time.monotonic()
        self._line(text)
        if colour(sys.stderr):
            _show(self._step)

    def wait(self, text: str) -> None:
        """Say on the live line alone that something is awaited."""
        if not self.quiet and colour(sys.stderr):
            hide()
            _show(Step(harmless(text), said=False))

    def count(self, done: int, total: int, unit: str) -> None:
        """How far the present step is."""
        if self.quiet or self._step is None:
            return
        self._step.done, self._step.total, self._step.unit = done, total, unit
        if not colour(sys.stderr) and done < total and time.monotonic() - self._told > SECONDS_BETWEEN:
            self._told = time.monotonic()
            self._line(self._step.state())

    def _line(self, text: str) -> None:
        elapsed = time.monotonic() - self.begun
        at = click.style(f"[{elapsed:5.1f} s]", dim=True)
        click.echo(f"{at} {harmless(text)}", err=True, color=colour(sys.stderr))


@dataclass
class Step:
    """One step, and how far it is."""

    text: str
    said: bool = True
    """Whether a line above says already what it is."""
    done: int = 0
    total: int = 0
    unit: str = ""
    begun: float = field(default_factory=time.monotonic)

    def state(self) -> str:
        """How long the step has been going on, and what of it is left."""
        elapsed = time.monotonic() - self.begun
        if not self.total:
            return f"{elapsed:.0f} s" if self.said else f"{self.text}, {elapsed:.0f} s"
        text = f"{self.done:,} of {self.total:,} {self.unit}, {elapsed:.0f} s"
        if not self.done:
            return text
        return f"{text}, about {duration(elapsed / self.done * (self.total - self.done))} left"

    def __rich__(self) -> Text:
        """The live line; blank while the step is young."""
        from rich.text import Text

        young = time.monotonic() - self.begun < SECONDS_UNSAID
        return Text("" if young else f"          … {self.state()}", style="dim", no_wrap=True, overflow="ellipsis")


def duration(seconds: float) -> str:
    """A time in words that fit a line.

    >>> duration(8.4), duration(150), duration(7300)
    ('8 s', '2 min 30 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def hide() -> None:
    """Take the live line away, before anything else is printed."""
    while _live:
        _live.pop().stop()


_live: list[Live] = []  # at most one


def _show(step: Step) -> None:
    from rich.console import Console
    from rich.live import Live

    live = Live(step, console=Console(stderr=True, highlight=False), transient=True, refresh_per_second=4)
    live.start()
    _live.append(live)


_COMMANDS = re.compile(r"\x1b(?!\[[0-9;]{0,5}m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What moves a cursor, renames a window, fills a clipboard or turns a line around; colours, tabs and breaks stay."""


def harmless(text: str) -> str:
    r"""A text of anybody's with the characters that would command a terminal as their codes.

    >>> harmless("\x1b]0;title\x07") == r"\u001b]0;title\u0007", harmless("\x1b[1mbold") == "\x1b[1mbold"
    (True, True)
    """
    return _COMMANDS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


WIDTH_OF_LOGS = 160  # characters, where nobody's window bounds it


def line(text: str = "") -> None:
    """One line of a result."""
    hide()
    click.echo(harmless(text), color=colour(sys.stdout))


def next_command(command: str, *, is_prose: bool = False) -> None:
    """The last line of every verb: a command for the same project on the same server, or words about one."""
    whole = command if is_prose else command + _same_project(command)
    line(f"next: {click.style(whole, bold=True)}")


def _same_project(command: str) -> str:
    context = click.get_current_context(silent=True)
    given = {} if context is None else context.params
    uri = given.get("tracking_uri")
    shown_uri = uri if uri and without_credentials(uri) == uri else None
    options = {"--experiment": given.get("experiment"), "--tracking-uri": shown_uri}
    return "".join(
        f" {name} {shlex.quote(value)}" for name, value in options.items() if value and f" {name} " not in command
    )


def error(found: str, fix: str = "") -> None:
    """What was found and needed, and what to do next."""
    hide()
    text = harmless(f"{found}\n{fix}").encode("utf-8", "replace").decode()  # names of files need not be text
    lines = text.splitlines()
    label = click.style("error:", fg="red", bold=True)
    click.echo(f"{label} {lines[0]}", err=True, color=colour(sys.stderr))
    for more in lines[1:]:
        click.echo(f"       {more}", err=True)


def as_json(value: Any) -> None:
    """A result for machines: one JSON value on stdout."""
    hide()
    click.echo(harmless(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)))


def plain(value: Any) -> Any:
    """Dataclasses, paths and tuples as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A small table; numbers to the right. Where even its longest words do not fit side by side, a line a cell."""
    from rich.console import Console
    from rich.table import Table

    hide()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_LOGS
    longest = _longest_words(columns, rows)
    if sum(longest) + 2 * len(columns) > width:
        for row in rows:
            cells = [(column, _plain(value)) for column, value in zip(columns, row, strict=True)]
            for name, text in cells:
                if text:
                    click.echo(f"{name}: {text}" if name else text)
            click.echo()
        return
    built = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(built.columns):
        column.min_width, column.overflow = longest[at], "fold"
        if rows and all(isinstance(row[at], int | float) for row in rows):
            column.justify = "right"
    for row in rows:
        built.add_row(*(_cell(value) for value in row))
    Console(no_color=not colour(sys.stdout), highlight=False, width=width).print(built)


def _longest_words(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[int]:
    """How many characters the longest word of each column has, its name among them: no column can be narrower."""
    cells = [[name, *(_plain(row[at]) for row in rows)] for at, name in enumerate(columns)]
    return [max((len(word) for cell in column for word in cell.split()), default=0) for column in cells]


def _cell(value: object) -> str:
    from rich.markup import escape

    return escape(_plain(value))


def _plain(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return harmless(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


WIDTH = 48  # characters between the least low end and the greatest high end


def curve_lines(points: Sequence[CurvePoint]) -> list[str]:
    """One ratio a line: its score as ``●`` in its interval, duplicated real rows (the placebo) as ``×``, and a scale.

    Parameters
    ----------
    points : sequence of CurvePoint
        In the order of their ratios; at least one.
    """
    from synth_mlflow.data.mixing import percent

    named = [point.words or percent(point.ratio) for point in points]
    least, greatest = min(point.low for point in points), max(point.high for point in points)
    width = max(7, *map(len, named))
    lines = [
        f"{words:>{width}}  {point.score:<9.4g} {_bar(point, least, greatest)}{'  chosen' if point.chosen else ''}"
        for words, point in zip(named, points, strict=True)
    ]
    low, high = f"{least:.4g}", f"{greatest:.4g}"
    return [*(line.rstrip() for line in lines), f"{'':{width + 12}}{low}{high:>{WIDTH - len(low)}}"]


def _bar(point: CurvePoint, least: float, greatest: float) -> str:
    cells = [" "] * WIDTH
    first, last = _place(point.low, least, greatest), _place(point.high, least, greatest)
    cells[first : last + 1] = "─" * (last - first + 1)
    cells[first], cells[last] = "├", "┤"
    if point.ratio:
        cells[_place(point.placebo, least, greatest)] = "×"
    cells[_place(point.score, least, greatest)] = "●"
    return "".join(cells)


def _place(value: float, least: float, greatest: float) -> int:
    if greatest <= least:
        return 0
    return min(WIDTH - 1, max(0, round((value - least) / (greatest - least) * (WIDTH - 1))))
