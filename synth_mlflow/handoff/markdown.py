"""The handoff as one Markdown file, in which every value that is not prose is text and nothing else."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from synth_mlflow.handoff import wording
from synth_mlflow.handoff.contents import is_detailed, shared
from synth_mlflow.handoff.document import Document
from synth_mlflow.handoff.links import is_server_address
from synth_mlflow.handoff.prose import prose_to_markdown

_SPECIAL = re.compile(r"[\\`*\[\]<>~$]|(?<![^\W_])_|_(?![^\W_])|&(?=[#A-Za-z])")
_CODE = re.compile(r"(`[^`|\\]+`)")
_AT_LINE_START = re.compile(r"^(#|[-+=](?=\s|$|[-=])|\d+(?=[.)](?:\s|$)))")


class Safe(str):
    """Markdown that may stand as it is; every other value is escaped when the template prints it."""

    __slots__ = ()


def to_markdown(document: Document) -> str:
    """Render the file; the same document always gives the same text. The picture stays in the other formats."""
    page = _environment().get_template("handoff.md.j2")
    text = page.render(links=document.links, **shared(document))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escape(value: object) -> Safe:
    """Anything as plain text on one line, also inside a table; what stands between backticks is code.

    Examples
    --------
    >>> escape("a|b <i> *c*")
    'a&#124;b \\\\<i\\\\> \\\\*c\\\\*'
    >>> escape("give `--rows 5`")
    'give `--rows 5`'
    """
    text = wording.line(value, length=2000)
    parts = _CODE.split(text)
    plain = (part if place % 2 else _plain(part) for place, part in enumerate(parts))
    return Safe(_AT_LINE_START.sub(_hold, "".join(plain)))


def _plain(text: str) -> str:
    return _SPECIAL.sub(lambda match: f"\\{match[0]}", text).replace("|", "&#124;")


def _hold(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}"


def code(value: object, length: int = wording.NAME_LENGTH) -> Safe:
    """A value in code's type, or as plain text where it holds what a code span or a table cannot carry."""
    text = wording.line(value, length)
    return escape(text) if not text or set(text) & set("`|\\") else Safe(f"`{text}`")


def block(text: str) -> Safe:
    """Commands as an indented block, which nothing inside can end."""
    return Safe("\n".join(f"    {row}" for row in wording.visible(text).split("\n")))


def linked(run_id: str, links: dict[str, str | None]) -> Safe:
    """A run's short id, as a link where there is one."""
    url = links.get(run_id)
    label = code(wording.short(run_id))
    if not url or not is_server_address(url):
        return label
    return Safe(f"[{label}]({_destination(url)})")


def _destination(url: str) -> str:
    return re.sub(r"[()<>|\\`\s]", lambda match: f"%{ord(match[0]):02X}", url)


@cache
def _environment() -> Environment:
    environment = Environment(  # Markdown has no autoescape in Jinja2: `finalize` escapes whatever is not Safe
        loader=PackageLoader("synth_mlflow.handoff"),
        finalize=lambda value: value if isinstance(value, Safe) else escape(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        prose=lambda text: Safe(prose_to_markdown(text)),
        code=code,
        block=block,
        linked=linked,
        **{name: getattr(wording, name) for name in wording.FILTERS},
    )
    environment.tests["detailed"] = is_detailed
    return environment
