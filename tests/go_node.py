"""A node of Ikto 0.3.0 as far as its peers are concerned: how it follows the bucket, and what it tells WireGuard."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_interface, ip_network
from types import MappingProxyType
from typing import NamedTuple

import nats
from nats.errors import TimeoutError as NothingYetError

from ikto_core.store.interfaces import Message

NOTHING: Mapping[str, str] = MappingProxyType({})


class GoNode(NamedTuple):
    """The state after some messages of the bucket; `after` returns the next one.

    A record that can be read is a peer, whatever it names. A deletion removes the peer of the public key that the last
    readable record under the KV key named. An allowed IP belongs to the peer that got it last.
    """

    records: Mapping[str, str] = NOTHING  # the public key by KV key
    peers: frozenset[str] = frozenset()  # public keys on the device
    owner: Mapping[str, str] = NOTHING  # the public key by allowed IP

    def after(self, message: Message) -> "GoNode":
        """Return the state after a message."""
        if message.value is None:
            return self._without(message.key)
        try:
            record = json.loads(message.value)
            key, allowed_ip = record["public_key"], str(ip_interface(record["allowed_ip"]).network)
        except (ValueError, KeyError, TypeError):
            return self
        return GoNode({**self.records, message.key: key}, self.peers | {key}, {**self.owner, allowed_ip: key})

    def reaches(self, public_key: str, subnet: str) -> bool:
        """Return whether packets to a subnet go to the peer with this key."""
        return public_key in self.peers and self.owner.get(str(ip_network(subnet))) == public_key

    def _without(self, kv_key: str) -> "GoNode":
        gone = self.records.get(kv_key)
        records = {key: named for key, named in self.records.items() if key != kv_key}
        owner = {allowed_ip: key for allowed_ip, key in self.owner.items() if key != gone}
        return GoNode(records, self.peers - {gone} if gone else self.peers, owner)


class GoFollower:
    """A node of 0.3.0 on a real bucket: it watches `peers.*` through a consumer, as the program does.

    Args:
        url: Of the NATS server.
        bucket: The bucket's name.

    """

    def __init__(self, url: str, bucket: str) -> None:
        self.node = GoNode()
        self.revision = 0  # of the latest message seen
        self._url, self._bucket = url, bucket
        self._ended = threading.Event()

    async def run(self) -> None:
        """Follow until `end` is called."""
        client = await nats.connect(self._url)
        try:
            watcher = await (await client.jetstream().key_value(self._bucket)).watch("peers.*")
            while not self._ended.is_set():
                with suppress(NothingYetError):
                    if entry := await watcher.updates(timeout=0.2):  # type: ignore[no-untyped-call]
                        value = entry.value if entry.operation is None else None
                        self.node = self.node.after(Message(entry.key, entry.revision or 0, value, ""))
                        self.revision = entry.revision or 0
        finally:
            await client.close()

    def end(self) -> None:
        """End soon."""
        self._ended.set()


@contextmanager
def following_as_0_3_0(url: str, bucket: str) -> Iterator[GoFollower]:
    """Follow a real bucket in a thread within this context."""
    follower = GoFollower(url, bucket)
    thread = threading.Thread(target=lambda: asyncio.run(follower.run()))
    thread.start()
    try:
        yield follower
    finally:
        follower.end()
        thread.join()
