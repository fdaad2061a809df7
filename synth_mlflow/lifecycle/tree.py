"""A tree of recorded things, and the same tree as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from synth_mlflow.data.mixes import percent

TEXT_SHOWN = 60  # characters of one fact in the printed tree; the JSON has all

Fact = str | int | float


@dataclass(frozen=True)
class Node:
    """One thing that is recorded, and the things behind it or made from it."""

    kind: str
    name: str
    run_id: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    children: tuple[Node, ...] = ()

    def above(self, children: Iterable[Node]) -> Node:
        """The same thing with further children."""
        return replace(self, children=(*self.children, *children))


def tree_lines(root: Node) -> list[str]:
    """A tree as text: what a thing is and its run, and what is known of it on the line below.

    Examples
    --------
    >>> leaf = Node("batch", "law-1", "b", {"rows": 1000})
    >>> for line in tree_lines(Node("sweep", "of 2", "a", {"ratio": 0.25}, (leaf, leaf))): print(line)
    sweep of 2 [run a]
    │   ratio 25 %
    ├── batch law-1 [run b]
    │       rows 1,000
    └── batch law-1 [run b]
            rows 1,000
    """
    return list(_lines(root))


def _lines(node: Node) -> Iterator[str]:
    yield _heading(node) + (f" [run {node.run_id}]" if node.run_id else "")
    if node.facts:
        yield ("│   " if node.children else "    ") + " · ".join(_facts(node.facts))
    for at, child in enumerate(node.children, start=1):
        first, further = ("└── ", "    ") if at == len(node.children) else ("├── ", "│   ")
        heading, *below = _lines(child)
        yield first + heading
        yield from (further + line for line in below)


def _heading(node: Node) -> str:
    return node.name if node.name.startswith(f"{node.kind} ") else f"{node.kind} {node.name}"


def _facts(facts: Mapping[str, Fact]) -> Iterator[str]:
    for name, value in facts.items():
        if name == "score" and "low" in facts:
            yield f"score {value:.4f} ({facts['low']:.4f} to {facts['high']:.4f})"
        elif name not in {"low", "high"}:
            yield f"{name} {_shown(name, value)}"


def _shown(name: str, value: Fact) -> str:
    if isinstance(value, int):
        return str(value) if name == "seed" else f"{value:,}"
    if isinstance(value, float):
        return percent(value) if name.endswith("ratio") else f"{value:.4f}"
    line = " ".join(value.split())
    return line if len(line) <= TEXT_SHOWN else line[: TEXT_SHOWN - 1] + "…"
