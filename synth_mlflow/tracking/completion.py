"""Short ids of batches for shell completion: asked of the store itself, since importing MLflow takes seconds."""

from __future__ import annotations

import json
import os
import sqlite3
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

from synth_mlflow.tracking import names

DEFAULT_URI = "sqlite:///mlflow.db"  # where MLflow keeps runs when nothing is said
SECONDS_TO_ANSWER = 3
MAX_RUNS = 1_000
_SQL = """
    SELECT tags.value FROM tags JOIN runs ON runs.run_uuid = tags.run_uuid
    JOIN tags AS stage ON stage.run_uuid = tags.run_uuid AND stage.key = ? AND stage.value = 'batch'
    WHERE tags.key = ? AND runs.lifecycle_stage = 'active' AND runs.status = 'FINISHED'
    ORDER BY runs.start_time DESC LIMIT ?
"""


def batch_ids(tracking_uri: str | None = None) -> list[str]:
    """The short ids of the batches on a server, newest first; empty where it cannot be asked.

    Parameters
    ----------
    tracking_uri : str, optional
        By default MLflow's own setting. SQLite databases and HTTP servers are asked, other stores are not.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    try:
        if uri.startswith("sqlite:///"):
            return _of_database(Path(uri.removeprefix("sqlite:///")))
        return _of_server(uri) if uri.startswith(("http://", "https://")) else []
    except (OSError, ValueError, KeyError, sqlite3.Error):  # a shell that completes must not print a traceback
        return []


def _of_database(path: Path) -> list[str]:
    with sqlite3.connect(f"file:{path.as_posix()}?mode=ro", uri=True, timeout=SECONDS_TO_ANSWER) as connection:
        return [str(row[0]) for row in connection.execute(_SQL, (names.TAG_STAGE, names.TAG_BATCH, MAX_RUNS))]


def _of_server(uri: str) -> list[str]:
    experiments = _post(uri, "experiments/search", {"max_results": MAX_RUNS}).get("experiments", [])
    queries = {
        "experiment_ids": [experiment["experiment_id"] for experiment in experiments],
        "filter": f"tags.`{names.TAG_STAGE}` = 'batch' AND attributes.status = 'FINISHED'",
        "max_results": MAX_RUNS,
    }
    runs = _post(uri, "runs/search", queries).get("runs", [])
    tags = [tag for run in runs for tag in run["data"].get("tags", [])]
    return [str(tag["value"]) for tag in tags if tag["key"] == names.TAG_BATCH]


def _post(uri: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{uri.rstrip('/')}/api/2.0/mlflow/{what}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **_authorization()},
    )
    with urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER) as answer:
        answer_json: dict[str, Any] = json.load(answer)
    return answer_json


def _authorization() -> dict[str, str]:
    """What MLflow's own client sends."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{part}") for part in ("USERNAME", "PASSWORD"))
    if user is None or password is None:
        return {}
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
