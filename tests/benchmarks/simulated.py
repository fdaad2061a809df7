"""Decide situations on simulated projects, a line of JSON each: a run that was stopped goes on where it was."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any


def simulate(
    situations: Mapping[str, Any], decision: Callable[..., Any], n_projects: int, first: int, only: str, store: Path
) -> dict[str, list[Any]]:
    """Every situation whose name contains ``only``; projects in the store are read, the others appended.

    Parameters
    ----------
    situations : mapping
        By name, each with ``decide(seed)``, which gives a decision.
    decision : dataclass
        What ``decide`` gives.
    """
    store.touch()
    records = [json.loads(line) for line in store.read_text().splitlines()]
    kept = {(record["situation"], record["seed"]): decision(**record["decision"]) for record in records}
    found: dict[str, list[Any]] = {}
    for name, situation in situations.items():
        found[name] = []
        for seed in range(first, first + n_projects if only in name else first):
            made = kept.get((name, seed)) or situation.decide(seed)
            if (name, seed) not in kept:
                with store.open("a") as file:
                    file.write(json.dumps({"situation": name, "seed": seed, "decision": asdict(made)}) + "\n")
            found[name].append(made)
    return found


def run(
    description: str | None,
    situations: Mapping[str, Any],
    decision: Callable[..., Any],
    table: Callable[[dict[str, list[Any]]], Iterable[str]],
) -> None:
    """Read the command line, simulate, and print the table."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", default="", help="situations whose name contains this")
    parser.add_argument("--store", type=Path, required=True, help="a file of JSON lines to go on from")
    given = parser.parse_args()
    found = simulate(situations, decision, given.projects, given.first, given.only, given.store)
    print("\n".join(table(found)))
