"""What all built-in generators share: roles of columns, slices by conditional sampling, and the finished table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import Kind, schema_of
from synth_mlflow.data.slices import Both, Condition, Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.generators._encoding import Codes, Encoded, encode
from synth_mlflow.generators._identifiers import Identifiers, Role, roles_of
from synth_mlflow.generators._numeric import Smoothing

CONSTANT_COLUMNS = "constant_columns"  # a note of samplers
TextPolicy = Literal["refuse", "resample"]

MIN_MEMBERS = 10
FEW_SLICE_ROWS = 50  # fewer real rows than this in the slice are worth a warning in the record
MAX_DRAWS_PER_ROW = 4_000
MIN_DRAWS = 400_000
MAX_CHUNK = 200_000  # rows drawn at once while looking for the slice
CHUNK_ROWS = 100_000


class ColumnSampler(Protocol):
    """A fitted model of the encoded columns."""

    def draw(self, codes: Codes, names: Sequence[str], n_rows: int, rng: np.random.Generator) -> Codes:
        """What ``codes`` holds, and at least the columns ``names``, drawn given it.

        It is called for the leading columns one by one, in their order, and then for all others at once.
        """
        ...


Learn = Callable[[Encoded, np.random.Generator], ColumnSampler]


@dataclass(frozen=True)
class Stage:
    """A leading column, and the parts of the slice's condition that can be decided once it is drawn."""

    column: str
    conditions: tuple[Slice, ...]


@dataclass(frozen=True)
class TableSampler:
    """A fitted built-in generator; keeps the Sampler contract."""

    core: ColumnSampler
    encoded: Encoded
    constants: pd.DataFrame
    """The first row of the constant columns."""
    identifiers: Mapping[str, Identifiers]
    order: tuple[str, ...]
    slice: Slice | None
    stages: tuple[Stage, ...]
    notes: Mapping[str, Any]

    def sample(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n_rows`` rows with the columns and kinds of the members, each inside the slice.

        Raises
        ------
        GeneratorError
            If the model hardly ever draws a row of the slice.
        """
        return next(self.chunks(n_rows, rng, chunk_rows=n_rows))

    def chunks(self, n_rows: int, rng: np.random.Generator, *, chunk_rows: int = CHUNK_ROWS) -> Iterator[pd.DataFrame]:
        """The same in pieces, so that memory stays flat; identifiers are unique across all of them.

        Raises
        ------
        GeneratorError
            If the model hardly ever draws a row of the slice.
        """
        fresh = pd.DataFrame({name: column.draw(n_rows, rng) for name, column in self.identifiers.items()})
        for start in range(0, max(n_rows, 1), max(chunk_rows, 1)):
            n_chunk = min(chunk_rows, n_rows - start)
            identifiers = fresh.iloc[start : start + n_chunk].reset_index(drop=True)
            columns = {**self._modelled(n_chunk, rng), **self._repeat_constants(n_chunk), **identifiers}
            yield pd.DataFrame({name: columns[name] for name in self.order}, index=pd.RangeIndex(n_chunk))

    def _modelled(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        if n_rows == 0:
            return self.encoded.decode({name: values[:0] for name, values in self.encoded.codes.items()})
        lead = self._lead(n_rows, rng) if self.stages else {}
        rest = [name for name in self.encoded.columns if name not in lead]
        return self.encoded.decode(self.core.draw(lead, rest, n_rows, rng))

    def _lead(self, n_rows: int, rng: np.random.Generator) -> Codes:
        """Leading columns of rows in the slice, by rejection on these columns alone."""
        parts: list[Codes] = []
        n_found = n_drawn = 0
        budget = max(MIN_DRAWS, MAX_DRAWS_PER_ROW * n_rows)
        while n_found < n_rows:
            if n_drawn >= budget or (n_drawn >= MIN_DRAWS and n_found == 0):
                raise self._hardly_ever(n_found, n_drawn)
            n_chunk = _chunk(n_rows - n_found, n_found, n_drawn)
            part = self._lead_in_slice(n_chunk, rng)
            parts += [part] if part else []
            n_drawn += n_chunk
            n_found += _length(part)
        return {name: np.concatenate([part[name] for part in parts])[:n_rows] for name in parts[0]}

    def _lead_in_slice(self, n_chunk: int, rng: np.random.Generator) -> Codes:
        """The leading columns of those rows that lie in the slice; empty if none does."""
        codes: Codes = {}
        n_left = n_chunk
        for stage in self.stages:
            codes = self.core.draw(codes, [stage.column], n_left, rng)
            for condition in stage.conditions:
                inside = condition.mask(self._frame(codes, condition.columns, n_left))
                codes = {name: values[inside] for name, values in codes.items()}
                n_left = int(inside.sum())
                if n_left == 0:
                    return {}
        return codes

    def _frame(self, codes: Codes, names: frozenset[str], n_rows: int) -> pd.DataFrame:
        drawn = self.encoded.decode({name: codes[name] for name in sorted(names & set(codes))})
        constants = self._repeat_constants(n_rows)
        return pd.DataFrame({**dict(drawn), **dict(constants)}, index=pd.RangeIndex(n_rows))

    def _repeat_constants(self, n_rows: int) -> pd.DataFrame:
        return self.constants.iloc[np.zeros(n_rows, dtype=np.int64)].reset_index(drop=True)

    def _hardly_ever(self, n_found: int, n_drawn: int) -> GeneratorError:
        where = "" if self.slice is None else self.slice.text
        return GeneratorError(
            f"slice {where!r}: {n_found:,} of {n_drawn:,} drawn rows lay in it "
            f"({n_found / n_drawn:.4%}); {self.notes['slice_rows']:,} real rows do.",
            "Widen the slice, or give real rows of it with `--source FILE`.",
        )


@dataclass(frozen=True)
class _Plan:
    """What happens to each column."""

    modelled: list[str]
    constant: list[str]
    identifier: list[str]
    text: list[str] = field(default_factory=list)


def fit_table(
    members: pd.DataFrame,
    task: Task,
    rng: np.random.Generator,
    learn: Learn,
    *,
    slice: Slice | None,  # noqa: A002 (the contract's name)
    smoothing: Smoothing,
    text: TextPolicy,
) -> TableSampler:
    """Sort the columns by role, encode those that are modelled, and let ``learn`` model them.

    Raises
    ------
    GeneratorError
        If there are too few members, none in the slice, or free text that nobody asked to resample.
    UsageError
        If the slice does not fit the table, or looks at an identifier.
    """
    if len(members) < MIN_MEMBERS:
        raise GeneratorError(
            f"{len(members):,} real rows were given, at least {MIN_MEMBERS} are needed to learn from.",
            "Add real rows: fewer cannot be distinguished from copies.",
        )
    kinds = schema_of(members)
    plan = _plan(roles_of(members, task.target, task.roles), slice, text)
    in_slice = None if slice is None else slice.mask(members)
    n_in_slice = 0 if in_slice is None else int(in_slice.sum())
    if slice is not None and n_in_slice == 0:
        raise GeneratorError(
            f"slice {slice.text!r}: 0 of {len(members):,} real rows lie in it, at least 1 is needed to learn from.",
            "Widen the slice, or give real rows of it with `--source FILE`.",
        )
    label = task.target if task.is_classification else None
    modelled = {name: _modelled_kind(members[name], kinds[name]) for name in plan.modelled}
    columns, codes = encode(members, modelled, smoothing, label)
    stages = () if slice is None else _stages(slice, plan.modelled, members)
    leading = tuple(stage.column for stage in stages)
    encoded = Encoded(columns, codes, len(members), task.target, task.is_classification, leading, in_slice)
    return TableSampler(
        core=learn(encoded, rng),
        encoded=encoded,
        constants=members[plan.constant].iloc[:1],
        identifiers={name: _identifiers(members[name], task) for name in plan.identifier},
        order=tuple(kinds.columns),
        slice=slice,
        stages=stages,
        notes=_notes(plan, None if slice is None else n_in_slice, task.group),
    )


def _modelled_kind(column: pd.Series, kind: Kind) -> Kind:
    """Whole numbers beside missing values are modelled as floats, however large."""
    return "number" if kind == "integer" and column.dtype == "Int64" else kind


def _identifiers(column: pd.Series, task: Task) -> Identifiers:
    """Of rows that are drawn one by one, each has a name of its own, also where members share one in a group."""
    identifiers = Identifiers.of(column)
    return replace(identifiers, repeats=()) if column.name == task.group else identifiers


def _plan(roles: Mapping[str, Role], slice: Slice | None, text: TextPolicy) -> _Plan:  # noqa: A002
    if text not in get_args(TextPolicy):
        raise UsageError(
            f"text is {text!r}, needed {' or '.join(map(repr, get_args(TextPolicy)))}.",
            "Leave it out for 'refuse'; 'resample' hands out members' own texts.",
        )
    prose = [name for name, role in roles.items() if role == "text"]
    if prose and text == "refuse":
        raise GeneratorError(
            f"column {prose[0]!r} holds free text, which this generator cannot write"
            + (f" (so do {', '.join(map(repr, prose[1:]))})." if prose[1:] else "."),
            "Texts and conversations are written by a language model (`generate llm:MODEL --prompt FILE`) or a command "
            "(`--command TEMPLATE`), or imported (`generate --from FILE --record FILE`). Else drop the column, or hand "
            "out members' own texts with `--param text=resample` (the privacy check sees it).",
        )
    identifier = [name for name, role in roles.items() if role == "identifier"]
    in_slice = sorted(set(identifier) & (slice.columns if slice else set()))
    if slice is not None and in_slice:
        raise UsageError(
            f"slice {slice.text!r} looks at {in_slice[0]!r}, whose values are identifiers and are made afresh.",
            "Write the condition on other columns.",
        )
    return _Plan(
        modelled=[name for name, role in roles.items() if role in {"number", "category", "text"}],
        constant=[name for name, role in roles.items() if role == "constant"],
        identifier=identifier,
        text=prose,
    )


def _notes(plan: _Plan, n_in_slice: int | None, group: str | None) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    if plan.identifier:
        notes["identifiers_made_afresh"] = plan.identifier
    if group is not None and group in plan.identifier:
        notes["groups"] = (
            f"each row is a {group} of its own, as this generator draws rows one by one; "
            "`sdv:PARSynthesizer` makes sequences"
        )
    if plan.constant:
        notes[CONSTANT_COLUMNS] = plan.constant
    if plan.text:
        notes["text_resampled_from_members"] = plan.text
    if n_in_slice is not None:
        notes["slice_rows"] = n_in_slice
        if n_in_slice < FEW_SLICE_ROWS:
            notes["slice_warning"] = (
                f"only {n_in_slice} real rows lie in the slice; what is particular to it can hardly be learned "
                f"from fewer than {FEW_SLICE_ROWS}"
            )
    return notes


def _stages(slice: Slice, modelled: list[str], members: pd.DataFrame) -> tuple[Stage, ...]:  # noqa: A002
    """Leading columns, those whose own conditions are rarest first: what is drawn in vain is then drawn cheaply."""
    parts = [Slice(slice.text, part) for part in _conjuncts(slice.condition)]
    shares = {name: _share(name, parts, members) for name in modelled if name in slice.columns}
    order = sorted(shares, key=lambda name: shares[name])
    needed = [max((order.index(name) for name in part.columns if name in shares), default=0) for part in parts]
    return tuple(
        Stage(name, tuple(part for part, last in zip(parts, needed, strict=True) if last == at))
        for at, name in enumerate(order)
    )


def _conjuncts(condition: Condition) -> list[Condition]:
    return list(condition.conditions) if isinstance(condition, Both) else [condition]


def _share(name: str, parts: list[Slice], members: pd.DataFrame) -> float:
    """How many members meet the conditions on this column alone."""
    masks = [part.mask(members) for part in parts if part.columns == {name}]
    return float(np.mean(np.all(masks, axis=0))) if masks else 1.0


def _length(codes: Codes) -> int:
    return len(next(iter(codes.values()))) if codes else 0


def _chunk(n_missing: int, n_found: int, n_drawn: int) -> int:
    """How many rows to draw next, from the acceptance so far."""
    if n_drawn == 0:
        return min(max(1_000, 2 * n_missing), MAX_CHUNK)
    acceptance = max(n_found, 0.5) / n_drawn
    return int(min(max(1_000, 1.1 * n_missing / acceptance), MAX_CHUNK))
