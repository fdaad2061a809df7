"""A generator that is ready to run, whichever way it was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.record import Door
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError, SynthError, UsageError, closest
from synth_mlflow.generators import Generator
from synth_mlflow.plugins import find


@dataclass(frozen=True)
class Wanted:
    """The rows that are asked for."""

    rows: int
    seed: int
    task: Task
    part: Slice | None


@dataclass(frozen=True)
class Maker:
    """What the record keeps about a generator, and the way to run it."""

    version: str
    settings: Mapping[str, Any]
    door: Door
    facts: Mapping[str, Any]
    """For the record's notes."""
    title: str
    """How messages call it."""
    make: Callable[[pd.DataFrame, Wanted], tuple[object, Mapping[str, Any]]]
    """Takes real rows; returns what ought to be a table, and notes on the fit."""

    def run(self, members: pd.DataFrame, wanted: Wanted) -> tuple[pd.DataFrame, Mapping[str, Any]]:
        """Make the rows; a GeneratorError if the generator raises, or returns no table of as many rows."""
        try:
            frame, notes = self.make(members, wanted)
        except SynthError:
            raise
        except Exception as error:  # a plugin may raise anything; the user gets one message, `--debug` the traceback
            raise GeneratorError(f"generator {self.title} raised {type(error).__name__}: {error}.") from error
        except SystemExit as leaving:
            if leaving.code:  # this process is told to end, or fails anyhow
                raise
            raise GeneratorError(
                f"generator {self.title} left with `sys.exit()` instead of returning rows."
            ) from leaving
        if not isinstance(frame, pd.DataFrame):
            raise GeneratorError(f"generator {self.title} returned a {type(frame).__name__}, a DataFrame was needed.")
        if len(frame) != wanted.rows:
            raise GeneratorError(
                f"generator {self.title} returned {len(frame):,} rows, {wanted.rows:,} were asked for."
            )
        return frame, {**notes, **self.facts}


def installed_maker(name: str, params: Mapping[str, Any]) -> Maker:
    """The maker of an installed generator.

    Raises
    ------
    UsageError
        If none has that name, or it does not take these parameters.
    """
    made_of = find("generators", name).load()
    known = [field.name for field in dataclasses.fields(made_of)]
    for key in params:
        if key not in known:
            raise UsageError(f"generator {name!r} has no parameter {key!r}. {closest(key, known)}")
    generator: Generator = instance(name, made_of, params)
    title, facts = type(generator).__name__, {"leaky": generator.leaky}
    settings = dataclasses.asdict(generator)
    return Maker(generator.version, settings, "generator", facts, title, fit_and_sample(generator))


def instance(name: str, made_of: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    """A generator with these parameters; a UsageError if it does not take them."""
    try:
        return made_of(**params)
    except (TypeError, ValueError) as error:
        raise UsageError(f"generator {name!r} does not take these parameters: {error}.") from error


def fit_and_sample(generator: Generator) -> Callable[[pd.DataFrame, Wanted], tuple[object, Mapping[str, Any]]]:
    """How an object that keeps the Generator contract is run."""

    def make(members: pd.DataFrame, wanted: Wanted) -> tuple[object, Mapping[str, Any]]:
        fitting, sampling = np.random.default_rng(wanted.seed).spawn(2)
        sampler = generator.fit(members, wanted.task, fitting, slice=wanted.part)
        frame = sampler.sample(wanted.rows, sampling)
        return frame, dict(sampler.notes)

    return make
