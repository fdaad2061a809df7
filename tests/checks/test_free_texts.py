"""Texts of a batch: edited copies of evaluation rows and of members, other languages, templates, refusals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import CheckInput, judge
from synth_mlflow.checks.contamination import Contamination
from synth_mlflow.checks.fidelity import Fidelity
from synth_mlflow.checks.privacy import Privacy
from synth_mlflow.data.task import Task
from synth_mlflow.metrics.near_texts import TextPieces, nearest_texts

TASK = Task("label", "binary", roles={"said": "text"})
SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "tre",
    "van",
    "sto",
    "pul",
    "den",
    "gar",
    "fi",
    "shu",
    "ben",
    "rok",
    "al",
    "wim",
    "nes",
    "tar",
    "ovo",
    "quil",
    "dra",
]
N_TRAINING, N_EVALUATION, N_BATCH = 600, 300, 300


def vocabulary(rng, n=1_500):
    return np.array(["".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(n)])


def written(n, rng, words):
    """Texts whose words are as unequally frequent as those of people (G. K. Zipf, 1949)."""
    chance = 1 / np.arange(2, len(words) + 2)
    texts = [" ".join(rng.choice(words, rng.integers(8, 25), p=chance / chance.sum())) for _ in range(n)]
    return pd.DataFrame({"said": texts, "label": rng.random(n) < 0.5})


def edited(text, rng, words):
    """One word changed, and the clauses in another order."""
    parts = text.split()
    parts[rng.integers(len(parts))] = str(rng.choice(words))
    half = len(parts) // 2
    return " ".join(parts[half:] + parts[:half])


@pytest.fixture(scope="module")
def evidence():
    rng = np.random.default_rng(4)
    words = vocabulary(rng)
    sides = (written(n, rng, words) for n in (N_BATCH, N_TRAINING, N_EVALUATION))
    batch, training, evaluation = sides
    return CheckInput(batch=batch, members=training, control=evaluation, task=TASK, metric="roc_auc", seed=3)


def ruled(check, evidence):
    found = check.run(evidence, check.defaults)
    return judge(found.probes, found.inconclusive, check.defaults["alpha"]), found


def with_copies(evidence, originals, share):
    rng = np.random.default_rng(5)
    n = max(int(share * N_BATCH), 1)
    copies = originals.head(n).assign(
        said=lambda rows: [edited(text, rng, vocabulary(rng, 50)) for text in rows["said"]]
    )
    return replace(evidence, batch=pd.concat([copies, evidence.batch.iloc[n:]], ignore_index=True))


@pytest.mark.slow
@pytest.mark.parametrize("check", [Contamination(), Privacy(), Fidelity()])
def test_other_real_texts_pass(evidence, check):
    ruling, found = ruled(check, evidence)
    assert ruling.verdict == "pass", ruling.reasons
    assert any("text" in probe.name for probe in found.probes)


@pytest.mark.parametrize("share", [0.05, 0.25])
def test_edited_evaluation_texts_fail_contamination_and_are_not_shown(evidence, share):
    ruling, _ = ruled(Contamination(), with_copies(evidence, evidence.control, share))
    assert ruling.verdict == "fail"
    assert ruling.reasons[0].startswith("near_texts of 'said'") and "evaluation rows" in ruling.reasons[0]
    assert not any(text in " ".join(ruling.reasons) for text in evidence.control["said"])


@pytest.mark.slow
def test_edited_training_texts_fail_privacy_alone(evidence):
    copied = with_copies(evidence, evidence.members, 0.5)
    ruling, _ = ruled(Privacy(), copied)
    assert ruling.verdict == "fail" and any(reason.startswith("near_texts of 'said'") for reason in ruling.reasons)
    assert ruled(Contamination(), copied)[0].verdict == "pass"


@pytest.mark.slow
def test_texts_that_repeat_by_nature_are_no_leak(evidence):
    """Every text stands in several forms, as licences and product names do."""
    rng = np.random.default_rng(8)
    words = vocabulary(rng)
    base = written(150, rng, words)["said"]
    forms = pd.DataFrame({"said": [edited(text, rng, words) for text in base for _ in range(8)]})
    forms["label"] = rng.random(len(forms)) < 0.5
    forms = forms.sample(frac=1, random_state=1).reset_index(drop=True)
    sides = np.split(np.arange(len(forms)), [300, 900])
    batch, training, evaluation = (forms.iloc[side].reset_index(drop=True) for side in sides)
    twins = replace(evidence, batch=batch, members=training, control=evaluation)
    for check in (Contamination(), Fidelity()):
        assert ruled(check, twins)[0].verdict == "pass", check


BAD = {
    "text_classifier_auc": lambda rng, _: " ".join(rng.choice(list("äöüßéñœ"), 12)),
    "near_duplicate_texts": lambda rng, text: (
        f"a fine thing to have in any house, said number {rng.integers(1e6)} of them"
    ),
    "refusals": lambda rng, text: f"{text}. I'm sorry, but I can't help with that.",
}


@pytest.mark.slow
@pytest.mark.parametrize("statistic", BAD)
def test_texts_that_nobody_would_write_fail_and_are_shown(evidence, statistic):
    rng = np.random.default_rng(6)
    batch = evidence.batch.assign(said=[BAD[statistic](rng, text) for text in evidence.batch["said"]])
    ruling, found = ruled(Fidelity(), replace(evidence, batch=batch))
    assert ruling.verdict == "fail" and any(reason.startswith(statistic) for reason in ruling.reasons)
    shown = found.tables["worst_texts"]
    assert set(shown["text"]) <= set(batch["said"].str.slice(0, 300))


@pytest.mark.slow
@pytest.mark.parametrize("strange", ["кот лежал там", "quœ çélà ñüß wäré"])
def test_a_part_in_another_language_is_found_where_no_text_resembles_another(strange):
    """Short texts of ever other words: nearness to real texts says nothing."""
    rng = np.random.default_rng(7)
    letters = [f"{a}{b}" for a in "bdgklmnprst" for b in "aeiou"]
    made = [" ".join("".join(rng.choice(letters, 3)) for _ in range(3)) for _ in range(900)]
    table = pd.DataFrame({"said": made, "label": rng.random(900) < 0.5})
    batch, training, evaluation = (table[at : at + 300].reset_index(drop=True) for at in (0, 300, 600))
    given = CheckInput(batch=batch, members=training, control=evaluation, task=TASK, metric="roc_auc", seed=3)
    assert ruled(Fidelity(), given)[0].verdict == "pass"
    other = [f"{strange} {place}" for place in range(30)]
    ruling, found = ruled(Fidelity(), replace(given, batch=batch.assign(said=[*other, *batch["said"][30:]])))
    assert any(reason.startswith("strange_letters of 'said'") for reason in ruling.reasons), ruling.reasons
    shown = found.tables["worst_texts"]
    assert shown.loc[shown["finding"] == "strange_letters", "text"].str.startswith(strange).all()


def test_a_table_without_texts_has_no_statistic_of_texts(evidence):
    plain = replace(evidence, task=Task("label", "binary"))
    found = Contamination().run(plain, Contamination.defaults)
    assert not [probe for probe in found.probes if probe.name == "near_texts"]


def test_a_missing_text_is_near_to_nothing():
    known = TextPieces.learn(pd.Series(["one long text about ships", "another one about horses"]))
    nearest = nearest_texts(known.pieces(pd.Series([None, ""])), known.pieces(pd.Series([None, "about horses"])))
    assert nearest.similarity.tolist() == [0, 0]
