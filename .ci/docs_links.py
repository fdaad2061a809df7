"""The references of docstrings, which are written as Sphinx roles, as links between the pages of the documentation.

A target that no page documents is shown by its name alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

DOCS = Path(__file__).parents[1] / "docs"
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`(~?)([\w.]+)`")
DOCUMENTED = {
    name
    for page in DOCS.rglob("*.md")
    for name in re.findall(r"^::: (synth_mlflow[\w.]+)", page.read_text("utf-8"), re.MULTILINE)
}


class DocsLinks(griffe.Extension):
    """Rewrites every docstring before a page is made of it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = ROLE.sub(_link, obj.docstring.value)


def _link(role: re.Match[str]) -> str:
    target = role[2]
    name = target.rpartition(".")[2]
    if target in DOCUMENTED:
        return f"[`{name}`][{target}]"
    return f"`{target if target.startswith('synth_mlflow') and not role[1] else name}`"
