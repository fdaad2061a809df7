"""Who answers for what, and whether it still holds: sign-offs, approvals, retractions, verification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth_mlflow.later import later
from synth_mlflow.sweep.plan import BLAME_REPEATS
from synth_mlflow.workflow._project import SETTLES, OpenProject, Table, as_path, batch_id, reads, required_place, writes

if TYPE_CHECKING:
    from synth_mlflow.audit.blame import Blame, blame
    from synth_mlflow.audit.reproduce import Reproduction, reproduce
    from synth_mlflow.audit.retract import Retraction, retract
    from synth_mlflow.audit.sign import SignedOff, SignRequest, sign
    from synth_mlflow.audit.verify import Verification, verify
    from synth_mlflow.backends.batch_writer import user_name
    from synth_mlflow.queries.status import Repaired, repair
    from synth_mlflow.queries.watch import Watched, watch
    from synth_mlflow.stages.approve import Approved, ApproveRequest, approve
    from synth_mlflow.stages.sweep import sweep
    from synth_mlflow.stages.training_data import Batch
    from synth_mlflow.tracking.webhooks import subscribe, unsubscribe
else:  # so that each verb loads what it uses
    blame = later("synth_mlflow.audit.blame", "blame")
    reproduce = later("synth_mlflow.audit.reproduce", "reproduce")
    retract = later("synth_mlflow.audit.retract", "retract")
    SignRequest = later("synth_mlflow.audit.sign", "SignRequest")
    sign = later("synth_mlflow.audit.sign", "sign")
    verify = later("synth_mlflow.audit.verify", "verify")
    user_name = later("synth_mlflow.backends.batch_writer", "user_name")
    repair = later("synth_mlflow.queries.status", "repair")
    watch = later("synth_mlflow.queries.watch", "watch")
    ApproveRequest = later("synth_mlflow.stages.approve", "ApproveRequest")
    approve = later("synth_mlflow.stages.approve", "approve")
    sweep = later("synth_mlflow.stages.sweep", "sweep")
    subscribe = later("synth_mlflow.tracking.webhooks", "subscribe")
    unsubscribe = later("synth_mlflow.tracking.webhooks", "unsubscribe")


class EvidenceVerbs(OpenProject):
    """Who answers for what, and whether it still holds: sign-offs, approvals, retractions, verification."""

    @writes("sign")
    def sign(
        self,
        name: str,
        *,
        role: str,
        handoff: str | None = None,
        champion: bool = False,
        output: str | Path | None = None,
        sources: Sequence[Table] = (),
    ) -> SignedOff:
        """Stage 6: sign a handoff, by default the newest; see :func:`synth_mlflow.audit.sign.sign`.

        Parameters
        ----------
        name, role : str
            Who signs, and as what.
        handoff : str, optional
            The run id of the handoff.
        champion : bool
            Whether the model may go into production: its registered version gets the alias ``champion``.
        output : path, optional
            Where to write the document with everybody's signature: .html, .md or .json.
        sources : sequence of path
            Real rows that batches were learned from, where they are not the project's: before a champion every check
            is run again.
        """
        return sign(
            self.project,
            SignRequest(name, role, handoff, champion, as_path(output), tuple(map(required_place, sources))),
        )

    @writes("approve")
    def approve(
        self,
        what: Batch | str | None = None,
        *,
        name: str,
        mix: bool = False,
        by: str | None = None,
        role: str = "approver",
        webhook: str | None = None,
    ) -> Approved:
        """Approve a batch, or the mix of a sweep, as a version that others load by name.

        See :func:`synth_mlflow.stages.approve.approve`, :func:`synth_mlflow.load_batch` and
        :func:`synth_mlflow.load_mix`.

        Parameters
        ----------
        what : Batch or str, optional
            A batch, or the run id of a sweep; left out with ``mix=True`` for the newest sweep.
        mix : bool
            Whether the mix that the newest sweep has chosen is meant.
        name : str
            Under which others load it, as ``project/NAME@approved``.
        by, role : str
            Who approves, by default your user name, and as what.
        webhook : str, optional
            A URL, or ``env:VARIABLE``, that is called when a batch of any version of the name is retracted.
        """
        batch_id_or_none = None if what is None else batch_id(what)
        return approve(self.project, ApproveRequest(name, batch_id_or_none, mix, by, role, webhook))

    @writes(SETTLES)
    def repair(self) -> Repaired:
        """Mark runs of dead processes as KILLED, and let the database of a moved project name the files beside it.

        See :func:`synth_mlflow.queries.status.repair`.
        """
        return repair(self.project)

    @writes("retract")
    def retract(self, batch: Batch | str, *, reason: str, by: str | None = None) -> Retraction:
        """Take a batch back for good, by default in your user name; see
        :func:`synth_mlflow.audit.retract.retract`.

        Parameters
        ----------
        reason, by : str
            Why, and who says so; both are kept on the batch as a write-once parameter.
        batch : Batch or str
            The batch, or its short id or run id.
        """
        short_id = batch_id(batch)
        return retract(self.project, short_id, reason=reason, by=user_name() if by is None else by)

    @reads
    def watch(self, name: str) -> Watched:
        """Who has loaded the versions of an approved name; see :func:`synth_mlflow.queries.watch.watch`.

        Parameters
        ----------
        name : str
            Of approved data, without the project.
        """
        return watch(self.project, name)

    @writes("watch --webhook")
    def add_webhook(self, name: str, webhook: str) -> Watched:
        """Have a URL, or ``env:VARIABLE``, called when a batch of an approved name is retracted.

        See :mod:`synth_mlflow.tracking.webhooks`.

        Parameters
        ----------
        name : str
            Of approved data, without the project.
        webhook : str
            A URL, or ``env:VARIABLE`` for one that stays out of the server.
        """
        watch(self.project, name)  # refuses a name of nothing
        subscribe(self.project.server, self.project.problems()[0].run_id, name, webhook)
        return watch(self.project, name)

    @writes("watch --no-webhook")
    def remove_webhook(self, name: str, webhook: str) -> Watched:
        """Call a URL no longer.

        Parameters
        ----------
        name : str
            Of approved data, without the project.
        webhook : str
            As it was given.
        """
        unsubscribe(self.project.server, self.project.problems(), name, webhook)
        return watch(self.project, name)

    @writes("blame")
    def blame(
        self,
        model: str | None = None,
        *,
        ratio: float | None = None,
        batches: Sequence[Batch | str] = (),
        repeats: int = BLAME_REPEATS,
        data: Table | None = None,
        n_jobs: int = -1,
        allow_external: bool = False,
    ) -> Blame:
        """Which batch made a model worse; see :func:`synth_mlflow.audit.blame.blame`.

        Parameters
        ----------
        model : str, optional
            Its address, or the run of its sweep or handoff; by default the newest.
        ratio : float, optional
            The share of synthetic rows to look at; by default the model's own.
        batches : sequence of Batch or str
            The batches to leave out, each in turn; by default every one. Fewer suspects have more power.
        repeats : int
            Draws of the rows, the first of which are those of the sweep; more distinguish smaller harm from noise.
        n_jobs : int
            Fits at a time; -1 takes every core.
        allow_external : bool
            Whether the commands may run that the record of the model names.
        data : path, optional
            Where real rows that are kept by reference lie now.
        """
        batch_ids = [batch_id(batch) for batch in batches]
        with self._real_rows_in(data):
            return blame(
                self.project,
                model,
                ratio=ratio,
                batches=batch_ids,
                repeats=repeats,
                n_jobs=n_jobs,
                allow_external=allow_external,
            )

    @writes("reproduce")
    def reproduce(
        self,
        handoff: str = "newest",
        *,
        sources: Sequence[Table] = (),
        data: Table | None = None,
        allow_external: bool = False,
        python: str | Path | None = None,
        sweep: bool = False,
    ) -> Reproduction:
        """Make a handoff's batches and model again; see :func:`synth_mlflow.audit.reproduce.reproduce`.

        Parameters
        ----------
        handoff : str
            Its run id, ``newest`` or ``previous``.
        sources : sequence of path
            Real rows that batches were learned from and that the server does not hold; recognised by their digests.
        allow_external : bool
            Whether commands may run, services be called, and code be loaded that only a record names.
        python : path, optional
            The Python of the environment in which peers are installed.
        sweep : bool
            Whether the whole curve is measured again too.
        data : path, optional
            Where real rows that are kept by reference lie now.
        """
        files = [required_place(source) for source in sources]
        with self._real_rows_in(data):
            return reproduce(
                self.project,
                handoff,
                sources=files,
                allow_external=allow_external,
                python=None if python is None else str(python),
                sweep=sweep,
            )

    @reads
    def verify(self, run_id: str | None = None, *, deep: bool = False, sources: Sequence[Table] = ()) -> Verification:
        """Recompute every digest and verdict; see :func:`synth_mlflow.audit.verify.verify`.

        Parameters
        ----------
        run_id : str, optional
            One run, with everything under it; by default the whole project.
        deep : bool
            Run every check again.
        sources : sequence of Path
            Real rows that batches were learned from and that the server does not hold.
        """
        files = [required_place(source) for source in sources]
        return verify(self.project, run_id, rng=np.random.default_rng(), deep=deep, sources=files)
