"""What problem.md says of columns and of the CSV file, where it is not found out rightly."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from synth_mlflow.data.schema import ColumnRule

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CsvFacts(_Strict):
    """How the CSV file is written, where it is not found out rightly."""

    separator: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = None
    encoding: Text | None = None

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                codecs.lookup(value)
            except LookupError as error:
                raise ValueError("is no encoding that Python knows") from error
        return value


class ColumnFacts(_Strict):
    """What a person says of one column."""

    role: Literal[
        "number", "category", "boolean", "datetime", "time of day", "duration", "text", "conversation", "identifier",
        "constant", "weight", "ignored",
    ] | None = None  # fmt: skip
    format: Text | None = None
    zone: Text | None = None
    first_year: Annotated[int, Field(ge=1000, le=3000)] | None = None
    missing: list[str] = []
    order: list[str] = []

    @field_validator("missing", "order", mode="before")
    @classmethod
    def _as_texts(cls, value: object) -> object:
        """Numbers that stand for missing values, or are categories, as YAML reads them."""
        if not isinstance(value, list):
            return value
        return [str(each) if type(each) in (int, float) else each for each in value]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.zone is not None and self.format is None:
            raise ValueError("has a `zone`, which needs the `format` that it belongs to")
        if self.first_year is not None and "%y" not in (self.format or ""):
            raise ValueError("has a `first_year`, which needs a `format` with years of two digits, `%y`")
        if self.order and self.role not in (None, "category"):
            raise ValueError(f"has an `order`, which a category has, not a {self.role}")
        return self

    @property
    def rule(self) -> ColumnRule:
        """As the schema takes it."""
        return ColumnRule(
            self.role, self.format, self.zone, tuple(self.missing), tuple(self.order), self.first_year or 0
        )
