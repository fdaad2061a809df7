"""Stage 3's plugins: one generator a file.

A built-in generator is a file of this folder that defines ``plugin``, a frozen dataclass that keeps the
:class:`Generator` contract; its fields are its parameters. Third parties register theirs in the entry-point group
``synth_mlflow.generators``. A file whose name starts with an underscore is no plugin but a piece that plugins share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from synth_mlflow.data.constraints import Constraints
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task


class Sampler(Protocol):
    """A fitted generator."""

    @property
    def notes(self) -> Mapping[str, Any]:
        """What the record should say about the fit, as JSON values: identifier columns, acceptance rates, …"""
        ...

    def sample(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """Draw ``n_rows`` rows with the columns and kinds of the fitted table, each inside the slice if one was asked.

        Calling it twice with generators in the same state gives the same rows; calling it again with the same generator
        gives further rows: many rows are asked for in pieces.
        """
        ...


@runtime_checkable
class ChunkedSampler(Sampler, Protocol):
    """A sampler whose pieces must know of each other, as for identifiers that are unique across all of them."""

    def chunks(self, n_rows: int, rng: np.random.Generator, *, chunk_rows: int) -> Iterator[pd.DataFrame]:
        """The rows of ``sample(n_rows, rng)`` or others of the same law, at most ``chunk_rows`` at a time."""
        ...


def is_external(generator: object) -> bool:
    """Whether a generator says of itself, by a true attribute ``external``, that it calls a service or runs a program.

    Such a one is run again from a record only where somebody allows it.
    """
    return bool(getattr(generator, "external", False))


class Generator(Protocol):
    """A way to make synthetic rows; the instance's dataclass fields are the parameters that the record keeps."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    summary: ClassVar[str]
    """One line for `synth-mlflow list`."""
    version: ClassVar[str]
    """Changes whenever the same inputs and seed would give other rows."""
    leaky: ClassVar[bool]
    """Whether it is known to reveal its members, as oversamplers do."""

    def fit(
        self,
        members: pd.DataFrame,
        task: Task,
        rng: np.random.Generator,
        *,
        slice: Slice | None = None,  # noqa: A002
    ) -> Sampler:
        """Learn from real rows.

        Parameters
        ----------
        members : DataFrame
            A normalised table of real rows.
        task : Task
            Names the target.
        rng : numpy Generator
            The only source of randomness.
        slice : Slice, optional
            Every row that the sampler draws must lie in it.

        Raises
        ------
        GeneratorError
            If these rows cannot be learned from; says what was found and what to do.
        """
        ...


def fit_within_constraints(
    generator: Generator,
    members: pd.DataFrame,
    task: Task,
    rng: np.random.Generator,
    *,
    slice: Slice | None,  # noqa: A002 - the contract's name
    constraints: Constraints,
    may_construct: bool,
) -> Sampler:
    """Fit a generator so that its rows keep the constraints; see ``_constraints.fit_within``."""
    from synth_mlflow.generators._constraints import fit_within  # which imports the contract above

    return fit_within(generator, members, task, rng, slice=slice, constraints=constraints, may_construct=may_construct)
