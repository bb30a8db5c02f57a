"""Gathers what this agent and its host know about the way to one peer, and has it diagnosed."""

import time
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from ikto_core import __version__
from ikto_core.admin.why_views import Diagnosis
from ikto_core.agent.device_reading import read_device
from ikto_core.agent.inspecting import inspected, plan_of, sent_again
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.device.bounded_backend import BoundedBackend
from ikto_core.device.model import DeviceState, PeerState
from ikto_core.device.reconciler import Reconciler
from ikto_core.diagnosis.chain import diagnose
from ikto_core.diagnosis.device_facts import candidates, device_facts, tunnel_path, with_agents_view
from ikto_core.diagnosis.facts import (
    AgentFacts,
    ClaimFacts,
    ClaimStatus,
    Facts,
    NatsFacts,
    NatsFault,
    OtherSide,
    RecordFacts,
)
from ikto_core.diagnosis.knowledge import others, own_node, peers, removed_peers
from ikto_core.diagnosis.target import find
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.errors import BucketMissingError, NatsDeniedError
from ikto_core.store.connection import Connection
from ikto_core.underlay.daemon_thread import DaemonThread
from ikto_core.underlay.inspection import Plan
from ikto_core.values.keys import PublicKey

AskOtherSide = Callable[[PublicKey], Awaitable[OtherSide]]


async def nobody_asks(_: PublicKey) -> OtherSide:
    """Return that the other side can't be asked."""
    return OtherSide()


class Inquiry:
    """Answers `why`. One inspection at a time.

    Args:
        node: This node, as configured.
        controller: Its claim.
        saved_claim: The claim on disk.
        desired_state: The view of the mesh.
        reconciler: What was written to the device.
        connection: The connection to NATS.
        backend: Reads the device.
        snapshot_writer: Has the time of the snapshot.
        ask_other_side: Returns what a peer's agent says of this node. Takes seconds at most, and never fails.
        netns: The device's network namespace; empty: that of this process.

    `agent_state` returns the agent's state in one word.

    """

    def __init__(
        self,
        node: LocalNode,
        *,
        controller: ClaimController,
        saved_claim: SavedClaim,
        desired_state: DesiredState,
        reconciler: Reconciler,
        connection: Connection,
        backend: BoundedBackend,
        snapshot_writer: SnapshotWriter,
        ask_other_side: AskOtherSide = nobody_asks,
        netns: str = "",
    ) -> None:
        self.agent_state: Callable[[], str] = lambda: "running"
        self._node = node
        self._controller = controller
        self._saved_claim = saved_claim
        self._desired_state = desired_state
        self._reconciler = reconciler
        self._connection = connection
        self._backend = backend
        self._snapshot_writer = snapshot_writer
        self._ask_other_side = ask_other_side
        self._netns = netns
        self._thread = DaemonThread("inspection")

    async def why(self, target: str, *, probe: bool = True) -> Diagnosis:
        """Return why a target is reachable or not; with `probe`, packets are sent, which takes up to half a minute."""
        device, unread = await read_device(self._backend, self._node.ifname)
        record = self._find(target, device)
        key = PublicKey.parse(record.public_key) if record.public_key else None
        peer = self._desired_state.view.peers.get(key) if key else None
        facts = Facts(
            target=target,
            now=time.time(),
            agent=AgentFacts(detail=f"{self.agent_state()}, {__version__}"),
            nats=self._nats(),
            record=record,
            claim=self._claim(),
            device=with_agents_view(
                device_facts(self._node.ifname, device, key, peer.allowed_ips if peer else (), unread=unread),
                failure=self._reconciler.failure,
                hint=self._reconciler.hint,
                synced_revision=self._reconciler.shown_revision,
                stalled=key in self._reconciler.stalled,
                kicks=self._reconciler.kicks_of(key) if key else 0,
            ),
        )
        in_use = facts.device.peer.endpoint if facts.device.peer else None
        facts = replace(facts, candidates=candidates(peer.endpoints if peer else (), in_use, self._node.mesh))
        source, fwmark = self._reconciler.private_address, self._node.fwmark
        if probe and key and facts.is_peer and facts.device.peer:
            plan = plan_of(facts, netns=self._netns, fwmark=fwmark, source=source)
            facts = await inspected(facts, plan, self._thread, lambda: self._read_peer(key))
            facts = replace(facts, other_side=await self._other_side(key, facts, plan))
        return diagnose(facts, tunnel_path(facts, netns=self._netns, fwmark=fwmark, source=source))

    def _find(self, target: str, device: DeviceState | None) -> RecordFacts:
        on_device = device.peers if device else {}
        pending = self._reconciler.pending_removals & on_device.keys()
        view, table, record = self._desired_state.view, self._controller.follower.table, self._controller.record
        known = [
            own_node(record, self._node.name, view.rules.own_key),
            *peers(view, table, self._desired_state.held_peers(), checked=True),
            *others(view, table, record.key if record else None),
            *removed_peers({key: on_device[key].allowed_ips for key in pending}),
        ]
        return find(target, known, self._node.mesh)

    async def _read_peer(self, key: PublicKey) -> PeerState | None:
        device, _ = await read_device(self._backend, self._node.ifname)
        return device.peers.get(key) if device else None

    async def _other_side(self, key: PublicKey, facts: Facts, plan: Plan) -> OtherSide:
        """Ask the peer's agent; if nothing gets through to this node, once more after something was sent."""
        first = await self._ask_other_side(key)
        if facts.acknowledged or not (first.answers and first.has_peer):
            return first
        await sent_again(plan, self._thread)
        second = await self._ask_other_side(key)
        growth = second.rx_bytes - first.rx_bytes
        return replace(second, rx_growth=growth) if second.answers and growth >= 0 else first

    def _nats(self) -> NatsFacts:
        connection, recheck, follower = self._connection, self._controller.recheck, self._controller.follower
        failure = connection.failure or recheck.failure
        kind = fault_of(connection.error or recheck.error) if failure else NatsFault.NONE
        if not failure and not connection.server:
            kind = NatsFault.UNREACHABLE
        latest, from_snapshot = self._snapshot_writer.latest, self._desired_state.is_snapshot
        return NatsFacts(
            fault=kind,
            detail=failure or connection.server or "not connected yet",
            hint=(connection.hint or recheck.hint) if failure else "",
            known_until=latest.saved_at if latest else None,
            from_snapshot=from_snapshot,
            read=latest is not None if from_snapshot else follower.revision > 0,
            revision=follower.revision or None,
        )

    def _claim(self) -> ClaimFacts:
        subnet, address = self._desired_state.subnet, self._reconciler.private_address
        if subnet:
            return ClaimFacts(subnet=str(subnet), address=address)
        if self._saved_claim.is_released:
            return ClaimFacts(status=ClaimStatus.LOST, reason="another node has it, and there is no other to claim yet")
        return ClaimFacts(status=ClaimStatus.NONE, reason=self._controller.recheck.failure)


def fault_of(error: Exception | None) -> NatsFault:
    """Return what an error of NATS says about the bucket."""
    if isinstance(error, NatsDeniedError):
        return NatsFault.DENIED
    return NatsFault.BUCKET_MISSING if isinstance(error, BucketMissingError) else NatsFault.UNREACHABLE
