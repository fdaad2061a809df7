"""Approved rows in the forms that other tools read: Parquet, a Delta table, a dataset folder of Hugging Face.

Each form is a file of this folder with one function, which writes a :class:`Publication` and gives back the rows as its
own reader reads them. The provenance goes along in the form's own metadata, and as ``provenance.json`` beside the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

FACTS_KEY = b"synth_mlflow.approval"
"""Where the metadata of a table says which approved version it is."""
PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Column:
    """One column of the project's table."""

    name: str
    kind: str
    role: str


@dataclass(frozen=True)
class Publication:
    """Rows with all that is said of them."""

    title: str
    """``project/NAME/VERSION``."""
    rows: pa.Table
    facts: Mapping[str, Any]
    """Which version it is, digests, and the provenance records of its batches, as JSON values."""
    about: str
    """Which gap the project fills, in its own words."""
    limits: str
    """What is known of its limits."""
    columns: tuple[Column, ...]
    target: str
    task: str
    """``binary``, ``multiclass`` or ``regression``."""
    how_to_read: str = ""
    """How a CSV file of these rows must be read; empty where every reader keeps their texts."""
