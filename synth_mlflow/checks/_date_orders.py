"""Probes of dates that never lie before others: a shipment before its order is seen in no real row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from synth_mlflow.checks import Metric
from synth_mlflow.data.date_orders import DateOrder, date_orders
from synth_mlflow.metrics.distances import share_p_value


def date_order_probes(
    real: pd.DataFrame, batch: pd.DataFrame, policy: Mapping[str, float], group: str | None
) -> Iterator[Metric]:
    """For each date that in no real row lies before another one: the share of the batch in which it does.

    Of several such others, the one counts that most of the batch breaks.
    """
    probes: dict[str, Metric] = {}
    for order in date_orders(real, group=group):
        probe = _probe(order, real, batch, policy["broken_date_orders"])
        if order.high not in probes or (probe.value or 0.0) > (probes[order.high].value or 0.0):
            probes[order.high] = probe
    yield from probes.values()


def _probe(order: DateOrder, real: pd.DataFrame, batch: pd.DataFrame, limit: float) -> Metric:
    both = batch[[order.low, order.high]].dropna()
    n_real = int(real[[order.low, order.high]].notna().all(axis=1).sum())
    n_broken = int((both[order.low] > both[order.high]).sum())
    share = n_broken / max(len(both), 1)
    p_value = share_p_value(0, n_real, n_broken, len(both), alternative="greater")
    note = f"{share:.1%} of the batch break {order.text}, which every real row keeps; `constraints: ['{order.text}']` "
    note += "in problem.md has it kept"
    return Metric("broken_date_orders", share, limit, column=order.high, p_value=p_value, note=note)
