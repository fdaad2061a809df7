"""Texts and tables as HTML, Markdown and YAML that show them and do nothing else.

A small table in HTML, for what notebooks show of a result.

Texts of people inside of Markdown: they stay text, whatever a server's page makes of Markdown and HTML.

YAML as people write it: no aliases, which can make a small file expand without bound, no tags, no key twice.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from synth_mlflow.errors import UsageError
from synth_mlflow.masks import holds_password, without_passwords


def html_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under a header, with every text escaped.

    >>> html_table(["a"], [["<b>"]])
    '<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    lines = [_row("th", header), *(_row("td", row) for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def _row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"


LONGEST = 2_000  # characters
_CODE = re.compile(r"(`[^`|\\]+`)")
_MARKUP = re.compile(r"[\\`*\[\]~$!#]|(?<![^\W_])_|_(?![^\W_])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_HELD_AT_START = re.compile(r"^([-+=]|\d+(?=[.)]))")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
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


def checked_line(text: str, longest: int, found: str, fix: str) -> str:
    """The text, if it is one line of so many characters at most; a UsageError otherwise.

    >>> checked_line("Ada Lind", 200, "a sign-off needs a name", "")
    'Ada Lind'
    """
    if not text.strip() or len(text) > longest or text != " ".join(text.split()) or not is_storable(text):
        raise UsageError(f"{found} on one line, of 1 to {longest} characters; found {text[:40]!r}.", fix)
    refuse_passwords([text], "the text")
    return text


def refuse_passwords(texts: Iterable[object], what: str) -> None:
    """A UsageError if a text holds the password of a URI: what people write is recorded as it is.

    >>> refuse_passwords(["rows of postgresql://ann@db"], "the purpose")
    """
    for text in texts:
        if isinstance(text, str) and holds_password(text):
            line = next(line for line in [*text.splitlines(), text] if holds_password(line))
            raise UsageError(
                f"{what} holds a password or a token in a URI, which would be recorded: "
                f"{without_passwords(line).strip()[:200]!r}.",
                "Leave it out; a program that needs it reads it from a variable of the environment.",
            )


def texts_in(value: object) -> Iterator[str]:
    """Every text in lists and mappings.

    >>> list(texts_in({"a": ["b", 1, {"c": "d"}]}))
    ['a', 'b', 'c', 'd']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from (*texts_in(name), *texts_in(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)


def is_storable(text: str) -> bool:
    """Whether every server keeps a text: PostgreSQL takes no NUL, and half of a surrogate pair is not UTF-8.

    >>> is_storable("Zoë 🦊"), is_storable("a" + chr(0)), is_storable(chr(0xD83E))
    (True, False, False)
    """
    return not _UNSTORABLE.search(text)


def as_lines(text: str) -> str:
    """A text of several paragraphs; the breaks between lines stay."""
    return "\n".join(as_text(line) for line in text.splitlines())


def _plain(text: str) -> str:
    entities = re.sub(r"[&<>|]", lambda match: _HTML[match[0]], text)
    return _MARKUP.sub(lambda match: match[0] if _in_entity(entities, match.start()) else f"\\{match[0]}", entities)


def _in_entity(text: str, at: int) -> bool:
    """Whether a `#` is part of ``&#124;``."""
    return text[at] == "#" and text[max(at - 1, 0) : at + 5] == "&#124;"


def read_plain(text: str) -> Any:
    """The value of a YAML text.

    Raises
    ------
    ValueError
        If it is not plain YAML; says where.

    Examples
    --------
    >>> read_plain("seed: 7")
    {'seed': 7}
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error).replace('in "<unicode string>", line', "in line")) from error


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases (`*name`) are not read here")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [str(key.value) for key, _ in node.value]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"keys stand twice: {', '.join(sorted(twice))}")
        return super().construct_mapping(node, deep)
