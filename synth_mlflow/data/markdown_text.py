"""Texts of people inside of Markdown: they stay text, whatever a server's page makes of Markdown and HTML."""

from __future__ import annotations

import re

LONGEST = 2_000  # characters
_CODE = re.compile(r"(`[^`|\\]+`)")
_MARKUP = re.compile(r"[\\`*\[\]~$!#]|(?<![^\W_])_|_(?![^\W_])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_HELD_AT_START = re.compile(r"^([-+=]|\d+(?=[.)]))")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def as_text(value: object) -> str:
    """Anything as plain text on one line, also inside of a table; what stands between backticks is code.

    Examples
    --------
    >>> as_text("**PASS.** ![](http://a/b.png) a|b <i>")
    '\\\\*\\\\*PASS.\\\\*\\\\* \\\\!\\\\[\\\\](http://a/b.png) a&#124;b &lt;i&gt;'
    >>> as_text("give `--rows 5`\\n# next")
    'give `--rows 5` \\\\# next'
    """
    line = _UNSEEN.sub("", " ".join(str(value).split()))
    cut = line if len(line) <= LONGEST else f"{line[: LONGEST - 2]} …"
    parts = _CODE.split(cut)
    text = "".join(part if place % 2 else _plain(part) for place, part in enumerate(parts))
    return _HELD_AT_START.sub(lambda match: f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}", text)


def as_lines(text: str) -> str:
    """A text of several paragraphs; the breaks between lines stay."""
    return "\n".join(as_text(line) for line in text.splitlines())


def _plain(text: str) -> str:
    entities = re.sub(r"[&<>|]", lambda match: _HTML[match[0]], text)
    return _MARKUP.sub(lambda match: match[0] if _in_entity(entities, match.start()) else f"\\{match[0]}", entities)


def _in_entity(text: str, at: int) -> bool:
    """Whether a `#` is part of ``&#124;``."""
    return text[at] == "#" and text[max(at - 1, 0) : at + 5] == "&#124;"
