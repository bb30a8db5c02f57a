"""Agents with the documented permissions, and one further node that has the same and attacks them."""

import json

from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.values.keys import PrivateKey, PublicKey
from tests.agent_mesh import Mesh, eventually
from tests.raw_nats import publish_raw

NODES = {"node-1": "fd10:1::/48", "node-2": "fd10:2::/48", "node-3": "fd10:3::/48", "attacker": "fd10:99::/48"}
ATTACKERS_LOGIN = {"user": "attacker", "pass": "secret"}
HEADER_BLOCKS = {
    "a status header": b"NATS/1.0\r\nStatus: 404\r\n\r\n",
    "no line end": b"NATS/1.0 \xff\xff__",
    "a status without a line end": b"NATS/1.0 204 __",
    "the key and revision of another": b"NATS/1.0\r\nNats-Subject: $KV.x\r\nNats-Sequence: 1\r\n\r\nX: y\r\n\r\n",
}


def permitted(bucket: str, name: str) -> str:
    """Return a user as docs/nats-users.md permits a node."""
    publish = [f"$KV.{bucket}.{record_key(NODES[name])}", f"$JS.API.STREAM.MSG.GET.KV_{bucket}"]
    publish += [
        f"$JS.API.STREAM.INFO.KV_{bucket}",
        f"$JS.API.DIRECT.GET.KV_{bucket}",
        f"$JS.API.DIRECT.GET.KV_{bucket}.>",
    ]
    permissions = {"publish": publish, "subscribe": [f"_INBOX_{name}.>", f"ikto.{bucket}.>"]}
    return json.dumps({"user": name, "password": "secret", "permissions": permissions})


class AttackedMesh(Mesh):
    """Agents with the documented permissions, and a client that has those of a further node."""

    def permitted_agent(self) -> AgentProcess:
        """Start the next node and wait until it has the others as peers."""
        return self.agent(nats_user=f"node-{len(self.agents) + 1}", nats_password="secret")

    def attack(self, operations: bytes) -> None:
        """Send operations as the attacker; the server has processed them when this returns."""
        publish_raw(self.server, operations, ATTACKERS_LOGIN)

    def write_own(self, header_block: bytes, value: bytes) -> None:
        """Write the attacker's own record with this header block."""
        sizes = len(header_block), len(header_block) + len(value)
        subject = f"$KV.{self.name}.{record_key(NODES['attacker'])}".encode()
        self.attack(b"HPUB %s %d %d\r\n%s%s\r\n" % (subject, *sizes, header_block, value))

    def have_answered(self, request: str, payload: bytes, reply: bytes, times: int = 1) -> None:
        """Have the server send its answer to a request to any subject."""
        head = b"PUB %s %s %d\r\n" % (request.encode(), reply, len(payload))
        self.attack((head + payload + b"\r\n") * times)


def attackers_record(*, next_public_key: PublicKey | None = None) -> bytes:
    """Return a record of the attacker with a new public key."""
    return encode_record(
        PeerRecord(
            name="attacker",
            public_key=PrivateKey.generate().public(),
            next_public_key=next_public_key,
            advertise_address="192.0.2.66",
            allowed_ip=NODES["attacker"],
            wg_port=51820,
        )
    )


def sessions(mesh: Mesh) -> list[int]:
    return [agent.admin.status().counters.connection.sessions for agent in mesh.agents]


def assert_all_follow_and_a_newcomer_joins(mesh: AttackedMesh) -> None:
    """Nobody was disconnected, a later write reaches every device, and a node that starts now does so too."""
    assert sessions(mesh) == [1, 1]
    newcomer = mesh.permitted_agent()

    def follow() -> bool:
        for agent in mesh.agents:
            status = agent.admin.status()
            assert status.device
            others = {str(other.public_key) for other in mesh.agents if other is not agent}
            assert others <= {peer.public_key for peer in status.device.peers}
            assert status.state.value == "ready"
        return True

    eventually(follow)
    assert newcomer.running
    assert sessions(mesh) == [1, 1, 1]
    assert not any("Traceback" in agent.log_text() for agent in mesh.agents)
