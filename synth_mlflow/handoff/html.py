"""The handoff as one self-contained HTML page: no script, no network, nothing that people wrote becomes markup."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from synth_mlflow.handoff import wording
from synth_mlflow.handoff.contents import is_detailed, shared
from synth_mlflow.handoff.document import Document
from synth_mlflow.handoff.links import is_server_address
from synth_mlflow.handoff.prose import prose_to_html, said

_STRIP_WIDTH = 120.0  # in units of the viewBox that pieces.html.j2 draws


def to_html(document: Document) -> str:
    """Render the page; the same document always gives the same bytes."""
    page = _environment().get_template("handoff.html.j2")
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
def _environment() -> Environment:
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
        **{name: getattr(wording, name) for name in wording.FILTERS},
    )
    environment.tests.update(server_address=is_server_address, detailed=is_detailed)
    return environment


@cache
def _css() -> str:
    return resources.files("synth_mlflow.handoff").joinpath("templates/handoff.css").read_text(encoding="utf-8")
