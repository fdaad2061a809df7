"""Both sides of a frozen split, and what the run of the evaluation set records and says of them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import Schema
from synth_mlflow.data.digests import canonical_json, json_digest, row_digests, table_digest
from synth_mlflow.data.equal_rows import Balance
from synth_mlflow.data.key_file import fingerprint, make_key
from synth_mlflow.data.markdown_text import as_text
from synth_mlflow.data.own_form import present
from synth_mlflow.data.schema import TableSchema
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.splits import Split
from synth_mlflow.data.statement import BOTH_SIDES, Evaluation
from synth_mlflow.data.tables import write_parquet
from synth_mlflow.model.baseline import Baseline, power_words
from synth_mlflow.stages.dataset_inputs import evaluation_input, real_input
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Draft
from synth_mlflow.tracking.stored import Problem, caveat_words

Store = Literal["rows", "reference"]
STORES: tuple[Store, ...] = get_args(Store)


@dataclass(frozen=True)
class Cut:
    """The two sides of a frozen cut, ready to be written."""

    training: pd.DataFrame
    evaluation: pd.DataFrame
    split: Split
    schema: Schema
    seed: int
    plan: Evaluation
    balance: Balance
    n_shared: int
    """Evaluation rows that equal a training row."""
    unused: pd.DataFrame
    """Real rows of neither side, which a split by group and time leaves."""

    @property
    def caveat(self) -> str:
        """What every page says where equal rows stand on both sides."""
        if self.plan.equal_rows != BOTH_SIDES:
            return ""
        return caveat_words(self.n_shared, len(self.evaluation))

    @property
    def key(self) -> str:
        """The idempotency key of the evaluation set's run."""
        digests = (table_digest(side, self.schema) for side in (self.training, self.evaluation))
        return json_digest(["evaluation_set", *digests, self.split.how])


def record_split(draft: Draft, problem: Problem, sides: Cut, path: Path, store: Store) -> None:
    """Record both sides: digests, sizes, how they were split, and the rows or what stands for them."""
    digest, training = (table_digest(side, sides.schema) for side in (sides.evaluation, sides.training))
    draft.param(names.P_EVALUATION_DIGEST, digest)
    draft.param(names.P_EVALUATION_ROWS, len(sides.evaluation))
    draft.param(names.P_TRAINING_DIGEST, training)
    draft.param(names.P_TRAINING_ROWS, len(sides.training))
    draft.param(names.P_HOW, sides.split.how)
    draft.param(names.P_CUT, sides.plan.model_dump(exclude_none=True))
    draft.param(names.P_DUPLICATES, sides.split.n_duplicates)
    draft.param(names.P_SHARED_ROWS, sides.n_shared)
    draft.param(names.P_BALANCE, sides.balance.words)
    draft.metric(names.M_SHARE, sides.balance.share)
    draft.param(names.P_STORE, store)
    draft.param(names.P_DATA_PATH, str(path))
    draft.param(names.P_METRIC, problem.statement.facts.metric)
    draft.param(names.P_STATEMENT, problem.statement.digest)
    draft.param(names.P_TASK_DIGEST, problem.statement.task_digest)
    draft.param(names.P_SEED, sides.seed)
    draft.metric(names.M_ROWS, len(sides.evaluation))
    n_columns, uri = sides.training.shape[1], path.as_uri()
    draft.inputs.append(real_input(training, uri, len(sides.training), n_columns))
    draft.inputs.append(evaluation_input(digest, uri, len(sides.evaluation), n_columns))
    _keep_schema(draft, sides, problem.statement.table)
    if store == "rows":
        _keep_rows(draft, sides)
    else:
        _keep_positions(draft, sides, path)
    draft.text(names.A_SLICES, canonical_json(_slice_sizes(problem.statement.slices, sides)))


def _slice_sizes(slices: Mapping[str, Slice], sides: Cut) -> dict[str, dict[str, int]]:
    """How many rows of each side lie in each slice of the statement."""
    return {
        name: {"training": int(part.mask(sides.training).sum()), "evaluation": int(part.mask(sides.evaluation).sum())}
        for name, part in slices.items()
    }


def _keep_schema(draft: Draft, sides: Cut, table: TableSchema | None) -> None:
    draft.text(names.A_SCHEMA, json.dumps(dict(sides.schema.kinds), ensure_ascii=False))
    if table is not None:
        draft.text(names.A_COLUMNS, table.text())
        draft.param(names.P_TABLE_SCHEMA, table.digest)


def _keep_rows(draft: Draft, sides: Cut) -> None:
    salt = secrets.token_hex(16)
    draft.param(names.P_SALT, salt)
    parts = {"training": sides.training, "evaluation": sides.evaluation}
    parts |= {names.UNUSED: sides.unused} if len(sides.unused) else {}
    digests: dict[str, Any] = {side: row_digests(rows, salt) for side, rows in parts.items()}
    np.savez(draft.file(names.A_ROW_DIGESTS), **digests)
    write_parquet(present(sides.training, sides.schema), draft.file(names.A_TRAINING))
    write_parquet(present(sides.evaluation, sides.schema), draft.file(names.A_EVALUATION))


def _keep_positions(draft: Draft, sides: Cut, path: Path) -> None:
    """On which side the row at each position stands; the key of the row digests stays beside the data."""
    draft.param(names.P_KEY_FINGERPRINT, fingerprint(make_key(path)))
    side = np.full(len(sides.training) + len(sides.evaluation) + len(sides.unused), "training", dtype=object)
    side[sides.split.evaluation] = "evaluation"
    side[sides.split.unused] = names.UNUSED
    pd.DataFrame({"row": np.arange(len(side)), "side": side}).to_parquet(draft.file(names.A_SPLIT), index=False)


def describe_split(problem: Problem, sides: Cut, baseline: Baseline, store: Store, warning: str) -> str:
    """The page of the evaluation set's run."""
    kept = "stored on this run" if store == "rows" else "kept by reference: only positions are here, no digest of a row"
    notes = "".join(f"\n\n**{note}**" for note in (sides.caveat, warning) if note)
    return (
        "**The frozen evaluation set**: real rows that no generator ever sees; nobody changes them mid-project. "
        f"Next: `synth-mlflow generate`.\n\n| evaluation rows | training rows | split | rows are |\n|---|---|---|---|\n"
        f"| {len(sides.evaluation):,} | {len(sides.training):,} | {as_text(sides.split.how)} | {kept} |\n\n"
        f"Held out: {sides.balance.words}.\n\n"
        f"Real-only baseline: **{problem.statement.facts.metric} {baseline.score:.4f}** "
        f"({baseline.low:.4f} to {baseline.high:.4f}). "
        f"{power_words(baseline.smallest_detectable, problem.statement.facts.success.gain_at_least)}{notes}"
    )
