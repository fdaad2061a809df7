"""Files, folders and patterns in object stores, through fsspec: each kind of store has a library of its own.

Credentials come from the environment and the usual files of each store alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from synth_mlflow.data.addresses import LOG, STORES, Address, from_environment
from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.other_libraries import library
from synth_mlflow.data.sources import delta_tables
from synth_mlflow.data.sources.copies import Copy
from synth_mlflow.data.table_files import PARQUET
from synth_mlflow.errors import SynthError, UsageError

_LIBRARIES = {
    "s3": ("s3fs", "s3fs", "s3://"),
    "gs": ("gcsfs", "gcsfs", "gs://"),
    "hf": ("huggingface_hub", "huggingface_hub", "hf://"),
    "dbfs": ("fsspec", "fsspec", "dbfs:/"),
}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "hf": "HF_TOKEN",
    "dbfs": "DATABRICKS_HOST and DATABRICKS_TOKEN",
}
_FACTS = {
    "etag": ("ETag", "etag", "blob_id", "md5Hash"),
    "version": ("VersionId", "generation"),
    "modified": ("LastModified", "updated", "mtime"),
}
_MARKS = "*?["
_DENIED = ("PermissionError", "Forbidden", "Credentials", "AccessDenied", "Gated", "Unauthorized", "InvalidAccessKeyId")
_MISSING = ("FileNotFoundError", "NotFound", "NoSuch")
_UNREACHABLE = ("Connect", "Timeout", "Endpoint", "gaierror")


def fetch(address: Address, folder: Path) -> Copy:
    """Copy what an address names: a file, the Parquet files of a folder or a pattern, or a Delta table.

    Raises
    ------
    UsageError
        If a library is not installed, nothing is there, or it cannot be read as a whole.
    """
    scheme = STORES[address.scheme]
    path = address.text.partition(":")[2].removeprefix("//").rstrip("/")
    with _explained(address, scheme):
        store = _filesystem(scheme)
        return _copied(store, address, path if scheme != "dbfs" else f"/{path.lstrip('/')}", folder)


def _filesystem(scheme: str) -> Any:
    fsspec = library("fsspec", "fsspec", _LIBRARIES[scheme][2])
    library(*_LIBRARIES[scheme])
    options: dict[str, Any] = {}
    if scheme == "dbfs":
        host = from_environment("DATABRICKS_HOST", "dbfs:/")
        options = {
            "instance": host.removeprefix("https://").rstrip("/"),
            "token": from_environment("DATABRICKS_TOKEN", "dbfs:/"),
        }
    endpoint = os.environ.get("MLFLOW_S3_ENDPOINT_URL")  # where the artifacts of many servers are
    if scheme == "s3" and endpoint and not {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & set(os.environ):
        options = {"endpoint_url": endpoint}
    return fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False, **options)


def _copied(store: Any, address: Address, path: str, folder: Path) -> Copy:
    is_pattern = any(mark in path for mark in _MARKS) and not store.exists(path)
    if not is_pattern and store.isfile(path):
        local = folder / PurePosixPath(path).name
        before = _described(store.info(path))
        _copy_file(store, address, path, local, before)
        _refuse_changed(address, before, _described(store.info(path)))
        return Copy(local, folder, address, _version_facts(before))
    if not is_pattern and store.exists(f"{path}/{LOG}"):
        return delta_tables.fetch(Address(f"delta:{address.text.rstrip('/')}"), folder)
    base = _base(path) if is_pattern else path
    files = _listed(store, path, is_pattern=is_pattern)
    if not files:
        what = "no file has this pattern" if is_pattern else "there is no file, and no folder that holds Parquet files"
        raise UsageError(f"{address}: {what}.", "Correct the address.")
    root = folder / (PurePosixPath(base).name or "table")
    for key, facts in files.items():
        _copy_file(store, address, key, root / _inside(address, key, base), facts)
    _refuse_changed(address, files, _listed(store, path, is_pattern=is_pattern))
    version_facts = {"files": len(files), "bytes": sum(int(each["size"]) for each in files.values())}
    local = root / path.removeprefix(store._strip_protocol(base)).lstrip("/") if is_pattern else root
    return Copy(local, folder, address, {**version_facts, "etag": json_digest(sorted(map(str, files.items())))})


def _listed(store: Any, path: str, *, is_pattern: bool) -> dict[str, dict[str, Any]]:
    """The files, by name; of a folder the Parquet files alone, as of a folder of this machine."""
    listed = store.glob(path, detail=True) if is_pattern else store.find(path, detail=True)
    return {
        key: _described(info)
        for key, info in sorted(listed.items())
        if info.get("type") == "file" and not key.endswith("/") and (is_pattern or _is_part(store, key, path))
    }


def _is_part(store: Any, key: str, path: str) -> bool:
    inside = key.removeprefix(store._strip_protocol(path)).strip("/")
    return inside.lower().endswith(PARQUET) and not any(part.startswith((".", "_")) for part in inside.split("/"))


def _base(path: str) -> str:
    parts = PurePosixPath(path).parts
    first = next(at for at, part in enumerate(parts) if any(mark in part for mark in _MARKS))
    return str(PurePosixPath(*parts[:first])) if first else ""


def _inside(address: Address, key: str, base: str) -> Path:
    """Where a file of a folder lies in its copy."""
    inside = PurePosixPath(key.lstrip("/")).relative_to(base.lstrip("/"))
    if ".." in inside.parts:
        raise UsageError(f"{address} holds a file whose name leads out of its folder: {key!r}.", "Rename it.")
    return Path(inside)


def _copy_file(store: Any, address: Address, key: str, local: Path, facts: Mapping[str, Any]) -> None:
    local.parent.mkdir(parents=True, exist_ok=True)
    store.get_file(key, str(local))
    n_bytes = local.stat().st_size
    if facts["size"] is not None and n_bytes != facts["size"]:
        raise UsageError(f"{address}: {n_bytes:,} of {facts['size']:,} bytes of {key} came.", "Try again.")


def _described(info: Mapping[str, Any]) -> dict[str, Any]:
    facts = {
        name: next((str(info[key]).strip('"') for key in keys if info.get(key) not in (None, "null")), None)
        for name, keys in _FACTS.items()
    }
    return {**facts, "size": info.get("size")}


def _version_facts(facts: Mapping[str, Any]) -> dict[str, str | int]:
    return {("bytes" if name == "size" else name): value for name, value in facts.items() if value is not None}


def _refuse_changed(address: Address, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    if before != after:
        raise UsageError(f"{address} changed while it was read.", "Try again when nobody writes to it.")


@contextmanager
def _explained(address: Address, scheme: str) -> Iterator[None]:
    """One message for what the library of a store raises; its texts are not shown: they may hold secrets."""
    try:
        yield
    except (SynthError, KeyboardInterrupt):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == 28:  # no space left
            raise
        raise _refusal(address, scheme, error) from None


def _refusal(address: Address, scheme: str, error: Exception) -> UsageError:
    names = [type(each).__name__ for each in (error, error.__cause__, error.__context__) if each is not None]
    words = " ".join([*names, str(getattr(error, "response", {}) or {})[:500]])
    if any(name in words for name in _DENIED):
        return UsageError(
            f"{address}: access is denied, or no credentials were found ({names[0]}).",
            f"Set {_CREDENTIALS[scheme]} in the environment, for somebody who may read it.",
        )
    if any(name in words for name in _MISSING):
        return UsageError(f"{address} is not there ({names[0]}).", "Correct the address.")
    if any(name in words for name in _UNREACHABLE):
        return UsageError(
            f"{address}: its store cannot be reached ({names[0]}).",
            "Check the network, and the endpoint that the environment names; then try again.",
        )
    return UsageError(f"{address} cannot be read ({names[0]}).", "Try again; or copy it to this machine, and name it.")
