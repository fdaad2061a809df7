"""Rows that keep declared constraints: by construction where a column follows from others, else by rejection.

A column that must not lie below another is modelled as its distance from it, a sum as what its parts leave over, which
is nothing, and columns with fixed combinations as one. Columns that are found to follow from others without
exception are left out, and computed again. Whatever is drawn is put together again and looked at; rows that
break a constraint, or that leave the members' range by being put together, are drawn again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.constraints import Constraints
from synth_mlflow.data.slices import Mask, Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError
from synth_mlflow.generators import Generator, Sampler
from synth_mlflow.generators._constructions import Construction, constructions
from synth_mlflow.generators._dependencies import dependencies
from synth_mlflow.generators._followers import Follower, Line
from synth_mlflow.generators._roles import roles_of
from synth_mlflow.generators._table_sampler import CONSTANT_COLUMNS

MIN_DRAWS = 20_000  # before hope is given up
MAX_DRAWS_PER_ROW = 200
MAX_CHUNK = 200_000
CHUNK_ROWS = 100_000
MIN_ACCEPTANCE = 0.2  # sums that are found, and not declared, are left to the generator below it
TRIAL_ROWS = 500


def fit_within(
    generator: Generator,
    members: pd.DataFrame,
    task: Task,
    rng: np.random.Generator,
    *,
    slice: Slice | None,  # noqa: A002 (the contract's name)
    constraints: Constraints,
    may_construct: bool,
) -> Sampler:
    """Fit a generator so that its rows keep the constraints.

    Parameters
    ----------
    may_construct : bool
        Whether the generator may be shown rows with other columns than the members'; without, all is rejection.

    Raises
    ------
    UsageError
        If the members themselves break a constraint, with the number of them.
    GeneratorError
        If the generator cannot learn from them.
    """
    seen = constraints.seen_in(members) if constraints else constraints
    whole = {task.target, *(slice.columns if slice else ())}
    steps: tuple[Step, ...] = constructions(seen, members, whole) if may_construct else ()
    if may_construct:
        closed = {name for one in seen if one.text in {step.text for step in steps} for name in one.columns}
        steps += dependencies(members, task, whole | closed)
    if not seen and not steps:
        return generator.fit(members, task, rng, slice=slice)
    sampler = _fitted(generator, members, task, rng, slice, seen, steps)
    if any(isinstance(step, Line) for step in steps) and sampler.acceptance(rng) < MIN_ACCEPTANCE:
        steps = tuple(step for step in steps if not isinstance(step, Line))
        sampler = _fitted(generator, members, task, rng, slice, seen, steps)
    return sampler


def _fitted(
    generator: Generator,
    members: pd.DataFrame,
    task: Task,
    rng: np.random.Generator,
    slice: Slice | None,  # noqa: A002 (the contract's name)
    seen: Constraints,
    steps: tuple[Step, ...],
) -> ConstrainedSampler:
    shown = members
    for step in steps:
        shown = step.take_apart(shown)
    roles = roles_of(members, task.target, task.roles)
    return ConstrainedSampler(
        inner=generator.fit(shown, task, rng, slice=slice),
        steps=tuple(reversed(steps)),
        constraints=seen,
        order=tuple(members.columns),
        whole_numbers=tuple(str(name) for name in members if members[name].dtype == "int64"),
        never_missing=tuple(str(name) for name in members if members[name].notna().all()),
        unique=tuple(name for name, role in roles.items() if role == "identifier"),
        constant=tuple(name for name, role in roles.items() if role == "constant"),
    )


Step = Construction | Follower


@dataclass
class Tally:
    """How many rows were drawn, and how many of them kept each constraint, and all."""

    drawn: int = 0
    kept: int = 0
    by_constraint: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ConstrainedSampler:
    """A fitted generator whose rows keep the constraints; keeps the Sampler contract."""

    inner: Sampler
    steps: tuple[Step, ...]
    """The last one first."""
    constraints: Constraints
    order: tuple[str, ...]
    whole_numbers: tuple[str, ...]
    never_missing: tuple[str, ...]
    unique: tuple[str, ...]
    """Identifiers; further draws of the inner sampler know nothing of earlier ones."""
    constant: tuple[str, ...]
    """Of the members' columns; what the inner sampler was shown in the place of a sum is constant, too."""
    tally: Tally = field(default_factory=Tally)

    @property
    def notes(self) -> Mapping[str, Any]:
        """The inner sampler's, and how the constraints were kept in all rows drawn so far."""
        constructed = {step.text for step in self.steps}
        declared = [one.text for one in self.constraints]
        found = [text for text in sorted(constructed) if text not in declared]
        counts = {
            "rows_drawn": self.tally.drawn,
            "rows_kept": self.tally.kept,
            "acceptance_rate": round(self.tally.kept / self.tally.drawn, 6) if self.tally.drawn else None,
        }
        kept = {
            "declared": declared,
            "kept_by_construction": [text for text in declared if text in constructed],
            "kept_by_rejection": [text for text in declared if text not in constructed],
            **counts,
        }
        return {
            **self._inner_notes(),
            **({"dependencies": {"found": found, **({} if declared else counts)}} if found else {}),
            **({"constraints": kept} if declared else {}),
        }

    def _inner_notes(self) -> dict[str, Any]:
        notes = dict(self.inner.notes)
        if self.steps:
            notes.pop(CONSTANT_COLUMNS, None)
            notes |= {CONSTANT_COLUMNS: list(self.constant)} if self.constant else {}
        return notes

    def acceptance(self, rng: np.random.Generator) -> float:
        """The share of some further rows that can be put together."""
        return float(self._whole(self.inner.sample(TRIAL_ROWS, rng))[1].mean())

    def sample(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n_rows`` rows that keep the constraints.

        Raises
        ------
        GeneratorError
            If the model hardly ever draws such a row.
        """
        return next(self.chunks(n_rows, rng, chunk_rows=n_rows))

    def chunks(self, n_rows: int, rng: np.random.Generator, *, chunk_rows: int = CHUNK_ROWS) -> Iterator[pd.DataFrame]:
        """The same in pieces; identifiers are unique across all of them.

        Raises
        ------
        GeneratorError
            If the model hardly ever draws such a row.
        """
        taken: dict[str, set[Any]] = {name: set() for name in self.unique}
        for start in range(0, max(n_rows, 1), max(chunk_rows, 1)):
            yield self._piece(min(chunk_rows, n_rows - start), taken, rng)

    def _piece(self, n_rows: int, taken: dict[str, set[Any]], rng: np.random.Generator) -> pd.DataFrame:
        parts = [self._kept(0, taken, rng)] if n_rows == 0 else []
        n_found = n_drawn = 0
        while n_found < n_rows:
            if n_drawn >= (MIN_DRAWS if n_found == 0 else max(MIN_DRAWS, MAX_DRAWS_PER_ROW * n_rows)):
                raise self._hardly_ever()
            n_chunk = _next_chunk(n_rows - n_found, n_found, n_drawn)
            parts.append(self._kept(n_chunk, taken, rng))
            n_drawn += n_chunk
            n_found += len(parts[-1])
        return pd.concat(parts, ignore_index=True).iloc[:n_rows] if len(parts) > 1 else parts[0].iloc[:n_rows]

    def _kept(self, n_rows: int, taken: dict[str, set[Any]], rng: np.random.Generator) -> pd.DataFrame:
        """Those of ``n_rows`` draws that keep everything."""
        rows, is_kept = self._whole(self.inner.sample(n_rows, rng))
        is_kept &= rows[list(self.never_missing)].notna().all(axis=1).to_numpy(dtype=bool)
        for one in self.constraints:
            held = one.holds(rows)
            self.tally.by_constraint[one.text] = self.tally.by_constraint.get(one.text, 0) + int(held.sum())
            is_kept &= held
        self.tally.drawn += n_rows
        self.tally.kept += int(is_kept.sum())
        for name, values in taken.items():
            is_kept &= ~rows[name].isin(values).to_numpy(dtype=bool)
            values.update(rows[name][is_kept].dropna())
        return rows[is_kept].reset_index(drop=True).astype(dict.fromkeys(self.whole_numbers, "int64"))

    def _whole(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, Mask]:
        """Rows with the members' columns, and which of them could be put together."""
        could = np.ones(len(rows), dtype=np.bool_)
        for step in self.steps:
            apart, rows = rows, step.put_together(rows)
            could &= ~step.is_out_of_range(apart, rows)
        return rows[list(self.order)], could

    def _hardly_ever(self) -> GeneratorError:
        drawn = self.tally.drawn
        held = "; ".join(f"{text!r} {n_rows:,}" for text, n_rows in self.tally.by_constraint.items())
        return GeneratorError(
            f"{self.tally.kept:,} of {drawn:,} drawn rows keep all constraints ({self.tally.kept / drawn:.4%}); "
            f"rows that keep each: {held or 'none is declared'}.",
            "Loosen `constraints` in problem.md, or take a generator that learns them (`forest`).",
        )


def _next_chunk(n_missing: int, n_found: int, n_drawn: int) -> int:
    if n_drawn == 0:
        return min(n_missing, MAX_CHUNK)
    if n_found == 0:
        return MIN_DRAWS - n_drawn
    return int(min(1.05 * n_missing * n_drawn / n_found + 10, MAX_CHUNK))
