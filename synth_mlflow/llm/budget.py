"""What a batch may cost: rows asked for, tokens, money and minutes; when one of them is used up, nobody asks on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.llm.journal import LLMResponse
from synth_mlflow.llm.settings import Settings

PER_MILLION = 1e-6


@dataclass(frozen=True)
class Budget:
    """The most that may be used for one batch; None for no limit. Answers from the journal count as well."""

    rows_asked: int | None = None
    tokens: int | None = None
    """Of all prompts and answers."""
    cost: float | None = None
    """In the currency of the prices, or of the server."""
    minutes: float | None = None

    def __post_init__(self) -> None:
        for name in ("rows_asked", "tokens", "cost", "minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(
                    f"the budget {_option(name)} is {value!r}, a number above 0 was needed.",
                    f"Leave it out for no limit: without `{_option(name)}`.",
                )


class Spending:
    """What was used of a budget so far."""

    def __init__(self, budget: Budget, settings: Settings) -> None:
        self._budget, self._settings = budget, settings
        self._end = time.monotonic() + budget.minutes * 60 if budget.minutes else float("inf")
        self._n_requests = self._n_answered = 0
        self._tokens = self._most_tokens = 0
        self._cost = self._most_cost = 0.0
        self.is_over = False
        """Whether the minutes were found too few before they were over."""
        if budget.rows_asked is not None and budget.rows_asked < settings.rows_per_request:
            raise UsageError(
                f"--max-rows-asked is {budget.rows_asked:,}, and one request asks for {settings.rows_per_request:,} "
                "rows.",
                f"Ask for fewer in one request: `--param rows_per_request={budget.rows_asked}`.",
            )

    @property
    def end(self) -> float:
        """When the minutes are over, in the time of `time.monotonic`."""
        return self._end

    def allows_request(self, n_open: int) -> bool:
        """Whether one more request fits, beside those that are open: each may use as much as the dearest so far.

        Before the first answer nobody knows what a request uses: where that counts, it is asked alone.
        """
        budget, more = self._budget, n_open + 1
        counts = budget.tokens is not None or budget.cost is not None
        if (counts and n_open and not self._n_answered) or time.monotonic() >= self._end:
            return False
        rows = (self._n_requests + 1) * self._settings.rows_per_request
        return (
            (budget.rows_asked is None or rows <= budget.rows_asked)
            and (budget.tokens is None or self._tokens + more * self._most_tokens <= budget.tokens)
            and (budget.cost is None or self._cost + more * self._most_cost <= budget.cost)
        )

    def open(self) -> None:
        """Note that a request is made."""
        self._n_requests += 1

    def add(self, answers: Iterable[LLMResponse]) -> None:
        """Note the answers to one request, with those of its further steps.

        Raises
        ------
        GeneratorError
            If a budget cannot be kept, since nobody says what an answer used.
        """
        tokens, cost = 0, 0.0
        for answer in answers:
            tokens += self._tokens_of(answer)
            cost += self._cost_of(answer)
        self._n_answered += 1
        self._tokens, self._most_tokens = self._tokens + tokens, max(self._most_tokens, tokens)
        self._cost, self._most_cost = self._cost + cost, max(self._most_cost, cost)

    def words(self) -> str:
        """Which limit is reached, and what was used.

        Examples
        --------
        >>> Spending(Budget(tokens=40), Settings()).words()
        '--max-tokens 40 (0 used)'
        """
        budget, rows = self._budget, self._n_requests * self._settings.rows_per_request
        if self.is_over or time.monotonic() >= self._end:
            return f"--max-minutes {budget.minutes:g}"
        if budget.rows_asked is not None and rows + self._settings.rows_per_request > budget.rows_asked:
            return f"--max-rows-asked {budget.rows_asked:,} ({rows:,} asked for)"
        if budget.tokens is not None and (budget.cost is None or self._tokens + self._most_tokens > budget.tokens):
            return f"--max-tokens {budget.tokens:,} ({self._tokens:,} used)"
        return f"--max-cost {budget.cost or 0:g} ({self._cost:g} used)"

    def _tokens_of(self, answer: LLMResponse) -> int:
        counts = (answer.prompt_tokens, answer.completion_tokens)
        if self._budget.tokens is not None and None in counts:
            raise GeneratorError(
                "the server does not say how many tokens an answer used, so that --max-tokens cannot be kept.",
                "Limit something else: `--max-rows-asked N` or `--max-minutes N`. The answers so far are kept.",
            )
        return sum(count or 0 for count in counts)

    def _cost_of(self, answer: LLMResponse) -> float:
        cost = cost_of(answer, self._settings)
        if self._budget.cost is not None and cost is None:
            raise GeneratorError(
                "the server does not say what an answer costs, so that --max-cost cannot be kept without prices.",
                "Give those of a million tokens: `--param price_prompt=2.5 --param price_completion=10`. The answers "
                "so far are kept.",
            )
        return cost or 0.0


def cost_of(answer: LLMResponse, settings: Settings) -> float | None:
    """As the server says, else by the prices that were given; None if neither is."""
    if answer.cost is not None:
        return answer.cost
    if settings.price_prompt is None or settings.price_completion is None or answer.prompt_tokens is None:
        return None
    tokens_in, tokens_out = answer.prompt_tokens, answer.completion_tokens or 0
    return (tokens_in * settings.price_prompt + tokens_out * settings.price_completion) * PER_MILLION


def _option(name: str) -> str:
    return f"--max-{name.replace('_', '-')}"
