"""A second model that labels rows again: how often it agrees, and what becomes of rows on which it does not."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sklearn.metrics import cohen_kappa_score

from synth_mlflow.errors import UsageError
from synth_mlflow.llm.parsing import NUMBER, Column, MisfitError, answer_schema, fitted, numbered
from synth_mlflow.llm.prompt import Prompt
from synth_mlflow.llm.settings import Settings
from synth_mlflow.metrics.intervals import clopper_pearson

Disagreement = Literal["reject", "keep"]
RULES: tuple[Disagreement, ...] = ("reject", "keep")
TEXT = (
    "Below are {{ rows }} rows without their {{ target }}. Say for each row which {{ target }} fits it best: "
    "{{ classes | join(', ') }}. Repeat the number of each row.\n{% for row in given %}{{ row }}\n{% endfor %}"
)
OTHER = "has another label from the second model"
NONE = "has no label from the second model"


@dataclass
class Agreement:
    """The labels of both models, row by row."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    n_without: int = 0
    """Rows that the second model did not label."""

    def summary(self) -> dict[str, Any]:
        """Share of equal labels with its exact interval at 95 %, Cohen's kappa, and the share for each first label.

        Notes
        -----
        J. Cohen, Educational and Psychological Measurement 20 (1960): agreement beyond chance; not given where both
        models know one label only.

        Examples
        --------
        >>> found = Agreement([("a", "a"), ("a", "a"), ("b", "b"), ("b", "a")]).summary()
        >>> found["agreed"], found["share"], found["kappa"], found["by_label"]
        (3, 0.75, 0.5, {'a': 1.0, 'b': 0.5})
        """
        labelled, agreed = len(self.pairs), sum(first == second for first, second in self.pairs)
        facts: dict[str, Any] = {"labelled": labelled, "agreed": agreed, "without_label": self.n_without}
        if not labelled:
            return facts
        low, high = clopper_pearson(agreed, labelled)
        totals = Counter(first for first, _ in self.pairs)
        equal = Counter(first for first, second in self.pairs if first == second)
        facts |= {"share": agreed / labelled, "low": round(low, 6), "high": round(high, 6)}
        if len({label for pair in self.pairs for label in pair}) > 1:
            facts["kappa"] = round(float(cohen_kappa_score(*zip(*self.pairs, strict=True))), 6)
        return {**facts, "by_label": {label: equal[label] / totals[label] for label in sorted(totals)}}


class Relabeller:
    """Asks a second model for the labels of rows.

    Parameters
    ----------
    model : str
        As the endpoint knows it.
    rule : {"reject", "keep"}
        What becomes of a row on whose label the models disagree, or that the second one does not label.
    prompt : Prompt
        Names ``given``, the rows without their label, and may name ``target`` and ``classes``.

    Raises
    ------
    UsageError
        If the target has no classes.
    """

    def __init__(
        self, model: str, rule: Disagreement, prompt: Prompt, columns: Sequence[Column], target: str, settings: Settings
    ) -> None:
        self.model, self.rule, self.agreement, self.prompt = model, rule, Agreement(), prompt
        self._target = next(column for column in columns if column.name == target)
        if self._target.levels is None and self._target.kind != "boolean":
            raise UsageError(
                f"--relabel {model} labels classes, and the target {target!r} has none that many rows share.",
                "Leave --relabel out for numbers.",
            )
        self._settings = dataclasses.replace(settings, temperature=0.0)

    def body(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The request for the labels of rows."""
        columns = (NUMBER, self._target)
        given = [
            {NUMBER.name: number, **{name: value for name, value in row.items() if name != self._target.name}}
            for number, row in enumerate(rows, start=1)
        ]
        values = {
            "rows": len(rows),
            "columns": [dataclasses.asdict(column) for column in columns],
            "target": self._target.name,
            "classes": list(self._target.levels or ("true", "false")),
            "given": [json.dumps(row, ensure_ascii=False, default=str) for row in given],
            "schema": json.dumps(answer_schema(columns), ensure_ascii=False),
        }
        return self._settings.chat(self.model, self.prompt.rendered(values), answer_schema(columns), seed=0)

    def judged(self, rows: Sequence[Mapping[str, Any]], text: str) -> list[str | None]:
        """Why each row is rejected for its second label; None for rows that are kept. Notes all labels."""
        answers = numbered(text)
        return [self._judged(row, answers.get(number)) for number, row in enumerate(rows, start=1)]

    def _judged(self, row: Mapping[str, Any], answer: object) -> str | None:
        try:
            second = fitted(answer, [self._target])[0][self._target.name]
        except MisfitError:
            second = None
        if second is None:
            self.agreement.n_without += 1
            return NONE if self.rule == "reject" else None
        first = row[self._target.name]
        self.agreement.pairs.append((str(first), str(second)))
        return OTHER if self.rule == "reject" and first != second else None
