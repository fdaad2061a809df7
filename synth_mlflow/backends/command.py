"""Batches from a command: run without a shell and within a time limit; its rows enter with its complete record.

A command with places for what changes from run to run, such as `python make.py --out {output} --seed {seed}`.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from synth_mlflow.backends.batch_request import FromCommand
from synth_mlflow.backends.batch_writer import (
    BatchBuffer,
    BatchDraft,
    GenerationStats,
    parsed_slice,
    refuse_row_count,
    spooling,
    write_spooled,
)
from synth_mlflow.backends.real_rows import declared_source, real_members
from synth_mlflow.backends.subprocess import TIMEOUT_SECONDS, ending, last_lines, refuse_time_limit, run_within
from synth_mlflow.data.digests import file_digest, text_digest
from synth_mlflow.data.markup import refuse_passwords
from synth_mlflow.data.private import private_room, secret_in
from synth_mlflow.data.provenance import Origin, record_in_file
from synth_mlflow.data.splits import refuse_negative_seed
from synth_mlflow.data.table_files import SUFFIXES
from synth_mlflow.data.tables import table_pieces, write_parquet
from synth_mlflow.errors import GeneratorError, UsageError, closest
from synth_mlflow.gate.in_force import kept_constraints
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch

PLACES = ("output", "rows", "seed", "members", "slice")
_PLACE = re.compile(r"\{(\w+)\}")
_OUTPUT = re.compile(r"\{output\}((?:\.\w+)*)")


@dataclass(frozen=True)
class CommandTemplate:
    """A command that no shell reads: its words, with the places in them.

    Parameters
    ----------
    text : str
        Split into words as a shell would, with its quotes, and with nothing else that a shell does.
    params : mapping
        Values for places with other names than those in `PLACES`; each must have its place.

    Raises
    ------
    UsageError
        If it has no place for the output, or a place or a parameter that nothing belongs to.

    Examples
    --------
    >>> template = CommandTemplate("make --out {output}.csv --rate {rate}", {"rate": 3})
    >>> template.ending
    '.csv'
    >>> template.words({"output": "/tmp/batch.csv"})
    ['make', '--out', '/tmp/batch.csv', '--rate', '3']
    """

    text: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [*PLACES, *self.params]
        taken = [name for name in self.params if name in (*PLACES, "command")]
        if taken:
            raise UsageError(f"{taken[0]!r} cannot be the name of a parameter: it has another meaning in a command.")
        if "output" not in self.places:
            raise UsageError(
                f"the command {self.text!r} has no place for the rows that it makes.",
                "Write {output} where it takes the path of its output: `--out {output}`.",
            )
        for name in sorted(self.places):
            if name not in known:
                raise UsageError(f"the command has a place {{{name}}} that nothing belongs to. {closest(name, known)}")
        for name in self.params:
            if name not in self.places:
                raise UsageError(f"parameter {name!r} has no place in the command.", f"Write {{{name}}} where it goes.")
        if self.ending not in SUFFIXES:
            raise UsageError(
                f"the command's output ends in {self.ending}.", f"Let it write one of {', '.join(SUFFIXES)}."
            )

    @property
    def places(self) -> frozenset[str]:
        """The names of the places in it."""
        return frozenset(name for word in self._split() for name in _PLACE.findall(word))

    @property
    def ending(self) -> str:
        """The kind of file that it writes: what follows ``{output}``, else Parquet."""
        endings = sorted({ending for word in self._split() for ending in _OUTPUT.findall(word)})
        if len(endings) > 1:
            raise UsageError(f"the command writes one file, found {{output}} with the endings {', '.join(endings)}.")
        return endings[0] or ".parquet"

    def words(self, values: Mapping[str, Any]) -> list[str]:
        """The words with these values and the parameters put in; a place without a value stays as it is."""
        known = {**self.params, **values}
        return [self._filled(word, known) for word in self._split()]

    def _split(self) -> list[str]:
        try:
            return shlex.split(self.text)
        except ValueError as error:
            raise UsageError(f"the command {self.text!r} cannot be split into words: {error}.") from error

    def _filled(self, word: str, known: Mapping[str, Any]) -> str:
        if "output" in known:
            word = _OUTPUT.sub("{output}", word)  # the value has the ending already
        return _PLACE.sub(lambda place: _text(known[place[1]]) if place[1] in known else place[0], word)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def generate_by_command(project: Project, request: FromCommand) -> StoredBatch:
    """Run a command that makes a batch, and record it with the rows.

    Raises
    ------
    GateError
        Before `freeze`.
    UsageError
        If the command, or what is to be recorded about it, cannot be used.
    GeneratorError
        If it fails, hangs, writes no table or another number of rows. Then nothing is recorded.
    """
    frozen = project.evaluation_set()
    template = CommandTemplate(request.command, request.params or {})
    refuse_row_count(request.rows)
    refuse_negative_seed(request.seed)
    parsed_slice(request.slice, frozen.schema)
    _refuse_unusable(request.generator, request.version, request.timeout_seconds)
    members: pd.DataFrame | None
    if "members" in template.places:
        members, declared = real_members(project, frozen, request.source)
    else:
        members, declared = declared_source(project, None if request.source is None else str(request.source))
    origin = Origin(
        request.generator,
        request.version,
        {"command": request.command, **template.params},
        request.seed if "seed" in template.places else None,
        request.slice,
        request.purpose,
        door="command",
        source=declared,
    )
    values = {"rows": request.rows, "seed": request.seed, "slice": request.slice or ""}
    refuse_secrets(template.words(values))
    project.say(f"running {shlex.join(template.words(values))}")
    with tempfile.TemporaryDirectory(prefix="synth-command-", dir=private_room()) as folder:
        job = _Job(template, values, Path(folder), request.generator, request.timeout_seconds)
        notes = job.run(members if "members" in template.places else None)
        with spooling(frozen, origin, kept_constraints(project, frozen, members)) as spool:
            job.hand_over(spool)
            account = GenerationStats(notes["seconds"], {"command": notes})
            return write_spooled(project, spool, BatchDraft(request.rows, origin, account, request.pilot))


def command_again(origin: Origin, n_rows: int, members: pd.DataFrame | None, spool: BatchBuffer) -> None:
    """Run a command that a record names, and give what it writes now to a spool.

    Raises
    ------
    GeneratorError
        If it fails, hangs, writes no table or another number of rows.
    UsageError
        If it cannot be started.
    """
    settings = dict(origin.params)
    template = CommandTemplate(str(settings.pop("command")), settings)
    values = {"rows": n_rows, "seed": origin.seed or 0, "slice": origin.slice or ""}
    with tempfile.TemporaryDirectory(prefix="synth-command-", dir=private_room()) as folder:
        job = _Job(template, values, Path(folder), origin.generator, TIMEOUT_SECONDS)
        job.run(members if "members" in template.places else None)
        job.hand_over(spool)


def _refuse_unusable(generator: str, version: str, timeout_seconds: float) -> None:
    if not generator.strip() or not version.strip():
        raise UsageError(
            "a command's generator and version are not known.",
            "Say what is to be recorded: `--generator NAME --generator-version VERSION`.",
        )
    refuse_time_limit(timeout_seconds)


def refuse_secrets(words: Sequence[str]) -> None:
    """The command is recorded: a secret that the shell has put into it must not be."""
    variable = next((name for word in words if (name := secret_in(word))), None)
    if variable is not None:
        raise UsageError(
            f"the command holds the value of the environment variable {variable}, which looks like a secret.",
            "Let the program read it from the environment: what stands in a command is recorded.",
        )
    refuse_passwords([*words, " ".join(words)], "the command")


@dataclass(frozen=True)
class _Job:
    """One run of a command in a temporary folder."""

    template: CommandTemplate
    values: Mapping[str, Any]
    """Of its places, but for the paths in this folder."""
    folder: Path
    generator: str
    timeout_seconds: float

    def run(self, members: pd.DataFrame | None) -> dict[str, Any]:
        """Run the command; returns what the record keeps about that."""
        paths = {"output": str(self._output), "members": str(self.folder / "members.parquet")}
        if members is not None:
            write_parquet(members, Path(paths["members"]))
        words = self.template.words(self.values)
        files = file_digests(words)
        begun = time.monotonic()
        final = self.template.words({**self.values, **paths})
        exit_code = run_within(self.timeout_seconds, final, self._stderr, what="the command")
        seconds = round(time.monotonic() - begun, 3)
        self._refuse_failure(exit_code)
        return {
            "line": shlex.join(words),
            "sha256": text_digest(self.template.text),
            "files": files,
            "exit_code": exit_code,
            "seconds": seconds,
        }

    def hand_over(self, spool: BatchBuffer) -> None:
        """Give the rows that the command wrote to a spool."""
        for rows in self._rows():
            spool.add(rows)
        if spool.n_rows != self.values["rows"]:
            self._fail(f"wrote {spool.n_rows:,} rows, {self.values['rows']:,} were asked for")

    @property
    def _output(self) -> Path:
        return self.folder / f"batch{self.template.ending}"

    @property
    def _stderr(self) -> Path:
        return self.folder / "stderr.txt"

    def _refuse_failure(self, exit_code: int | None) -> None:
        bad = ending(exit_code, self.timeout_seconds)
        if exit_code is None:
            self._fail(str(bad), "Give it longer: `--timeout SECONDS`.")
        elif bad is not None:
            self._fail(bad)
        elif not self._output.is_file():
            self._fail(f"wrote no file in place of {{output}}, which was a path ending in {self.template.ending}")

    def _rows(self) -> Iterator[pd.DataFrame]:
        try:
            if record_in_file(self._output) is None:
                yield from table_pieces(self._output)
                return
        except UsageError as error:
            self._fail(f"wrote what cannot be read as a table: {error.found}")
        self._fail("wrote a file that carries the record of a batch already")

    def _fail(self, what: str, fix: str = "Correct it, and generate again; nothing was recorded.") -> NoReturn:
        said = last_lines(self._stderr)
        stderr_text = f" The last lines of its stderr:\n{said}" if said else " It said nothing on stderr."
        raise GeneratorError(f"the command of {self.generator!r} {what}.{stderr_text}", fix)


def file_digests(words: Sequence[str]) -> dict[str, str]:
    """SHA-256 of every file that the command names, such as its script."""
    digests = {}
    for word in words:
        name = word.rpartition("=")[2]  # --config=FILE
        with contextlib.suppress(OSError):  # a word that is too long for a name
            if name and Path(name).is_file():
                digests[name] = file_digest(Path(name))
    return digests
