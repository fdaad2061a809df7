"""Dates that never lie before others, found in real rows: a shipment after its order."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.data.grids import ticks_of

MIN_ROWS = 50
MAX_DATES = 20  # columns whose pairs are looked at
LOG_CHANCE = float(np.log(1e-8))  # that no row of a pair would break an order that is none


@dataclass(frozen=True)
class DateOrder:
    """Two columns of dates of which the second is never before the first, and their usual distance."""

    low: str
    high: str
    distance: float
    """Median, in microseconds."""

    @property
    def text(self) -> str:
        """As a constraint is written."""
        return f"{_quoted(self.low)} <= {_quoted(self.high)}"


def date_orders(rows: pd.DataFrame, *, group: str | None = None, without: Collection[str] = ()) -> list[DateOrder]:
    """Every such pair, the nearest dates first.

    Parameters
    ----------
    rows : DataFrame
        Normalised real rows.
    group : str, optional
        Rows of one of its values count once.
    without : collection of str
        Columns that are not looked at.

    Notes
    -----
    If dates were drawn independently of each other, a share ``p`` of the rows would break the order, which the ranks
    give. An order is found only where ``(1 - p) ** n_rows`` is below 1e-8: not where one column ends before the other
    begins, since nothing is needed to keep it then.

    Examples
    --------
    >>> days = pd.Series(pd.date_range("2024-01-01", periods=200))
    >>> rows = pd.DataFrame({"ordered": days, "shipped": days + pd.Timedelta(days=2)})
    >>> [order.text for order in date_orders(rows)]
    ['ordered <= shipped']
    """
    names = [str(name) for name in rows if rows[name].dtype.kind == "M" and name not in without][:MAX_DATES]
    pairs = itertools.permutations(names, 2)
    found = [order for low, high in pairs if (order := _order(rows, low, high, group)) is not None]
    return sorted(found, key=lambda order: order.distance)


def _order(rows: pd.DataFrame, low: str, high: str, group: str | None) -> DateOrder | None:
    both = rows[[low, high, *({group} - {None, low, high})]].dropna(subset=[low, high])
    first, second = ticks_of(both[low]), ticks_of(both[high])
    if len(both) < MIN_ROWS or (first > second).any():
        return None
    n_rows = len(both.drop_duplicates()) if group is None else both[group].nunique()
    share = float(np.searchsorted(np.sort(second), first, side="left").mean()) / len(both)
    if n_rows * np.log1p(-min(share, 1 - 1e-12)) > LOG_CHANCE:
        return None
    return DateOrder(low, high, float(np.median(second - first)))


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
