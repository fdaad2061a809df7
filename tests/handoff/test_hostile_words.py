"""Whatever people, tables or servers call things, a page shows it as text and keeps its shape."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from synth_mlflow.handoff.document import Fact, Limits, Section, SliceScore
from synth_mlflow.handoff.formatting import prose_to_html, prose_to_markdown
from synth_mlflow.handoff.render import to_html, to_markdown

NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></title></details></table><h1>gone",
    "a | b |\n|---|\n| c",
    "`` ` ``` code",
    "a\\",
    "a\\|b\\\\|c",
    "[x](javascript:alert(1))",
    "![x](https://example.org/pixel.png)",
    "&lt;b&gt; &#106;avascript",
    "{{ 7 * 7 }} {% raw %}",
    "# heading\n- list\n1. one\n    code",
    "\u202egnp.exe \x00\x1b[31m \ud800 \ufeff",
    "naïve 数据 🦊",
    "*bold* _em_ ~~gone~~ $x$",
    "=1+cmd|'/c calc'!A1",
    "x" * 100_000,
    "",
)
MLFLOW = "https://mlflow.example.org/"
BRIEF = "https://example.org/brief"
PIECES = (
    *("<script>", "<img src=x onerror=1>", "<a href='javascript:1'>", "</blockquote>", "<!--", "<?x", "<![CDATA["),
    *("[x](javascript:1)", "[x](java\nscript:1)", "[x](&#106;avascript:1)", "[x]: javascript:1", "[x]", "[x](//evil)"),
    *(
        "![a](http://e/x.png)",
        "<http://ok.org>",
        "<javascript:1>",
        "[x](data:text/html,1)",
        "[x](</a b>)",
        "https://ok",
    ),
    *("`", "``", "```", "~~~", "\\", "\n", "\n\n", "    ", "\t", "> ", "- ", "1. ", "# ", "===", "---", "|---|---|"),
    *("| a | b |", "*", "_", "a", "<", ">", "&", "&lt;", "\u00a0", "\u2028", "\x0c", "\x0b"),
)
FEATURES = frozenset({"script", "img", "iframe", "object", "form", "base", "link"})


class _Shape(HTMLParser):
    """The tags of a page, the handlers among their attributes, and where its links lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]


def _named(document, word):
    """The document with one word in every place that somebody else may fill."""
    check = document.batches[1].checks[0]
    probes = tuple(replace(probe, name=word, column=word, note=word) for probe in check.probes)
    check = replace(check, name=word, reasons=(word, word), probes=probes)
    bad = replace(
        document.batches[1],
        **dict.fromkeys(("batch", "generator", "generator_version", "slice", "purpose", "run_id", "sha256"), word),
        parameters={word: [word, {word: 1}]},
        checks=(check,),
        record=(Fact(word, word),),
    )
    sweep = document.sweep
    return replace(
        document,
        header=replace(document.header, project=word, built_by=word, tool=word, owed=(word,)),
        problem=replace(document.problem, facts=(Fact(word, word),)),
        evaluation=replace(document.evaluation, how=word, may_change=word, metrics=(word, word)),
        batches=(document.batches[0], bad, document.batches[2]),
        sweep=replace(
            sweep,
            metric=word,
            rule=word,
            fragility=word,
            decisions=(word,),
            slices=tuple(replace(row, slice=word) for row in sweep.slices),
            model_uri=word,
        ),
        triggers=tuple(replace(t, name=word, condition=word, reason=word) for t in document.triggers),
        commands=tuple(replace(step, command=word, does=word) for step in document.commands),
        digests=tuple(replace(digest, name=word) for digest in document.digests),
        warnings=(word,),
        links={**document.links, word: word},
    )


@pytest.mark.parametrize("word", NASTY)
def test_names_add_no_markup_to_the_page(document, word):
    plain, named = (_Shape(to_html(_named(document, name))) for name in ("plain", word or "plain"))
    may_differ = {"a", "code"}  # a link to a batch has no address where its name is none; backticks make code
    assert [tag for tag in named.tags if tag not in may_differ] == [tag for tag in plain.tags if tag not in may_differ]
    assert not named.handlers
    assert all(a.startswith(("#", MLFLOW, BRIEF, "data:image/png;base64,")) for a in named.addresses)


@pytest.mark.parametrize("word", NASTY)
def test_names_add_no_markup_to_the_markdown(document, word):
    page = to_markdown(_named(document, word))
    shape = _Shape(_rendered(page))
    assert not FEATURES & set(shape.tags)
    assert all(address.startswith((MLFLOW, BRIEF)) for address in shape.addresses)


@pytest.mark.slow
@pytest.mark.parametrize("word", [word for word in NASTY if word])
def test_names_break_no_table_and_no_heading(document, word):
    plain, named = (_Shape(_rendered(to_markdown(_named(document, w)))).tags for w in ("plain", word))
    for tag in ("table", "tr", "td", "th", "h1", "h2", "h3", "h4", "ol", "hr", "pre"):
        assert named.count(tag) == plain.count(tag), tag


@pytest.mark.parametrize("word", NASTY)
def test_people_cannot_write_markup_into_the_page(document, word):
    shape = _Shape(to_html(_written(document, word)))
    assert shape.tags.count("img") == 1  # the curve
    assert not {"script", "iframe", "form", "base"} & set(shape.tags)
    assert shape.tags.count("h1") == 1
    assert not shape.handlers
    assert not any(address.lower().startswith(("javascript", "vbscript", "data:text")) for address in shape.addresses)


@pytest.mark.slow
@pytest.mark.parametrize(
    "word", [*NASTY, "```\nnever closed", "<!-- never closed", "[x]: javascript:alert(1)\n\n[x]", "<details>"]
)
def test_people_cannot_swallow_the_rest_of_the_markdown(document, word):
    shape = _Shape(_rendered(to_markdown(_written(document, word))))
    plain = _Shape(_rendered(to_markdown(_written(document, "plain"))))
    assert [shape.tags.count(tag) for tag in ("h2", "blockquote")] == [
        plain.tags.count(tag) for tag in ("h2", "blockquote")
    ]
    assert shape.tags.count("table") >= plain.tags.count("table")
    assert not FEATURES & set(shape.tags)
    assert not any(address.lower().startswith("javascript") for address in shape.addresses)


@pytest.mark.slow
@given(word=st.text(alphabet="ab`|\\<>[]()*_~$&#!-+=1. \n\t\"'{}%", max_size=24))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_keeps_every_table_cell(document, word):
    slices = (SliceScore(word, 0.5, 0.9, None, 10),)
    tags = _Shape(_rendered(to_markdown(replace(document, sweep=replace(document.sweep, slices=slices))))).tags
    one = replace(document, sweep=replace(document.sweep, slices=(replace(slices[0], slice="plain"),)))
    assert [tags.count(t) for t in ("td", "tr", "h2")] == [
        _Shape(_rendered(to_markdown(one))).tags.count(t) for t in ("td", "tr", "h2")
    ]


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
@settings(max_examples=60, deadline=None)
@example(pieces=["[x]: javascript:1", "[x](//evil)"])
@example(pieces=["&", "\n\n", "\t", "[x](//evil)"])
def test_any_prose_stays_prose(pieces):
    words = "".join(pieces)
    quoted = _rendered(f"{prose_to_markdown(words)}\n\n## after\n")
    assert "<h2>after</h2>" in quoted
    for shape in (_Shape(str(prose_to_html(words))), _Shape(quoted)):
        assert not FEATURES & set(shape.tags)
        assert not any(re.match(r"\s*(javascript|data|vbscript|//)", a, re.IGNORECASE) for a in shape.addresses)


def test_page_forbids_everything_but_its_own_style_and_picture(document):
    page = to_html(document)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert policy is not None
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_links_leave_the_page_where_it_is(document):
    outward = re.findall(r'<a [^>]*href="http[^>]*>', to_html(document))
    assert len(outward) > 10
    assert all('target="_blank" rel="noopener noreferrer"' in link for link in outward)


def test_page_names_nothing_on_the_network_but_links(document):
    shape = _Shape(to_html(replace(document, links={})))
    assert [a for a in shape.addresses if not a.startswith(("#", "data:image/png"))] == [BRIEF]


def _written(document, word):
    return replace(
        document,
        problem=replace(document.problem, sections=(Section(word or "Why?", word), Section("Who?", word))),
        limits=Limits(word or "none", f"See {word}", f"- {word}"),
    )


def _rendered(text: str) -> str:
    """As a viewer that lets raw HTML through would show it."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
