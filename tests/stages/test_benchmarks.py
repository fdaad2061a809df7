"""Files of benchmarks of every kind, and the tokenizer that a statement names."""

import re

import pandas as pd
import pytest

from synth_mlflow.allowed_code import allowing
from synth_mlflow.errors import UsageError
from synth_mlflow.metrics.passages import tokens
from synth_mlflow.stages.benchmarks import benchmark_texts, tokenizer_of

FILES = {
    "a.jsonl": '{"question": "How?", "choices": ["So", {"text": "Thus"}], "answer": 1}\n\n{"question": "Why?"}\n',
    "b.txt": "How?\n\nWhy?\n",
    "c.csv": "question,answer,n\nHow?,So,1\nWhy?,Thus,2\n",
}


def test_every_text_of_a_row_counts(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    found = benchmark_texts(list(FILES), tmp_path)
    assert found["a.jsonl"].tolist() == ["How?\nSo\nThus", "Why?"]
    assert found["b.txt"].tolist() == ["How?", "Why?"]
    assert found["c.csv"].tolist() == ["How?\nSo", "Why?\nThus"]


@pytest.mark.parametrize(("text", "words"), [(None, "is not there"), ("{", "line 1 is no JSON")])
def test_a_benchmark_that_cannot_be_read_is_named(text, words, tmp_path):
    if text is not None:
        (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(UsageError, match=rf"the benchmark .*a\.jsonl.* {re.escape(words)}"):
        benchmark_texts(["a.jsonl"], tmp_path)


def test_a_tokenizer_runs_where_it_is_allowed(tmp_path, monkeypatch):
    (tmp_path / "my_tokens.py").write_text(
        "def split(text):\n    return text.split()\n\ndef none(text):\n    return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert tokenizer_of(None) is tokens
    with pytest.raises(UsageError, match="my_tokens"):
        tokenizer_of("my_tokens:split")
    with allowing(["my_tokens"]):
        assert tokenizer_of("my_tokens:split")("a b, c") == ["a", "b,", "c"]
        with pytest.raises(UsageError, match="gave no token"):
            tokenizer_of("my_tokens:none")
        with pytest.raises(UsageError, match="cannot be used: AttributeError"):
            tokenizer_of("my_tokens:missing")


def test_words_marks_and_single_letters_of_chinese_are_tokens():
    assert tokens("Ça va, 東京?") == ["ça", "va", ",", "東", "京", "?"]
    assert pd.Series(tokens("don't")).tolist() == ["don", "'", "t"]
