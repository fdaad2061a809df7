"""The page of a pilot: some synthetic rows beside real ones, for a person to read before many are made."""

from __future__ import annotations

import base64
import hashlib
import html

import pandas as pd

SHOWN_ROWS = 25
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1a1a1a; background: #fff; }
main { display: flex; gap: 2.5rem; align-items: flex-start; flex-wrap: wrap; }
section { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
"""
_POLICY = (  # nothing but this very style sheet; a page of rows that a stranger's generator made
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)


def pilot_page(
    title: str, synthetic: pd.DataFrame, real: pd.DataFrame | None, *, absent: str = "", seed: int = 0
) -> str:
    """One HTML page, without scripts; nothing in the rows becomes markup.

    Parameters
    ----------
    synthetic, real : DataFrame
        The first `SHOWN_ROWS` synthetic rows and as many random real ones are shown; None for real rows that may
        not be.
    absent : str
        Why there are no real rows.
    seed : int
        Of the choice among the real rows.
    """
    beside = f"<p>{html.escape(absent)}</p>"
    if real is not None:
        beside = _table(real.sample(min(SHOWN_ROWS, len(real)), random_state=seed))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n"
        "<p>Read them as somebody who knows the data: impossible combinations, odd texts, values that repeat, anything "
        "that gives the synthetic ones away.</p>\n"
        f"<main><section><h2>Synthetic</h2>{_table(synthetic.head(SHOWN_ROWS))}</section>\n"
        f"<section><h2>Real</h2>{beside}</section></main></body></html>\n"
    )


def _table(rows: pd.DataFrame) -> str:
    with pd.option_context("display.max_colwidth", 200):
        return str(rows.to_html(index=False, escape=True, na_rep="", border=0, max_rows=None))
