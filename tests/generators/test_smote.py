"""SMOTE."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.generators.smote import Smote


def test_rows_lie_between_members_of_one_class() -> None:
    left, right = np.linspace(0.0, 1.0, 50), np.linspace(9.0, 10.0, 50)
    members = pd.DataFrame({"x": np.append(left, right), "y": pd.Series(["a"] * 50 + ["b"] * 50, dtype="str")})
    drawn = Smote().fit(members, Task("y", "binary"), np.random.default_rng(0)).sample(500, np.random.default_rng(1))
    assert drawn["x"][drawn["y"] == "a"].max() <= 1.0
    assert drawn["x"][drawn["y"] == "b"].min() >= 9.0


def test_a_class_of_one_is_copied() -> None:
    members = pd.DataFrame({"x": np.arange(20.0), "y": [True] + [False] * 19})
    drawn = Smote().fit(members, Task("y", "binary"), np.random.default_rng(0)).sample(500, np.random.default_rng(1))
    assert drawn["x"][drawn["y"]].eq(0.0).all()


def test_no_neighbours_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Smote(neighbours=0)
