"""Correlations of columns that hardly ever leave one value: no false alarm of real rows, and damage is still seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks._pairs import pair_families, pair_probes

POLICY = {"pair_distance": 0.2, "association_gap": 0.12, "correlation_gap": 0.12}


def pixels(n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Two numbers that go together, and corners of a picture that are dark in all rows but a few."""
    x = rng.normal(size=n_rows)
    rows = {"x": x, "y": x + rng.normal(size=n_rows)}
    corners = {f"corner_{at}": np.where(rng.random(n_rows) < 0.004, rng.integers(1, 4, n_rows), 0) for at in range(8)}
    return pd.DataFrame({"camera": rng.choice(["a", "b"], n_rows), **rows, **corners})


def alarms(real: pd.DataFrame, batch: pd.DataFrame, seed: int) -> list[str]:
    """Columns whose correlations differ, significantly and by much."""
    probes = pair_probes(pair_families(real, batch, np.random.default_rng(seed)), POLICY)
    found = [probe for probe in probes if probe.name == "correlation_gap"]
    return [str(p.column) for p in found if (p.value or 0) > p.limit and (p.p_value or 0) < 0.005 / 80]


@pytest.mark.parametrize("seed", range(6))
def test_real_rows_against_real_rows_raise_no_alarm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert alarms(pixels(900, rng), pixels(900, rng), seed) == []


def test_one_coincidence_of_two_rare_values_is_chance() -> None:
    rng = np.random.default_rng(9)
    real, batch = pixels(900, rng), pixels(900, rng)
    batch.loc[batch.index[batch["corner_0"] > 0][:1], "corner_1"] = 3
    assert alarms(real, batch, 9) == []


def test_lost_dependence_of_ordinary_columns_and_of_rare_values_is_seen() -> None:
    rng = np.random.default_rng(3)
    real, batch = pixels(900, rng), pixels(900, rng)
    assert set(alarms(real, batch.assign(y=rng.permutation(batch["y"])), 3)) >= {"x", "y"}
    first, second = (rows.assign(flag=np.where(rows["x"] > 1.75, 1, 0)) for rows in (real, batch))  # some 35 rows
    assert "flag" in alarms(first, second.assign(flag=rng.permutation(second["flag"])), 3)
