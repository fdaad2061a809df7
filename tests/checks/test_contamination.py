"""Each way in which a batch can hold something of the evaluation set, on a small table, and honest batches beside."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from synth_mlflow.checks import judge
from synth_mlflow.checks.contamination import Contamination
from synth_mlflow.data.columns import conform, normalise, schema_of
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task

plugin = Contamination()

NUMBERS = ["age", "income", "loan"]


def moved(rows: pd.DataFrame, scale: float, rng: np.random.Generator) -> pd.DataFrame:
    """Every number moved by a part of its standard deviation."""
    found = rows.copy()
    for name in NUMBERS:
        value = rows[name] + scale * rows[name].std() * rng.normal(size=len(rows))
        found[name] = value.round().astype(rows[name].dtype) if name == "age" else value
    return found


def one_changed(rows: pd.DataFrame, pool: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One value of each row from another row."""
    found = rows.copy()
    for place in range(len(rows)):
        name = rng.choice(rows.columns[:-1])
        found.loc[place, name] = pool.loc[rng.integers(len(pool)), name]
    return found


def half_mixed(rows: pd.DataFrame, pool: pd.DataFrame) -> pd.DataFrame:
    """Half of the columns from other rows."""
    return rows.assign(**{name: pool[name].to_numpy()[: len(rows)] for name in ("age", "job")})


def trees(rows: pd.DataFrame, n_rows: int, rng: np.random.Generator, leaf: int) -> pd.DataFrame:
    """Column after column from the leaf of a tree, values as they are in the rows."""
    codes = np.column_stack([pd.factorize(rows[c])[0] if c in ("job", "default") else _code(rows[c]) for c in rows])
    made = codes[rng.integers(len(rows), size=n_rows)]
    places = [rng.integers(len(rows), size=n_rows)]
    made[:, 0] = codes[places[0], 0]
    for at in range(1, codes.shape[1]):
        model = DecisionTreeClassifier if rows.columns[at] in ("job", "default") else DecisionTreeRegressor
        tree = model(min_samples_leaf=leaf, random_state=0).fit(codes[:, :at], codes[:, at])
        home = tree.apply(codes[:, :at])
        members = {node: np.flatnonzero(home == node) for node in np.unique(home)}
        places.append(np.array([rng.choice(members[node]) for node in tree.apply(made[:, :at])]))
        made[:, at] = codes[places[-1], at]
    return pd.DataFrame({name: rows[name].to_numpy()[place] for name, place in zip(rows, places, strict=True)})


def _code(column: pd.Series) -> np.ndarray:
    return column.astype("int64" if column.dtype.kind == "M" else float).fillna(-1).to_numpy(dtype=float)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def planted(evidence, fresh):
    """The evidence with rows planted among other real ones."""

    def put(rows: pd.DataFrame) -> object:
        batch = pd.concat([rows, fresh[: len(fresh) - len(rows)]], ignore_index=True)
        return replace(evidence, batch=conform(batch, schema_of(evidence.members)))

    return put


def test_other_real_rows_pass_and_the_run_says_what_it_would_have_found(ruled, evidence):
    ruling, result = ruled(plugin, evidence)
    assert ruling.verdict == "pass"
    assert 0 < result.metrics["detectable_equal_rows"] < 0.02
    assert "in four of five cases" in result.words


@pytest.mark.parametrize(
    "kind",
    [
        "equal",
        "moved",
        "one value",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("twice", "half a row", "both sides")),
    ],
)
def test_planted_evaluation_rows_fail_and_are_named(kind, ruled, planted, control, fresh, members, rng):
    bad = control[:60].reset_index(drop=True)
    rows = {
        "equal": lambda: bad,
        "twice": lambda: pd.concat([bad, bad]),
        "moved": lambda: moved(bad, 0.01, rng),
        "one value": lambda: one_changed(bad, fresh, rng),
        "half a row": lambda: half_mixed(bad, fresh),
        "both sides": lambda: pd.concat([moved(bad, 0.01, rng), moved(members[:60], 0.01, rng)]),
    }[kind]()
    ruling, _ = ruled(plugin, planted(rows))
    assert ruling.verdict == "fail"
    assert "evaluation rows" in ruling.reasons[0] and "training rows only" in ruling.reasons[0]
    assert "jitter" not in " ".join(ruling.reasons)


def test_a_generator_that_learned_from_everything_fails(ruled, evidence, members, control, rng):
    made = trees(pd.concat([members, control], ignore_index=True), 900, rng, leaf=5)
    ruling, _ = ruled(plugin, replace(evidence, batch=conform(made, schema_of(members))))
    assert ruling.verdict == "fail" and "evaluation rows" in ruling.reasons[0]


@pytest.mark.slow
@pytest.mark.parametrize("leaf", [5, 60])
def test_trees_that_have_seen_training_rows_alone_are_not_accused(leaf, ruled, evidence, members, rng):
    made = trees(members, 900, rng, leaf=leaf)
    assert ruled(plugin, replace(evidence, batch=conform(made, schema_of(members))))[0].verdict == "pass"


def test_rows_that_repeat_by_nature_pass(ruled, evidence):
    rng = np.random.default_rng(3)
    coarse = normalise(pd.DataFrame(rng.integers(0, 4, (1_800, 5)), columns=list("abcde")))
    parts = (coarse[:700], coarse[700:1_200], coarse[1_200:])
    members, control, batch = (rows.reset_index(drop=True) for rows in parts)
    task = replace(evidence.task, target="e", kind="multiclass")
    found = replace(evidence, members=members, control=control, batch=batch, task=task)
    ruling, result = ruled(plugin, found)
    assert ruling.verdict == "pass"
    assert result.metrics["evaluation_rows_equal"] > 0


@pytest.mark.slow
def test_numbers_of_customers_that_fall_between_known_ones_are_no_leak(ruled, evidence, members, control, fresh):
    drawn = np.random.default_rng(0).permutation(3_000)
    ends = (drawn[:900], drawn[900:1_600], drawn[900:1_800])  # the batch's are those that training rows leave free
    parts = [rows.assign(customer=ids[: len(rows)]) for rows, ids in zip((members, control, fresh), ends, strict=True)]
    found = replace(evidence, members=parts[0], control=parts[1], batch=parts[2])
    assert ruled(plugin, found)[0].verdict == "pass"


def test_no_value_of_an_evaluation_row_is_told(planted, control, rng):
    result = plugin.run(planted(moved(control[:60], 0.001, rng)), plugin.defaults)
    told = " ".join(probe.note for probe in result.probes) + result.words
    assert not any(f"{value}" in told for value in control["income"].dropna()[:60])


def test_members_from_elsewhere_are_no_reference(ruled, evidence, members):
    elsewhere = replace(evidence, members=members[:5], training=members)
    assert ruled(plugin, elsewhere)[0].verdict == "pass"


def test_a_slice_of_few_rows_is_held_against_all(ruled, evidence):
    part = Slice.parse("job == 'cook' and age < 25")
    batch = evidence.batch[part.mask(evidence.batch)].reset_index(drop=True)
    assert ruled(plugin, replace(evidence, slice=part, batch=batch))[0].verdict == "pass"


@pytest.mark.slow
@pytest.mark.parametrize(("leaks", "verdict"), [(False, "pass"), (True, "fail")])
def test_running_numbers_beside_texts_are_no_leak_but_those_of_evaluation_rows_alone(leaks, verdict, evidence):
    rng = np.random.default_rng(4)
    texts = [" ".join(rng.choice(["red", "lamp", "soft", "loud", "cat", "tea", "hat"], 12)) for _ in range(900)]
    table = pd.DataFrame({"id": [f"x{n}" for n in range(600)], "said": texts[:600]}).sample(frac=1, random_state=1)
    members, control = (part.reset_index(drop=True) for part in (table[:400], table[400:]))
    numbers = [*control["id"], *(f"y{n}" for n in range(100))] if leaks else [f"x{n}" for n in range(300)]
    batch = pd.DataFrame({"id": numbers, "said": texts[600:]})
    task = Task("", "scored", roles={"said": "text", "id": "identifier"})
    given = replace(evidence, batch=batch, members=members, control=control, task=task, metric="mean_score")
    check = Contamination()
    result = check.run(given, check.defaults)
    assert judge(result.probes, result.inconclusive, check.defaults["alpha"]).verdict == verdict
