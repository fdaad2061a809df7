"""Progress on stderr: a line a step and, on a terminal, a live line with how long it takes and how much is left."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from synth_mlflow.cli.colours import colour

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

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
        self._step, self._told = Step(text), time.monotonic()
        self._line(text)
        if colour(sys.stderr):
            _show(self._step)

    def wait(self, text: str) -> None:
        """Say on the live line alone that something is awaited."""
        if not self.quiet and colour(sys.stderr):
            hide()
            _show(Step(text, said=False))

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
        click.echo(f"{click.style(f'[{elapsed:5.1f} s]', dim=True)} {text}", err=True, color=colour(sys.stderr))


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
        told = f"{self.done:,} of {self.total:,} {self.unit}, {elapsed:.0f} s"
        if not self.done:
            return told
        return f"{told}, about {duration(elapsed / self.done * (self.total - self.done))} left"

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
