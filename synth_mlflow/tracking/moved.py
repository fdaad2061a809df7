"""A project that was moved: a database file, and the folder of artifacts that was copied with it to a new place.

MLflow writes the whole path of every file into its database, so a copy goes on naming the old folder.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from synth_mlflow.errors import ServerError, UsageError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.database_file import database_file
from synth_mlflow.tracking.server import Server

PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Where MLflow keeps paths of files: table and column."""

FEW = 20  # statements whose files are looked for


def beside_database(tracking_uri: str, artifact_uri: str) -> Path | None:
    """Where a run's files lie if they were moved together with the database; None for other stores.

    Parameters
    ----------
    artifact_uri : str
        As the database has it, with or without ``file://``: ``/old/mlruns/1/<run>/artifacts`` of a run,
        ``/old/mlruns/1/models/<id>/artifacts`` of a model.
    """
    database, recorded = database_file(tracking_uri), local_path(artifact_uri)
    if database is None or recorded is None or len(recorded.parents) < 5:
        return None
    root = recorded.parents[3 if recorded.parent.parent.name == "models" else 2]
    folder = database.resolve().parent
    place = folder / root.name / recorded.relative_to(root)
    return place if root.parent != folder else None


def refuse_moved(server: Server) -> None:
    """Refuse to write into a project that was moved: MLflow would write to the old folder.

    Raises
    ------
    UsageError
        With the old folder, and the command that makes the database name the new one.
    """
    old = moved_from(server)
    if old is not None:
        raise UsageError(
            f"this project was moved here from {old.parent}, and its database goes on naming {old}: what is written "
            "would go there.",
            "Make it name the folder beside it: `synth-mlflow status --repair`.",
        )


def refuse_closed(server: Server, verb: str) -> None:
    """Find out whether files can be kept, before a verb does work that could not be.

    Raises
    ------
    ServerError
        If the project's folder of artifacts is on this machine, and cannot be written.
    """
    location = local_path(server.client.get_experiment(server.experiment_id).artifact_location or "")
    if location is None:
        return
    place = next(folder for folder in (location, *location.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise ServerError(
            f"`{verb}` keeps files in {location}, which cannot be written: {error.strerror}.",
            f"Make {place} writable for you (`ls -ld {place}` says whose it is), or use a server that keeps files "
            "elsewhere: `--tracking-uri URI`.",
        ) from error


def moved_from(server: Server) -> Path | None:
    """The old folder of artifacts, where the database names one and files of the project lie beside it; else None."""
    database = database_file(server.tracking_uri)
    location = local_path(server.client.get_experiment(server.experiment_id).artifact_location or "")
    if database is None or location is None:
        return None
    folder, root = database.resolve().parent, location.parent
    here = folder / root.name / location.name
    if root.parent == folder or not here.is_dir():
        return None
    problems = f"tags.`{names.TAG_STAGE}` = 'problem'"
    runs = server.client.search_runs([server.experiment_id], problems, max_results=FEW)
    return root if any((here / run.info.run_id).is_dir() for run in runs) else None


def settle(server: Server) -> int:
    """Make the database of a moved project name the files beside it; gives how many paths were changed.

    All of it happens in one transaction; only the beginning of paths that lie in the old folder changes.
    """
    old, database = moved_from(server), database_file(server.tracking_uri)
    if old is None or database is None:
        return 0
    new = database.resolve().parent / old.name
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        return sum(
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR {column} LIKE ? || '/%'",
                (f"{scheme}{new}", len(f"{scheme}{old}") + 1, f"{scheme}{old}", f"{scheme}{old}"),
            ).rowcount
            for table, column in PATHS
            for scheme in ("", "file://")
        )


def local_path(uri: str) -> Path | None:
    """The path of a local file or folder; None for what lies elsewhere."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme and uri else None
