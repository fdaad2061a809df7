"""The prompt: a template that people write, and what it may name.

What may be set about asking a language model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.private import secret_in
from synth_mlflow.errors import UsageError, closest

NAMES = ("rows", "columns", "examples", "schema", "slice", "purpose", "target")
SYSTEM = (
    "You write rows of a table of synthetic data. Every row is made up, plausible, and unlike the others. Answer with "
    "one JSON object and nothing else; it follows this JSON schema:\n{{ schema }}"
)


@dataclass(frozen=True)
class Prompt:
    """A template in Jinja2, rendered in a sandbox.

    Raises
    ------
    UsageError
        If it is no template, or names what nobody gives.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise UsageError(f"the prompt {self.name} is empty.", f"Write one; it may name {', '.join(NAMES)}.")
        found = secret_in(self.text)
        if found is not None:
            raise UsageError(
                f"the prompt {self.name} holds the value of the variable {found}, which looks like a secret.",
                "Take it out: prompts are recorded.",
            )
        for name in sorted(self.named):
            if name not in NAMES:
                raise UsageError(f"the prompt {self.name} names {name!r}, which nothing is. {closest(name, NAMES)}")

    @classmethod
    def read(cls, path: Path) -> Prompt:
        """The template in a file."""
        try:
            return cls(path.stem, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the prompt {path} cannot be read: {error}.", "Write it as text in UTF-8.") from error

    @property
    def named(self) -> frozenset[str]:
        """What it names."""
        try:
            return frozenset(meta.find_undeclared_variables(_SANDBOX.parse(self.text)))
        except TemplateError as error:
            raise UsageError(f"the prompt {self.name} is no Jinja2 template: {error}.") from error

    @property
    def messages(self) -> list[dict[str, str]]:
        """The templates of both messages."""
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": self.text}]

    @property
    def sha256(self) -> str:
        """The digest of both templates."""
        return json_digest(self.messages)

    def rendered(self, values: dict[str, Any]) -> list[dict[str, str]]:
        """Both messages, with these values; a UsageError if the template cannot take them."""
        try:
            return [
                {**message, "content": _SANDBOX.from_string(message["content"]).render(values)}
                for message in self.messages
            ]
        except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise UsageError(f"the prompt {self.name} cannot be filled in: {type(error).__name__}: {error}.") from error


_SANDBOX = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


@dataclass(frozen=True)
class Settings:
    """What `--param` sets; only the first five change what is asked."""

    temperature: float = 1.0
    rows_per_request: int = 20
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    """How the endpoint is told the form of an answer."""
    max_tokens: int | None = None
    """Of one answer."""
    seeded: bool = True
    """Whether each request carries a seed."""
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

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Settings:
        """The settings that were given, and defaults for the others."""
        known = [one.name for one in dataclasses.fields(cls)]
        for name in params:
            if name not in known:
                raise UsageError(f"prompts have no parameter {name!r}. {closest(name, known)}")
        return cls(**params)

    @property
    def of_rows(self) -> dict[str, Any]:
        """Those that change what is asked."""
        asked = ("temperature", "rows_per_request", "structured", "max_tokens", "seeded")
        return {name: getattr(self, name) for name in asked}
