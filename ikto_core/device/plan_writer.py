"""Carries out the plan of a pass: writes it, and records what the device shows then."""

import time
from collections.abc import Callable, Mapping

import msgspec
import structlog

from ikto_core.device.backend import Backend
from ikto_core.device.diff import drift, has_lost_peers, patched, restoration, summary
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.kicker import Kicker
from ikto_core.device.model import DevicePatch, DeviceSpec
from ikto_core.device.observations import Observations
from ikto_core.device.pass_schedule import Due
from ikto_core.device.plan import Plan
from ikto_core.device.slices import slices
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.counters import ReconcileCounters
from ikto_core.values.keys import PublicKey
from ikto_core.values.removal_brake import Brake

log = structlog.get_logger(__name__)


class Target(msgspec.Struct, frozen=True):
    """The desired state of a device."""

    base: DeviceSpec  # without its peers
    peers: Mapping[PublicKey, MeshPeer]  # may change in place, also during a pass: each change is reported
    restoring: bool = False  # it may be out of date: write only what the device has lost, see `diff.restoration`


class PlanWriter:
    """Writes to one device, and remembers which peers Ikto has put there. Every method raises BackendError."""

    def __init__(  # noqa: PLR0917 - the parts of a DevicePasses
        self,
        backend: Backend,
        ifname: str,
        brake: Brake[PublicKey],
        endpoints: EndpointTracker,
        kicker: Kicker,
        observed: Observations,
        stats: ReconcileCounters,
    ) -> None:
        self.own_peers: set[PublicKey] = set()  # peers that Ikto has put on the device
        self.next_keys: set[PublicKey] = set()  # those that the target has
        self.lost_peers = False  # while restoring: the device had no peers in the mesh
        self._backend = backend
        self._ifname = ifname
        self._brake = brake
        self._endpoints = endpoints
        self._kicker = kicker
        self._observed = observed
        self._stats = stats

    async def write(
        self, base: DevicePatch, plan: Plan, target: Target, due: Due, meanwhile: Callable[[], Due]
    ) -> None:
        """Write a plan, and `base`: the difference of all but the peers. Nothing is awaited before the write."""
        patch = msgspec.structs.replace(base, peers=plan.patches)
        shown = self._observed.shown.states
        if target.restoring:  # if the device still has peers in the mesh, they stay unchanged
            self.lost_peers = lost = self.lost_peers or has_lost_peers(target.base, shown.values())
            await self._apply(restoration(patch, peers_too=lost), plan, restored=not lost)
            return
        pending = frozenset(self._brake.pending)
        patch = msgspec.structs.replace(patch, remove_peers=self._limit_removals(plan))
        later = meanwhile()
        reported = due.expected or later.expected or self._endpoints.key_succession.changed
        if not reported and (repairs := drift(patch, pending | due.changed | later.changed)):
            self._stats.drift_repaired += 1
            log.warning("drift: changed outside Ikto", ifname=self._ifname, repairing=summary(repairs))
        self._observed.contacts.replaced(patch.remove_peers, plan.holders, shown, time.time())
        await self._apply(patch, plan)

    async def _apply(self, patch: DevicePatch, plan: Plan, *, restored: bool = False) -> None:
        """Write a patch, then record what the device shows and what was chosen.

        `restored`: the choices were not written, because the device has its peers still.
        """
        self.own_peers.update(plan.wanted)
        if patch:
            try:
                await self._backend.apply(self._ifname, patch)
            except BaseException:
                for written in patch.peers:
                    self._endpoints.write_failed(written.public_key)
                raise
        await self._record_judged(plan, restored=restored)
        await self._record_written(patch)
        if not restored:
            await self._record_taken(plan)
        for key in plan.left:
            self._endpoints.forget(key)

    async def _record_judged(self, plan: Plan, *, restored: bool) -> None:
        remember = self._endpoints.remember_restored if restored else self._endpoints.remember
        async for peer, choice, unchanged in plan.take_judged():
            self._kicker.note_draining(peer)
            if not peer.predecessor:
                self.next_keys.discard(peer.public_key)
            if choice:
                remember(peer.public_key, choice)
                if unchanged and not restored:
                    self._observed.settle(peer, choice)
        self.next_keys -= plan.left
        self.next_keys |= plan.next_keys

    async def _record_written(self, patch: DevicePatch) -> None:
        shown = self._observed.shown
        async for part in slices(patch.peers):
            new = [peer.public_key for peer in part if peer.public_key not in shown.states]
            self._observed.added(new, time.time())
            for peer in part:
                shown.set(peer.public_key, patched(shown.states.get(peer.public_key), peer))
        async for keys in slices(patch.remove_peers):
            for key in keys:
                self._observed.forget(key)
                self._endpoints.forget(key)
                self._kicker.removed(key)
        self.own_peers -= patch.remove_peers
        self._stats.peers_written += len(patch.peers)
        self._stats.peers_removed += len(patch.remove_peers)

    async def _record_taken(self, plan: Plan) -> None:
        """Record which prefixes have moved away from peers that the plan leaves on the device as they are."""
        shown = self._observed.shown
        async for keys in slices(plan.postponed | plan.left):
            for key in keys:
                state = shown.states.get(key)
                if state and (taken := plan.taken_from(state)):
                    shown.set(key, msgspec.structs.replace(state, allowed_ips=state.allowed_ips - taken))

    def _limit_removals(self, plan: Plan) -> frozenset[PublicKey]:
        """Return the peers to remove now; the removal of the others is pending.

        The removal of a peer whose prefixes all belong to other peers is not limited: its key was replaced. Nor is that
        of a peer that Ikto has put there and that has no prefix, such as a next key that was announced and never used.
        """
        shown = self._observed.shown.states
        unlimited = (key for key in plan.surplus if shown[key].allowed_ips or key in self.own_peers)
        replaced = frozenset(key for key in unlimited if shown[key].allowed_ips <= plan.holders.keys())
        return replaced | self._brake.admit(plan.surplus - replaced, present=len(shown), now=time.monotonic())
