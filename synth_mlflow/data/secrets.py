"""Values of environment variables that look like secrets: never recorded, never shown."""

from __future__ import annotations

import os
import re

_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_LENGTH = 8  # shorter values stand in texts by chance


def known_secrets() -> dict[str, str]:
    """The values by the names of their variables."""
    return {name: value for name, value in os.environ.items() if _NAME.search(name) and len(value) >= _LENGTH}


def without_secrets(text: str) -> str:
    """A text with the name of its variable in place of each secret."""
    for name, value in known_secrets().items():
        text = text.replace(value, f"<{name}>")
    return text


def secret_in(text: str) -> str | None:
    """The variable whose value stands in a text; None if none does."""
    return next((name for name, value in known_secrets().items() if value in text), None)
