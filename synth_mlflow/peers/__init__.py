"""Stage 3's heavy generators that cannot share our environment: one adapter a file, run by the peer's own Python.

An adapter is a file of this folder, or of a third party's package in the entry-point group ``synth_mlflow.peers``,
that defines ``plugin``, a class that keeps the :class:`Peer` contract. ``generate NAME:MODEL --python PATH`` runs it in
the environment of that Python, where neither this package nor its requirements are installed: the file imports nothing
but the standard library when it is loaded, and the rest inside its functions. It is one file, and runs on Python 3.9.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol


class Peer(Protocol):
    """Makes rows with somebody else's package."""

    summary: ClassVar[str]
    """One line for `synth-mlflow list`."""
    setup: ClassVar[str]
    """The command that makes an environment for it."""
    packages: ClassVar[tuple[str, ...]]
    """The distributions whose versions are recorded where they are installed; the first one's is the generator's."""

    @staticmethod
    def build(members: Any, request: dict[str, Any]) -> Any:
        """The model that was asked for, with its parameters.

        Parameters
        ----------
        members : DataFrame
            Real rows, of the pandas that is installed there.
        request : dict
            ``model`` (what stood behind the colon), ``rows``, ``seed``, ``params``, ``target``, and ``kinds``: for each
            column integer, number, boolean, string or datetime. Python's, NumPy's and PyTorch's global randomness is
            seeded already.

        Raises
        ------
        LookupError, TypeError, ValueError
            If there is no such model, or it does not take the parameters; the user is told.
        """
        ...

    @staticmethod
    def make(model: Any, members: Any, request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Let the model learn from the real rows; a DataFrame of ``request["rows"]`` others, and JSON values for the
        record.
        """
        ...
