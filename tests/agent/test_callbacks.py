"""What passes on the device are reported as: only when there is something new."""

from collections import UserDict
from collections.abc import ItemsView
from pathlib import Path

from msgspec.structs import replace

from ikto_core.agent.callbacks import DeviceCallbacks
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.observers.health import PeerUnreachable
from ikto_core.observers.journal import Journal
from ikto_core.testing.devices import public_key_of
from ikto_core.underlay.handshake_probe import Prober
from ikto_core.values.keys import PublicKey
from tests.device.reconciling import record
from tests.nodes import Node, put, until_addressed


class Counted(UserDict[PublicKey, str]):
    """Unreachable peers; counts how often all of them are looked at."""

    looks = 0

    def items(self) -> ItemsView[PublicKey, str]:
        self.looks += 1
        return super().items()


async def test_unreachable_peers_are_looked_at_once_after_they_were_read_not_after_each_pass(tmp_path: Path) -> None:
    """New peers without a session are looked at ten times a second, each time in a pass of its own."""
    bucket = MemoryBucket()
    put(bucket, replace(record(3), allowed_ip="10.0.0.32/28"))
    async with Node(bucket, tmp_path).running() as node:
        journal = Journal()
        prober = Prober(lambda: None, "")
        DeviceCallbacks(
            node.controller,
            node.desired_state,
            node.reconciler,
            prober=prober,
            event_hub=node.event_hub,
            journal=journal,
        ).connect()
        await until_addressed(node)
        found = node.reconciler._passes.unreachable = Counted({public_key_of(3): "no answer"})
        for _ in range(5):
            await node.reconciler.reconcile()
        assert found.looks == 1
        assert [type(entry.event) for entry in journal.after(0)] == [PeerUnreachable]
