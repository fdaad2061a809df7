"""What people wrote as Markdown, made safe to stand inside a page or another Markdown file.

How the document words numbers, ratios, dates and names, the same in every format.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from synth_mlflow.handoff.document import Estimate, Probe, Sweep
from synth_mlflow.handoff.links import is_web_address

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


NAME_LENGTH = 160
"""Characters of a name or value that the pages show; the JSON twin keeps all of it."""

_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def visible(text: object) -> str:
    """Text without control characters, direction overrides and lone surrogates, each shown as U+FFFD.

    They can make a page show something else than what is recorded (N. Boucher and R. Anderson, "Trojan Source:
    Invisible Vulnerabilities", arXiv 2111.00169).

    Examples
    --------
    >>> visible("a\\u202eb")
    'a\ufffdb'
    """
    return _INVISIBLE.sub("\ufffd", str(text).replace("\r\n", "\n"))


def line(text: object, length: int = NAME_LENGTH) -> str:
    """Visible text on one line, cut where it is longer than a page can show.

    Examples
    --------
    >>> line("a" * 500, 4)
    'aaaa… (500 characters)'
    """
    whole = str(text)
    cut = whole if len(whole) <= length else f"{whole[:length]}… ({len(whole):,} characters)"
    return " ".join(visible(cut).split())


def sentence(text: str) -> str:
    """Words as a sentence: a capital in front, a full stop behind.

    Examples
    --------
    >>> sentence("all real rows are kept"), sentence("roc_auc rises!")
    ('All real rows are kept.', 'roc_auc rises!')
    """
    words = text.strip()
    is_word = words.partition(" ")[0].isalpha()  # and not the name of a column, a metric or a command
    end = "" if words.endswith((".", "!", "?", ":", "…")) or not words else "."
    return f"{words[:1].upper() if is_word else words[:1]}{words[1:]}{end}"


def percent(ratio: float) -> str:
    """A ratio as people say it.

    Examples
    --------
    >>> percent(0.25), percent(0.125), percent(1 / 3)
    ('25 %', '12.5 %', '33.3 %')
    """
    return f"{100 * ratio:.1f}".removesuffix(".0") + " %"


def value_words(sweep: Sweep, value: float) -> str:
    """A value on the axis of a sweep as people say it: ``25 %``, ``weight 0.25``, ``25 % of slice young``."""
    if sweep.axis == "weight":
        return f"weight {value:.4g}"
    return f"{percent(value)} of slice {sweep.slice}" if sweep.axis == "slice" else percent(value)


def percents(ratios: Iterable[float]) -> str:
    """Several ratios in one phrase.

    Examples
    --------
    >>> percents([0.25, 0.5, 0.75])
    '25 %, 50 % and 75 %'
    """
    words = [percent(ratio) for ratio in ratios]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def decimals(estimates: Iterable[Estimate | None]) -> int:
    """How many decimals the narrowest interval deserves; between 0 and 6, 4 where there is none.

    Its half-width is shown with two significant digits if they begin with 1 to 3.54, else with one (Particle Data
    Group, Review of Particle Physics, section 5.3, doi:10.1103/PhysRevD.110.030001).

    Examples
    --------
    >>> decimals([Estimate(0.9, 0.88, 0.92)]), decimals([Estimate(48_000.0, 47_000.0, 49_000.0)])
    (3, 0)
    """
    widths = [(e.high - e.low) / 2 for e in estimates if e is not None and e.high > e.low]
    if not widths:
        return 4
    power = math.floor(math.log10(min(widths)))
    leading = min(widths) / 10**power
    return min(6, max(0, (1 if leading < 3.55 else 0) - power))


def number(value: float | None, places: int | None = None) -> str:
    """A number with a true minus sign; three significant digits unless the places are given.

    Examples
    --------
    >>> number(-0.12345), number(0.5, 3), number(-48_231.7), number(-0.0001, 2), number(None)
    ('−0.123', '0.500', '−48,232', '0.00', '–')
    """
    if value is None:
        return "–"
    as_usual = ",.0f" if abs(value) >= 1000 else ".3g"
    text = format(value, as_usual if places is None else f",.{places}f")
    digits = text.lstrip("-")
    return f"−{digits}" if text.startswith("-") and digits.strip("0.,") else digits


def chance(p_value: float | None) -> str:
    """A p-value, with as many digits as anybody needs.

    Examples
    --------
    >>> chance(0.27812), chance(4.7e-6), chance(None)
    ('0.28', '< 0.0001', '–')
    """
    if p_value is None:
        return "–"
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.2g}"


def signed(value: float, places: int | None = None) -> str:
    """A difference, always with its sign.

    Examples
    --------
    >>> signed(0.02, 3), signed(-0.02, 3), signed(0.0, 3)
    ('+0.020', '−0.020', '0.000')
    """
    text = number(value, places)
    return text if value <= 0 or not text.strip("0.,") else f"+{text}"


def interval(estimate: Estimate, places: int, *, difference: bool = False) -> str:
    """The two ends of an interval.

    Examples
    --------
    >>> interval(Estimate(0.9, 0.88, 0.92), 3)
    '0.880 to 0.920'
    """
    show = signed if difference else number
    return f"{show(estimate.low, places)} to {show(estimate.high, places)}"


def count(n: int, noun: str) -> str:
    """A counted noun.

    Examples
    --------
    >>> count(1, "batch"), count(20_000, "row"), count(0, "batch")
    ('1 batch', '20,000 rows', '0 batches')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}{'es' if noun.endswith('ch') else 's'}"


def moment(iso: str) -> str:
    """An ISO 8601 time as people read it; anything else as it is.

    Examples
    --------
    >>> moment("2026-11-22T12:10:03+00:00")
    '2026-11-22 12:10 UTC'
    """
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d(\.\d+)?)?(Z|\+00:00)", iso)
    return f"{match[1]} {match[2]} UTC" if match else line(iso)


def short(digest: str) -> str:
    """The first twelve characters of a digest or run id."""
    return line(digest[:12])


def as_json(value: Any) -> str:
    """A parameter's value on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def bound(probe: Probe) -> str:
    """The limit of a probe with its direction.

    Examples
    --------
    >>> bound(Probe("ks_distance", 0.2, 0.1, "low", failed=True))
    '≤ 0.1'
    """
    return f"{'≤' if probe.better == 'low' else '≥'} {number(probe.limit)}"


def result(probe: Probe) -> str:
    """What became of a probe; one beyond its limit holds where chance alone may have put it there.

    Examples
    --------
    >>> result(Probe("reused_values", 0.07, 0.02, "low", failed=False, p_value=0.2))
    'beyond the limit, not significant'
    >>> result(Probe("ks_distance", 0.05, 0.1, "low", failed=False))
    'held'
    """
    if probe.failed:
        return "failed"
    if probe.value is None:
        return "not computed"
    beyond = probe.value > probe.limit if probe.better == "low" else probe.value < probe.limit
    return "beyond the limit, not significant" if beyond else "held"


FILTERS = (
    "visible",
    "line",
    "sentence",
    "percent",
    "percents",
    "value_words",
    "number",
    "chance",
    "signed",
    "interval",
    "count",
    "moment",
    "short",
    "as_json",
    "bound",
    "result",
)
"""What the templates may call."""
