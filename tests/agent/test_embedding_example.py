"""The example program of docs/embedding.md works."""

import asyncio
import runpy
from pathlib import Path

from ikto_core.disk.key_file import write_private_key
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.records import encode_record
from ikto_core.store.bucket import Bucket
from ikto_core.testing.devices import private_key_of
from tests.device.reconciling import record
from tests.nodes import until

EXAMPLE = Path(__file__).parents[2] / "examples" / "embedding" / "orchestrator.py"


async def test_it_prints_its_subnet_and_the_peers_that_join_and_leave(
    shared_server: NatsServer, bucket: Bucket, tmp_path: Path
) -> None:
    orchestrate = runpy.run_path(str(EXAMPLE))["orchestrate"]
    write_private_key(tmp_path / "key", private_key_of(1))
    settings = {
        "private_address": "fd10:1::1",
        "advertise_address": "192.0.2.1",
        "private_key_path": str(tmp_path / "key"),
        "state_dir": str(tmp_path),
        "nats_url": shared_server.url,
        "nats_kv": bucket.name,
        "backend": "fake",
    }
    peer = record(2)
    revision = await bucket.put(peer.key, encode_record(peer), expected=0)
    lines: list[str] = []
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(orchestrate(settings, lines.append, timeout_s=0))
        await until(lambda: len(lines) == 4)
        await bucket.put(peer.key, None, expected=revision)
        await until(lambda: len(lines) == 5)
        running.cancel()
    assert lines == [
        "VMs get addresses of fd10:1::/48",
        "VMs may start; not reached yet: ['node-2']",
        "other hosts: 1",
        "'node-2' has fd10:2::/48",
        "'node-2' is gone",
    ]
