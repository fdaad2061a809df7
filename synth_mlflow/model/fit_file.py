"""Fits as the bytes of one file and back: numbers in NumPy's format, never pickled."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.model.plan import Fit

_RECORDS = "fits"


def pack_fits(fits: Sequence[Fit], maker: str) -> bytes:
    """Fits with what was predicted, and by what they were made.

    Parameters
    ----------
    maker : str
        A digest of everything outside of the sweep's key that the numbers depend on: versions, the user's own code.
    """
    records = canonical_json({"maker": maker, "fits": [fit.to_json() for fit in fits]})
    held: dict[str, Any] = {_RECORDS: np.frombuffer(records.encode(), dtype=np.uint8)}
    held |= {f"predictions{place}": fit.predictions for place, fit in enumerate(fits) if fit.predictions.size}
    file = io.BytesIO()
    np.savez_compressed(file, **held)
    return file.getvalue()


def unpack_fits(content: bytes, maker: str) -> list[Fit]:
    """The inverse of :func:`pack_fits`; nothing where the fits were made by something else."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        record = json.loads(arrays[_RECORDS].tobytes())
        if record["maker"] != maker:
            return []
        nothing = np.empty(0)
        return [
            Fit.from_json(fit, arrays[name] if (name := f"predictions{place}") in arrays.files else nothing)
            for place, fit in enumerate(record["fits"])
        ]
