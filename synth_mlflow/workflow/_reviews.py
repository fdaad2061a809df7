"""People and judge models as methods: blind sheets of a batch, and the answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_mlflow.data.fit_commands import TIMEOUT_SECONDS
from synth_mlflow.later import later
from synth_mlflow.workflow._project import OpenProject, as_file, as_path, batch_id, writes

if TYPE_CHECKING:
    from synth_mlflow.stages.model_review import review_by_model
    from synth_mlflow.stages.review import Reviewed, take_answers, take_queue
    from synth_mlflow.stages.review_sheet import ReviewSheet, leave_sheet
    from synth_mlflow.stages.training_data import Batch
else:  # so that each verb loads what it uses
    review_by_model = later("synth_mlflow.stages.model_review", "review_by_model")
    take_answers = later("synth_mlflow.stages.review", "take_answers")
    take_queue = later("synth_mlflow.stages.review", "take_queue")
    leave_sheet = later("synth_mlflow.stages.review_sheet", "leave_sheet")


class ReviewVerbs(OpenProject):
    """People and judge models as methods: blind sheets of a batch, and the answers to them."""

    @writes("validate --review")
    def review_sheet(
        self, batch: Batch | str, rows: int = 100, *, output: str | Path = ".", queue: str | None = None
    ) -> ReviewSheet:
        """Leave a blind sheet of a batch; see :func:`synth_mlflow.stages.review_sheet.leave_sheet`.

        Parameters
        ----------
        batch : Batch or str
            The batch, or its short id or run id.
        rows : int
            How many rows it shows; half of them are real.
        output : path
            The folder for the page and the table.
        queue : str, optional
            A rater for whom the server gets a review queue of MLflow with the rows of the sheet.
        """
        return leave_sheet(self.project, batch_id(batch), rows, as_file(output), queue)

    @writes("review")
    def review(self, batch: Batch | str, answers: str | Path | None = None, *, rater: str) -> Reviewed:
        """Take in what a person answered to a blind sheet; see :func:`synth_mlflow.stages.review.take_answers`.

        Parameters
        ----------
        batch : Batch or str
            The batch, or its short id or run id.
        answers : path, optional
            The CSV that the page of the sheet downloads, or the filled-in table; without it, what the rater has
            answered in a review queue of MLflow.
        rater : str
            Who has answered.
        """
        if answers is None:
            return take_queue(self.project, batch_id(batch), rater)
        return take_answers(self.project, batch_id(batch), as_file(answers), rater)

    @writes("review --judge")
    def review_by_model(
        self,
        batch: Batch | str,
        model: str,
        *,
        sheet: str | None = None,
        params: Mapping[str, Any] | None = None,
        journal: str | Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Reviewed:
        """Let a language model answer a blind sheet; see :func:`synth_mlflow.stages.model_review.review_by_model`.

        Parameters
        ----------
        batch : Batch or str
            The batch, or its short id or run id.
        model : str
            As the endpoint of ``OPENAI_BASE_URL`` knows it.
        sheet : str, optional
            The id of a sheet that was left of the batch; by default the largest.
        params : mapping, optional
            See :class:`~synth_mlflow.llm.settings.Settings`.
        journal : Path, optional
            Where answers are kept as they come, so that nothing is paid for twice.
        timeout_seconds : float
            Of all requests together.
        """
        return review_by_model(
            self.project,
            batch_id(batch),
            model,
            sheet=sheet,
            params=params,
            journal=as_path(journal),
            timeout_seconds=timeout_seconds,
        )
