"""Tables of choices are recognised, and the commands that help write one row for each person."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synth_mlflow import UsageError, Workflow
from synth_mlflow.data.choice_sets import choice_sets_of
from synth_mlflow.handoff.draft_handoff import draft_handoff
from synth_mlflow.tracking import names


def trips(n_people: int = 60, seed: int = 0) -> pd.DataFrame:
    """Who travels by car, bus or train, and what each would have cost them."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(n_people), 3)
    cost = rng.normal(20, 5, 3 * n_people).round(3)
    taken = (np.arange(3 * n_people) % 3 == np.repeat(cost.reshape(-1, 3).argmin(axis=1), 3)).astype(float)
    ways = np.tile(["car", "bus", "train"], n_people)
    return pd.DataFrame(
        {"who": people, "way": ways, "taken": taken, "cost": cost, "income": np.repeat(rng.normal(9, 1, n_people), 3)}
    )


def test_choice_sets_are_found_by_what_is_exactly_so_in_every_group() -> None:
    rows = trips()
    found = choice_sets_of(rows, "taken")
    assert found is not None
    assert (found.group, found.alternative, found.chosen, found.n_groups, found.n_alternatives) == (
        "who", "way", 1.0, 60, 3,
    )  # fmt: skip
    assert (found.constant, found.varying) == (("income",), ("cost",))


@pytest.mark.parametrize("harm", ["two chosen", "none chosen", "a row is missing", "the same way twice", "no target"])
def test_one_exception_and_there_are_none(harm: str) -> None:
    rows = trips()
    if harm == "two chosen":
        rows.loc[:2, "taken"] = 1.0
    elif harm == "none chosen":
        rows.loc[:2, "taken"] = 0.0
    elif harm == "a row is missing":
        rows = rows.iloc[1:]
    elif harm == "the same way twice":
        rows.loc[0, "way"] = "bus"
    assert choice_sets_of(rows, None if harm == "no target" else "taken") is None


@pytest.mark.parametrize(("target", "name"), [("bought", "shop"), ("target", "coin")])
def test_ordinary_tables_are_none(customers: Callable[..., pd.DataFrame], target: str, name: str) -> None:
    coins = pd.DataFrame({"row": range(400), "side": ["a", "b"] * 200, "target": [0, 1, 1, 0] * 100})
    assert choice_sets_of(customers(400, 0) if name == "shop" else coins, target) is None


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_commands_of_init_write_one_row_for_each_and_go_on(
    tmp_path: Path, call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rows, path = trips(), tmp_path / f"trips{suffix}"
    rows.to_csv(path, index=False) if suffix == ".csv" else rows.to_parquet(path)
    code, out, _ = call("init", "--from", path.name, "--target", "taken")
    assert code == 0 and "evaluation: {share: 0.4, group: who}" in (tmp_path / "trips/problem.md").read_text()
    write, begin = (line.strip() for line in out.splitlines() if line.startswith("  "))
    subprocess.run([sys.executable, *shlex.split(write)[1:]], cwd=tmp_path, check=True)
    code, _, _ = call(*shlex.split(begin)[1:])
    assert code == 0
    written = tmp_path / f"trips_one_row_each_who{suffix}"
    wide = pd.read_csv(written) if suffix == ".csv" else pd.read_parquet(written)
    assert [*wide] == ["income", "cost_bus", "cost_car", "cost_train", "taken"] and len(wide) == 60
    cheapest = "way " + wide[["cost_bus", "cost_car", "cost_train"]].idxmin(axis=1).str.removeprefix("cost_")
    assert (wide["taken"] == cheapest).all()


def test_a_project_on_such_rows_is_warned_and_its_draft_says_what_to_do(
    tmp_path: Path, uri: str, write_project: Callable[..., Path]
) -> None:
    problem = write_project()
    trips().to_csv(tmp_path / "trips.csv", index=False)
    text = problem.read_text()
    head = (
        "name: trips\ndata: trips.csv\ntarget: taken\ntask: binary\nmetric: roc_auc\nsuccess: {gain_at_least: 0.01}\n"
    )
    rest = 'gap: cost target\nprivacy: "not relevant: made-up"\nevaluation: {group: who}\n'
    problem.write_text(f"---\n{head}{rest}---\n{text.split('---', 2)[2]}")
    workflow = Workflow("trips", uri)
    defined = workflow.define(problem)
    assert "exactly one of them has 'taken' 1.0" in defined.run.params[names.P_CHOICES]
    draft = draft_handoff(workflow.project, UsageError("stopped", "fix"))
    first = draft.steps[0]
    assert first.where == "terminal" and first.lines[0].startswith("python -c ")
    assert first.lines[1].endswith("--target taken")
