"""Fits by commands: what files hold, what predictions must be, and which rows are set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.fit_commands import FitCommands
from synth_mlflow.data.mixing import FitRows
from synth_mlflow.data.task import COMMAND, ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.command import CommandTrainer
from synth_mlflow.models.raw_command import command_words, read_predictions
from synth_mlflow.stages.fit_commands import order_words
from synth_mlflow.sweep.evaluator import Evaluator

TRAIN = "fit {train} {validation} {model} {seed} {target} {task}"
PREDICT = "predict {model} {rows}.csv {predictions}.csv"
ROLES = {"age": "number", "name": "identifier", "w": "weight", "y": "target"}
TASK = Task("y", "binary", roles=ROLES)


class Program:
    """Stands for both programs: keeps what it was shown, and predicts even odds, or what a test says."""

    def __init__(self) -> None:
        self.shown: list[tuple[pd.DataFrame, pd.DataFrame, list[str]]] = []
        self.answer: Callable[[pd.DataFrame], object] = lambda rows: pd.DataFrame({"no": 0.5, "yes": 0.5}, rows.index)
        self.folders: list[Path] = []

    def __call__(self, words: Sequence[str], what: str, folder: Path) -> None:
        """Fit or predict."""
        self.folders.append(folder)
        if words[0] == "fit":
            self.shown.append((pd.read_parquet(words[1]), pd.read_parquet(words[2]), list(words[4:])))
            (Path(words[3]) / "weights").write_text("1")
            return
        assert (Path(words[1]) / "weights").read_text() == "1"
        rows = pd.read_csv(words[2])
        found = self.answer(rows)
        if isinstance(found, pd.DataFrame):
            found.to_csv(words[3], index=False)
        elif found is not None:
            Path(words[3]).write_text(str(found))


@pytest.fixture
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return normalise(
        pd.DataFrame(
            {
                "age": rng.integers(18, 80, 100),
                "name": [f"c-{n}" for n in range(100)],
                "w": 1.5,
                "y": np.where(np.arange(100) % 4 == 0, "yes", "no"),
            }
        )
    )


def bench_of(rows: pd.DataFrame, program: Program, task: Task = TASK, metric: str = "roc_auc") -> Evaluator:
    spec = ModelSpec(COMMAND, commands=FitCommands(TRAIN, PREDICT, program))
    return Evaluator.build(rows[:50], rows[80:], task, metric, spec, synthetic=rows[50:80])


def test_files_hold_features_target_and_weight_and_validation_is_real(rows: pd.DataFrame) -> None:
    program = Program()
    trainer = bench_of(rows, program).trainer
    for added in (np.empty(0, dtype=np.int64), np.arange(50, 80)):
        said = trainer.predictions(FitRows(np.arange(50), added), 7)
        assert said.tolist() == [[0.5, 0.5]] * 20
    (train, validation, words), (mixed, again, _) = program.shown
    assert list(train) == ["age", "w", "y"] and words == ["7", "y", "binary"]
    assert len(train) + len(validation) == 50 and len(mixed) == len(train) + 30
    assert validation["y"].value_counts().to_dict() == {"no": 7, "yes": 3}  # a fifth of 37 and of 13
    pd.testing.assert_frame_equal(validation, again)
    assert not any(folder.exists() for folder in program.folders)


@pytest.mark.parametrize(("role", "column", "real"), [("weight", "w", 1.5), ("ignored", "synth_weight", 1.0)])
def test_a_sweep_over_weights_gives_them_as_a_column(rows: pd.DataFrame, role: str, column: str, real: float) -> None:
    program = Program()
    task = Task("y", "binary", roles=ROLES | {"w": role})
    trainer = bench_of(rows, program, task).trainer
    for weight in (1.0, 0.2):  # real rows alone have the column as well
        trainer.predictions(FitRows(np.arange(50), np.arange(50, 80)[: 0 if weight == 1 else 30], weight), 7)
    (alone, _, _), (mixed, validation, _) = program.shown
    assert set(alone[column]) == set(validation[column]) == {real}
    assert mixed[column].value_counts().to_dict() == pytest.approx({real: 40, 0.2 * real: 30})


def test_rows_to_predict_hold_features_alone(rows: pd.DataFrame) -> None:
    program, seen = Program(), []
    program.answer = lambda given: seen.append(list(given)) or pd.DataFrame({"yes": [0.25] * 20, "no": [0.75] * 20})
    said = bench_of(rows, program).trainer.predictions(FitRows(np.arange(50), np.empty(0, dtype=np.int64)), 1)
    assert seen == [["age"]]
    assert said[0].tolist() == [0.75, 0.25]  # columns in any order


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, r"wrote no file in place of {predictions}, a path ending in .csv"),
        (pd.DataFrame({"no": [0.5], "yes": [0.5]}), "wrote 1 predictions for 20 rows"),
        (pd.DataFrame({"p": [0.5] * 20}), "wrote the columns p; needed is a column for each class: no, yes"),
        (pd.DataFrame({"no": [0.5] * 20, "yes": [None] * 20}), "missing or infinite predictions for 20 of 20"),
        (pd.DataFrame({"no": [-1.0] * 20, "yes": [2.0] * 20}), "-1 to 2; probabilities lie in 0 to 1"),
        (pd.DataFrame({"no": [0.5] * 20, "yes": [0.2] * 20}), "add up to 0.7 to 0.7 in a row, not to 1"),
        (pd.DataFrame({"no": ["a"] * 20, "yes": ["b"] * 20}), "predictions that are no numbers"),
        ("", "cannot be read as csv"),
    ],
)
def test_answers_that_are_no_predictions_are_refused(rows: pd.DataFrame, answer: object, message: str) -> None:
    program = Program()
    program.answer = lambda _: answer
    with pytest.raises(UsageError, match=message):
        bench_of(rows, program).trainer.predictions(FitRows(np.arange(50), np.empty(0, dtype=np.int64)), 1)


def test_a_class_that_the_fit_could_not_know_needs_no_column(rows: pd.DataFrame) -> None:
    program = Program()
    program.answer = lambda given: pd.DataFrame({"no": 0.5, "yes": 0.5}, given.index)
    rare = rows.assign(y=rows["y"].where(np.arange(100) != 7, "perhaps"))
    task = Task("y", "multiclass", roles=ROLES)
    trainer = bench_of(rare, program, task, "neg_log_loss").trainer
    without = FitRows(np.arange(10, 50), np.empty(0, dtype=np.int64))
    assert trainer.predictions(without, 1)[0].tolist() == [0.5, 0.0, 0.5]
    with pytest.raises(UsageError, match="needed is a column for each class: no, perhaps, yes"):
        trainer.predictions(FitRows(np.arange(50), np.empty(0, dtype=np.int64)), 1)
    program.answer = lambda given: pd.DataFrame({"no": 0.5, "yes": 0.25, "maybe": 0.25}, given.index)
    with pytest.raises(UsageError, match="wrote the columns no, yes, maybe"):
        trainer.predictions(without, 1)


def test_rows_of_one_class_need_no_program(rows: pd.DataFrame) -> None:
    program = Program()
    alone = FitRows(np.flatnonzero(rows["y"][:50] == "no"), np.empty(0, dtype=np.int64))
    assert bench_of(rows, program).trainer.predictions(alone, 1).tolist() == [[1.0, 0.0]] * 20
    assert program.shown == []


def test_row_names_are_told(tmp_path: Path) -> None:
    pd.DataFrame({"no": [0.5], "yes": [0.5]}).to_csv(tmp_path / "p.csv")
    with pytest.raises(ValueError, match="the first one holds row names"):
        read_predictions(tmp_path / "p.csv", 1, ("no", "yes"))


def test_predictions_in_another_order_are_noticed(rows: pd.DataFrame) -> None:
    program = Program()
    known = rows.assign(age=np.where(rows["y"] == "yes", 70, 20))
    trainer = bench_of(known, program).trainer
    assert isinstance(trainer, CommandTrainer)
    right = np.where(trainer.evaluation["age"] > 50, 0.9, 0.1)
    assert order_words(trainer, "roc_auc", np.column_stack([1 - right, right])) == ""
    words = order_words(trainer, "roc_auc", np.column_stack([right, 1 - right]))
    assert "scores 0, not measurably better than a constant prediction (0.5)" in words and "{rows}" in words


def test_numbers_are_one_column(rows: pd.DataFrame, tmp_path: Path) -> None:
    pd.DataFrame({"anything": [1.5, 2.0]}).to_parquet(tmp_path / "p.parquet")
    assert read_predictions(tmp_path / "p.parquet", 2, ()).tolist() == [1.5, 2.0]
    pd.DataFrame({"a": [1.5, 2.0], "b": 1}).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="the columns a, b; needed is one column of numbers"):
        read_predictions(tmp_path / "p.parquet", 2, ())


def test_booleans_are_named_as_r_does(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('"FALSE","TRUE"\n0.25,0.75\n')
    assert read_predictions(tmp_path / "p.csv", 1, (False, True)).tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize("labels", [(0, 1), (False, True), (0.0, 1.0), ("a", "b,c")])
def test_columns_are_named_by_any_label(labels: tuple[object, ...], tmp_path: Path) -> None:
    pd.DataFrame([[0.25, 0.75]], columns=list(labels)).to_csv(tmp_path / "p.csv", index=False)
    assert read_predictions(tmp_path / "p.csv", 1, labels).tolist() == [[0.25, 0.75]]


def test_a_command_that_writes_no_model_is_refused(rows: pd.DataFrame) -> None:
    spec = ModelSpec(COMMAND, commands=FitCommands(TRAIN, PREDICT, lambda *_: None))
    trainer = Evaluator.build(rows[:50], rows[80:], TASK, "roc_auc", spec).trainer
    with pytest.raises(UsageError, match=r"wrote nothing into {model}"):
        trainer.predictions(FitRows(np.arange(50), np.empty(0, dtype=np.int64)), 1)


@pytest.mark.parametrize(
    ("train", "predict", "message"),
    [
        ("fit {train}", PREDICT, r"has no place {model}"),
        (TRAIN, "predict {model} {rows}", r"has no place {predictions}"),
        ("fit {train} {model} {modle}", PREDICT, r"a place {modle} that nothing belongs to. Did you mean 'model'"),
        ("fit {train}.xlsx {model}", PREDICT, r".csv, .parquet, .jsonl are known"),
        ("fit {train}.csv {train} {model}", PREDICT, "two endings"),
        ("", PREDICT, "0 words"),
        ("fit 'open {train} {model}", PREDICT, "cannot be split into words"),
    ],
)
def test_commands_that_cannot_work_are_refused_before_anything_runs(train: str, predict: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FitCommands(train, predict, lambda *_: None)


def test_no_shell_reads_what_stands_in_a_place() -> None:
    assert command_words("fit {train} && x", {"train": "a; rm -rf b"}) == ["fit", "a; rm -rf b", "&&", "x"]


def test_csv_where_parquet_was_needed_is_told_how_to_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    path.write_text("score\n1\n")
    with pytest.raises(
        ValueError, match=r"cannot be read as parquet: .*; a program that writes CSV is given `\{predic"
    ):
        read_predictions(path, 1, (), ())
