"""A mesh to do harm to: what every device should show is computed from the bucket, and compared with the device."""

import itertools
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from ikto_backends.fake import load_device, state_file
from ikto_core.admin.views import AgentState
from ikto_core.device.model import DeviceState
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import PeerRecord, RecordError, decode_record, encode_record, record_key
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.store.bucket import Bucket
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey
from tests.agent_mesh import SETTINGS, Mesh, eventually, has_endpoints

IFNAME = "wg0"  # by default
LONGEST_BACKOFF_S = 30
PATIENCE_S = 75
"""What anything may take to be whole again: the longest back-off, and a check of the leader, and a slow machine."""


class Truth(NamedTuple):
    """What the bucket holds."""

    table: Mapping[str, Entry]
    revision: int


class FaultMesh(Mesh):
    """A mesh whose agents drive fake devices, which we can look at behind their backs."""

    def formed(self, count: int, **members: Any) -> list[AgentProcess]:
        """Start so many agents, and wait until they are a mesh and nothing is left to write."""
        for _ in range(count):
            self.agent(**members)
        self.assert_whole()
        for agent in self.agents:
            eventually(partial(has_endpoints, agent))
        return self.agents

    def truth(self) -> Truth:
        """Read the bucket, all of it."""
        return self.on_bucket(_read)

    def records(self) -> list[PeerRecord]:
        """Return every record that can be read."""
        found = []
        for key, entry in self.truth().table.items():
            with suppress(RecordError):
                found.append(decode_record(key, entry.value or b""))
        return found

    def assert_whole(self, *agents: AgentProcess, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the device of each of these (all that run) equals the bucket, at its latest revision.

        But for peers whose removal is held back by the brake, as after a wiped bucket.
        """
        eventually(partial(self._whole, agents), timeout_s=timeout_s)

    def assert_follows(self, *agents: AgentProcess, timeout_s: float = PATIENCE_S) -> None:
        """Write something new, and wait until each of these (all that run) shows it, and all the rest."""
        eventually(self.add_stranger, timeout_s=timeout_s)
        self.assert_whole(*agents, timeout_s=timeout_s)

    def add_stranger(self) -> str:
        """Write the record of a node that does not exist; return its key."""
        record = stranger()
        self.write(record.key, encode_record(record))
        return record.key

    def add_strangers(self, count: int) -> None:
        """Write so many at once."""

        async def put(bucket: Bucket) -> None:
            for _ in range(count):
                record = stranger()
                await bucket.put(record.key, encode_record(record), expected=0)

        self.on_bucket(put)

    def assert_nobody_removed(self, *agents: AgentProcess) -> None:
        """See to it that no device of these (all that run) has ever lost a peer since its agent was started."""
        for agent in agents or self.running():
            assert agent.admin.status().counters.reconcile.peers_removed == 0, agent.name

    def running(self) -> list[AgentProcess]:
        return [agent for agent in self.agents if agent.running]

    def _whole(self, agents: tuple[AgentProcess, ...]) -> bool:
        truth = self.truth()
        for agent in agents or self.running():
            status = agent.admin.status()
            assert status.state is AgentState.READY, f"{agent.name} is {status.state}: {status.nats.failure}"
            assert status.revision == truth.revision, f"{agent.name} shows {status.revision} of {truth.revision}"
            peers = {key: ips for key, ips in shown(agent).items() if key.text not in status.pending_removals}
            assert peers == expected(agent, truth), agent.name
        return True


def has_device(agent: AgentProcess) -> bool:
    """Whether an agent's host has the device."""
    return state_file(agent.directory / "state", IFNAME).exists()


def device(agent: AgentProcess) -> DeviceState:
    """Return an agent's device as its host has it, whatever the agent says; one without anything if it has none."""
    path = state_file(agent.directory / "state", IFNAME)
    return load_device(path) if path.exists() else DeviceState()


def subnet(agent: AgentProcess) -> Prefix | None:
    """Return the subnet that the agent's device uses."""
    found = [Prefix.of(address.packed, SETTINGS.subnet_prefix) for address in device(agent).addresses]
    return found[0] if found else None


Peers = dict[PublicKey, frozenset[Prefix]]


def shown(agent: AgentProcess) -> Peers:
    """Return the peers on an agent's device."""
    return {key: peer.allowed_ips for key, peer in device(agent).peers.items()}


def expected(agent: AgentProcess, truth: Truth) -> Peers:
    """Return the peers that the bucket says should be there."""
    rules = MeshRules(
        cidr=Prefix.parse(SETTINGS.mesh_cidr),
        subnet_prefix=SETTINGS.subnet_prefix,
        own_key=agent.public_key,
        own_subnet=subnet(agent),
    )
    view = MeshView(rules)
    view.update(truth.table)
    return {key: peer.allowed_ips for key, peer in view.peers.items()}


_strangers = itertools.count(0xF000)


def stranger(allowed_ip: str = "", *, key: PublicKey | None = None) -> PeerRecord:
    """Return the record of a node that does not exist."""
    allowed_ip = allowed_ip or f"fd10:{next(_strangers):x}::/48"
    return PeerRecord(
        name="stranger",
        public_key=key or PrivateKey.generate().public(),
        advertise_address="192.0.2.200",
        allowed_ip=allowed_ip,
        wg_port=51820,
    )


def own_key(agent: AgentProcess) -> str:
    """Return the KV key of an agent's record."""
    found = subnet(agent)
    assert found, f"{agent.name} has no address"
    return record_key(str(found))


async def _read(bucket: Bucket) -> Truth:
    revision = (await bucket.info()).last_revision
    table: dict[str, Entry] = {}
    start, complete = 1, False
    while not complete:
        page = await bucket.page(start)
        table |= {message.key: message.entry for message in page.messages}
        start, complete = max([start, *(m.revision + 1 for m in page.messages)]), page.complete
    return Truth(table, revision)
