"""The row digests that a set or a batch keeps, against those that its rows give: gates compare rows by them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from synth_mlflow.data.digests import row_digests
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun


def digest_contradictions(project: Project, run: StoredRun, side: str, rows: pd.DataFrame) -> Iterator[str]:
    """That the digests kept for some rows are not theirs.

    Parameters
    ----------
    run : StoredRun
        An evaluation set or a batch. Nothing is said of rows kept by reference, whose digests are made from them, nor
        of a batch of another evaluation set than the one in force, whose salt may be gone.
    side : str
        Which digests of the run; empty for all.
    rows : DataFrame
        As the run's file holds them.
    """
    frozen = project.find_evaluation_set()
    digest = run.params.get(names.P_EVALUATION_DIGEST)
    if frozen is None or names.P_SALT not in frozen.run.params or digest != frozen.digest:
        return
    if names.A_ROW_DIGESTS not in run.artifacts:
        return
    kept = project.row_digests(run)
    stated = np.concatenate([hashes for name, hashes in kept.items() if side in ("", name)])
    salt = run.params.get(names.P_SALT, frozen.salt)
    if not np.array_equal(np.unique(stated), np.unique(row_digests(rows, salt))):
        yield f"{names.A_ROW_DIGESTS} does not hold the digests of {f'its {side} rows' if side else 'its rows'}"
