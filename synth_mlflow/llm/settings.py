"""What may be set about asking a language model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from synth_mlflow.errors import UsageError, closest
from synth_mlflow.metrics.text_screen import OFF_TOPIC

MAX_SEED = 2**31


@dataclass(frozen=True)
class Settings:
    """What `--param` sets; only the first six change which rows come."""

    temperature: float = 1.0
    rows_per_request: int = 20
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    """How the endpoint is told the form of an answer."""
    max_tokens: int | None = None
    """Of one answer."""
    seeded: bool = True
    """Whether each request carries a seed."""
    off_topic: float = OFF_TOPIC
    """The share of real texts below the floor of what is on topic; 0 for no such floor."""
    concurrency: int = 4
    """Requests at the same time."""
    requests_per_minute: float | None = None
    retries: int = 6
    request_seconds: float = 120.0
    patience: int = 5
    """Answers in a row without one new valid row, after which it stops."""
    price_prompt: float | None = None
    """Of a million tokens; for the cost, where the server does not say it."""
    price_completion: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("rows_per_request", 1), ("concurrency", 1), ("patience", 1), ("retries", 0)):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)!r}, a whole number from {least} on was needed.")
        if self.structured not in ("json_schema", "json_object", "none"):
            raise UsageError(f"structured is {self.structured!r}, needed json_schema, json_object or none.")
        if not 0 <= self.off_topic <= 0.5:
            raise UsageError(f"off_topic is {self.off_topic!r}, a share from 0 to 0.5 was needed.")

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Settings:
        """The settings that were given, and defaults for the others."""
        known = [one.name for one in dataclasses.fields(cls)]
        for name in params:
            if name not in known:
                raise UsageError(f"prompts have no parameter {name!r}. {closest(name, known)}")
        return cls(**params)

    def chat(self, model: str, messages: list[dict[str, str]], schema: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """The body of a request whose answer follows a JSON schema."""
        form: dict[str, Any] = {"type": self.structured}
        if self.structured == "json_schema":
            form["json_schema"] = {"name": "rows", "strict": True, "schema": schema}
        return {
            "model": model,
            "messages": messages,
            "temperature": self.temperature,
            **({} if self.structured == "none" else {"response_format": form}),
            **({"seed": seed % MAX_SEED} if self.seeded else {}),
            **({"max_tokens": self.max_tokens} if self.max_tokens else {}),
        }

    @property
    def of_rows(self) -> dict[str, Any]:
        """Those that change which rows come."""
        names_of_settings = ("temperature", "rows_per_request", "structured", "max_tokens", "seeded", "off_topic")
        return {name: getattr(self, name) for name in names_of_settings}
