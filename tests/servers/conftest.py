"""One server of each kind a session, each with a project that has gone the whole way on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import requests
import shop
from started import ADMIN, READER, Started, mlflow_server, object_store, postgres, postgres_programs

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cret-Key", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class Site:
    """A tracking server, and the folder of the project on it."""

    uri: str
    folder: Path
    environment: dict[str, str]


@pytest.fixture(scope="session")
def sqlite_server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """`mlflow server` over HTTP on SQLite, artifacts proxied."""
    folder = tmp_path_factory.mktemp("sqlite-server")
    with mlflow_server(folder, *on_sqlite(empty_store, folder)) as server:
        yield server


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """A PostgreSQL database."""
    if postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed here (Debian: `apt-get install postgresql`)")
    with postgres() as uri:
        yield uri


@pytest.fixture(scope="session")
def postgres_server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """`mlflow server` on PostgreSQL; it hands artifacts on to its own disk."""
    folder = tmp_path_factory.mktemp("postgres-server")
    with mlflow_server(
        folder, "--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts")
    ) as server:
        yield server


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The URL of an S3-compatible store with a bucket named `evidence`."""
    import boto3

    with object_store() as url, environment_of(KEYS):
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="evidence")
        yield url


@pytest.fixture(scope="session")
def s3_server(database: str, bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """`mlflow server` on a PostgreSQL database of its own; whoever writes puts the artifacts into the object store."""
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE s3")
    options = (
        "--backend-store-uri",
        database.removesuffix("postgres") + "s3",
        "--default-artifact-root",
        "s3://evidence/runs",
        "--no-serve-artifacts",
    )
    with mlflow_server(tmp_path_factory.mktemp("s3-server"), *options) as server:
        yield server


@pytest.fixture(scope="session")
def auth_server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """`mlflow server --app-name basic-auth`, with an admin and a user who may only read."""
    folder = tmp_path_factory.mktemp("auth-server")
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/users.db\n"
        f"admin_username = {ADMIN[0]}\nadmin_password = {ADMIN[1]}\nauth_cache_ttl_seconds = 60\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    known = {"MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"), "MLFLOW_FLASK_SERVER_SECRET_KEY": "k" * 32}
    options = (*on_sqlite(empty_store, folder), "--app-name", "basic-auth")
    with mlflow_server(folder, *options, environment=known) as server:
        made = requests.post(
            f"{server.uri}/api/2.0/mlflow/users/create",
            json=dict(zip(("username", "password"), READER, strict=True)),
            auth=ADMIN,
            timeout=60,
        )
        made.raise_for_status()
        yield server


@pytest.fixture(scope="session")
def sqlite_site(sqlite_server: Started, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return gone(sqlite_server.uri, tmp_path_factory.mktemp("on-sqlite"), {})


@pytest.fixture(scope="session")
def postgres_site(postgres_server: Started, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return gone(postgres_server.uri, tmp_path_factory.mktemp("on-postgres"), {})


@pytest.fixture(scope="session")
def s3_site(s3_server: Started, bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    known = {**KEYS, "MLFLOW_S3_ENDPOINT_URL": bucket}
    return gone(s3_server.uri, tmp_path_factory.mktemp("on-s3"), known)


@pytest.fixture(scope="session")
def auth_site(auth_server: Started, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return gone(auth_server.uri, tmp_path_factory.mktemp("on-auth"), credentials(ADMIN))


@pytest.fixture(params=["sqlite_site", "postgres_site", "s3_site", "auth_site"])
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Each of the servers in turn, seen by somebody who may write."""
    found: Site = request.getfixturevalue(request.param)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


def on_sqlite(empty_store: Path, folder: Path) -> tuple[str, ...]:
    """The options of a server on a fresh database in a folder."""
    shutil.copy(empty_store, folder / "mlflow.db")
    return ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts")


def credentials(user: tuple[str, str]) -> dict[str, str]:
    """What MLflow reads a name and a password from."""
    return dict(zip(("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"), user, strict=True))


@contextmanager
def environment_of(known: dict[str, str]) -> Iterator[None]:
    """An environment for fixtures that live longer than a test."""
    before = {name: os.environ.get(name) for name in known}
    os.environ.update(known)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def gone(uri: str, folder: Path, known: dict[str, str], name: str = "shop") -> Site:
    """A project that has gone the whole way on a server."""
    shop.write_shop(folder, shop.customers(300, seed=1), name=name)
    with environment_of(known):
        shop.go_whole_way(uri, folder, name)
    return Site(uri, folder, known)
