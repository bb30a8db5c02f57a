"""How an agent ends on an operator's word: it leaves the mesh (`ikto leave`), or takes its device down (`ikto down`).

    drain      peers are told not to start sessions with this node, and get time for that
    withdraw   the record is withdrawn, and NATS has acknowledged it; the lease goes with it
    remove     the device is deleted
    end        the agent ends with an exit code after which systemd does not start it again

If the record can't be withdrawn, the agent stays in the mesh as before. An agent that is killed in between joins again
at its next start, and `ikto leave` can be repeated, with or without an agent.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import structlog

from ikto_core.admin.leave_views import LeaveStep, LeaveView
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.device.reconciler import Reconciler
from ikto_core.errors import BackendError, IktoError, LeftMeshError
from ikto_core.roster.removal import remove_lease
from ikto_core.store.bucket import Bucket
from ikto_core.values.times import utc

ACKNOWLEDGED_WITHIN_S = 20.0
"""How long NATS may take to acknowledge that the record is withdrawn. Then the agent stays."""

TOLD_WITHIN_S = 5.0
"""How long the agent waits for the client that asked to see that all is done. It asks several times a second."""

LONGEST_DRAIN_S = 3600.0

log = structlog.get_logger(__name__)


class Departure:
    """Ends one agent; nothing happens before `begin`.

    Args:
        controller: Holds the claim.
        reconciler: Has the device.
        saved_claim: The state file.
        nats_failure: Returns why NATS is not connected; empty: it is, or nothing is known.

    """

    def __init__(
        self,
        controller: ClaimController,
        reconciler: Reconciler,
        saved_claim: SavedClaim,
        nats_failure: Callable[[], str],
    ) -> None:
        self._controller = controller
        self._reconciler = reconciler
        self._saved_claim = saved_claim
        self._nats_failure = nats_failure
        self._view = LeaveView(step=LeaveStep.NONE)
        self._withdraw = False
        self._drain_s = 0.0
        self._forget = False
        self._begun, self._told, self._lease_settled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def begin(self, *, withdraw: bool, drain_s: float = 0.0, forget: bool = False) -> LeaveView:
        """Begin to end the agent, unless that is under way; return how far it is.

        Args:
            withdraw: Leave the mesh; False: keep record and claim, and only remove the device.
            drain_s: How long peers get to end their sessions.
            forget: Forget the claim, so that a later start claims as if for the first time.

        Raises IktoError if it is under way in another way, or the drain is too long.

        """
        if not 0 <= drain_s <= LONGEST_DRAIN_S:
            raise IktoError(f"a drain takes 0 to {LONGEST_DRAIN_S:g} s, not {drain_s:g}")
        if self._begun.is_set():
            if (withdraw, forget) != (self._withdraw, self._forget):
                raise IktoError("the agent is ending already, in another way", hint="wait until it has ended")
            return self._view
        self._withdraw, self._drain_s, self._forget = withdraw, drain_s, forget
        self._move(_first_step(withdraw=withdraw, drain_s=drain_s))
        self._begun.set()
        return self._view

    def view(self) -> LeaveView:
        """Return how far it is, for the client that asked."""
        if self._view.step is LeaveStep.DONE:
            self._told.set()
        return self._view

    async def run(self) -> NoReturn:
        """Wait for `begin`, carry it out, and raise LeftMeshError; after a failure wait again."""
        while True:
            await self._begun.wait()
            if not self._withdraw or await self._withdrawn():
                await self._remove_device()
            self._begun.clear()

    async def withdraw_lease(self, bucket: Bucket) -> None:
        """Remove the lease of the record that was withdrawn, over a session with NATS."""
        leaving = self._controller.leaving
        await leaving.left.wait()
        if leaving.kv_key and (failure := await remove_lease(bucket.renewals(), leaving.kv_key)):
            log.info("lease not removed, which does no harm", error=failure)
        self._lease_settled.set()

    async def _withdrawn(self) -> bool:
        """Withdraw the record; return whether NATS has acknowledged that. If not, the node stays in the mesh."""
        leaving, why, hint = self._controller.leaving, "", ""
        await self._drain()
        self._move(LeaveStep.WITHDRAWING)
        leaving.request()
        with suppress(TimeoutError):
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
                await leaving.ended.wait()
                if leaving.left.is_set():
                    await self._lease_settled.wait()
        if leaving.left.is_set():
            return True
        if leaving.failure:
            why, hint = str(leaving.failure), leaving.failure.hint
        else:
            reason = self._nats_failure() or self._controller.recheck.failure
            why = f"NATS did not acknowledge within {ACKNOWLEDGED_WITHIN_S:g} s that the record is withdrawn"
            why += f": {reason}" if reason else ""
            hint = "try again when NATS answers; `ikto down` removes the device and keeps the record"
        self._controller.drain(draining=False)
        leaving.cancel()
        log.error("did not leave the mesh", error=why, hint=hint)
        self._view = LeaveView(step=LeaveStep.FAILED, failure=why, hint=hint)
        return False

    async def _drain(self) -> None:
        if self._drain_s:
            self._controller.drain(draining=True)
            await asyncio.sleep(self._drain_s)

    async def _remove_device(self) -> NoReturn:
        self._move(LeaveStep.REMOVING)
        failure = hint = ""
        try:
            await self._reconciler.delete_device()
        except BackendError as error:
            failure, hint = str(error), error.hint
            log.error("device not deleted", ifname=self._reconciler.ifname, error=failure, hint=hint)
        if self._forget:
            self._saved_claim.forget()
        self._view = LeaveView(step=LeaveStep.DONE, failure=failure or None, hint=hint or None)
        with suppress(TimeoutError):
            async with asyncio.timeout(TOLD_WITHIN_S):
                await self._told.wait()
        if self._withdraw:
            raise LeftMeshError("left the mesh, as `ikto leave` asked", hint="a start of the agent joins again")
        raise LeftMeshError("took the device down, as `ikto down` asked", hint="a start of the agent brings it back")

    def _move(self, step: LeaveStep) -> None:
        until = utc(time.time() + self._drain_s) if step is LeaveStep.DRAINING else None
        if step is not self._view.step:
            log.info("ending as asked", step=step.value)
        self._view = LeaveView(step=step, until=until)


def _first_step(*, withdraw: bool, drain_s: float) -> LeaveStep:
    if not withdraw:
        return LeaveStep.REMOVING
    return LeaveStep.DRAINING if drain_s else LeaveStep.WITHDRAWING
