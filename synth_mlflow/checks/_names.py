"""Probes of columns that name rows or groups: by uniqueness and form alone, since their values mean nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from synth_mlflow.checks import Probe
from synth_mlflow.checks._tables import Tables
from synth_mlflow.data.identifier_forms import known_form

_RUNS = ((re.compile(r"[a-z]+"), "a"), (re.compile(r"[A-Z]+"), "A"), (re.compile(r"\d+"), "9"))
FLOOR_QUANTILE = 0.99
N_SPLITS = 100


def name_probes(
    tables: Tables, names: frozenset[str], policy: Mapping[str, float], rng: np.random.Generator
) -> Iterator[Probe]:
    """For each identifier: does it repeat more often than real ones do, and has it their form?"""
    for name in tables.batch.columns:
        if name in names and tables.real[name].notna().any():
            yield _repeats(tables, name, policy["repeated_rows"])
            yield _form(tables, name, policy["unseen_levels"], rng)


def _repeats(tables: Tables, name: str, limit: float) -> Probe:
    batch, real = (_repeated(rows[name]) for rows in (tables.batch, tables.members))
    note = f"{batch:.2%} of the batch stand in more than one row, {real:.2%} of the members"
    return Probe("repeated_identifiers", max(batch - real, 0.0), limit, column=name, note=note)


def _repeated(values: pd.Series) -> float:
    present = values.dropna()
    return float(present.duplicated(keep=False).mean()) if len(present) else 0.0


def _form(tables: Tables, name: str, limit: float, rng: np.random.Generator) -> Probe:
    present = tables.batch[name].dropna()
    public = known_form(tables.real[name].dropna())
    if public:
        share = float(np.mean([known_form(pd.Series([value])) != public for value in present])) if len(present) else 0.0
        note = f"{share:.2%} of the batch are no {public}, as all real values are"
        return Probe("identifier_form", share, limit, column=name, note=note)
    batch, real = _forms(present), _forms(tables.real[name].dropna())
    share = float((~batch.isin(set(real))).mean()) if len(batch) else 0.0
    note = f"{share:.2%} of the batch have a form that no real value has"
    return Probe("identifier_form", share, limit, column=name, floor=_floor(real, rng), note=note)


def _forms(values: pd.Series) -> pd.Series:
    """Letters, capitals and digits by class, each run as one: ``INV-00017`` is ``A-9``."""
    texts = values.astype("int64" if pd.api.types.is_numeric_dtype(values.dtype) else "str").astype("str")
    for run, mark in _RUNS:
        texts = texts.str.replace(run.pattern, mark, regex=True)
    return texts


def _floor(real: pd.Series, rng: np.random.Generator) -> float:
    """The share of unknown forms that 99 of 100 halves of the real values show the other half."""
    codes, levels = pd.factorize(real)
    shares = []
    for _ in range(N_SPLITS):
        first = rng.random(len(codes)) < 0.5
        known = np.zeros(len(levels), dtype=bool)
        known[codes[first]] = True
        shares.append(float((~known[codes[~first]]).mean()) if (~first).any() else 0.0)
    return float(np.quantile(shares, FLOOR_QUANTILE))
