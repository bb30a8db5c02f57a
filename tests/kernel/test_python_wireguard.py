"""A peer that python-wireguard runs, which knows nothing of Ikto, reaches an Ikto device and is reached."""

import sys
from functools import partial

import pytest

from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.values.keys import PrivateKey
from tests.e2e.conftest import eventually
from tests.netns.mesh import mesh

pytest.importorskip("python_wireguard", reason="python-wireguard is not installed", exc_type=ImportError)

OURS, THEIRS, PORT = "10.99.1.1", "10.99.2.1", 51900
V4 = {"nats_kv": "v4", "mesh_cidr": "10.99.0.0/16", "subnet_prefix": 24}

# Its allowed IPs have to be IPv4 addresses without a length, and it can't be told an endpoint: it waits to be called.
PEER = """
import sys
from python_wireguard import ClientConnection, Key, Server
private, address, port, their_key, their_address = sys.argv[1:]
server = Server("py0", Key(private), address, int(port))
server.enable()
server.add_client(ClientConnection(Key(their_key), their_address))  # it ends the process if it fails
"""

PUT = """
import asyncio, sys, nats
async def put(url, subject, value):
    connection = await nats.connect(url)
    await connection.jetstream().publish(subject, value.encode())
    await connection.close()
asyncio.run(put(*sys.argv[1:]))
"""


def test_a_peer_run_by_python_wireguard_is_reached_and_reaches_us() -> None:
    private_key = PrivateKey.generate()
    with mesh(["netlink", "none"], private_address=OURS, **V4) as made:
        node, host = made.nodes[0], made.nodes[1].host
        options = [f"--{name.replace('_', '-')}={value}" for name, value in V4.items()]
        made.hub.run(sys.executable, "-m", "ikto_core", "bucket", "create", "--nats-url", made.server.url, *options)
        made.start(node)
        key = str(node.agent.public_key)
        host.run(sys.executable, "-c", PEER, private_key.text, f"{THEIRS}/16", str(PORT), key, OURS)
        record = PeerRecord(
            name="python",
            public_key=private_key.public(),
            advertise_address=host.address,
            allowed_ip="10.99.2.0/24",
            wg_port=PORT,
        )
        subject = f"$KV.v4.{record.key}"
        made.hub.run(sys.executable, "-c", PUT, made.server.url, subject, encode_record(record).decode())
        eventually(partial(node.ready, peers=1))
        eventually(partial(node.host.reaches, THEIRS))
        assert host.reaches(OURS)
        assert list(node.handshakes()) == [str(private_key.public())]
        assert host.run("wg", "show", "py0", "latest-handshakes").split()[0] == key
