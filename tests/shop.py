"""The made-up shop that tests work on: its rows, its statement, and its whole way through the six stages."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow import Workflow
from synth_mlflow.audit.reproduce import Step
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import this_process

STATEMENT = """---
name: {name}
data: rows.csv
target: bought
task: binary
metric: roc_auc
success: {{gain_at_least: 0.01}}
gap: cold start
privacy: "not relevant: made-up rows"
slices: {{young: "age < 30"}}
evaluation: {{share: 0.5}}
model: {{params: {{num_iterations: 20, num_leaves: 4, min_data_in_leaf: 5}}}}
{more}
---
## What gap are we filling?
Too few customers yet.
## Why can't real data solve it?
They come one a day.
## What metric decides success, and why?
Ranking is what the shop uses.
## Who owns this, and who may change the evaluation set?
The shop; nobody.
"""
LIMITS = """## Known limitations
Made-up rows.
## When not to use this model
Ever.
## What we would try next
Real rows.
"""


def customers(n_rows: int, seed: int) -> pd.DataFrame:
    """Mixed rows with a learnable target: numbers, texts, booleans, dates, missing values."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n_rows)
    income = np.round(rng.lognormal(10, 0.5, n_rows), 2)
    region = rng.choice(["north", "south", "east"], n_rows)
    member = rng.random(n_rows) < 0.4
    logit = 0.15 * (age - 45) + np.where(region == "north", 2.0, -1.0) + member * 2 + 2 * (np.log(income) - 10)
    bought = np.where(rng.random(n_rows) < 1 / (1 + np.exp(-logit)), "yes", "no")
    frame = pd.DataFrame({"age": age, "income": income, "region": region, "member": member})
    frame["since"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, n_rows), unit="D")
    frame.loc[rng.random(n_rows) < 0.1, "income"] = np.nan
    frame.loc[rng.random(n_rows) < 0.05, "region"] = None
    return frame.assign(bought=bought)


def write_shop(folder: Path, rows: pd.DataFrame, *, name: str = "shop", more: str = "", **changes: str) -> Path:
    """Writes rows.csv, problem.md and limits.md, with other values for facts of the statement; gives problem.md."""
    rows.to_csv(folder / "rows.csv", index=False)
    (folder / "limits.md").write_text(LIMITS)
    text = STATEMENT.format(name=name, more=more)
    for old, new in changes.items():
        lines = [f"{old}: {new}" if line.startswith(f"{old}:") else line for line in text.splitlines()]
        text = "\n".join(lines) + "\n"
    (folder / "problem.md").write_text(text)
    return folder / "problem.md"


def on_copy(source: Path, target: Path, name: str = "shop") -> Workflow:
    """The project of one folder on a copy of its store in another; artifacts are shared, so never rewrite them.

    Its runs are those of this process: another one of the tests may have made them, and lives.
    """
    for file in ("mlflow.db", "rows.csv", "problem.md", "limits.md"):
        shutil.copy(source / file, target / file)
    with closing(sqlite3.connect(target / "mlflow.db")) as store, store:
        store.execute("UPDATE tags SET value = ? WHERE key = ?", (this_process(), names.TAG_OWNER))
    return Workflow(name, f"sqlite:///{target / 'mlflow.db'}")


def hand_over(workflow: Workflow) -> None:
    """Everything behind `generate`, in little time."""
    workflow.validate()
    workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1)
    workflow.report()


def made_again(workflow: Workflow, batch: str, **given: Any) -> Step:
    """What `reproduce` says of one batch."""
    return next(step for step in workflow.reproduce(**given).steps if step.what == f"batch {batch}")


def go_whole_way(tracking_uri: str, folder: Path, name: str = "shop") -> Workflow:
    """Every stage that is not done yet, as somebody would run them one after the other, and again after a fault.

    The batch is a perfect one, further rows of the same law, so that its gate opens on few rows.
    """
    workflow = Workflow(name, tracking_uri)
    workflow.define(folder / "problem.md")
    if workflow.project.find_evaluation_set() is None:
        workflow.freeze()
    record = {"generator": "law", "version": "1", "params": {"rate": 3}, "seed": 2, "slice": None}
    with workflow.batch(**record, purpose="more rows", source="none") as b:
        b.write(customers(400, 2))
    workflow.validate()
    workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1)
    workflow.report(folder / "handoff.html")
    return workflow
