"""A dataset folder as the Hugging Face Hub takes it: Parquet files, and a card with YAML in front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from synth_mlflow.data.markup import as_text
from synth_mlflow.publications import Publication
from synth_mlflow.publications.parquet_folder import read as read_parts
from synth_mlflow.publications.parquet_folder import write_parts

DATA = "data"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
         (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))  # fmt: skip


def write(what: Publication, folder: Path) -> pa.Table:
    """Write card and rows; gives the rows as they are read back."""
    (folder / DATA).mkdir()
    write_parts(what, folder / DATA, "train")
    (folder / "README.md").write_text(card(what), encoding="utf-8")
    return read_parts(folder / DATA)


def card(what: Publication) -> str:
    """The dataset card; whatever people typed is text in it."""
    front = yaml.safe_dump(_front(what), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_body(what)}"


def _front(what: Publication) -> dict[str, Any]:
    """What the Hub reads; a licence is for people to name, since the project records none."""
    task = "tabular-regression" if what.task == "regression" else "tabular-classification"
    size = next((name for limit, name in SIZES if what.rows.num_rows < limit), "1B<n<10B")
    return {
        "pretty_name": what.title,
        "license": "unknown",
        "task_categories": [task],
        "size_categories": [size],
        "tags": ["synthetic", "tabular", "synth-mlflow"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": f"{DATA}/*.parquet"}]}],
    }


def _body(what: Publication) -> str:
    facts = what.facts
    columns = "\n".join(f"| {as_text(each.name)} | {each.kind} | {each.role} |" for each in what.columns)
    batches = "\n".join(_batch(record) for record in facts["records"])
    reading = f"{as_text(what.how_to_read)}\n\n" if what.how_to_read else ""
    mix = " Some of them are real: the column `synth_mlflow_origin` says which." if facts["kind"] == "mix" else ""
    return (
        f"# {as_text(what.title)}\n\n"
        f"**Synthetic data.** {what.rows.num_rows:,} rows.{mix} {as_text(what.about)}\n\n"
        f"Approved by {as_text(facts['by'])} ({as_text(facts['role'])}) on {facts['at'][:10]} as "
        f"{as_text(facts['approved'])}, after every required check of its batches had passed. A later retraction does "
        "not reach this copy: `synth-mlflow watch` asks the tracking server whether there was one.\n\n"
        "| batch | rows | generator | seed | slice | purpose |\n|---|---|---|---|---|---|\n"
        f"{batches}\n\n"
        f"The target is {as_text(what.target)}.\n\n| column | kind | role |\n|---|---|---|\n{columns}\n\n{reading}"
        f"## Limits\n\n{as_text(what.limits) or 'Nobody has written any down.'}\n\n"
        "## Provenance\n\n"
        f"SHA-256 of the content: `{facts['rows_digest']}`. `data/provenance.json` and the metadata of each Parquet "
        "file (`synth_mlflow.approval`) hold the complete records.\n"
    )


def _batch(record: dict[str, Any]) -> str:
    origin = record["origin"]
    cells = (
        record["batch"],
        f"{record['rows']:,}",
        f"{origin['generator']} {origin['version']}",
        "none" if origin["seed"] is None else str(origin["seed"]),
        origin["slice"] or "the whole table",
        origin["purpose"],
    )
    return f"| {' | '.join(as_text(cell) for cell in cells)} |"
