"""Addresses in the MLflow UI that land where they should; the bare experiment page opens elsewhere."""

from __future__ import annotations

from urllib.parse import quote

from synth_mlflow.tracking import names
from synth_mlflow.tracking.server import Server

TRAINING = "workflowType=machine_learning"  # without it MLflow opens its GenAI overview


def run_path(experiment_id: str, run_id: str) -> str:
    """The page of a run, from any other page of the UI."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{TRAINING}"


def artifact_path(experiment_id: str, run_id: str, path: str) -> str:
    """The page that shows one artifact of a run, from any other page of the UI."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{quote(path)}?{TRAINING}"


def run_url(server: Server, run_id: str) -> str | None:
    """The page of a run; None where the tracking URI is no HTTP server."""
    return None if server.web is None else f"{server.web.rstrip('/')}/{run_path(server.experiment_id, run_id)}"


def runs_url(server: Server, web: str) -> str:
    """The list of this project's runs on a UI at ``web``."""
    condition = quote(f"tags.`{names.TAG_SCHEMA}` = '{names.SCHEMA}'")
    return f"{web.rstrip('/')}/#/experiments/{server.experiment_id}/runs?{TRAINING}&searchFilter={condition}"


def artifact_url(server: Server, web: str, run_id: str, path: str) -> str:
    """The page that shows one artifact of a run."""
    return f"{web.rstrip('/')}/{artifact_path(server.experiment_id, run_id, path)}"


def download_url(server: Server, run_id: str, path: str) -> str:
    """Where one artifact can be fetched: from the server, or by MLflow's own ``runs:/`` where there is none."""
    if server.web is None:
        return f"runs:/{run_id}/{path}"
    return f"{server.web.rstrip('/')}/get-artifact?path={quote(path, safe='')}&run_uuid={run_id}"
