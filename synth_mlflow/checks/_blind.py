"""The blind test: can members and control be told apart without the batch? Then nothing can be judged against them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.checks._tables import thin
from synth_mlflow.measures.encoding import Encoding
from synth_mlflow.measures.floors import Floor
from synth_mlflow.measures.two_sample import classifier_floor, classifier_test

MAX_ROWS = 5_000
BLIND_AUC = 0.55
"""Real rows that were split at random stay below it; below it, drift is too weak to make a leak."""
BLIND_ALPHA = 0.001
"""Asked once a project, of data that the batch cannot change."""


@dataclass(frozen=True)
class Blind:
    """How well members and control can be told apart by themselves."""

    auc: float
    p_value: float
    floor: float
    """What 99 of 100 random splits of the same rows stay below."""
    columns: tuple[str, ...]
    """The columns that give the difference away, if there is one."""

    @property
    def metrics(self) -> dict[str, float]:
        """For the run."""
        return {"blind_auc": self.auc, "blind_auc_floor": self.floor, "blind_auc_limit": BLIND_AUC}

    @property
    def differ(self) -> str:
        """What is wrong, or nothing."""
        if self.auc <= max(BLIND_AUC, self.floor) or self.p_value > BLIND_ALPHA:
            return ""
        return (
            f"members and control are not of one law: without the batch they are told apart with AUC {self.auc:.2f} "
            f"(limit {BLIND_AUC:.2f}, random splits {self.floor:.2f}), by {', '.join(map(repr, self.columns))}. "
            "A time split or drift does this; "
            "choose an evaluation set that was drawn at random, or accept this check as inconclusive with a reason"
        )


def blind_test(
    members: pd.DataFrame, control: pd.DataFrame, encoding: Encoding, *, seed: int, floor: Floor | None = None
) -> Blind:
    """Compare equally many members and controls, of every row one copy; ``floor`` is measured where it is not given.

    Exact duplicates lie on one side of a frozen cut, so a classifier that remembers a row knows where its twin lies: on
    wine quality, where a fifth of the rows are copies, that alone gave an AUC of 0.56.
    """
    members, control = members.drop_duplicates(), control.drop_duplicates()
    rng = np.random.default_rng([seed, 17])
    n_rows = min(len(members), len(control), MAX_ROWS)
    first, second = thin(members, n_rows, rng), thin(control, n_rows, rng)
    features, categorical = (encoding.features(first), encoding.features(second)), encoding.categorical
    test = classifier_test(*features, seed=seed, categorical=categorical)
    floor = floor or classifier_floor(np.vstack(features), seed=seed, categorical=categorical)
    best = np.argsort(test.importance)[::-1][:3]
    columns = tuple(encoding.schema.columns[place] for place in best)
    return Blind(test.auc, test.p_value, 0.5 + float(floor.upper(len(first), len(second))[0]), columns)
