"""The seal of a run: one digest over its parameters and metrics, so that a later edit of either shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from synth_mlflow.data.digests import json_digest
from synth_mlflow.tracking import names

Value = tuple[str, int, float]
"""A metric's name, its step and its value."""


def seal_of(params: Mapping[str, str], metrics: Iterable[Value]) -> str:
    """SHA-256 over everything that a run states under this product's names.

    What people add under names of their own breaks no seal; what a stage may add later is left out.

    Examples
    --------
    >>> seal_of({"synth.rows": "3"}, []) == seal_of({"synth.rows": "3", "mine": "x"}, [("loss", 0, 0.5)])
    True
    >>> seal_of({"synth.rows": "3"}, []) == seal_of({"synth.rows": "4"}, [])
    False
    """
    stated = {name: value for name, value in params.items() if _ours(name) and not _left_out(name)}
    numbers = {(name, step, value + 0.0) for name, step, value in metrics if _ours(name)}  # SQLite keeps no -0.0
    return json_digest([stated, sorted(numbers)])


def _left_out(name: str) -> bool:
    return name == names.P_SEAL or names.is_added_later(name)


def _ours(name: str) -> bool:
    return name.startswith(names.M_PREFIX)
