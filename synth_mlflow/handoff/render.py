"""The handoff as Markdown and as one HTML page.

The handoff as one Markdown file, in which every value that is not prose is text and nothing else.

The handoff as one self-contained HTML page: no script, no network, nothing that people wrote becomes markup.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from synth_mlflow.handoff import formatting
from synth_mlflow.handoff.document import Document
from synth_mlflow.handoff.formatting import prose_to_html, prose_to_markdown, said
from synth_mlflow.handoff.links import is_server_address
from synth_mlflow.handoff.summary import is_detailed, shared

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
    text = formatting.line(value, length=2000)
    parts = _CODE.split(text)
    plain = (part if place % 2 else _plain(part) for place, part in enumerate(parts))
    return Safe(_AT_LINE_START.sub(_hold, "".join(plain)))


def _plain(text: str) -> str:
    return _SPECIAL.sub(lambda match: f"\\{match[0]}", text).replace("|", "&#124;")


def _hold(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}"


def code(value: object, length: int = formatting.NAME_LENGTH) -> Safe:
    """A value in code's type, or as plain text where it holds what a code span or a table cannot carry."""
    text = formatting.line(value, length)
    return escape(text) if not text or set(text) & set("`|\\") else Safe(f"`{text}`")


def block(text: str) -> Safe:
    """Commands as an indented block, which nothing inside can end."""
    return Safe("\n".join(f"    {row}" for row in formatting.visible(text).split("\n")))


def linked(run_id: str, links: dict[str, str | None]) -> Safe:
    """A run's short id, as a link where there is one."""
    url = links.get(run_id)
    label = code(formatting.short(run_id))
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
        **{name: getattr(formatting, name) for name in formatting.FILTERS},
    )
    environment.tests["detailed"] = is_detailed
    return environment


_STRIP_WIDTH = 120.0  # in units of the viewBox that pieces.html.j2 draws


def to_html(document: Document) -> str:
    """Render the page; the same document always gives the same bytes."""
    page = _html_environment().get_template("handoff.html.j2")
    return page.render(
        **shared(document),
        reach=_reach(document),
        batch_numbers={batch.run_id: number for number, batch in enumerate(document.batches, 1)},
        css=Markup(_css()),  # our own file, not anybody's words
        css_sha256=base64.b64encode(hashlib.sha256(_css().encode()).digest()).decode(),
    )


def _reach(document: Document) -> tuple[float, float]:
    """The ends of everything that the strips of the curve show."""
    shown = [point.score for point in document.sweep.points]
    shown += [point.placebo for point in document.sweep.points if point.placebo is not None]
    return min(score.low for score in shown), max(score.high for score in shown)


def _along(value: float, reach: tuple[float, float]) -> str:
    low, high = reach
    return f"{_STRIP_WIDTH * (value - low) / (high - low) if high > low else _STRIP_WIDTH / 2:.1f}"


@cache
def _html_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("synth_mlflow.handoff"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        prose=prose_to_html,
        said=said,
        along=_along,
        base64=lambda data: base64.b64encode(data).decode(),
        **{name: getattr(formatting, name) for name in formatting.FILTERS},
    )
    environment.tests.update(server_address=is_server_address, detailed=is_detailed)
    return environment


@cache
def _css() -> str:
    return resources.files("synth_mlflow.handoff").joinpath("templates/handoff.css").read_text(encoding="utf-8")
