"""The blind test: can members and control be told apart without the batch? Then nothing can be judged against them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.checks._tables import thin
from synth_mlflow.data.splits import group_codes
from synth_mlflow.data.task import Task
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
    group: str | None = None
    """The column by whose groups the set was split, if it was."""
    time: str | None = None
    """The column by whose time it was split, if it was."""

    @property
    def metrics(self) -> dict[str, float]:
        """For the run."""
        return {"blind_auc": self.auc, "blind_auc_floor": self.floor, "blind_auc_limit": BLIND_AUC}

    @property
    def differ(self) -> str:
        """What is wrong, or nothing."""
        if self.auc <= max(BLIND_AUC, self.floor) or self.p_value > BLIND_ALPHA:
            return ""
        way, remedy = "random splits", "draw the evaluation set at random in a new project"
        if self.group:
            way, remedy = f"random splits by {self.group!r}", "look at how the groups of the two sides differ"
        if self.time:
            remedy = f"this set was split by {self.time!r}, so later rows may differ"
        return (
            f"training rows and evaluation rows do not follow one law: without the batch a classifier distinguishes "
            f"them with AUC {self.auc:.2f} (limit {BLIND_AUC:.2f}, {way} {self.floor:.2f}), by "
            f"{', '.join(map(repr, self.columns))}. A split by time or drift does this; {remedy}, or accept this check "
            "as inconclusive with a reason"
        )


def blind_test(
    members: pd.DataFrame,
    control: pd.DataFrame,
    encoding: Encoding,
    *,
    seed: int,
    floor: Floor | None = None,
    task: Task | None = None,
) -> Blind:
    """Compare equally many members and controls, of every row one copy; ``floor`` is measured where it is not given.

    Exact duplicates lie on one side of a frozen split, so a classifier that remembers a row knows where its twin lies:
    on wine quality, where a fifth of the rows are copies, that alone gave an AUC of 0.56. The same holds for groups:
    where the set was split by the group that ``task`` names, no row is scored by a model that has seen its group.
    """
    members, control = members.drop_duplicates(), control.drop_duplicates()
    rng = np.random.default_rng([seed, 17])
    n_rows = min(len(members), len(control), MAX_ROWS)
    first, second = thin(members, n_rows, rng), thin(control, n_rows, rng)
    features, categorical = (encoding.features(first), encoding.features(second)), encoding.categorical
    pooled = None if task is None else group_codes(pd.concat([first, second], ignore_index=True), task)
    groups = None if pooled is None else (pooled[: len(first)], pooled[len(first) :])
    test = classifier_test(*features, seed=seed, categorical=categorical, groups=groups)
    floor = floor or classifier_floor(np.vstack(features), seed=seed, categorical=categorical, groups=pooled)
    sizes, p_value = (len(first), len(second)), test.p_value
    if pooled is not None:
        p_value = max(p_value, float(floor.p_values(np.array([test.auc - 0.5]), *sizes)[0]))
    best, named = np.argsort(test.importance)[::-1][:3], (task.group, task.time) if task else (None, None)
    columns = tuple(encoding.schema.columns[place] for place in best)
    return Blind(test.auc, p_value, 0.5 + float(floor.upper(*sizes)[0]), columns, *named)
