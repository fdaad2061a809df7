"""Saved views of a project's runs page: what the UI's *Views* menu lists, each with columns, order, filter and charts.

MLflow keeps a view as an experiment tag that holds JSON. A server whose UI has no such menu keeps the tags, unused.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.tracking import names

TRAINING = "workflowType=machine_learning"  # without it MLflow opens its GenAI overview
TAG_PREFIX = "mlflow.sharedViewState."
STAGE = f"tags.`{names.TAG_STAGE}`"
CHECK, VERDICT = f"tags.`{names.TAG_CHECK}`", f"tags.`{names.TAG_VERDICT}`"
BY_STAGE = f"metrics.`{names.M_STAGE}`"
"""Order of rows; any but the time of creation shows a child without its parent. Equal ones come newest first."""
DURATION, MODELS = "attributes.`Duration`", "attributes.`Models`"
WIDTHS = {"metrics": 140, "tags": 125, "attributes": 100}  # pixels, by kind of column
WIDE = {
    f"tags.`{names.TAG_REASON}`": 420,
    f"tags.`{names.TAG_BATCHES}`": 220,
    f"tags.`{names.TAG_PURPOSE}`": 260,
}
OTHERS = ("Model metrics", "synth.slice_score", "synth.recall", "synth.curve_score", "synth.effect")
"""Sections of the charts that MLflow adds by itself, one for each further metric: folded, below ours."""
HEIGHT = 360  # of a chart, in pixels


@dataclass(frozen=True)
class Chart:
    """A chart of a view: lines over steps, a bar for each run, or points of one metric against another."""

    title: str
    """The name of its section: the page gives the charts themselves the names of their metrics."""
    metrics: tuple[str, ...]
    kind: str = "BAR"
    against: str = ""
    """Of points: the metric of the x-axis."""

    def to_json(self, place: int) -> dict[str, Any]:
        """As the page of charts keeps it; ``place`` is its number in the view."""
        chart: dict[str, Any] = {
            "uuid": f"synth-{place}",
            "type": self.kind,
            "metricSectionId": f"synth-{place}",
            "runsCountToCompare": 100,
            "deleted": False,
            "isGenerated": False,
        }
        if self.kind == "SCATTER":
            axes = {"xaxis": self.against, "yaxis": self.metrics[0]}
            return chart | {axis: {"key": metric, "type": "METRIC"} for axis, metric in axes.items()}
        if self.kind == "LINE":
            chart |= {"selectedMetricKeys": list(self.metrics), "xAxisKey": "step", "useGlobalXaxisKey": False}
            chart |= {"yAxisKey": "metric", "xAxisScaleType": "linear", "scaleType": "linear", "displayPoints": True}
            chart |= {"lineSmoothness": 0, "useGlobalLineSmoothing": False, "range": {}}
        return chart | {"metricKey": self.metrics[0]}


@dataclass(frozen=True)
class View:
    """One entry of the menu."""

    id: str
    name: str
    shows: str
    """What it lists, for the description of the experiment."""
    filter: str
    columns: tuple[str, ...]
    charts: tuple[Chart, ...] = field(default=())
    order: str = BY_STAGE
    ascending: bool = True
    opens_charts: bool = False
    """Whether a link to it opens the page of charts."""

    @property
    def tag(self) -> str:
        """The experiment tag that holds it."""
        return f"{TAG_PREFIX}{self.id}"

    def text(self, now_ms: int) -> str:
        """The value of its tag."""
        envelope = {"name": self.name, "createdAt": now_ms, "updatedAt": now_ms}
        return canonical_json({**envelope, "state": canonical_json(self._state())})

    def _state(self) -> dict[str, Any]:
        return {
            "searchFilter": self.filter,
            "orderByKey": self.order,
            "orderByAsc": self.ascending,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "runsHiddenMode": "SHOW_ALL",
            "selectedColumns": list(self.columns),
            "columnOrder": list(self.columns),
            "columnWidths": {column: _width(column) for column in self.columns},
            "isAccordionReordered": True,
            "compareRunSections": _sections(self.charts),
            "compareRunCharts": [chart.to_json(place) for place, chart in enumerate(self.charts)],
        }


def _width(column: str) -> int:
    return WIDE.get(column) or WIDTHS[column.partition(".")[0]]


def _sections(charts: Sequence[Chart]) -> list[dict[str, Any]]:
    """One for each chart, as wide as the page; below them, folded, those for all other metrics."""
    ours = [
        {"uuid": f"synth-{place}", "name": chart.title, "display": True, "columns": 1, "cardHeight": HEIGHT}
        for place, chart in enumerate(charts)
    ]
    others = [{"uuid": f"synth-others-{name}", "name": name, "display": False} for name in OTHERS]
    return [{"isReordered": True, "deleted": False, "isGenerated": False, **section} for section in (*ours, *others)]


def _columns(kind: str, *keys: str) -> tuple[str, ...]:
    return tuple(f"{kind}.`{key}`" for key in keys)


SCORES = (names.M_SCORE, names.M_SCORE_LOW, names.M_SCORE_HIGH)
CURVE = (names.M_CURVE_SCORE, names.M_CURVE_LOW, names.M_CURVE_HIGH, names.M_CURVE_PLACEBO)

VIEWS = (
    View(
        "synth-start-here",
        "Start here",
        "every stage with its verdict, ratio and score",
        f"{CHECK} IS NULL AND {STAGE} != 'ratio'",
        (
            *_columns("tags", names.TAG_STAGE, names.TAG_VERDICT),
            *_columns("metrics", names.M_CHOSEN, names.M_SCORE, names.M_GAIN),
            DURATION,
        ),
        (
            Chart("Score", (names.M_SCORE,)),
            Chart("Score by ratio (percent)", CURVE, "LINE"),
        ),
    ),
    View(
        "synth-batches",
        "Batches and verdicts",
        "every batch, with its generator and why it passed or not",
        f"{STAGE} = 'batch'",
        (
            *_columns("tags", names.TAG_VERDICT, names.TAG_RETRACTED, names.TAG_GENERATOR, names.TAG_SLICE),
            *_columns("metrics", names.M_ROWS),
            *_columns("tags", names.TAG_REASON, names.TAG_PURPOSE),
            DURATION,
        ),
        (Chart("Rows", (names.M_ROWS,)), Chart("Seconds", (names.M_SECONDS,))),
    ),
    View(
        "synth-ratio-curve",
        "Ratio curve",
        "the score at every share of synthetic rows",
        f"tags.`{names.TAG_CURVE}` IS NOT NULL",
        (
            *_columns("tags", names.TAG_STAGE),
            *_columns("metrics", names.M_RATIO, *SCORES, names.M_GAIN, names.M_PLACEBO, names.M_SYNTHETIC_ROWS),
        ),
        (
            Chart("Score by ratio (percent)", CURVE, "LINE"),
            Chart("Points", (names.M_SCORE,), "SCATTER", names.M_RATIO),
        ),
        order=f"metrics.`{names.M_RATIO}`",
        opens_charts=True,
    ),
    View(
        "synth-failed-checks",
        "Checks that failed",
        "every check with the verdict fail or inconclusive, and why",
        f"{CHECK} IS NOT NULL AND {VERDICT} != 'pass' AND attributes.status = 'FINISHED'",
        (
            *_columns("tags", names.TAG_CHECK, names.TAG_VERDICT, names.TAG_BATCH, names.TAG_GENERATOR),
            *_columns("tags", names.TAG_REASON),
            DURATION,
        ),
        (
            Chart("Fidelity", ("synth.classifier_auc",)),
            Chart("Utility", ("synth.gain_share",)),
            Chart("Privacy", ("synth.best_attack_auc",)),
            Chart("Contamination", ("synth.evaluation_rows_equal",)),
        ),
    ),
    View(
        "synth-models",
        "Models and handoffs",
        "every final model and handoff, with the score that is expected on new data",
        f"params.`{names.P_CHOSEN}` IS NOT NULL AND {STAGE} != 'sweep'",
        (
            *_columns("tags", names.TAG_STAGE, names.TAG_DRAFT, names.TAG_SIGNED, names.TAG_SUPERSEDED),
            *_columns("metrics", names.M_CHOSEN, *SCORES),
            MODELS,
        ),
        (
            Chart("Expected score", (names.M_SCORE,)),
            Chart("Chosen ratio", (names.M_CHOSEN,)),
        ),
        ascending=False,
    ),
)


def missing_views(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of the views that an experiment lacks; one that people have changed stays as it is.

    >>> sorted(missing_views({view.tag: "" for view in VIEWS[1:]}))
    ['mlflow.sharedViewState.synth-start-here']
    """
    now_ms = int(time.time() * 1000)
    return {view.tag: view.text(now_ms) for view in VIEWS if view.tag not in tags}


def views_in_words(experiment_id: str) -> str:
    """A link to each view, from any page of the UI, with what it lists."""
    return "\n".join(f"- [{view.name}]({view_path(experiment_id, view)}): {view.shows}" for view in VIEWS)


def view_path(experiment_id: str, view: View) -> str:
    """The runs page under one view, from any page of the UI."""
    charts = "&compareRunsMode=CHART" if view.opens_charts else ""
    return f"#/experiments/{experiment_id}/runs?{TRAINING}{charts}&viewStateShareKey={view.id}"
