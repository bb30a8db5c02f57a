"""What can be seen of the way to a peer if no agent runs: the bucket or the snapshot, the claim on disk, the device."""

import asyncio
import time
from collections.abc import Mapping
from random import SystemRandom

import msgspec
from msgspec.structs import replace

from ikto_core.admin.why_views import Diagnosis
from ikto_core.agent.from_config import backend_context, local_node, nats_settings
from ikto_core.agent.inquiry import fault_of
from ikto_core.agent.inspecting import inspected, plan_of
from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.config import Config
from ikto_core.device.model import DeviceState, PeerState
from ikto_core.diagnosis.chain import diagnose
from ikto_core.diagnosis.device_facts import candidates, device_facts, tunnel_path
from ikto_core.diagnosis.facts import (
    AgentFacts,
    ClaimFacts,
    ClaimStatus,
    DeviceFacts,
    Facts,
    NatsFacts,
    RecordFacts,
)
from ikto_core.diagnosis.knowledge import others, own_node, peers
from ikto_core.diagnosis.target import find
from ikto_core.disk.mesh_snapshot import SnapshotFile
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import BackendError, NatsError, PluginError
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.mesh.records import readable_record, record_key
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.plugins.loading import load_plugins
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.inbox import DEFAULT_INBOX
from ikto_core.store.reading_once import read_once
from ikto_core.underlay.daemon_thread import DaemonThread
from ikto_core.underlay.inspection import Plan
from ikto_core.values.keys import PublicKey

NATS_LIMIT_S = 10.0


class InquiryWithoutAgent:
    """One look at the node of a configuration.

    Args:
        config: Its settings. Raises ConfigError if there is no state directory.
        own_key: The device's public key.

    """

    def __init__(self, config: Config, own_key: PublicKey) -> None:
        self._config = config
        self._node: LocalNode = local_node(config)
        self._saved = SavedClaim(self._node, own_key, StateFile(config.state_path()))
        self._view = MeshView(self._node.rules(own_key))
        self._table: Mapping[str, Entry] = {}
        self._own_key = own_key

    async def why(self, target: str, agent: AgentFacts, *, probe: bool) -> Diagnosis:
        """Return why a target is reachable or not, as `Inquiry.why`; `agent` says why no agent answers."""
        nats = await self._read_mesh()
        claim = self._claim()
        if claim.status is ClaimStatus.HELD:
            address = self._saved.address or ""
            rules = msgspec.structs.replace(self._view.rules, own_subnet=self._node.subnet_of(address))
            self._view = MeshView(rules)
        self._view.update(self._table)
        record = self._find(target)
        key = PublicKey.parse(record.public_key) if record.public_key else None
        peer = self._view.peers.get(key) if key else None
        facts = Facts(target=target, now=time.time(), agent=agent, nats=nats, record=record, claim=claim)
        facts = await self._with_device(facts, key, peer, probe=probe)
        source = self._saved.address
        return diagnose(facts, tunnel_path(facts, netns=self._config.netns, fwmark=self._node.fwmark, source=source))

    async def _read_mesh(self) -> NatsFacts:
        """Read the bucket, or else the snapshot."""
        settings = msgspec.structs.replace(nats_settings(self._config, "why"), inbox=DEFAULT_INBOX)
        try:
            async with asyncio.timeout(NATS_LIMIT_S), open_session(settings, SystemRandom()) as session:
                follower = await read_once(Bucket(session, self._node.bucket))
                self._table = follower.table
                return NatsFacts(detail=f"connected to {session.server}", revision=follower.revision)
        except (NatsError, TimeoutError) as error:
            failure = error
        snapshot = SnapshotFile(self._config.state_path()).load()
        self._table = snapshot.entries if snapshot else {}
        return NatsFacts(
            fault=fault_of(failure),
            hint=failure.hint if isinstance(failure, NatsError) else "",
            detail=str(failure) or f"no answer within {NATS_LIMIT_S:g} s",
            known_until=snapshot.saved_at if snapshot else None,
            from_snapshot=snapshot is not None,
            read=snapshot is not None,
            revision=snapshot.revision if snapshot else None,
        )

    def _claim(self) -> ClaimFacts:
        address = self._saved.address or self._node.address
        subnet = self._node.subnet_of(address) if address else None
        if subnet and (holder := self._holder(record_key(str(subnet)))):
            return ClaimFacts(status=ClaimStatus.LOST, subnet=str(subnet), reason=f"{holder!r} holds it")
        if self._saved.address and not self._saved.is_released:
            return ClaimFacts(subnet=str(subnet), address=self._saved.address)
        return ClaimFacts(status=ClaimStatus.NONE, reason="the state directory has no claim")

    def _holder(self, kv_key: str) -> str | None:
        """Return the name in the record under a KV key if it is another node's; None: it is not."""
        entry = self._table.get(kv_key)
        record = readable_record(kv_key, entry.value) if entry else None
        own = {self._own_key, *self._saved.other_keys}
        return record.name or record.public_key.text if record and record.public_key not in own else None

    def _find(self, target: str) -> RecordFacts:
        own_kv_key = record_key(str(self._view.rules.own_subnet)) if self._view.rules.own_subnet else None
        known = [
            own_node(None, self._node.name, self._own_key),
            *peers(self._view, self._table, frozenset(), checked=False),
            *others(self._view, self._table, own_kv_key),
        ]
        return find(target, known, self._node.mesh)

    async def _with_device(self, facts: Facts, key: PublicKey | None, peer: MeshPeer | None, *, probe: bool) -> Facts:
        context = backend_context(self._config)
        try:
            plugins = load_plugins(blocked=self._config.blocked_plugins, settings=self._config.plugins)
            plugin = plugins.backend(self._config.backend)
            async with plugin.open(context) as backend:
                device = await backend.read(self._node.ifname)
                facts = self._facts(facts, device, key, peer)
                if not (probe and key and facts.is_peer and facts.device.peer):
                    return facts

                async def read() -> PeerState | None:
                    found = await backend.read(self._node.ifname)
                    return found.peers.get(key) if found and key else None

                return await inspected(facts, self._plan(facts), DaemonThread("inspection"), read)
        except (BackendError, PluginError) as error:
            device_now = DeviceFacts(ifname=self._node.ifname, exists=None, failure=str(error), hint=error.hint)
            return replace(facts, device=device_now)

    def _facts(self, facts: Facts, device: DeviceState | None, key: PublicKey | None, peer: MeshPeer | None) -> Facts:
        shown = device_facts(self._node.ifname, device, key, peer.allowed_ips if peer else ())
        in_use = shown.peer.endpoint if shown.peer else None
        tried = candidates(peer.endpoints if peer else (), in_use, self._node.mesh)
        return replace(facts, device=shown, candidates=tried)

    def _plan(self, facts: Facts) -> Plan:
        node = self._node
        return plan_of(facts, netns=self._config.netns, fwmark=node.fwmark, source=self._saved.address)
