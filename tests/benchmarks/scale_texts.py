"""CPU seconds and peak memory of the stages on many conversations or texts: run by hand, prints a line a stage.

OMP_NUM_THREADS=1 python tests/benchmarks/scale_texts.py                              100,000 conversations of 4 turns
OMP_NUM_THREADS=1 python tests/benchmarks/scale_texts.py --texts                      100,000 plain texts
OMP_NUM_THREADS=1 python tests/benchmarks/scale_texts.py --keep DIR --stages validate goes on in a kept project

Each stage is a command in a process of its own, measured as in `scale_data.py`. The batch that is imported has
`--batch-rows` further rows, made as the others are. Turns and texts are sentences of `text_corpora.py`, drawn anew.
`texts.py --only cost` runs the checks alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scale_data import STATEMENT, measured
from text_corpora import BY_NAME, balanced
from texts import conversations

SENTENCES = 3  # of a plain text
RECORD = {
    "generator": "further texts",
    "version": "1",
    "params": {},
    "seed": 1,
    "slice": None,
    "purpose": "a benchmark",
    "source": "none",
}
COMMANDS = {
    "import": ["list"],
    "define": ["define", "problem.md"],
    "freeze": ["freeze"],
    "generate": ["generate", "--from", "batch.jsonl", "--record", "record.yaml"],
    "validate": ["validate"],
}


def main() -> None:
    """Read the options, write the rows, run the stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--batch-rows", type=int, default=20_000)
    parser.add_argument("--texts", action="store_true", help="plain texts instead of conversations")
    parser.add_argument("--corpora", default=",".join(BY_NAME))
    parser.add_argument("--stages", nargs="+", default=list(COMMANDS))
    parser.add_argument("--keep", type=Path, help="where to keep the project, or to find it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        if not (folder / "rows.jsonl").exists():
            _write(folder, options)
        print("| stage | CPU s | MiB at most | without mapped files | exit code |\n|---|---|---|---|---|", flush=True)
        for stage in options.stages:
            used = measured([sys.executable, "-m", "synth_mlflow", *COMMANDS[stage]], folder)
            memory = f"{used.peak_mib:,.0f} | {used.peak_own_mib:,.0f}"
            print(f"| {stage} | {used.cpu_seconds:.1f} | {memory} | {used.exit_code} |", flush=True)


def _write(folder: Path, options: argparse.Namespace) -> None:
    """The statement, the rows, and further rows as a batch with its record."""
    table = pd.concat([balanced(BY_NAME[name]()) for name in options.corpora.split(",")], ignore_index=True)
    n, rng = options.rows + options.batch_rows, np.random.default_rng(0)
    if options.texts:
        rows = _texts(table, n, rng)
    else:
        rows = conversations(table, n, rng)
        rows = pd.DataFrame({"messages": rows["text"].map(json.loads), "label": rows["label"]})
    rows["label"] = np.where(rows["label"], "yes", "no")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "problem.md").write_text(STATEMENT.replace("rows.parquet", "rows.jsonl").replace("churned", "label"))
    (folder / "record.yaml").write_text(json.dumps(RECORD))  # JSON is YAML
    for name, part in (("rows", rows.iloc[: options.rows]), ("batch", rows.iloc[options.rows :])):
        part.to_json(folder / f"{name}.jsonl", orient="records", lines=True, force_ascii=False)
    print(f"{min(len(rows), options.rows):,} rows, {len(rows) - options.rows:,} in the batch\n")


def _texts(table: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Sentences drawn anew and joined, with the label of the first."""
    texts, labels = table["text"].to_numpy(), table["label"].to_numpy()
    drawn = rng.integers(len(texts), size=(n, SENTENCES))
    rows = pd.DataFrame({"text": [" ".join(texts[row]) for row in drawn], "label": labels[drawn[:, 0]]})
    return rows.drop_duplicates("text", ignore_index=True)


if __name__ == "__main__":
    main()
