"""Whether a stream may carry colours and live lines."""

from __future__ import annotations

import os
from typing import TextIO


def colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which colours were not turned off (``NO_COLOR``)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
