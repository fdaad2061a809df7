"""A blind sheet as a review queue of MLflow: for one rater, and its feedback comes back as evidence."""

import mlflow
import pytest
from mlflow.entities import AssessmentSource, Feedback
from mlflow.genai import review_queues

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
    assert left.queue == f"Ada Lind · sheet {left.sheet}" and mlflow.get_tracking_uri() == before
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


@pytest.mark.parametrize("step", ["start_trace", "end_trace", "create_review_queue", "add_items_to_review_queue"])
def test_a_queue_that_was_interrupted_is_continued(workflow, batch, tmp_path, monkeypatch, step):
    where = workflow.project.server.client if step.endswith("trace") else review_queues
    called, done = [], getattr(where, step)

    def interrupted(*args, **given):
        called.append(step)
        if len(called) == (3 if step.endswith("trace") else 1):
            raise KeyboardInterrupt
        return done(*args, **given)

    with monkeypatch.context() as patch:
        patch.setattr(where, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            workflow.review_sheet(batch, 6, output=tmp_path, queue="Ada Lind")
    with pytest.raises(UsageError, match=r"has no review queue|answers 0 of 6 rows"):
        workflow.review(batch, rater="Ada Lind")
    left = workflow.review_sheet(batch, 6, output=tmp_path, queue="Ada Lind")
    rows = [int(trace.info.tags[names.TAG_SHEET_ROW]) for trace in traces(workflow)]
    assert rows == [1, 2, 3, 4, 5, 6]
    with traces_to(workflow.project.server):
        found = review_queues.get_review_queue(name=left.queue, experiment_id=workflow.project.server.experiment_id)
        items = review_queues.list_review_queue_items(found.queue_id)
    assert {item.item_id for item in items} == {trace.info.trace_id for trace in traces(workflow)}
    with pytest.raises(UsageError, match=r"has a queue of sheet .* already"):
        workflow.review_sheet(batch, 6, output=tmp_path, queue="Ada Lind")


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
