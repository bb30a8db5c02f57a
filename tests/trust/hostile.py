"""A mesh of agents in one of the worlds, and hostile nodes with nothing but the access that `ikto nats` printed."""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from msgspec.structs import replace

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import PeerRecord, decode_record, record_key
from ikto_core.mesh.rights import right_message
from ikto_core.store.permissions import ADMIN
from ikto_core.values.keys import PrivateKey
from ikto_core.values.nkeys import sign_nkey
from tests.agent_mesh import Mesh, eventually
from tests.raw_nats import publish_raw
from tests.trust.worlds import ATTACKER, AUTO, BUCKET, TRUST, User, World, subnet_of

VICTIM, OTHER, NEWCOMER = "node-1", "node-2", "node-3"
OWN_KEY = record_key(subnet_of(ATTACKER))


class HostileNode:
    """A NATS user that sends whatever bytes it likes, and has a WireGuard key for its records."""

    def __init__(self, world: World, server: NatsServer, user: User) -> None:
        self.key = PrivateKey.generate().clamped()
        self._subjects = world.subjects
        self._server = server
        self._user = user
        self._serials = itertools.count(time.time_ns() // 10**6)

    def record(self, allowed_ip: str, **members: object) -> PeerRecord:
        """Return a record of this node."""
        made = PeerRecord(
            name=self._user.name,
            public_key=self.key.public(),
            advertise_address="192.0.2.66",
            allowed_ip=allowed_ip,
            wg_port=51820,
        )
        return replace(made, **members)

    def value(self, record: PeerRecord, key: PrivateKey | None = None) -> bytes:
        """Return the value of a record as this node can sign it best: with its key and its NATS user."""
        key, jwt = key or self.key, self._user.jwt
        record = replace(record, public_key=key.public(), serial=next(self._serials), user_jwt=jwt)
        message = right_message(BUCKET, record.key, record.public_key, record.serial)
        signature = sign_nkey(self._user.seed, message) if jwt else b""
        return signed_value(record, key, BUCKET, bytes(64), signature)

    def write(self, value: bytes, key: str = OWN_KEY, headers: bytes = b"NATS/1.0\r\n\r\n", reply: bytes = b"") -> None:
        """Write under a KV key, by default that of the node with a fixed address."""
        subject = self._subjects.write(key).encode()
        sizes = len(headers), len(headers) + len(value)
        self._send(b"HPUB %s %s %d %d\r\n%s%s\r\n" % (subject, reply, *sizes, headers, value))

    def ask(self, verb: str, reply: bytes, payload: bytes = b"", times: int = 1) -> None:
        """Have the server send its answer to a request to any subject."""
        head = b"PUB %s %s %d\r\n" % (self._subjects.request(verb).encode(), reply, len(payload))
        self._send((head + payload + b"\r\n") * times)

    def have_own_record_sent(self, reply: bytes) -> None:
        """Have the server send this node's record to a subject."""
        last = json.dumps({"last_by_subj": self._subjects.stored_prefix + OWN_KEY}).encode()
        self.ask("DIRECT.GET", reply, last)

    def _send(self, operations: bytes) -> None:
        publish_raw(self._server, operations, self._user.connect)


class HostileMesh(Mesh):
    """Agents in a world with hostile nodes."""

    def __init__(
        self, world: World, server: NatsServer, directory: Path, stack: ExitStack, users: dict[str, User]
    ) -> None:
        super().__init__(server, directory, stack)
        self.world, self.name = world, BUCKET
        self._users = users
        self.login = users[ADMIN].settings(directory)
        self.attacker, self.auto = (HostileNode(world, server, users[name]) for name in (ATTACKER, AUTO))

    def next_agent(self) -> AgentProcess:
        """Start the next node."""
        login = self._users[f"node-{len(self.agents) + 1}"].settings(self._directory)
        return self.agent(record_trust=TRUST[self.world.trust], nats_api_prefix=self.world.api_prefix, **login)

    @property
    def victim(self) -> AgentProcess:
        return self.agents[0]

    @property
    def other(self) -> AgentProcess:
        return self.agents[1]

    def victims_value(self) -> bytes:
        """Return what the bucket has under the victim's KV key."""
        return self.read(subnet_of(VICTIM)) or b""

    def victims_record(self) -> PeerRecord:
        """Return the record under the victim's KV key."""
        return decode_record(record_key(subnet_of(VICTIM)), self.victims_value())

    def restart_victim(self) -> None:
        """Restart the victim, and wait until it has written its record again."""
        before = self.victims_value()
        self.victim.stop()
        self.victim.start()
        eventually(lambda: self.victims_value() != before)

    def replies(self, key: str) -> Iterator[bytes]:
        """Yield the subjects of a KV key, as the stream stores it and as nodes write it."""
        for subject in {self.world.subjects.stored_prefix + key, self.world.subjects.write(key)}:
            yield subject.encode()

    def revision(self) -> int:
        """Return the bucket's latest revision."""
        return self.on_bucket(lambda bucket: bucket.info()).last_revision

    def have_written(self, key: str, value: bytes) -> None:
        """Have the server write a KV key for the node that may not, or try to."""
        self.attacker.write(value)
        eventually(lambda: self.read(subnet_of(ATTACKER)) == value)
        for reply in self.replies(key):
            self.attacker.have_own_record_sent(reply)

    def rob(self, key: str, value: bytes) -> None:
        """Write a KV key: by way of the server, or where that is closed as the node that may write every record."""
        if self.world.has_deputy:
            self.have_written(key, value)
        else:
            self.auto.write(value, key)


def quarantine_reason(agent: AgentProcess, key: str, revision: int) -> str:
    """Return why an agent does not accept what a KV key got at this revision; wait until it says so."""

    def found() -> list[str]:
        return [q.reason for q in agent.admin.status().quarantined if q.key == key and q.revision >= revision]

    return eventually(found)[0]


def alarms(agent: AgentProcess) -> int:
    """Return how many writes over its record, or in its name, an agent has seen."""
    return agent.admin.status().counters.proof.alarms


def assert_unharmed_and_a_newcomer_joins(mesh: HostileMesh) -> None:
    """Nobody is harmed, and a node that starts now has all as peers.

    Its record follows what the attack wrote, so all have seen that when they have the newcomer.
    """
    mesh.next_agent()
    assert_unharmed(mesh)


def assert_unharmed(mesh: HostileMesh) -> None:
    """Nobody lost its address, its device or a peer, and nobody ended."""
    for status in eventually(lambda: _all_are_peers(mesh)):
        assert status.counters.reconcile.peers_removed == 0
        assert status.nats.failure is None
        assert status.pending_removals == ()
    for agent in mesh.agents:
        assert "releasing the address" not in agent.log_text()
        assert "Traceback" not in agent.log_text()


def _all_are_peers(mesh: HostileMesh) -> list[StatusView]:
    """Return the status of all agents; each has its address, and of each other the key with its subnet and endpoint."""
    statuses = [agent.admin.status() for agent in mesh.agents]
    for status in statuses:
        assert (status.state, status.allowed_ip) == (AgentState.READY, subnet_of(status.name))
        assert status.device
        assert status.device.addresses == (f"{status.private_address}/16",)
        peers = {peer.public_key: (peer.name, peer.allowed_ips, peer.endpoint) for peer in status.device.peers}
        for number, agent in enumerate(mesh.agents, start=1):
            if agent.name != status.name:
                expected = agent.name, (subnet_of(agent.name),), f"192.0.2.{number}:51820"
                assert peers.get(str(agent.public_key)) == expected
    for agent in mesh.agents:
        record = decode_record(record_key(subnet_of(agent.name)), mesh.read(subnet_of(agent.name)) or b"")
        assert record.public_key == agent.public_key
    return statuses
