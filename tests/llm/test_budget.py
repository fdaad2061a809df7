"""Budgets: what fits before each request, and what they say at their end."""

import pytest

from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.llm.budget import Budget, Spending
from synth_mlflow.llm.journal import LLMResponse
from synth_mlflow.llm.settings import Settings

PRICED = Settings(rows_per_request=10, price_prompt=1e6, price_completion=2e6)


def answer(prompt=3, completion=4, cost=None):
    return LLMResponse("", "", "", "stop", prompt, completion, cost, 0, 0, 0)


def test_rows_asked_count_whether_they_are_kept_or_not():
    spending = Spending(Budget(rows_asked=25), PRICED)
    for _ in range(2):
        assert spending.allows_request(0)
        spending.open()
    assert not spending.allows_request(0)
    assert spending.words() == "--max-rows-asked 25 (20 asked for)"


def test_what_is_open_may_use_as_much_as_the_dearest_so_far():
    spending = Spending(Budget(tokens=30), PRICED)
    assert spending.allows_request(0) and not spending.allows_request(1)  # nobody knows yet what one uses
    spending.add([answer(3, 4), answer(1, 2)])
    assert spending.allows_request(1) and not spending.allows_request(2)
    spending.add([answer(10, 4)])
    assert not spending.allows_request(0) and spending.words() == "--max-tokens 30 (24 used)"


def test_costs_are_the_servers_or_those_of_the_prices():
    spending = Spending(Budget(cost=20.0), PRICED)
    spending.add([answer(3, 4)])
    assert not spending.allows_request(0) and spending.words() == "--max-cost 20 (11 used)"
    spending = Spending(Budget(cost=20.0), PRICED)
    spending.add([answer(3, 4, cost=0.5)])
    assert spending.allows_request(3)


@pytest.mark.parametrize(
    ("budget", "given", "message"),
    [
        (Budget(tokens=9), answer(None, None), "does not say how many tokens .*\nLimit something else"),
        (
            Budget(cost=9),
            answer(),
            "cannot be kept without prices.\nGive those of a million tokens",
        ),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(budget, given, message):
    with pytest.raises(GeneratorError, match=message):
        Spending(budget, Settings()).add([given])


@pytest.mark.parametrize("changes", [{"tokens": 0}, {"cost": -1.0}, {"minutes": float("nan")}, {"rows_asked": 0}])
def test_limits_are_above_nothing(changes):
    with pytest.raises(UsageError, match="a number above 0 was needed"):
        Budget(**changes)


def test_a_budget_below_one_request_is_refused():
    with pytest.raises(UsageError, match=r"one request asks for 10 rows.\n.*`--param rows_per_request=4`"):
        Spending(Budget(rows_asked=4), PRICED)
