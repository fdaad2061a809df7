"""What people wrote as Markdown, made safe to stand inside a page or another Markdown file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from synth_mlflow.handoff.links import is_web_address
from synth_mlflow.handoff.wording import line, visible

_HTML_START = re.compile(r"<(?!https?://)(?=[A-Za-z/!?])")
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+.!|<>~$&-])")


def prose_to_html(text: str) -> Markup:
    """People's Markdown as HTML: no raw HTML, no pictures, links to the web or beside the document only.

    Headings become the level below the document's own, whatever level they were written at.

    Examples
    --------
    >>> prose_to_html("# Why <b>now</b>? [x](javascript:1)")
    Markup('<h4>Why &lt;b&gt;now&lt;/b&gt;? [x](javascript:1)</h4>\\n')
    """
    parser = _Parser()
    tokens = parser.parse(visible(text))
    for token in tokens:
        token.attrs.pop("style", None)  # of table cells; the page's security policy refuses it, and so should we
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h4"
    return Markup(parser.renderer.render(tokens, parser.options, {}))


def prose_to_markdown(text: str) -> str:
    """People's Markdown as a quotation, which ends where it ends whatever stands inside.

    Raw HTML is shown as text. Words with a link that leads elsewhere than to the web or beside the document are
    quoted literally.

    Examples
    --------
    >>> prose_to_markdown("Good.\\n\\n<script>")
    '> Good.\\n>\\n> &lt;script>'
    """
    seen = visible(text).strip()
    if not _links_are_safe(seen):
        seen = _PUNCTUATION.sub(r"\\\1", seen)
    seen = _HTML_START.sub("&lt;", seen).replace("![", "!\\[")
    return "\n".join(f"> {row}".rstrip() for row in seen.split("\n"))


def said(text: str, length: int = 600) -> Markup:
    """A sentence of the product's own as HTML; what stands between backticks is code.

    Examples
    --------
    >>> said("give `--rows <n>`")
    Markup('give <code>--rows &lt;n&gt;</code>')
    """
    parts = re.split(r"`([^`]+)`", line(text, length))
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


class _Parser(MarkdownIt):
    """CommonMark and tables; raw HTML is text, pictures are links, and only some links are links."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False})
        self.enable("table").disable("image")

    def validateLink(self, url: str) -> bool:  # noqa: N802 (the library's name)
        return is_web_address(url)


class _TrustingParser(_Parser):
    """Takes every link for a link, so that all of them can be judged."""

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 (the library's name)
        return True


def _links_are_safe(text: str) -> bool:
    return all(is_web_address(url) for url in _addresses(_TrustingParser().parse(text)))


def _addresses(tokens: Sequence[Token]) -> list[str]:
    inner = [child for token in tokens for child in token.children or ()]
    return [str(child.attrs["href"]) for child in inner if child.type == "link_open"]
