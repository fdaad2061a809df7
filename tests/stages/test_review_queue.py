"""A blind sheet as a review queue of MLflow: for one rater, and its feedback comes back as evidence."""

import mlflow
import pytest
from mlflow.entities import AssessmentSource, Feedback

from synth_mlflow.errors import UsageError
from synth_mlflow.review.sheet import SheetKey
from synth_mlflow.tracking import names
from synth_mlflow.tracking.prompts import traces_to
from synth_mlflow.tracking.review_queues import QUESTION

pytestmark = pytest.mark.slow


def traces(workflow):
    server = workflow.project.server
    found = server.client.search_traces(locations=[server.experiment_id], max_results=500)
    return sorted(found, key=lambda trace: int(trace.info.tags[names.TAG_SHEET_ROW]))


def say(workflow, trace, answer, who="ada", name=QUESTION):
    feedback = Feedback(name=name, value=answer, source=AssessmentSource("HUMAN", who), trace_id=trace.info.trace_id)
    with traces_to(workflow.project.server):
        mlflow.log_assessment(trace.info.trace_id, feedback)


def test_a_queue_is_blind_and_its_answers_become_a_rating(workflow, batch, tmp_path):
    before = mlflow.get_tracking_uri()
    left = workflow.review_sheet(batch, 20, output=tmp_path, queue="Ada Lind")
    assert left.queue == f"sheet {left.sheet} · Ada Lind" and mlflow.get_tracking_uri() == before
    found = traces(workflow)
    own = [{key: tag for key, tag in trace.info.tags.items() if key.startswith("synth.")} for trace in found]
    assert own == [
        {"synth.sheet": left.sheet, "synth.rater": "Ada Lind", "synth.sheet_row": str(n)} for n in range(1, 21)
    ]
    assert len({frozenset(trace.data.spans[0].inputs) for trace in found}) == 1
    assert len({frozenset(trace.info.trace_metadata) for trace in found}) == 1
    with pytest.raises(UsageError, match="answers 0 of 20 rows"):
        workflow.review(batch, rater="Ada Lind")
    frozen = workflow.project.evaluation_set()
    real = SheetKey(workflow.project.batch(batch).digest, frozen.training_digest, 20).is_real
    say(workflow, found[0], "cannot say")  # and again, which counts
    for trace, is_real in zip(found, real, strict=True):
        say(workflow, trace, "real" if is_real else "synthetic")
        say(workflow, trace, "nice", name="another question")
    rating = workflow.review(batch, rater="Ada Lind")
    assert (rating.auc, rating.rows, rating.cannot_say, rating.counted) == (1.0, 20, 0, True)
    assert workflow.verify(deep=True).findings == ()


def test_a_queue_is_of_one_rater(workflow, batch, tmp_path):
    workflow.review_sheet(batch, 4, output=tmp_path, queue="Ada Lind")
    with pytest.raises(UsageError, match=r"has a queue of sheet .* already"):
        workflow.review_sheet(batch, 4, output=tmp_path, queue="Ada Lind")
    with pytest.raises(UsageError, match=r"'Bo' has no review queue .*\n.* --review 100 --queue Bo` makes one"):
        workflow.review(batch, rater="Bo")
    workflow.review_sheet(batch, 4, output=tmp_path, queue="Bo")
    for place, trace in enumerate(each for each in traces(workflow) if each.info.tags[names.TAG_RATER] == "Bo"):
        say(workflow, trace, "real", who=("bo", "ada")[place % 2])
    with pytest.raises(UsageError, match="2 people have answered the queue of 'Bo': ada, bo"):
        workflow.review(batch, rater="Bo")
