"""The two commands of a trainer that is another program: one fits a model, the other predicts with it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from synth_mlflow.data.digests import text_digest
from synth_mlflow.errors import UsageError, closest

TIMEOUT_SECONDS = 3600.0
MAX_CHARACTERS = 2_000  # of each command, which is recorded whole
_TRAIN = {"needed": ("train", "model"), "files": ("train", "validation"), "others": ("seed", "target", "task")}
_PREDICT = {"needed": ("model", "rows", "predictions"), "files": ("rows", "predictions"), "others": ("target", "task")}
_PLACE = re.compile(r"\{(\w+)\}((?:\.\w+)*)")


class Runner(Protocol):
    """Runs a program within a time limit."""

    def __call__(self, words: Sequence[str], what: str, folder: Path) -> None:
        """Run it; a UsageError says how it ended badly, with the last lines of its stderr.

        Parameters
        ----------
        words : sequence of str
            The program and its arguments.
        what : str
            How messages call it.
        folder : Path
            Takes what it says on stderr.
        """
        ...


@dataclass(frozen=True)
class FitCommands:
    """Commands that no shell reads: their words are split as a shell would, and places are filled.

    Parameters
    ----------
    train : str
        With ``{train}`` and ``{model}``; ``{validation}``, ``{seed}``, ``{target}`` and ``{task}`` where it wants them.
    predict : str
        With ``{model}``, ``{rows}`` and ``{predictions}``; ``{target}`` and ``{task}`` where it wants them.
    run : Runner
    files : mapping of str to str
        SHA-256 of every file that they name, such as their scripts.

    Raises
    ------
    UsageError
        If a command is empty, lacks a place, or has one that nothing belongs to.
    """

    train: str
    predict: str
    run: Runner = field(compare=False)
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check("--train-command", self.train, _TRAIN)
        _check("--predict-command", self.predict, _PREDICT)

    @property
    def takes_validation(self) -> bool:
        """Whether some real rows are set aside for the command that fits."""
        return "validation" in {name for name, _ in _PLACE.findall(self.train)}

    def to_json(self) -> dict[str, Any]:
        """What is recorded: the commands, their digests, and those of the files that they name."""
        digests = {"train_sha256": text_digest(self.train), "predict_sha256": text_digest(self.predict)}
        return {"train": self.train, "predict": self.predict, **digests, "files": dict(sorted(self.files.items()))}


def _check(option: str, command: str, places: Mapping[str, tuple[str, ...]]) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{option} {command!r} cannot be split into words: {error}.") from error
    if not words or len(command) > MAX_CHARACTERS:
        raise UsageError(
            f"{option} has {len(words):,} words and {len(command):,} characters; needed are one or more words, and at "
            f"most {MAX_CHARACTERS:,} characters.",
            "Put long arguments into a script.",
        )
    used_places = [place for word in words for place in _PLACE.findall(word)]
    known = (*dict.fromkeys((*places["needed"], *places["files"], *places["others"])),)
    for name in places["needed"]:
        if name not in {each for each, _ in used_places}:
            raise UsageError(f"{option} {command!r} has no place {{{name}}}.", f"Its places: {_listed(known)}.")
    for name, ending in used_places:
        if name not in known:
            raise UsageError(f"{option} has a place {{{name}}} that nothing belongs to. {closest(name, known)}")
        known_endings = (".csv", ".parquet") if name == "predictions" else (".csv", ".parquet", ".jsonl")
        if name in places["files"] and ending not in ("", *known_endings):
            raise UsageError(f"{option} has a file {{{name}}}{ending}; {', '.join(known_endings)} are known.")
    for name in places["files"]:
        if len({ending for each, ending in used_places if each == name}) > 1:
            raise UsageError(f"{option} names {{{name}}} with two endings; it is one file.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def commands_of(recorded: Mapping[str, str], name: str) -> dict[str, str]:
    """The recorded commands of a run's parameters, as options of `sweep`; empty where there are none."""
    command = json.loads(recorded.get(name, "{}"))
    return {"--train-command": command["train"], "--predict-command": command["predict"]} if command else {}
