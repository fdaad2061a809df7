"""Digests: of a table's content, of single rows, of texts and files.

A table's digest depends on its column names, kinds, values and order, never on file bytes or on the version of a
library; it is taken over blocks of rows, so that a table need not be in memory as a whole. A row's digest is the same
after a re-save through CSV or in another column order, and is keyed with a project's salt: without the salt nobody can
look up whether a row that they know is among the digests.

The secret key of row digests, where real rows stay off the server: a small file beside the data, never sent.

Whoever has digests of rows and their key can guess coarse rows until a digest fits. So the key, 32 random bytes, stays
with the rows; the server knows its fingerprint alone, by which it is found again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synth_mlflow.data.columns import EXACT, Kind, Schema, schema_of
from synth_mlflow.data.mapped import let_go
from synth_mlflow.errors import EvidenceError, UsageError

Hashes = npt.NDArray[np.uint64]

BLOCK_ROWS = 65_536  # rows that are digested together; part of what a table's digest is
LET_GO_ROWS = 16 * BLOCK_ROWS  # after which what was read of a mapped table is given back
_WHOLE = np.uint64(0xD6E8FEB86659FD93)  # keeps whole numbers apart from floats with the same bits
_MISSING = np.uint64(0x9E3779B97F4A7C15)  # the cell hash of a missing value of any kind


def text_digest(text: str) -> str:
    """SHA-256 of a text in UTF-8, as 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def json_digest(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form: sorted keys, no spaces."""
    return text_digest(canonical_json(value))


def canonical_json(value: Any) -> str:
    """A JSON value with sorted keys and no spaces; NaN and infinity are refused with a ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def array_digest(values: npt.NDArray[np.float64]) -> str:
    """SHA-256 of the shape and the numbers of an array, as 64 hex digits.

    >>> array_digest(np.array([0.5, 1.0])) == array_digest(np.array([[0.5, 1.0]]))
    False
    """
    numbers = np.ascontiguousarray(values, dtype="<f8")
    return hashlib.sha256(canonical_json(list(numbers.shape)).encode() + numbers.tobytes()).hexdigest()


def table_digest(frame: pd.DataFrame, schema: Schema | None = None) -> str:
    """SHA-256 of a normalised table's content, as 64 hex digits.

    Parameters
    ----------
    frame : DataFrame
        A normalised table.
    schema : Schema, optional
        The kinds to read it with; needed where whole numbers have missing values, since pandas then holds floats.

    Examples
    --------
    >>> a = pd.DataFrame({"x": [1, 2]})
    >>> table_digest(a) == table_digest(a.copy()), table_digest(a) == table_digest(a[::-1])
    (True, False)
    """
    digest = TableDigest(schema or schema_of(frame))
    for at in range(0, len(frame), BLOCK_ROWS):
        digest.update(frame.iloc[at : at + BLOCK_ROWS])
        if at % LET_GO_ROWS == 0:
            let_go()
    return digest.hexdigest()


class TableDigest:
    """The digest of a table that comes in blocks; the same as `table_digest` of the whole.

    Parameters
    ----------
    schema : Schema
        The columns, and the kinds to read them with.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.n_rows = 0
        self._sha256 = hashlib.sha256(canonical_json(list(schema.kinds.items())).encode())

    def update(self, block: pd.DataFrame) -> None:
        """Take in the next `BLOCK_ROWS` rows of a normalised table; only the last block may have fewer.

        Raises
        ------
        ValueError
            If a block follows a shorter one, or is too long.
        """
        if self.n_rows % BLOCK_ROWS or len(block) > BLOCK_ROWS:
            raise ValueError(f"blocks must have {BLOCK_ROWS:,} rows, found {self.n_rows:,} rows, then {len(block):,}")
        self.n_rows += len(block)
        for name in self.schema:
            for part in _column_bytes(block[name], self.schema[name]):
                self._sha256.update(part)

    def hexdigest(self) -> str:
        """SHA-256 of what was taken in so far, as 64 hex digits."""
        whole = self._sha256.copy()
        whole.update(f"{self.n_rows} rows".encode())
        return whole.hexdigest()


def row_hashes(frame: pd.DataFrame) -> Hashes:
    """An unkeyed 64-bit hash of every row of a normalised table, shape (n_rows,); for comparing within one process."""
    total = np.zeros(len(frame), dtype=np.uint64)
    for name in frame.columns:
        label = np.uint64(int.from_bytes(_blake(str(name).encode()), "little"))
        total += _mix(cell_hashes(frame[name]) ^ label)  # a sum, so that the order of columns does not matter
        let_go()
    return _mix(total)


def are_among(hashes: Hashes, known: Hashes) -> npt.NDArray[np.bool_]:
    """Which hashes stand among known ones: as `numpy.isin`, in a tenth of its time; shape (n_rows,).

    >>> are_among(np.array([3, 1, 3], dtype=np.uint64), np.array([3, 2], dtype=np.uint64)).tolist()
    [True, False, True]
    """
    if not len(known):
        return np.zeros(len(hashes), dtype=bool)
    ordered, order = np.sort(known), np.argsort(hashes)
    ascending = hashes[order]
    result = np.empty(len(hashes), dtype=bool)
    result[order] = ordered[np.minimum(np.searchsorted(ordered, ascending), len(ordered) - 1)] == ascending
    return result


def distinct_hashes(hashes: Hashes) -> Hashes:
    """The different hashes, sorted: as `numpy.unique`, in a tenth of its time."""
    ordered = np.sort(hashes)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def are_repeated(hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Which hashes stand at an earlier place too; shape (n_rows,)."""
    return np.asarray(pd.Series(hashes).duplicated())


def distinct_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Every row of a normalised table once, in their order."""
    again = are_repeated(row_hashes(frame))
    return frame[~again].reset_index(drop=True) if again.any() else frame.reset_index(drop=True)


def row_digests(frame: pd.DataFrame, salt: str) -> Hashes:
    """A keyed 64-bit digest of every row of a normalised table, shape (n_rows,); for keeping on a server."""
    return keyed(row_hashes(frame), salt)


def keyed(hashes: Hashes, salt: str) -> Hashes:
    """The keyed digests of rows whose hashes are known, shape (n_rows,)."""
    started = hashlib.blake2b(digest_size=8, key=bytes.fromhex(salt))
    digests = np.empty(len(hashes), dtype="<u8")
    for at in range(0, len(hashes), BLOCK_ROWS):
        packed = hashes[at : at + BLOCK_ROWS].tobytes()
        digests[at : at + BLOCK_ROWS] = np.frombuffer(b"".join(_continued(started, packed)), dtype="<u8")
    return digests.astype(np.uint64)


def _continued(started: Any, packed: bytes) -> Iterator[bytes]:
    """The digest of every 8 bytes; a copy of the keyed state costs half of what keying it again does."""
    for at in range(0, len(packed), 8):
        digest = started.copy()
        digest.update(packed[at : at + 8])
        yield digest.digest()


def cell_hashes(column: pd.Series) -> Hashes:
    """A 64-bit hash of every value of a column of a normalised table, shape (n_rows,)."""
    missing = column.isna().to_numpy(dtype=bool)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        bits = column.astype("datetime64[us]").to_numpy().astype("int64").view(np.uint64)
    elif pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        bits = (column.to_numpy(dtype="float64", na_value=0.0) + 0.0).view(np.uint64)
        if pd.api.types.is_integer_dtype(column.dtype):
            bits = _with_exact(bits, column)
    else:
        codes, levels = pd.factorize(column)
        hashes = [int.from_bytes(_blake(str(level).encode()), "little") for level in levels]
        bits = np.array([*hashes, 0], dtype=np.uint64)[codes]
    return np.where(missing, _MISSING, _mix(bits))


def _with_exact(bits: Hashes, column: pd.Series) -> Hashes:
    """The bits of whole numbers: up to 2^53 as those of the same float, beyond it their own, none like another's."""
    whole = column.to_numpy(dtype="int64", na_value=0)
    return np.where((whole > EXACT) | (whole < -EXACT), _mix(whole.view(np.uint64) ^ _WHOLE), bits)


def _blake(data: bytes, key: bytes = b"") -> bytes:
    return hashlib.blake2b(data, digest_size=8, key=key).digest()


def _column_bytes(column: pd.Series, kind: Kind) -> Iterable[bytes]:
    missing = column.isna().to_numpy(dtype=bool)
    yield np.packbits(missing).tobytes()
    if kind == "string":
        yield from _string_bytes(column)
    elif kind == "number":
        values = np.where(missing, 0.0, column.to_numpy(dtype="float64", na_value=np.nan)) + 0.0  # -0.0 becomes 0.0
        yield values.astype("<f8").tobytes()
    else:
        yield _whole_numbers(column, missing).astype("<i8").tobytes()


def _whole_numbers(column: pd.Series, missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return np.where(missing, 0, column.astype("datetime64[us]").to_numpy().astype("int64"))
    if pd.api.types.is_float_dtype(column.dtype) and missing.any():
        return np.where(missing, 0, column.to_numpy(dtype="float64", na_value=0.0)).astype("int64")
    if missing.any():
        return column.to_numpy(dtype="int64", na_value=0)
    return column.to_numpy(dtype="int64")


def _string_bytes(column: pd.Series) -> Iterable[bytes]:
    values = pc.fill_null(pa.array(column, type=pa.large_string(), from_pandas=True), "")
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    for chunk in chunks:
        yield pc.binary_length(chunk).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
    for chunk in chunks:
        offsets = np.frombuffer(chunk.buffers()[1], dtype="<i8")[chunk.offset : chunk.offset + len(chunk) + 1]
        yield chunk.buffers()[2][int(offsets[0]) : int(offsets[-1])].to_pybytes() if len(chunk) else b""


def _mix(bits: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014, doi:10.1145/2660193.2660195)."""
    mixed = bits.astype(np.uint64, copy=True)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


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
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return key if _KEY.fullmatch(key) else None
