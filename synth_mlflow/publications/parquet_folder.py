"""A folder of Parquet files, each of a million rows at most, with the provenance in the metadata of each."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.publications import FACTS_KEY, PROVENANCE, Publication

PART_ROWS = 1_000_000


def write(what: Publication, folder: Path) -> pa.Table:
    """Write the folder; gives the rows as they are read back."""
    write_parts(what, folder, "part")
    return read(folder)


def write_parts(what: Publication, folder: Path, stem: str) -> None:
    """Files ``STEM-00000-of-00002.parquet`` and so on, and the provenance beside them."""
    facts = {FACTS_KEY: canonical_json(dict(what.facts)).encode()}
    table = what.rows.replace_schema_metadata({**(what.rows.schema.metadata or {}), **facts})
    n_parts = max(-(-table.num_rows // PART_ROWS), 1)
    for at in range(n_parts):
        part = table.slice(at * PART_ROWS, PART_ROWS)
        pq.write_table(part, folder / f"{stem}-{at:05d}-of-{n_parts:05d}.parquet")
    facts_json = json.dumps(dict(what.facts), indent=2, ensure_ascii=False)
    (folder / PROVENANCE).write_text(f"{facts_json}\n", encoding="utf-8")


def read(folder: Path) -> pa.Table:
    """The rows of such a folder, in their order."""
    files = sorted(str(path) for path in folder.glob("*.parquet"))
    return pa_dataset.dataset(files, format="parquet").to_table(use_threads=False)
