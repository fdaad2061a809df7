"""Make a project as large as years of work leave it, by copying its runs in the database."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import seal_of

COPIED = {
    "params": ("key", "value"),
    "tags": ("key", "value"),
    "metrics": ("key", "value", "timestamp", "step", "is_nan"),
    "latest_metrics": ("key", "value", "timestamp", "step", "is_nan"),
}
OF_A_BATCH, OF_A_SWEEP = ("batch", "contamination", "fidelity", "utility", "privacy"), ("sweep", "ratio", "final")


def grow(database: Path, *, n_batches: int, n_sweeps: int, n_inside: int = 1, named: str = "copy") -> None:
    """Add copies of the only batch with its checks, and of the only sweep with all below it.

    Copies share the artifacts of what they are copies of. The sweeps are older than the one that was there, which holds
    ``n_inside`` of the batches when this is done. ``named`` begins the short ids of the batches.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        copier = _Copier(connection)
        batch = copier.runs_of(OF_A_BATCH)
        old = connection.execute("SELECT value FROM params WHERE key = 'synth.batch'").fetchone()[0]
        made = [f"{named}-{at:04d}" for at in range(n_batches)]
        for name in made:
            copier.copy(batch, {old: name}, seconds_later=0)
        sweep = copier.runs_of(OF_A_SWEEP)
        for at in range(n_sweeps):
            copier.copy(sweep, {}, seconds_later=-at - 1)
        inside = " ".join([old, *made[: n_inside - 1]])
        for run_id in (*sweep, *copier.runs_of(("handoff",))):
            connection.execute(
                "UPDATE params SET value = ? WHERE run_uuid = ? AND key = 'synth.batches'", (inside, run_id)
            )
            copier.seal(run_id)


class _Copier:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.columns = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]

    def runs_of(self, stages: Sequence[str]) -> list[str]:
        """The run ids of some stages."""
        marks = ", ".join("?" * len(stages))
        found = self.connection.execute(
            f"SELECT run_uuid FROM tags WHERE key = 'synth.stage' AND value IN ({marks})", stages
        )
        return [row[0] for row in found]

    def copy(self, run_ids: Sequence[str], renamed: Mapping[str, str], seconds_later: int) -> None:
        """Copy runs that hang together, with other ids and some values renamed."""
        ids = {run_id: uuid.uuid4().hex for run_id in run_ids}
        told = {**ids, **renamed}
        for run_id in run_ids:
            row = self.connection.execute("SELECT * FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
            values = dict(zip(self.columns, row, strict=True))
            values["run_uuid"] = ids[run_id]
            for name in ("start_time", "end_time"):
                values[name] += 1000 * seconds_later
            self._insert("runs", self.columns, [list(values.values())])
            for table, columns in COPIED.items():
                rows = self.connection.execute(
                    f"SELECT {', '.join(columns)} FROM {table} WHERE run_uuid = ?", (run_id,)
                ).fetchall()
                self._insert(
                    table,
                    [*columns, "run_uuid"],
                    [[key, _retold(key, value, told), *rest, ids[run_id]] for key, value, *rest in rows],
                )
            self.seal(ids[run_id])

    def seal(self, run_id: str) -> None:
        """Write the seal that a run deserves as it is now, and that of its estimate, which rests on it."""
        params = dict(self.connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run_id,)))
        metrics = self.connection.execute("SELECT key, step, value FROM metrics WHERE run_uuid = ?", (run_id,))
        seal = (seal_of(params, metrics), run_id, names.P_SEAL)
        change = "UPDATE params SET value = ? WHERE run_uuid = ? AND key = ?"
        self.connection.execute(change, seal)
        if names.P_HOLDOUT_ESTIMATE in params:
            told = {
                key: value for key, value in json.loads(params[names.P_HOLDOUT_ESTIMATE]).items() if key != "sha256"
            }
            estimate = canonical_json({**told, "sha256": json_digest([seal[0], told])})
            self.connection.execute(change, (estimate, run_id, names.P_HOLDOUT_ESTIMATE))

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        marks = ", ".join("?" * len(columns))
        self.connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)


def _retold(key: str, value: str, told: Mapping[str, str]) -> str:
    """A value as the copy states it; a noted verdict names the check runs inside its text."""
    if not key.startswith(names.P_SUMMARY_PREFIX):
        return told.get(value, value)
    for old, new in told.items():
        value = value.replace(old, new)
    return value
