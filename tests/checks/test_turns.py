"""Conversations of a batch: turns, speakers, lengths, long passages of evaluation texts and of benchmarks."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import CheckInput, judge
from synth_mlflow.checks._conversations import conversation_findings, out_of_order
from synth_mlflow.checks._passages import benchmark_passages, evaluation_passages, passage_probes
from synth_mlflow.checks._tables import judged_tables
from synth_mlflow.checks.contamination import Contamination
from synth_mlflow.checks.fidelity import Fidelity
from synth_mlflow.data.conversation_text import Turn, canonical
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.passages import Shared, passages_of, tokens

TASK = Task("", "scored", roles={"messages": "conversation"})
ALPHA = Fidelity.defaults["alpha"]
WORDS = np.array(
    [a + b for a in ("ka", "lo", "mi", "tre", "van", "sto") for b in ("pul", "den", "gar", "fi", "shu", "ben")]
)


def said(rng, n=20):
    return " ".join(rng.choice(WORDS, n))


def chat(rng):
    turns = [{"role": "system", "content": "Be brief."}] if rng.random() < 0.3 else []
    for _ in range(rng.integers(1, 4)):
        turns += [{"role": "user", "content": said(rng, 8)}, {"role": "assistant", "content": said(rng)}]
    return turns


def table(n, rng):
    return pd.DataFrame({"messages": [canonical(chat(rng)) for _ in range(n)]})


@pytest.fixture(scope="module")
def evidence():
    rng = np.random.default_rng(3)
    batch, training, evaluation = (table(n, rng) for n in (300, 600, 300))
    return CheckInput(batch=batch, members=training, control=evaluation, task=TASK, metric="mean_score", seed=1)


def changed(evidence, share, change):
    cells = list(evidence.batch["messages"])
    n = int(share * len(cells))
    cells[:n] = [canonical(change(json.loads(cell))) for cell in cells[:n]]
    return replace(evidence, batch=pd.DataFrame({"messages": cells}))


def of_turns(evidence):
    found = conversation_findings(evidence.members, evidence.batch, TASK, Fidelity.defaults, tokens)
    return judge(found.probes, "", ALPHA), found


FAULTS = {
    "turns_out_of_order": lambda turns: [turns[-2], *turns[-2:]],
    "empty_turns": lambda turns: [*turns[:-1], {**turns[-1], "content": " \n"}],
    "unknown_speakers": lambda turns: [*turns[:-1], {**turns[-1], "role": "narrator"}],
    "conversation_tokens": lambda turns: [{**turn, "content": turn["content"] * 3} for turn in turns],
    "conversation_turns": lambda turns: [turn for _ in range(3) for turn in turns if turn["role"] != "system"],
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_real_conversations_lack_fails(name, evidence):
    share = 1.0 if name.startswith("conversation") else 0.05
    ruling, found = of_turns(changed(evidence, share, FAULTS[name]))
    assert ruling.verdict == "fail" and any(reason.startswith(f"{name} of 'messages'") for reason in ruling.reasons)
    assert name in set(found.worst["finding"])


@pytest.mark.slow
def test_other_real_conversations_pass(evidence):
    for check in (Fidelity(), Contamination()):
        found = check.run(evidence, check.defaults)
        ruling = judge(found.probes, found.inconclusive, ALPHA)
        assert ruling.verdict == "pass", ruling.reasons
        assert {"empty_turns", "near_texts"} & {probe.name for probe in found.probes}


def test_a_fault_that_real_conversations_have_as_often_is_none(evidence):
    natural = changed(replace(evidence, batch=evidence.members), 0.05, FAULTS["empty_turns"]).batch
    both = replace(changed(evidence, 0.05, FAULTS["empty_turns"]), members=natural)
    assert of_turns(both)[0].verdict == "pass"


@pytest.mark.parametrize(
    ("roles", "bad"),
    [
        ("system user assistant", False),
        ("user assistant tool assistant", False),
        ("human function_call observation gpt", False),
        ("user user assistant", True),
        ("user assistant user", True),
        ("assistant user assistant", True),
        ("user system assistant", True),
        ("user assistant tool user assistant", True),
        ("narrator", True),
    ],
)
def test_who_speaks_after_whom(roles, bad):
    assert out_of_order(tuple(Turn(role, "…") for role in roles.split())) == bad


def ruled(found, evidence):
    return judge(tuple(passage_probes(found, len(evidence.batch), 0.0002)), "", 0.005)


def test_passages_of_evaluation_texts_fail_in_other_words_too(evidence):
    rng = np.random.default_rng(5)

    def quoting(turns):
        quoted = json.loads(evidence.control["messages"].iloc[rng.integers(300)])[-1]["content"]
        return [*turns[:-1], {"role": "assistant", "content": f"{said(rng, 30)} {quoted} {said(rng, 30)}"}]

    quoted = changed(evidence, 0.1, quoting)
    ruling = ruled(evaluation_passages(judged_tables(quoted), TASK, tokens), evidence)
    assert ruling.verdict == "fail" and "passage of" in ruling.reasons[0]
    assert ruled(evaluation_passages(judged_tables(evidence), TASK, tokens), evidence).verdict == "pass"


def test_rows_of_a_benchmark_fail_beside_real_rows_that_hold_some(evidence):
    rng = np.random.default_rng(6)
    questions = pd.Series([said(rng, 25) for _ in range(100)])
    known = [*questions[:10], *(said(rng) for _ in range(590))]
    real = pd.DataFrame({"messages": [canonical([{"role": "user", "content": text}]) for text in known]})
    asked = changed(evidence, 0.1, lambda turns: [{"role": "user", "content": questions[rng.integers(100)]}])
    benchmarks = {"quiz.jsonl": questions}
    for batch, verdict in ((asked, "fail"), (evidence, "pass")):
        tables = judged_tables(replace(batch, members=real))
        assert ruled(benchmark_passages(tables, TASK, benchmarks, tokens), evidence).verdict == verdict


def test_passages_are_runs_of_tokens_in_any_case():
    texts = pd.Series(["One two, three four five six seven.", "x ONE two, three four five six seven"])
    found = passages_of(texts)[8]
    assert len(found.hashes) == 4 and len(np.unique(found.hashes)) == 3
    alone = found.of_one_text()
    assert len(alone.hashes) == 2 and Shared.of(found, alone).n_known == 2
    assert passages_of(pd.Series([None, "short"]))[13].hashes.size == 0
