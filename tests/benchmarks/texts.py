"""How the checks judge free texts: faults by name, false alarms, near copies by share, and what it costs. By hand.

OMP_NUM_THREADS=1 python tests/benchmarks/texts.py --only kit            every fault on every corpus, two draws
OMP_NUM_THREADS=1 python tests/benchmarks/texts.py --only alarms --draws 34
OMP_NUM_THREADS=1 python tests/benchmarks/texts.py --only copies --draws 5
OMP_NUM_THREADS=1 python tests/benchmarks/texts.py --only recall         of MinHash, beside the exact search
OMP_NUM_THREADS=1 python tests/benchmarks/texts.py --only cost --rows 100000 --conversations
OMP_NUM_THREADS=1 python tests/benchmarks/texts.py --only kit --rows 300 --draws 1 --corpora changes   a small one

`--rows` is the size of a batch; there are as many evaluation rows and three times as many training rows. `--table`
adds a corpus: a CSV file with the columns `text` and `label`. `--cache FOLDER` keeps the corpora between two runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from text_corpora import BY_NAME, balanced, given
from text_faults import FAULTS, Corpus, edited, near_copies, turned

from synth_mlflow.checks import CheckInput, failed_probes, judge
from synth_mlflow.checks._near_texts import SIMILAR, near_evaluation_texts
from synth_mlflow.checks._passages import evaluation_passages, passage_probes
from synth_mlflow.checks._tables import Tables
from synth_mlflow.checks._texts import text_findings
from synth_mlflow.checks.contamination import _near_texts as near_text_probes
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.gate.policy import FALSE_ALARM_RATE, load_check
from synth_mlflow.metrics.intervals import clopper_pearson
from synth_mlflow.metrics.minhash import nearest_by_minhash, signatures
from synth_mlflow.metrics.near_texts import TextPieces, nearest_texts
from synth_mlflow.metrics.passages import tokens

TASK = Task("label", "binary", roles={"text": "text"})
SPEC = ModelSpec(params={"text": "linear", "C": 4.0})
CHECKS = ("contamination", "fidelity", "utility", "privacy")
SHARES = (0.01, 0.05, 0.25)
N_AMONG, N_ALTERED = 12_000, 1_500  # texts of the recall of MinHash

Reasons = Mapping[str, list[str]]


def main() -> None:
    """Read the options, make the batches, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="kit,alarms,copies,recall,cost")
    parser.add_argument("--corpora", default=",".join(BY_NAME))
    parser.add_argument("--table", type=Path, action="append", default=[])
    parser.add_argument("--rows", type=int, default=700)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--checks", default=",".join(CHECKS), help="of the cost and of false alarms")
    parser.add_argument("--texts-alone", action="store_true", help="of false alarms: no statistics of whole tables")
    parser.add_argument("--faults", default="", help="of the kit: those whose names contain this")
    parser.add_argument("--conversations", action="store_true", help="of the cost: conversations instead of texts")
    options = parser.parse_args()
    for part in options.only.split(","):
        PARTS[part](options)


def _tables(options: argparse.Namespace) -> dict[str, pd.DataFrame]:
    made: dict[str, Callable[[], pd.DataFrame]] = {name: BY_NAME[name] for name in options.corpora.split(",") if name}
    made |= {path.stem: (lambda path=path: given(path)) for path in options.table}
    return {name: balanced(_cached(options.cache, name, make)) for name, make in made.items()}


def _cached(folder: Path | None, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    path = folder / f"{name}.parquet" if folder else None
    if path is not None and path.exists():
        return pd.read_parquet(path)
    table = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path)
    return table


def _corpora(options: argparse.Namespace, seed: int) -> Iterator[Corpus]:
    tables = _tables(options)
    names = list(tables)
    for place, name in enumerate(names):
        elsewhere = tables[names[(place + 1) % len(names)]]["text"]
        yield Corpus.cut(name, tables[name], elsewhere, seed, options.rows)


def _reasons(corpus: Corpus, batch: pd.DataFrame, seed: int, checks: tuple[str, ...] = CHECKS) -> Reasons:
    """The statistics that failed, by check, in the order of the reasons; and inconclusive ones in words."""
    evidence = CheckInput(
        batch=batch,
        members=corpus.training,
        control=corpus.evaluation,
        task=TASK,
        metric="roc_auc",
        seed=seed,
        model=SPEC,
    )
    found = {}
    for name in checks:
        check = load_check(name)
        result = check.run(evidence, check.defaults)
        alpha = check.defaults.get("alpha", FALSE_ALARM_RATE)
        ruling = judge(result.probes, result.inconclusive, alpha)
        if ruling.verdict == "fail":
            found[name] = [probe.name for probe in failed_probes(result.probes, alpha)]
        elif ruling.verdict == "inconclusive":
            print(f"    {corpus.name} seed {seed}: {name} inconclusive: {ruling.reasons[0]}", flush=True)
    return found


def kit(options: argparse.Namespace) -> None:
    """Every fault on every corpus: how often the check that must fail it does, and for a reason that names it."""
    faults = {name: fault for name, fault in FAULTS.items() if options.faults in name}
    for name in _tables(options):
        failed, named, said = (dict.fromkeys(faults, 0), dict.fromkeys(faults, 0), dict.fromkeys(faults, ""))
        for seed in range(options.seed, options.seed + options.draws):
            corpus = next(corpus for corpus in _corpora(options, seed) if corpus.name == name)
            for fault, recipe in faults.items():
                batch = recipe.make(corpus, np.random.default_rng([seed, 11]))
                reasons = _reasons(corpus, batch, seed, (recipe.check,)).get(recipe.check, [])
                failed[fault] += bool(reasons)
                named[fault] += any(each in recipe.reasons for each in reasons)
                said[fault] = ", ".join(dict.fromkeys(reasons))
        for fault in faults:
            print(f"{fault:42} {name:12} {failed[fault]}/{options.draws} {named[fault]}/{options.draws}  {said[fault]}")


def alarms(options: argparse.Namespace) -> None:
    """Batches of further texts, each beside newly cut rows."""
    wrong = total = 0
    for seed in range(options.seed, options.seed + options.draws):
        for corpus in _corpora(options, seed):
            checks = tuple(options.checks.split(","))
            reasons = _of_texts(corpus, seed) if options.texts_alone else _reasons(corpus, corpus.further, seed, checks)
            total, wrong = total + 1, wrong + bool(reasons)
            print(f"{total} batches, {wrong} failed", end="\r", flush=True)
            if reasons:
                print(f"false alarm: {corpus.name} seed {seed}: {dict(reasons)}", flush=True)
    low, high = clopper_pearson(wrong, total)
    print(f"{total} batches of further texts, {wrong} failed (95 % interval {low:.1%} to {high:.1%})", flush=True)


def _of_texts(corpus: Corpus, seed: int) -> Reasons:
    """What the statistics of texts of contamination and fidelity say, each check's corrected over these alone."""
    tables = Tables(corpus.further, corpus.training, corpus.evaluation)
    rng, limits, fidelity = np.random.default_rng(seed), load_check("contamination").defaults, load_check("fidelity")
    near = near_evaluation_texts(tables, TASK, rng)
    passages = evaluation_passages(tables, TASK, tokens)
    probes = {
        "contamination": [
            *near_text_probes(near, len(tables.batch), limits),
            *passage_probes(passages, len(tables.batch), limits["matched_rows"]),
        ],
        "fidelity": text_findings(tables.real, tables.batch, TASK, fidelity.defaults, rng).probes,
    }
    failed = {name: failed_probes(tuple(each), limits["alpha"]) for name, each in probes.items()}
    return {name: [probe.name for probe in each] for name, each in failed.items() if each}


def copies(options: argparse.Namespace) -> None:
    """Near copies of evaluation texts by their share of the batch, judged by contamination alone."""
    for share in SHARES:
        found = dict.fromkeys(_tables(options), 0)
        for seed in range(options.seed, options.seed + options.draws):
            for corpus in _corpora(options, seed):
                batch = near_copies(corpus, corpus.evaluation, np.random.default_rng([seed, 13]), share)
                found[corpus.name] += "contamination" in _reasons(corpus, batch, seed, ("contamination",))
        print(f"near copies, {share:.0%} of the batch: {found} of {options.draws}", flush=True)


def cost(options: argparse.Namespace) -> None:
    """CPU seconds and memory of each check on one large batch of further texts, three fifths of which are training."""
    tables = _tables(options)
    table = pd.concat(tables.values(), ignore_index=True)
    rng = np.random.default_rng(options.seed)
    if options.conversations:
        table = conversations(table, options.rows, rng)
        task = Task("label", "binary", roles={"text": "conversation"})
    else:
        task, table = TASK, table.iloc[rng.permutation(len(table))[: options.rows]].reset_index(drop=True)
    ends = np.cumsum([round(0.6 * len(table)), round(0.2 * len(table))])
    sides = (table.iloc[part].reset_index(drop=True) for part in np.split(np.arange(len(table)), ends))
    members, control, batch = sides
    evidence = CheckInput(batch, members, control, task, "roc_auc", 3, model=SPEC)
    print(f"{len(table):,} rows: {len(members):,} training, {len(control):,} evaluation, {len(batch):,} batch")
    for name in options.checks.split(","):
        check, start = load_check(name), time.process_time()
        result = check.run(evidence, check.defaults)
        seconds, memory = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        ruling = judge(result.probes, result.inconclusive, check.defaults.get("alpha", FALSE_ALARM_RATE))
        print(
            f"{name:14} {seconds:7.1f} CPU s, at most {memory:.2f} GiB so far: {ruling.verdict} {ruling.reasons[:1]}",
            flush=True,
        )


def recall(options: argparse.Namespace) -> None:
    """Of the near copies that the exact search finds at a cosine, the share that MinHash finds, on all corpora."""
    rng = np.random.default_rng(options.seed)
    texts = pd.concat(_tables(options).values(), ignore_index=True)["text"].drop_duplicates()
    texts = texts.iloc[rng.permutation(len(texts))[:N_AMONG]].reset_index(drop=True)
    words, drawn = np.array(sorted(set(" ".join(texts).split()))), texts[rng.permutation(len(texts))[:N_ALTERED]]
    alterations: dict[str, Callable[[str], str]] = {
        "one word changed": lambda text: edited(text, words, rng),
        "two words changed": lambda text: edited(edited(text, words, rng), words, rng),
        "halves exchanged": turned,
        "the first half alone": lambda text: " ".join(text.split()[: len(text.split()) // 2]),
    }
    known = TextPieces.learn(texts)
    real = known.pieces(texts)
    bands = signatures(real)
    for name, alter in alterations.items():
        made = known.pieces(drawn.map(alter))
        exact = nearest_texts(made, real).similarity
        found = nearest_by_minhash((made, signatures(made)), (real, bands)).similarity
        shares = [float((found[exact >= cosine] >= cosine).mean()) for cosine in SIMILAR]
        print(f"{name:24}", "  ".join(f"{cosine}: {share:.1%}" for cosine, share in zip(SIMILAR, shares, strict=True)))


def conversations(table: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Conversations of four turns, whose texts are sentences of real texts drawn anew."""
    texts = table["text"].to_numpy()
    labels = table["label"].to_numpy()
    drawn = rng.integers(len(texts), size=(n, 4))
    roles = ("user", "assistant") * 2
    said = [
        json.dumps([{"role": role, "content": texts[at]} for role, at in zip(roles, row, strict=True)], sort_keys=True)
        for row in drawn
    ]
    return pd.DataFrame({"text": said, "label": labels[drawn[:, 0]]}).drop_duplicates("text", ignore_index=True)


PARTS = {"kit": kit, "alarms": alarms, "copies": copies, "recall": recall, "cost": cost}

if __name__ == "__main__":
    main()
