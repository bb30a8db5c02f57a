"""What an agent's start costs with what it knew before, beside a start from nothing. The device stays, in memory."""

import asyncio
import gc
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.findings import Finding, at_most_times
from benchmarks.measures import Bench, Measure
from benchmarks.mesh_records import MESH, filled_bucket, private_key
from benchmarks.samples import Pair
from benchmarks.side_by_side import written_bytes
from ikto_backends.fake import FakeHost
from ikto_core.device.backend import BackendPlugin
from ikto_core.embedding import config_of, running_agent
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings

NAME, IFNAME = "restarted", "wg0"


class _Start(NamedTuple):
    """What a start cost until the claim was confirmed and the device showed the bucket."""

    wall_s: float
    processor_s: float
    from_server: float  # bytes


class _Node(NamedTuple):
    """What of an agent survives a restart."""

    number: int
    state_dir: Path
    host: FakeHost


async def _measure(bench: Bench) -> Sequence[Finding]:
    keys, rounds = bench.pick(10_600, 1_000), bench.pick(3, 2)
    warm, cold = list[_Start](), list[_Start]()
    with running_server(bench.directory / "nats") as server:
        async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
            await filled_bucket(session, NAME, keys)
            for number in range(rounds):
                node = _Node(number, bench.directory / f"state{number}", FakeHost())
                cold.append(await _start(server, node, keys))
                warm.append(await _start(server, node, keys))
    what = f"restart with {keys:,} keys"
    wanted = at_most_times(0.3)
    return [
        _pair(warm, cold, 0).finding(f"restart/{keys}", what, beside="first start", target=wanted),
        _pair(warm, cold, 1).finding(
            f"restart-processor/{keys}", f"{what}: processor time", beside="first start", statistic=min, target=wanted
        ),
        _pair(warm, cold, 2).finding(
            f"restart-bytes/{keys}", f"{what}: bytes from the server", unit="B", beside="first start", target=wanted
        ),
    ]


def _pair(warm: Sequence[_Start], cold: Sequence[_Start], member: int) -> Pair:
    return Pair([start[member] for start in warm], [start[member] for start in cold])


async def _start(server: NatsServer, node: _Node, keys: int) -> _Start:
    """Start an agent and stop it again: then it has saved its state."""
    config = config_of(
        name=f"agent-{node.number}",
        private_address=f"fd10:ffff:{node.number:x}00::1",
        subnet_prefix=MESH.subnet_prefix,
        advertise_address="192.0.2.2",
        nats_url=server.url,
        nats_kv=NAME,
        state_dir=str(node.state_dir),
        wg_dev_name=IFNAME,
    )
    backend = BackendPlugin(name="fake", summary="", open=node.host.open, host_devices=False)
    gc.collect()
    before = _Start(time.perf_counter(), time.process_time(), written_bytes(server.pid))
    async with running_agent(config, private_key=private_key(node.number), backend=backend) as agent:
        await agent.claimed()
        await agent.ready()
        after = _Start(time.perf_counter(), time.process_time(), written_bytes(server.pid))
        state = node.host.device(IFNAME)
        assert state
        assert len(state.peers) >= keys
        await asyncio.sleep(1)  # what was begun is done
    return _Start(*(now - then for now, then in zip(after, before, strict=True)))


MEASURES = (Measure("restart", "following", _measure),)
