"""Batches of labelled texts with known faults, made from real ones; what the checks must say of each.

Each fault is made from texts of its corpus, so that numbers of letters and words are those of real texts where the
fault is another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

REFUSALS = (
    "I'm sorry, but I can't write that.",
    "As an AI language model, I cannot help with that.",
    "I am unable to fulfil this request.",
)
GERMAN = "der die das ein eine und oder aber mit ohne sehr lang kurz gut schlecht Film Geschichte Ende Anfang Liebe"
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz      "))

SEPARATE = ("text_classifier_auc", "off_topic_texts", "strange_letters")

Rng = np.random.Generator
Rows = pd.DataFrame


@dataclass(frozen=True)
class Corpus:
    """Real texts cut in three, and texts of another subject."""

    name: str
    training: Rows
    evaluation: Rows
    further: Rows
    """Of the size of a batch."""
    elsewhere: pd.Series
    """Real texts of another corpus."""
    words: np.ndarray
    """The words of training texts."""

    @classmethod
    def cut(cls, name: str, table: Rows, elsewhere: pd.Series, seed: int, n_batch: int) -> Corpus:
        """Three times as many training rows as evaluation rows, of which there are as many as rows of a batch."""
        rng = np.random.default_rng([seed, 7])
        order = rng.permutation(len(table))[: 5 * n_batch]
        sides = np.split(order, [3 * n_batch, 4 * n_batch])
        training, evaluation, further = (table.iloc[side].reset_index(drop=True) for side in sides)
        words = pd.unique(pd.Series(" ".join(training["text"]).split()))
        others = elsewhere.iloc[rng.permutation(len(elsewhere))[:n_batch]].reset_index(drop=True)
        return cls(name, training, evaluation, further, others, np.asarray(words))


@dataclass(frozen=True)
class Fault:
    """How a batch is made, the check that must fail it, and the statistics of which one must be among the reasons."""

    make: Callable[[Corpus, Rng], Rows]
    check: str
    reasons: tuple[str, ...]


def edited(text: str, words: np.ndarray, rng: Rng) -> str:
    """One word of a text changed."""
    parts = text.split()
    parts[rng.integers(len(parts))] = str(rng.choice(words))
    return " ".join(parts)


def near_copies(corpus: Corpus, originals: Rows, rng: Rng, share: float = 1.0) -> Rows:
    """A batch of further texts, of which a share are real texts with one word changed."""
    n = max(round(share * len(corpus.further)), 1)
    copies = originals.sample(n, random_state=rng)
    copies = copies.assign(text=[edited(text, corpus.words, rng) for text in copies["text"]])
    return pd.concat([copies, corpus.further.iloc[n:]], ignore_index=True)


def turned(text: str) -> str:
    words = text.split()
    half = len(words) // 2
    return " ".join(words[half:] + words[:half])


def _reordered(corpus: Corpus, rng: Rng) -> Rows:
    return corpus.evaluation.assign(text=corpus.evaluation["text"].map(turned))


def _mixed(corpus: Corpus, texts: list[str], share: float) -> Rows:
    n = round(share * len(corpus.further))
    return corpus.further.assign(text=[*texts[:n], *corpus.further["text"].iloc[n:]])


def _refusals(corpus: Corpus, rng: Rng, share: float) -> Rows:
    said = [f"{rng.choice(REFUSALS)} Please tell me more of {rng.integers(10**6)}." for _ in corpus.further["text"]]
    return _mixed(corpus, said, share)


def _german(corpus: Corpus, rng: Rng, share: float) -> Rows:
    said = [" ".join(rng.choice(GERMAN.split(), max(4, len(text) // 6))) for text in corpus.further["text"]]
    return _mixed(corpus, said, share)


def _letters(corpus: Corpus, rng: Rng) -> Rows:
    said = ["".join(rng.choice(LETTERS, max(5, len(text)))).strip() or "a" for text in corpus.further["text"]]
    return _mixed(corpus, said, 1.0)


def _repeated(corpus: Corpus, rng: Rng) -> Rows:
    few = corpus.further.head(15).sample(len(corpus.further), replace=True, random_state=rng).reset_index(drop=True)
    return few.assign(text=[f"{text} {rng.integers(1000, 9999)}" for text in few["text"]])


def _template(corpus: Corpus, rng: Rng) -> Rows:
    slots = [[str(rng.choice(corpus.words)) for _ in range(12)] for _ in range(4)]
    said = [
        "The {} one is about the {} and the {}, which is {} by number {}.".format(
            *(rng.choice(slot) for slot in slots), rng.integers(10**5)
        )
        for _ in corpus.further["text"]
    ]
    return _mixed(corpus, said, 1.0)


def _exchanged(corpus: Corpus, rng: Rng) -> Rows:
    return corpus.further.assign(label=~corpus.further["label"])


def _elsewhere(corpus: Corpus, rng: Rng, share: float) -> Rows:
    return _mixed(corpus, corpus.elsewhere.tolist(), share)


COPIES = ("near_texts", "shared_passages")

FAULTS: dict[str, Fault] = {
    "evaluation texts, one word changed": Fault(
        lambda corpus, rng: near_copies(corpus, corpus.evaluation, rng), "contamination", COPIES
    ),
    "the same, 5 % of the batch": Fault(
        lambda corpus, rng: near_copies(corpus, corpus.evaluation, rng, 0.05), "contamination", COPIES
    ),
    "evaluation texts, halves exchanged": Fault(_reordered, "contamination", COPIES),
    "training texts, one word changed": Fault(
        lambda corpus, rng: near_copies(corpus, corpus.training, rng), "privacy", ("near_texts",)
    ),
    "refusals": Fault(lambda corpus, rng: _refusals(corpus, rng, 1.0), "fidelity", ("refusals",)),
    "refusals, 3 %": Fault(lambda corpus, rng: _refusals(corpus, rng, 0.03), "fidelity", ("refusals",)),
    "random letters": Fault(_letters, "fidelity", SEPARATE),
    "15 texts many times": Fault(_repeated, "fidelity", ("near_duplicate_texts",)),
    "a template with slots": Fault(_template, "fidelity", ("near_duplicate_texts", *SEPARATE)),
    "labels exchanged": Fault(_exchanged, "utility", ("score_gap", "gain_share")),
    "another language": Fault(lambda corpus, rng: _german(corpus, rng, 1.0), "fidelity", SEPARATE),
    "another language, 10 %": Fault(lambda corpus, rng: _german(corpus, rng, 0.1), "fidelity", SEPARATE),
    "another subject": Fault(lambda corpus, rng: _elsewhere(corpus, rng, 1.0), "fidelity", SEPARATE),
    "another subject, 20 %": Fault(lambda corpus, rng: _elsewhere(corpus, rng, 0.2), "fidelity", SEPARATE),
}
