"""The process of the caller: what this package needs there lasts while it works, and is as it was afterwards.

MLflow takes some settings from the process alone. They are made when a verb or a request begins, and taken back when
it ends; importing this package changes nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import mlflow.utils.autologging_utils as autologging

from synth_mlflow.data.sources.copies import Outermost, one_command

PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""MLflow retries a dead server for four minutes; these hold where the user has set nothing."""
QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}  # a bar a file, and a verb reads many
TRACEBACKS = "mlflow.store.db.utils"  # a logger that writes a traceback of what is raised anyway


def undisturbed() -> AbstractContextManager[None]:
    """Keep the caller's autologging away from our own fits, and MLflow from waiting for minutes.

    May be entered again inside itself, and by several threads at once: the first one in makes the settings, the last
    one out takes them back.
    """
    return _settings_made.entered()


@contextmanager
def one_verb() -> Iterator[None]:
    """A verb at work: undisturbed, and with one copy of every table that is elsewhere until it ends."""
    with undisturbed(), one_command():
        yield


def n_retries() -> int:
    """How often MLflow asks a server again."""
    name = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    return int(os.environ.get(name, PATIENCE[name]))


def _settings() -> Callable[[], None]:
    """Make the settings; what is returned takes them back."""
    stack = ExitStack()
    for name, value in (PATIENCE | QUIET).items():
        if name not in os.environ:
            os.environ[name] = value
            stack.callback(_unset, name, value)
    if not autologging._AUTOLOGGING_GLOBALLY_DISABLED:  # the context manager would switch on what the caller has off
        stack.enter_context(autologging.disable_autologging())
    logger = logging.getLogger(TRACEBACKS)
    stack.callback(logger.setLevel, logger.level)
    logger.setLevel(logging.CRITICAL)
    return stack.close


_settings_made = Outermost(_settings)


def _unset(name: str, ours: str) -> None:
    """Take a variable out of the environment, unless somebody has given it another value since."""
    if os.environ.get(name) == ours:
        del os.environ[name]
