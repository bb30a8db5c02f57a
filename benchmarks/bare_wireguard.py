"""A mesh set up by hand with `wg`, on wireguard-go: what Ikto's first contact and interruptions are compared with."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ikto_core.lab.conversation import conversation, first_answer_s
from ikto_core.lab.first_contact import wait_until
from ikto_core.lab.interruption import change_address
from ikto_core.lab.network import Host, network
from ikto_core.values.keys import PrivateKey

PORT = 51820
PATIENCE_S = 30.0
"""Handshakes that collide again and again can take minutes."""


class BareNode:
    """A host with a WireGuard device that is configured by hand."""

    def __init__(self, host: Host, number: int, directory: Path) -> None:
        self.host = host
        self.number = number
        self.address = f"fd10:{number}::1"
        self.ifname = f"bw{os.getpid()}x{number}"
        self.peers: list[BareNode] = []
        self._key_file = directory / f"key{number}"
        self.new_key()

    def new_key(self) -> None:
        """Draw a key; `write_key` gives it to the device."""
        key = PrivateKey.generate()
        self.key = key.public().text
        self._key_file.write_text(key.text)

    def write_key(self) -> None:
        """Give the device its key."""
        self._wg("private-key", str(self._key_file), "listen-port", str(PORT))

    def make(self) -> None:
        """Make the device, with its key and its peers, then give it its address."""
        self.host.run("wireguard-go", self.ifname)
        self.write_key()
        for peer in self.peers:
            self._write(peer)
        self.host.run("ip", "link", "set", self.ifname, "up")
        self.host.run("ip", "address", "add", f"{self.address}/16", "dev", self.ifname)

    def add(self, peer: "BareNode") -> None:
        """Add a peer."""
        self.peers.append(peer)
        self._write(peer)

    def replace_key_of(self, peer: "BareNode", old_key: str) -> None:
        """Write a peer with its new key instead of the old one."""
        self._wg("peer", old_key, "remove")
        self._write(peer)

    def _write(self, peer: "BareNode") -> None:
        network, endpoint = f"fd10:{peer.number}::/48", f"{peer.host.address}:{PORT}"
        self._wg("peer", peer.key, "allowed-ips", network, "endpoint", endpoint)

    def _wg(self, *arguments: str) -> None:
        self.host.run("wg", "set", self.ifname, *arguments)


@contextmanager
def bare_nodes(count: int, delay_s: float) -> Iterator[Sequence[BareNode]]:
    """Make hosts; the caller makes their devices."""
    with TemporaryDirectory() as directory, network(count, delay_s=delay_s) as (_, hosts):
        yield [BareNode(host, number, Path(directory)) for number, host in enumerate(hosts, 1)]


def bare_join(nodes: Sequence[BareNode]) -> Sequence[float | None]:
    """Have the last node join the others under traffic both ways.

    Returns the first answer of each new pair, in seconds since both nodes had the other as a peer; None: it had none
    within PATIENCE_S.
    """
    *others, new = nodes
    connect(others)
    with ExitStack() as stack:
        asked = {node: [new.address] if node is not new else [other.address for other in others] for node in nodes}
        talks = {node: stack.enter_context(conversation(node.host, asked[node])) for node in nodes}
        new.peers = list(others)
        new.make()
        known_at = {}
        for other in others:
            other.add(new)
            known_at[other] = time.time()
        wait_until(lambda: all(len(talks[node].questions) == len(asked[node]) for node in nodes), patience_s=PATIENCE_S)
        for talk in talks.values():
            talk.stop()
        return [
            first_answer_s(talks[source].questions.get(target.address, ()), known_at[other])
            for other in others
            for source, target in ((other, new), (new, other))
        ]


def connect(nodes: Sequence[BareNode]) -> None:
    """Make devices that have each other as peers."""
    for node in nodes:
        node.peers = [peer for peer in nodes if peer is not node]
        node.make()


def make_again(node: BareNode) -> float:
    """Delete a device and make it again."""
    node.host.run("ip", "link", "del", node.ifname)
    node.make()
    return time.time()


def renumber(node: BareNode) -> float:
    """Give a host another address."""
    change_address(node.host)
    return time.time()


def change_key(node: BareNode) -> float:
    """Give a device another key, then tell its peers."""
    old_key = node.key
    node.new_key()
    node.write_key()
    for peer in node.peers:
        peer.replace_key_of(node, old_key)
    return time.time()
