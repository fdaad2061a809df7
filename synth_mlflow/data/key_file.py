"""The secret key of row digests, where real rows stay off the server: a small file beside the data, never sent.

Whoever has digests of rows and their key can guess coarse rows until a digest fits. So the key, 32 random bytes, stays
with the rows; the server knows its fingerprint alone, by which it is found again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from synth_mlflow.errors import EvidenceError, UsageError

SUFFIX = ".synth-mlflow-key"
_KEY = re.compile(r"[0-9a-f]{64}")


def key_path(data: Path) -> Path:
    """Where the key of a data file stands.

    Examples
    --------
    >>> key_path(Path("rows.csv")).name
    'rows.csv.synth-mlflow-key'
    """
    return data.with_name(data.name + SUFFIX)


def fingerprint(key: str) -> str:
    """What the server may know of a key: 16 hex digits, from which nobody gets it back."""
    return hashlib.sha256(b"synth-mlflow key " + bytes.fromhex(key)).hexdigest()[:16]


def make_key(data: Path) -> str:
    """The key of a data file in hex; made where there is none, for its user alone to read (mode 0600).

    Raises
    ------
    UsageError
        If no file can be written beside the data, or what stands there is no key.
    """
    path = key_path(data)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = _read(path)
        if key is None:
            raise UsageError(f"{path} is no key of row digests.", "Move it away, and run this again.") from None
        return key
    except OSError as error:
        raise UsageError(
            f"the key of the row digests cannot be written to {path}: {error.strerror}.",
            "Copy the data into a folder where you may write, and name them: `synth-mlflow freeze --data FILE …`.",
        ) from error
    key = secrets.token_hex(32)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{key}\n")
    return key


def find_key(known: str, places: tuple[Path, ...]) -> str:
    """The key with a fingerprint, beside one of several data files; under any name, since data files are renamed.

    Raises
    ------
    EvidenceError
        If it stands beside none of them.
    """
    for data in places:
        for path in _candidates(data):
            key = _read(path)
            if key is not None and fingerprint(key) == known:
                return key
    looked = ", ".join(dict.fromkeys(str(data.parent) for data in places))
    raise EvidenceError(
        f"the real rows of this project are kept by reference, and the key of their row digests (fingerprint {known}) "
        f"is not in {looked}.",
        f"Copy {key_path(places[-1]).name} from where the set was frozen into the folder of the data, or name the data "
        "beside which it stands with `--data FILE`.",
    )


def _candidates(data: Path) -> Iterator[Path]:
    yield key_path(data)
    with contextlib.suppress(OSError):
        yield from sorted(data.parent.glob(f"*{SUFFIX}"))


def _read(path: Path) -> str | None:
    try:
        found = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return found if _KEY.fullmatch(found) else None
