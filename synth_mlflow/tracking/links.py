"""Addresses in the MLflow UI that land where they should; the bare experiment page opens elsewhere."""

from __future__ import annotations

from urllib.parse import quote

from synth_mlflow.tracking import names
from synth_mlflow.tracking.server import Server

TRAINING = "workflowType=machine_learning"  # without it MLflow opens its GenAI overview


def run_url(server: Server, run_id: str) -> str | None:
    """The page of a run; None where the tracking URI is no HTTP server."""
    return None if server.web is None else f"{_experiment(server.web, server)}/runs/{run_id}?{TRAINING}"


def runs_url(server: Server, web: str) -> str:
    """The list of this project's runs on a UI at ``web``."""
    condition = quote(f"tags.`{names.TAG_SCHEMA}` = '{names.SCHEMA}'")
    return f"{_experiment(web, server)}/runs?{TRAINING}&searchFilter={condition}"


def artifact_url(server: Server, web: str, run_id: str, path: str) -> str:
    """The page that shows one artifact of a run."""
    return f"{_experiment(web, server)}/runs/{run_id}/artifacts/{quote(path)}?{TRAINING}"


def _experiment(web: str, server: Server) -> str:
    return f"{web.rstrip('/')}/#/experiments/{server.experiment_id}"
