"""A generator that is ready to run, whichever way it was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow import generators
from synth_mlflow.data.constraints import Constraints
from synth_mlflow.data.large_tables import sampled_places
from synth_mlflow.data.mapped import taken
from synth_mlflow.data.provenance import LEARNED_ROWS, Door
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError, SynthError, UsageError, closest
from synth_mlflow.generators import ChunkedSampler, Generator, Sampler, fit_within_constraints
from synth_mlflow.plugins import find, provenance

CHUNK_ROWS = 100_000  # rows drawn at once; what a seed gives depends on it


@dataclass(frozen=True)
class GenerationRequest:
    """The rows that are asked for."""

    rows: int
    seed: int
    task: Task
    part: Slice | None
    constraints: Constraints
    may_sample: bool = True
    """Whether a generator may learn from a sample of a table that is larger than memory; not for older batches."""


@dataclass(frozen=True)
class GeneratedRows:
    """Rows that a generator makes."""

    frames: Iterable[object]
    """What ought to be tables; made while they are asked for."""
    notes: Callable[[], Mapping[str, Any]] = dict
    """What the generator says about the fit; complete once all rows are made."""


@dataclass(frozen=True)
class GeneratorRunner:
    """What the record keeps about a generator, and the way to run it."""

    version: str
    settings: Mapping[str, Any]
    door: Door
    facts: Mapping[str, Any]
    """For the record's notes."""
    title: str
    """How messages call it."""
    make: Callable[[pd.DataFrame, GenerationRequest], GeneratedRows]
    """Takes real rows."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """What the record's environment says beyond our own."""

    def run(
        self, members: pd.DataFrame, request: GenerationRequest, take: Callable[[pd.DataFrame], None]
    ) -> Mapping[str, Any]:
        """Make the rows, and hand each piece to ``take``; returns notes on the fit.

        Raises
        ------
        GeneratorError
            If the generator raises, or makes no table, or another number of rows.
        """
        with self._told():
            drawn = self.make(members, request)
        n_rows = 0
        for frame in self._tables(drawn):
            n_rows += len(frame)
            take(frame)
        if n_rows != request.rows:
            raise GeneratorError(f"generator {self.title} returned {n_rows:,} rows, {request.rows:,} were asked for.")
        return {**drawn.notes(), **self.facts}

    def _tables(self, drawn: GeneratedRows) -> Iterator[pd.DataFrame]:
        with self._told():
            for frame in drawn.frames:
                if not isinstance(frame, pd.DataFrame):
                    kind = type(frame).__name__
                    raise GeneratorError(f"generator {self.title} returned a {kind}, a DataFrame was needed.")
                yield frame

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what a generator raises into one message; `--debug` shows the traceback."""
        try:
            yield
        except SynthError:
            raise
        except MemoryError as error:
            raise GeneratorError(
                f"generator {self.title} needs more memory than there is: {error}.",
                "Ask for fewer rows (`--batches K` makes several batches), or let it make them in pieces.",
            ) from error
        except Exception as error:  # a plugin may raise anything
            raise GeneratorError(f"generator {self.title} raised {type(error).__name__}: {error}.") from error
        except SystemExit as leaving:
            if leaving.code:  # this process is told to end, or fails anyhow
                raise
            raise GeneratorError(
                f"generator {self.title} left with `sys.exit()` instead of returning rows."
            ) from leaving


def installed_maker(name: str, params: Mapping[str, Any]) -> GeneratorRunner:
    """The maker of an installed generator.

    Raises
    ------
    UsageError
        If none has that name, or it does not take these parameters.
    """
    plugin = find("generators", name)
    with plugin.guarded():
        made_of = plugin.load(is_typed=True)  # by a person, or allowed
        known = [field.name for field in dataclasses.fields(made_of)]
    for key in params:
        if key not in known:
            raise UsageError(f"generator {name!r} has no parameter {key!r}. {closest(key, known)}")
    generator: Generator = instance(name, made_of, params)
    with plugin.guarded():
        facts: dict[str, Any] = {"leaky": generator.leaky}
        if origin := provenance("generators", [name]):
            facts["plugin"] = origin[name]
        settings, title = dataclasses.asdict(generator), type(generator).__name__
        return GeneratorRunner(generator.version, settings, "generator", facts, title, fit_and_sample(generator))


def instance(name: str, made_of: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    """A generator with these parameters; a UsageError if it does not take them."""
    try:
        return made_of(**params)
    except (TypeError, ValueError) as error:
        raise UsageError(f"generator {name!r} does not take these parameters: {error}.") from error


def fit_and_sample(generator: Generator) -> Callable[[pd.DataFrame, GenerationRequest], GeneratedRows]:
    """How an object that keeps the Generator contract is run: rows are drawn `CHUNK_ROWS` at a time.

    Built-in generators know nothing of the columns' meaning and may be shown others in their place; those of other
    people see the members as they are, and rows that break a constraint are drawn again. Of a table that is larger than
    memory, built-in generators learn from a random sample; the record says how many rows that are.
    """

    def make(members: pd.DataFrame, request: GenerationRequest) -> GeneratedRows:
        fitting, sampling = np.random.default_rng(request.seed).spawn(2)
        is_built_in = type(generator).__module__.startswith(f"{generators.__name__}.")
        places = sampled_places(members, request.part) if is_built_in and request.may_sample else None
        if places is not None:
            members = taken(members, places)
        learned = {} if places is None else {LEARNED_ROWS: len(places)}
        sampler = fit_within_constraints(
            generator,
            members,
            request.task,
            fitting,
            slice=request.part,
            constraints=request.constraints,
            may_construct=is_built_in,
        )
        return GeneratedRows(_chunks(sampler, request.rows, sampling), lambda: {**sampler.notes, **learned})

    return make


def _chunks(sampler: Sampler, n_rows: int, rng: np.random.Generator) -> Iterator[object]:
    if isinstance(sampler, ChunkedSampler):
        yield from sampler.chunks(n_rows, rng, chunk_rows=CHUNK_ROWS)
        return
    for start in range(0, n_rows, CHUNK_ROWS):
        yield sampler.sample(min(CHUNK_ROWS, n_rows - start), rng)
