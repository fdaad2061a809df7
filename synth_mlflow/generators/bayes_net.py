"""Bayesian network of counts: each column given at most two others, with differential privacy if asked for.

Columns as a few counted values: categories as they are, numbers in bins.

Pure differential privacy for one row: geometric noise on counts, the exponential mechanism, and their sum.

Two tables are neighbours if they have the same number of rows and differ in one row. A mechanism is ε-private if no
output is more than e^ε times likelier on one neighbour than on the other; run one after another, the ε add up
(C. Dwork and A. Roth, doi:10.1561/0400000042, theorems 3.6, 3.10 and 3.16).
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.generators._encoding import CategoryColumn, Codes, Column, Encoded
from synth_mlflow.generators._numeric import Floats, Ints, Numbers, Smoothing
from synth_mlflow.generators._table_sampler import TableSampler, TextPolicy, fit_table

N_QUANTILE_BINS = 20
N_EQUAL_BINS = 16


@dataclass(frozen=True)
class Levels:
    """A category: its codes, with one for missing where that occurs."""

    n_values: int

    def count(self, values: Ints) -> Ints:
        """Codes of shape (n_rows,)."""
        return values.astype(np.int64)

    def draw(self, codes: Ints, rng: np.random.Generator) -> Ints:  # noqa: ARG002 (as numbers are drawn)
        """Values of shape (n_rows,)."""
        return codes


@dataclass(frozen=True)
class Bins:
    """A number: intervals, and one value more for missing where that occurs."""

    edges: Floats
    """Ascending; shape (n_bins + 1,)."""
    numbers: Numbers
    present: Floats
    """The members' values, ascending, that bins are filled from; empty if bins are filled evenly."""
    may_be_missing: bool

    @property
    def n_values(self) -> int:
        """Bins, and one more if numbers may be missing."""
        return len(self.edges) - 1 + self.may_be_missing

    def count(self, values: Floats) -> Ints:
        """The bin of each value; shape (n_rows,)."""
        at = np.searchsorted(self.edges[1:-1], values, side="right")
        return np.where(np.isnan(values), len(self.edges) - 1, at).astype(np.int64)

    def draw(self, codes: Ints, rng: np.random.Generator) -> Floats:
        """Numbers from each bin, NaN for missing."""
        known = np.minimum(codes, len(self.edges) - 2)
        share = rng.random(len(codes))
        if len(self.present):
            starts = np.searchsorted(self.count(self.present), np.arange(len(self.edges)))
            at = starts[known] + (share * np.diff(starts)[known]).astype(np.int64)
            drawn = self.numbers.redraw(self.present[np.minimum(at, len(self.present) - 1)], rng)
        else:
            drawn = self.numbers.round(self.edges[known] + share * np.diff(self.edges)[known])
        return np.where(codes == len(self.edges) - 1, np.nan, drawn)


def bins_of(column: Column, values: Floats | Ints, *, evenly: bool) -> Levels | Bins:
    """Counted values of a column: ``evenly`` cuts and fills the range of numbers without looking at where they lie."""
    if isinstance(column, CategoryColumn):
        return Levels(column.n_levels + int((values == column.n_levels).any()))
    missing = np.isnan(values)
    may_be_missing = bool(missing.any())
    present = np.sort(values[~missing]).astype(np.float64)
    if evenly:
        edges = np.linspace(present[0], present[-1], N_EQUAL_BINS + 1)
        return Bins(edges, column.numbers, np.empty(0), may_be_missing)
    edges = np.unique(np.quantile(present, np.linspace(0.0, 1.0, N_QUANTILE_BINS + 1)))
    return Bins(edges if len(edges) > 1 else np.repeat(edges, 2), column.numbers, present, may_be_missing)


COUNT_SENSITIVITY = 2  # replacing a row takes one from a cell and adds one to another


def secret_rng() -> np.random.Generator:
    """Randomness from the operating system: noise that the recorded seed could repeat could also be taken away."""
    return np.random.Generator(np.random.PCG64(secrets.randbits(256)))


def noisy_counts(counts: Ints, epsilon: float, rng: np.random.Generator) -> Ints:
    """Counts of all cells of one table, ε-private together; negative ones are possible.

    Two-sided geometric noise, the discrete Laplace law, needs no floating-point care (A. Ghosh, T. Roughgarden and
    M. Sundararajan, doi:10.1137/09076828X).
    """
    success = -np.expm1(-epsilon / COUNT_SENSITIVITY)
    noise = rng.geometric(success, counts.shape) - rng.geometric(success, counts.shape)
    return np.asarray(counts + noise, dtype=np.int64)


def choose(scores: Floats, epsilon: float, sensitivity: float, rng: np.random.Generator) -> int:
    """The position of a high score, ε-private: the exponential mechanism by Gumbel noise.

    ``sensitivity`` bounds how much any score changes between neighbours.
    """
    return int(np.argmax(scores * epsilon / (2.0 * sensitivity) + rng.gumbel(size=len(scores))))


MAX_PARENTS = 2
MAX_CANDIDATES = 300  # sets of parents that are compared for one column
MAX_CELLS = 5_000_000
STRUCTURE_SHARE = 0.3  # of ε, as in PrivBayes
USEFUL_COUNT = 4.0  # mean count of a table's cell, in units of its noise, that makes it worth counting
PUBLIC = (
    "column names, kinds and roles; categories' levels; smallest and largest numbers, their decimals and the grid that "
    "they lie on (such as month starts); which columns have missing values; constants; the form of identifiers and how "
    "often they are missing; the number of rows; that all rows keep the declared constraints, and which combinations "
    "occur where these fix them"
)


@dataclass(frozen=True)
class BayesNet:
    """Count columns together with their parents, and draw from the counts.

    Parameters
    ----------
    epsilon : float, optional
        Without it counts are exact. With it the counts and the choice of parents are ε-differentially private.
    text : "refuse" or "resample"
        Free text is refused, or drawn from the members' own texts.

    Notes
    -----
    With ``epsilon`` the method is PrivBayes (J. Zhang et al., doi:10.1145/3134428): the exponential mechanism chooses
    parents, geometric noise goes on every count, δ is 0, the unit is one row that is replaced, and the parts compose
    by adding up; the record says all of it as NIST SP 800-226 asks. What must be public for the claim to hold stands
    there too. The noise comes from the operating system, never from the recorded seed, so such a batch cannot be
    regenerated.
    """

    epsilon: float | None = None
    text: TextPolicy = "refuse"

    summary: ClassVar[str] = "Counts with at most two parents; the choice under differential privacy (epsilon)"
    version: ClassVar[str] = "8"
    leaky: ClassVar[bool] = False

    def __post_init__(self) -> None:
        is_number = isinstance(self.epsilon, int | float) and 0.0 < self.epsilon < np.inf
        if self.epsilon is not None and not is_number:
            raise UsageError(
                f"epsilon is {self.epsilon!r}, needed a number above 0, or none for exact counts.",
                "1 is strong, 10 is weak; leave it out where no formal guarantee is needed.",
            )
        if self.epsilon is not None and self.text != "refuse":
            raise UsageError("members' own texts cannot be private.", "Drop the column, or leave epsilon out.")

    def fit(
        self,
        members: pd.DataFrame,
        task: Task,
        rng: np.random.Generator,
        *,
        slice: Slice | None = None,  # noqa: A002 (the contract's name)
    ) -> TableSampler:
        """Choose parents and count."""
        if self.epsilon is not None and slice is not None:
            raise UsageError(
                f"a slice ({slice.text!r}) was given together with epsilon: how many rows lie in it would be told.",
                "Generate without the slice and keep the rows that lie in it, or leave epsilon out.",
            )
        sampler = fit_table(members, task, rng, self._learn, slice=slice, smoothing=Smoothing(), text=self.text)
        if self.epsilon is None:
            return sampler
        blind = {name: column.blind_to_members() for name, column in sampler.identifiers.items()}
        claim = self._claim(len(sampler.encoded.columns))
        return replace(sampler, identifiers=blind, notes={**sampler.notes, **claim})

    def _learn(self, encoded: Encoded, rng: np.random.Generator) -> _Network:
        bins = {
            name: bins_of(column, encoded.codes[name], evenly=self.epsilon is not None)
            for name, column in encoded.columns.items()
        }
        counted = {name: bins[name].count(encoded.codes[name]) for name in bins}
        counts = _Counts(counted, {name: bins[name].n_values for name in bins}, encoded.n_rows)
        order = _order(encoded)
        if self.epsilon is None:
            tables = [counts.table(name, _likeliest(counts, name, order[:at], rng)) for at, name in enumerate(order)]
        else:
            tables = _private_tables(counts, order, self.epsilon, secret_rng())
        return _Network(tuple(tables), bins)

    def _claim(self, n_columns: int) -> dict[str, Any]:
        each, choice = _budget(self.epsilon or 0.0, n_columns)
        return {
            "differential_privacy": {
                "epsilon": self.epsilon,
                "delta": 0.0,
                "unit": "one row, replaced by another",
                "trust_model": "central: whoever fits the generator sees the real rows; the claim is about the batch",
                "mechanisms": {
                    "exponential mechanism for parents": {"times": max(n_columns - 1, 0), "epsilon_each": choice},
                    "two-sided geometric noise on counts": {"times": n_columns, "epsilon_each": each},
                },
                "composition": "sequential: the epsilons add up",
                "taken_as_public": PUBLIC,
                "noise": "from the operating system's entropy; the batch cannot be regenerated from its seed",
            }
        }


@dataclass(frozen=True)
class Table:
    """How often each value of a column occurs with each combination of its parents' values."""

    name: str
    parents: tuple[str, ...]
    sizes: tuple[int, ...]
    counts: Ints
    """Shape (n_combinations, n_values)."""

    def draw(self, counted: Mapping[str, Ints], n_rows: int, rng: np.random.Generator) -> Ints:
        """Values given the parents', from the column's own distribution where a combination never occurred."""
        weights = np.maximum(self.counts, 0).astype(np.float64)
        overall = weights.sum(axis=0) if weights.any() else np.ones(weights.shape[1])
        weights[weights.sum(axis=1) == 0] = overall
        ends = np.cumsum(weights.ravel())
        row = _combination(counted, self.parents, self.sizes, n_rows)
        n_values = weights.shape[1]
        start = np.append(0.0, ends)[row * n_values]
        at = np.searchsorted(ends, start + rng.random(n_rows) * weights.sum(axis=1)[row], side="right")
        return np.asarray(np.clip(at - row * n_values, 0, n_values - 1), dtype=np.int64)


@dataclass(frozen=True)
class _Network:
    """Tables in the order in which their columns are drawn; keeps the Core contract."""

    tables: tuple[Table, ...]
    bins: Mapping[str, Levels | Bins]

    def draw(self, codes: Codes, names: Sequence[str], n_rows: int, rng: np.random.Generator) -> Codes:
        drawn = dict(codes)
        counted = {name: self.bins[name].count(values) for name, values in codes.items()}
        for table in self.tables:
            if table.name in names:
                counted[table.name] = table.draw(counted, n_rows, rng)
                drawn[table.name] = self.bins[table.name].draw(counted[table.name], rng)
        return drawn


@dataclass(frozen=True)
class _Counts:
    """The members as counted values."""

    values: Mapping[str, Ints]
    sizes: Mapping[str, int]
    n_rows: int

    def table(self, name: str, parents: tuple[str, ...]) -> Table:
        sizes = tuple(self.sizes[parent] for parent in parents)
        n_values = self.sizes[name]
        cell = _combination(self.values, parents, sizes, self.n_rows) * n_values + self.values[name]
        counts = np.bincount(cell, minlength=n_values * int(np.prod(sizes, dtype=np.int64)))
        return Table(name, parents, sizes, counts.reshape(-1, n_values))

    def candidates(
        self, name: str, earlier: Sequence[str], max_cells: float, rng: np.random.Generator
    ) -> list[tuple[str, ...]]:
        """Sets of parents whose tables are small enough; the empty set always is. Looks at sizes alone, not at rows."""
        sets = [chosen for size in range(1, MAX_PARENTS + 1) for chosen in itertools.combinations(earlier, size)]
        if len(sets) > MAX_CANDIDATES:
            sets = [sets[at] for at in np.sort(rng.choice(len(sets), MAX_CANDIDATES, replace=False))]
        return [(), *(s for s in sets if np.prod([float(self.sizes[n]) for n in (name, *s)]) <= max_cells)]


def _likeliest(counts: _Counts, name: str, earlier: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    """The parents with the best Bayesian information criterion (G. Schwarz, doi:10.1214/aos/1176344136)."""
    candidates = counts.candidates(name, earlier, min(4.0 * counts.n_rows, MAX_CELLS), rng)
    scores = [_information(counts.table(name, parents).counts) for parents in candidates]
    return candidates[int(np.argmax(scores))]


def _information(counts: Ints) -> float:
    """Log-likelihood of the values given the parents less what its parameters cost."""
    present = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0].astype(np.float64)
    totals = present.sum(axis=1, keepdims=True)
    likelihood = float((present * np.log(np.where(present > 0, present / totals, 1.0))).sum())
    n_parameters: int = present.shape[0] * (present.shape[1] - 1)
    return likelihood - 0.5 * float(np.log(present.sum())) * n_parameters


def _private_tables(counts: _Counts, order: Sequence[str], epsilon: float, rng: np.random.Generator) -> list[Table]:
    each, choice = _budget(epsilon, len(order))
    max_cells = min(counts.n_rows * each / (COUNT_SENSITIVITY * USEFUL_COUNT), MAX_CELLS)
    tables = []
    for at, name in enumerate(order):
        candidates = counts.candidates(name, order[:at], max_cells, rng)
        best = 0
        if at > 0:
            scores = np.array([dependence(counts.table(name, parents).counts) for parents in candidates])
            best = choose(scores, choice, dependence_sensitivity(counts.n_rows), rng)
        table = counts.table(name, candidates[best])
        tables.append(replace(table, counts=noisy_counts(table.counts, each, rng)))
    return tables


def dependence(counts: Ints) -> float:
    """Half the absolute difference between the joint distribution and independence: PrivBayes' score R."""
    joint = counts / counts.sum()
    return float(0.5 * np.abs(joint - joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)).sum())


def dependence_sensitivity(n_rows: int) -> float:
    """How much :func:`dependence` changes at most when one of ``n_rows`` rows is replaced (PrivBayes, theorem 5)."""
    return 3.0 / n_rows + 2.0 / n_rows**2


def _budget(epsilon: float, n_columns: int) -> tuple[float, float]:
    """ε for each column's counts, and for each choice of parents; the first column has no choice."""
    n_choices = max(n_columns - 1, 0)
    for_choices = STRUCTURE_SHARE * epsilon if n_choices else 0.0
    return (epsilon - for_choices) / max(n_columns, 1), for_choices / max(n_choices, 1)


def _order(encoded: Encoded) -> list[str]:
    """The slice's columns, then the target, so that every other column may have it as a parent."""
    first = [*encoded.leading, *(n for n in (encoded.target,) if n in encoded.columns and n not in encoded.leading)]
    return first + [name for name in encoded.columns if name not in first]


def _combination(values: Mapping[str, Ints], parents: tuple[str, ...], sizes: tuple[int, ...], n_rows: int) -> Ints:
    """The parents' values as one number; shape (n_rows,)."""
    combination = np.zeros(n_rows, dtype=np.int64)
    for parent, size in zip(parents, sizes, strict=True):
        combination = combination * size + values[parent]
    return combination


plugin = BayesNet
