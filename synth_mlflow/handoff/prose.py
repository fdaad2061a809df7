"""What people wrote as Markdown, made safe to stand inside a page or another Markdown file."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markupsafe import Markup

from synth_mlflow.handoff.links import is_web_address
from synth_mlflow.handoff.wording import line, visible

_HTML_START = re.compile(r"<(?!https?://)(?=[A-Za-z/!?])")
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+.!|<>~$&-])")
_NEW_TAB: dict[str, str | int | float] = {"target": "_blank", "rel": "noopener noreferrer"}


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
        for link in (child for child in token.children or () if child.type == "link_open"):
            link.attrs.update(_NEW_TAB)
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
    words = visible(text).strip().expandtabs(4)  # behind a quotation mark, a tab would indent by less
    quoted = _quoted(words)
    return quoted if _links_are_safe(quoted) else _quoted(_PUNCTUATION.sub(r"\\\1", words))


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


def _quoted(words: str) -> str:
    plain = _HTML_START.sub("&lt;", words).replace("![", "!\\[")
    return "\n".join(f"> {row}".rstrip() for row in plain.split("\n"))


def _links_are_safe(text: str) -> bool:
    """Whether every link leads where it may, in the eyes of viewers that refuse some links and of those that do not."""
    parsers = (_TrustingParser(), MarkdownIt("commonmark", {"html": False}).enable("table"))
    return all(is_web_address(url) for parser in parsers for url in _addresses(parser, text))


def _addresses(parser: MarkdownIt, text: str) -> list[str]:
    known: dict[str, dict[str, dict[str, str]]] = {}
    inner = [child for token in parser.parse(text, known) for child in token.children or ()]
    defined = [reference["href"] for reference in known.get("references", {}).values()]
    return defined + [str(child.attrs["href"]) for child in inner if child.type == "link_open"]
