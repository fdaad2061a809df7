"""The connection to one experiment on a tracking server, and the translation of what MLflow raises.

Which experiment is meant, and which experiments are projects.

Runs that others have made: by ``mlflow run``, taken over once; by a user's own training script, written beside.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import mlflow
import requests
from mlflow.entities import Experiment, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from synth_mlflow.errors import ServerError, UsageError, closest
from synth_mlflow.masks import without_passwords
from synth_mlflow.tracking import names
from synth_mlflow.tracking.caller import n_retries, undisturbed
from synth_mlflow.tracking.database_file import (
    SCHEMA_FAILURE,
    database_file,
    half_made,
    prepare,
    wait_longer,
    wait_until_free,
    writers,
)
from synth_mlflow.tracking.views import missing_views

PROJECT_TAGS = {names.TAG_SCHEMA: names.SCHEMA, "mlflow.experimentKind": "custom_model_development"}


def find(client: MlflowClient, name: str | None) -> Experiment:
    """The experiment of this name; without one, the only project; a UsageError where there is none."""
    if name is not None:
        existing = client.get_experiment_by_name(name)
        if existing is not None and existing.lifecycle_stage != "active":
            raise _deleted(existing)
        if existing is None:
            known = [experiment.name for experiment in client.search_experiments()]
            raise UsageError(
                f"there is no experiment {name!r}. {closest(name, known)}", "Begin with `synth-mlflow init`."
            )
        refuse_other_schema(existing)
        return existing
    known_projects = projects(client)
    if not known_projects:
        raise UsageError(
            "there is no project on this server yet.",
            "Begin one: `synth-mlflow init my-project`, fill in its files, `synth-mlflow run my-project/problem.md`.",
        )
    if len(known_projects) != 1:
        listed = ", ".join(repr(project.name) for project in known_projects)
        raise UsageError(
            f"{len(known_projects)} projects are on this server ({listed}); one had to be named.",
            "Give `--experiment NAME`.",
        )
    return known_projects[0]


def projects(client: MlflowClient) -> list[Experiment]:
    """The experiments that are projects; of several, those in which somebody has defined a problem."""
    marked = list(client.search_experiments(filter_string=f"tags.`{names.TAG_SCHEMA}` = '{names.SCHEMA}'"))
    if len(marked) < 2:
        return marked
    begun = f"tags.`{names.TAG_STAGE}` = 'problem'"
    return [each for each in marked if client.search_runs([each.experiment_id], begun, max_results=1)] or marked


def _deleted(experiment: Experiment) -> UsageError:
    return UsageError(
        f"experiment {experiment.name!r} was deleted.",
        "Restore it, or give the project another name. To restore: "
        f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`.",
    )


def make(client: MlflowClient, name: str) -> Experiment:
    """The experiment of this name, made if it is missing, and marked as a project."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None and experiment.lifecycle_stage != "active":
        raise _deleted(experiment)
    if experiment is None:
        try:
            experiment = client.get_experiment(
                client.create_experiment(name, tags={**PROJECT_TAGS, **missing_views({})})
            )
        except MlflowException:  # somebody else made it in this moment
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    mark(client, experiment)
    return experiment


def refuse_other_schema(experiment: Experiment) -> None:
    """A UsageError for a project whose tags, parameters and metrics have the names of another version."""
    schema = experiment.tags.get(names.TAG_SCHEMA, names.SCHEMA)
    if schema != names.SCHEMA:
        raise UsageError(
            f"project {experiment.name!r} was written with the names of schema {schema} (tag `{names.TAG_SCHEMA}`), "
            f"this version reads and writes schema {names.SCHEMA}.",
            f"Go on with the version that wrote it, or begin anew: `synth-mlflow define problem.md --experiment "
            f"{shlex.quote(f'{experiment.name}-{names.SCHEMA}')}`.",
        )


def mark(client: MlflowClient, experiment: Experiment) -> None:
    """Mark an experiment as a project; a UsageError if it is one of another schema."""
    refuse_other_schema(experiment)
    if experiment.tags.get(names.TAG_SCHEMA) != names.SCHEMA:
        for tag, value in PROJECT_TAGS.items():
            client.set_experiment_tag(experiment.experiment_id, tag, value)


ACTIVE_ONLY, DELETED_ONLY, ACTIVE_AND_DELETED = ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL
SERVER_FAILURES: tuple[type[Exception], ...] = (MlflowException, SQLAlchemyError, requests.RequestException, OSError)
SQLALCHEMY_PREFACE = "(raised as a result of Query-invoked autoflush"
SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 4, 8
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306}
GATHERED = "The following failures occurred"
NOT_LET_IN = re.compile(r"error code (401|403)\b|PERMISSION_DENIED|not authenticated|AccessDenied")
_NAME_OF_WEB = re.compile(r"(?i)\A(https?://)[^/?#]*@")
SILENT = re.compile(r"Max retries exceeded|too many 5\d\d error|timed out|Connection (refused|aborted|reset)")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """One experiment on one tracking server: one project."""

    client: MlflowClient
    tracking_uri: str
    experiment_id: str
    experiment: str

    @property
    def web(self) -> str | None:
        """The address of the UI; None where the tracking URI is no HTTP server."""
        return public_uri(self.tracking_uri) if self.tracking_uri.startswith(("http://", "https://")) else None


def connect(
    experiment: str | None,
    tracking_uri: str | None = None,
    *,
    create: bool = False,
    say: Callable[[str], None] | None = None,
    ask_first: bool = True,
) -> Server:
    """Open a project.

    Parameters
    ----------
    experiment : str or None
        The experiment's name; None takes ``MLFLOW_EXPERIMENT_NAME``, else the only project on the server.
    tracking_uri : str or None
        None takes MLflow's own setting: ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``.
    create : bool
        Whether a missing experiment is made.
    say : callable, optional
        Told of who writes to a database that has to be waited for.
    ask_first : bool
        Whether a server is asked if it is there, so that a dead one is told within seconds; costs one request.

    Raises
    ------
    ServerError
        If the server cannot be reached; names the URI.
    UsageError
        If there is no such experiment.
    """
    uri = tracking_uri or mlflow.get_tracking_uri()
    name = experiment if experiment is not None else os.environ.get(EXPERIMENT) or None
    with guarded(uri):
        client = _client(uri, say, ask_first=ask_first)
        existing = make(client, name) if create and name is not None else find(client, name)
    return Server(client, uri, existing.experiment_id, existing.name)


def exists(experiment: str, tracking_uri: str | None = None) -> bool:
    """Whether a server has an experiment of this name, deleted ones included."""
    uri = tracking_uri or mlflow.get_tracking_uri()
    with guarded(uri):
        return _client(uri).get_experiment_by_name(experiment) is not None


def connect_by_id(experiment_id: str, tracking_uri: str | None = None, *, create: bool = False) -> Server:
    """Open the project whose experiment has this id; for runs that ``mlflow run`` has made already.

    Parameters
    ----------
    create : bool
        Whether an experiment that is no project becomes one.

    Raises
    ------
    UsageError
        If the experiment is no project, and is not to become one.
    """
    uri = tracking_uri or mlflow.get_tracking_uri()
    with guarded(uri):
        client = _client(uri)
        experiment = client.get_experiment(experiment_id)
        if create:
            mark(client, experiment)
        elif names.TAG_SCHEMA not in experiment.tags:
            listed = ", ".join(repr(project.name) for project in projects(client)) or "none"
            raise UsageError(
                f"experiment {experiment.name!r} is no project; those on this server: {listed}.",
                "Name one of them to MLflow: `mlflow run --experiment-name NAME …`.",
            )
        refuse_other_schema(experiment)
    return Server(client, uri, experiment.experiment_id, experiment.name)


def refuse_read_only(server: Server, verb: str, say: Callable[[str], None] | None = None) -> None:
    """Find out whether this user may write to the project, before a verb does work that could not be kept.

    Where somebody else is writing to a database file at this moment, that is waited for, and ``say`` is told.

    Raises
    ------
    ServerError
        If the server or the database refuses the write; says what is needed.
    """
    wait_until_free(server.tracking_uri, say or _silent)
    try:
        with guarded(server.tracking_uri):
            server.client.set_experiment_tag(server.experiment_id, names.TAG_SCHEMA, names.SCHEMA)
    except ServerError as error:
        raise ServerError(f"`{verb}` writes to experiment {server.experiment!r}; {error.found}", error.fix) from error


@contextmanager
def guarded(uri: str) -> Iterator[None]:
    """Turn what MLflow raises when a server fails into one message that names the server."""
    try:
        with undisturbed():
            yield
    except server_failures() as error:
        reason, advice = _message_and_fix(error, uri)
        raise ServerError(
            f"the tracking server {public_uri(uri)} did not do what was asked: {reason}.", advice
        ) from error
    except ModuleNotFoundError as error:
        raise ServerError(
            f"the tracking server {public_uri(uri)} needs a driver: {error}.",
            f"Install it: `pip install {error.name}`.",
        ) from error


def server_failures() -> tuple[type[Exception], ...]:
    """What is raised when a server, a database or an object store fails."""
    return (*SERVER_FAILURES, *object_store_failures())


def object_store_failures() -> tuple[type[Exception], ...]:
    """What clients of object stores raise, as far as they are in use."""
    stores = (
        ("alembic.util.exc", ("CommandError",)),  # MLflow's, for the tables of a database
        ("botocore.exceptions", ("BotoCoreError", "ClientError")),
        ("boto3.exceptions", ("Boto3Error",)),
    )
    return tuple(getattr(sys.modules[name], kind) for name, kinds in stores if name in sys.modules for kind in kinds)


def guard(method: Callable[P, T]) -> Callable[P, T]:
    """:func:`guarded` for functions whose first argument is a :class:`Server`, or has one as ``server``."""

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        first: Any = args[0]
        server: Server = getattr(first, "server", first)
        with guarded(server.tracking_uri):
            return method(*args, **kwargs)

    return wrapper


def public_uri(uri: str) -> str:
    """A URI without the password that it may carry; of a web address also without the name, which may be a token.

    Examples
    --------
    >>> public_uri("postgresql://ann:secret@db/mlflow")
    'postgresql://ann@db/mlflow'
    """
    return _NAME_OF_WEB.sub(r"\1", without_passwords(uri, is_uri=True))


def _client(uri: str, say: Callable[[str], None] | None = None, *, ask_first: bool = True) -> MlflowClient:
    prepare(uri, say or _silent)
    client = _opened(uri, ask_first=ask_first)
    if database_file(uri) is not None:
        wait_longer(client._tracking_client.store.engine)  # no public way
    return client


def _silent(text: str) -> None:
    """Words that nobody listens to."""


def _opened(uri: str, *, ask_first: bool) -> MlflowClient:
    if uri.startswith(("http://", "https://")):
        if ask_first:
            _refuse_silent(uri)
    elif urlsplit(uri).scheme.partition("+")[0] in DATABASE_PORTS:
        _refuse_silent_database(uri)
    path = database_file(uri)
    if path is not None and (path.is_dir() or not _is_sqlite(path)):  # MLflow would try ten times, for a minute or two
        raise OSError(f"{path}: file is not a database")
    return MlflowClient(tracking_uri=uri)  # and the registry that the caller has set, else the same server


def _is_sqlite(path: Path) -> bool:
    """Whether a file may be a database: one is empty or missing before its first use."""
    if not path.exists():
        return True
    with path.open("rb") as file:
        return file.read(16) in (b"", b"SQLite format 3\0")


def _refuse_silent(uri: str) -> None:
    """Raise within seconds where nothing answers; MLflow's own patience is minutes. Any answer will do."""
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=(SECONDS_TO_CONNECT, SECONDS_TO_ANSWER))
    except requests.exceptions.SSLError:  # MLflow has settings for certificates, and a better message
        return


def _refuse_silent_database(uri: str) -> None:
    """The same for a database: MLflow tries ten times, for a minute and a half."""
    parts = urlsplit(uri)
    if parts.hostname:  # else a socket file, named in the URI's query
        port = parts.port or DATABASE_PORTS[parts.scheme.partition("+")[0]]
        socket.create_connection((parts.hostname, port), timeout=SECONDS_TO_CONNECT).close()


def _message_and_fix(error: BaseException, uri: str) -> tuple[str, str]:
    """What happened, and what to do about it."""
    path, text = database_file(uri), str(error)
    if path is not None and SCHEMA_FAILURE.search(text):
        half_made_file = half_made(path)
        if half_made_file is not None:
            return half_made_file
    if path is not None and "database is locked" in text:
        return _reason(error), f"It is written by {writers(path)}: let that come to its end, and run the command again."
    return _reason(error), _advice(text)


def _reason(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    text = without_passwords(text)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(SQLALCHEMY_PREFACE)]
    first = next(iter(lines), type(error).__name__)
    if first.startswith(GATHERED):  # one line for each file, and below it why
        first = " ".join([first, *(line for line in lines[1:] if not line.startswith("#"))][:3])
    return first.removesuffix(".")[:500]


def _advice(text: str) -> str:
    if NOT_LET_IN.search(text):
        return (
            "Give the name and the password of a user who has the permission EDIT on the experiment "
            "(MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD), or ask whoever runs the server for it. "
            "Reading needs READ only."
        )
    if "readonly" in text or "read-only" in text or "Permission" in text:
        return (
            "Make the database and the artifact folder writable for you, or name another server: `--tracking-uri URI`."
        )
    if "database is locked" in text:
        return (
            "Somebody else writes to the server's database, and SQLite takes one writer at a time: run the command "
            "again, or keep the server's runs in PostgreSQL."
        )
    if "file is not a database" in text or "unable to open database file" in text:
        return "It is no database of MLflow: name another file, `--tracking-uri sqlite:///FILE`, or move this one away."
    if "No space left" in text or "disk is full" in text:
        return "Make room on the disk, and run the same command again: what was written before is kept."
    tried = n_retries() + 1
    patience = f"It was asked {tried} times (MLFLOW_HTTP_REQUEST_MAX_RETRIES). " if SILENT.search(text) else ""
    return f"{patience}Check that the server runs and may be written to, or name another one: `--tracking-uri URI`."


@dataclass(frozen=True)
class MlflowProjectRun:
    """The run and the experiment that ``mlflow run`` chose."""

    run_id: str
    experiment_id: str


def take_over_mlflow_run() -> MlflowProjectRun | None:
    """Take over the run of a surrounding ``mlflow run``; None outside of one.

    The variable is removed from the environment: while it stands there, every worker process adopts the same run.
    """
    run_id = os.environ.pop("MLFLOW_RUN_ID", None)
    experiment_id = os.environ.get("MLFLOW_EXPERIMENT_ID")
    return MlflowProjectRun(run_id, experiment_id) if run_id and experiment_id else None


@guard
def users_run(server: Server, run_id: str | None = None) -> str:
    """The id of the run that a user's script trains under: the one named, else MLflow's active run.

    Raises
    ------
    UsageError
        If neither is there, or the active run is on another tracking server.
    """
    if run_id is not None:
        return str(server.client.get_run(run_id).info.run_id)
    active = mlflow.active_run()
    if active is None:
        raise UsageError(
            "no MLflow run is active, and the lineage of training rows is written to the run that trains on them.",
            "Call it inside `with mlflow.start_run():`, or name the run.",
        )
    if mlflow.get_tracking_uri() != server.tracking_uri:
        raise UsageError(
            f"the active run is on {public_uri(mlflow.get_tracking_uri())}, this project on "
            f"{public_uri(server.tracking_uri)}; lineage cannot be followed from one to the other.",
            f"Before the run starts: `mlflow.set_tracking_uri({public_uri(server.tracking_uri)!r})`.",
        )
    return str(active.info.run_id)


def active_run() -> tuple[Server, str] | None:
    """MLflow's active run with the server that it is on, whichever that is; None where no run is active."""
    active = mlflow.active_run()
    if active is None:
        return None
    uri, info = mlflow.get_tracking_uri(), active.info
    return Server(MlflowClient(tracking_uri=uri), uri, str(info.experiment_id), ""), str(info.run_id)
