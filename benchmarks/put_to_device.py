"""From the put of a record until its peer is on a WireGuard device: an agent, beside a subscriber that runs `wg set`.

Both are looked at in the same way, by running `wg show DEVICE peers` again and again. A put is seen by one of them
only, as each follows a bucket of its own.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from shutil import which

import msgspec

from benchmarks.findings import Finding, Target, at_most_times
from benchmarks.machines import EMULATED, NAMESPACE
from benchmarks.measures import Bench, Measure, SkippedError
from benchmarks.samples import Pair
from benchmarks.side_by_side import Measuring, side_by_side
from benchmarks.wireguard import DEVICE, has_kernel_wireguard
from ikto_backends.netlink import open_netlink
from ikto_core.device.backend import BackendContext
from ikto_core.lab.first_contact import status_of, wait_until
from ikto_core.lab.hosted import BUCKET, MESH, HostedMesh, HostedNode, hosted_mesh
from ikto_core.lab.network import Host, run
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.received import Received
from ikto_core.store.session import NatsSettings, Session
from ikto_core.values.keys import PrivateKey

SUBSCRIBED = "subscribed"
PATIENCE_S = 600.0 if "IKTO_TEST_VM" in os.environ else 60.0  # an emulated machine
QUOTED_S = {"netlink": 0.044, "wgtool": 0.0047}  # 0.3.0's, netlink in an emulated machine, wgtool on a host
_HERE = Host("", "127.0.0.1")


def _measure(where: str, backend: str, bench: Bench) -> Sequence[Finding]:
    if which("wg") is None:
        raise SkippedError("wg is not installed")
    make = _maker(bench.directory)
    config = {"advertise_address": "192.0.2.1"}
    with hosted_mesh(bench.directory, _HERE, [_HERE], [backend], config) as mesh:
        node = mesh.nodes[0]
        node.agent.start()
        wait_until(lambda: _ready(node), "the agent was not ready in time", patience_s=PATIENCE_S)
        run(*make)
        try:
            pair = asyncio.run(_delays(mesh, node, bench.pick(30, 6)))
        finally:
            run("ip", "link", "del", DEVICE)
    return list(_findings(f"{where}/{backend}/put-to-device", backend, pair))


def _ready(node: HostedNode) -> bool:
    status = status_of(node)
    return status is not None and status.ready


def _findings(name: str, backend: str, pair: Pair) -> Iterator[Finding]:
    what = f"{backend}: put of a record until the device has the peer"
    yield pair.finding(name, what, beside="subscriber that runs `wg set`")
    target: Target | None = at_most_times(1.2) if backend == "netlink" else None
    quoted = msgspec.structs.replace(pair.finding(f"{name}/0.3.0", what, beside="0.3.0", target=target))
    yield msgspec.structs.replace(quoted, reference=QUOTED_S[backend], quoted="2026-11")


def _maker(directory: Path) -> Sequence[str]:
    """Return the command that makes DEVICE: the kernel's if it has WireGuard."""

    async def kernel() -> bool:
        async with open_netlink(BackendContext(ifname=DEVICE, state_dir=directory)) as netlink:
            has_it = await has_kernel_wireguard(netlink)
            await netlink.delete(DEVICE)
            return has_it

    if asyncio.run(kernel()):
        return ("ip", "link", "add", "dev", DEVICE, "type", "wireguard")
    if which("wireguard-go") is None:
        raise SkippedError("the kernel has no WireGuard, and wireguard-go is not installed")
    return ("wireguard-go", DEVICE)


async def _delays(mesh: HostedMesh, node: HostedNode, rounds: int) -> Pair:
    settings = NatsSettings(servers=(mesh.server.url,))
    async with open_session(settings, Random()) as writer, open_session(settings, Random()) as reader:
        followed, subscribed = Bucket(writer, BUCKET), Bucket(writer, SUBSCRIBED)
        await create_bucket(subscribed, MESH, replicas=1, memory=False)
        await _subscribe(reader)
        numbers = iter(range(2, 2 + 2 * rounds))
        return await side_by_side(
            _put(followed, node.ifname, numbers), _put(subscribed, DEVICE, numbers), rounds=rounds
        )


async def _subscribe(session: Session) -> None:
    """Run `wg set` for each record that is pushed."""
    subscribed = Bucket(session, SUBSCRIBED)

    def receive(message: Received) -> None:
        record = msgspec.json.decode(subscribed.push(message).value or b"", type=dict[str, object])
        endpoint = f"{record['advertise_address']}:{record['wg_port']}"
        key, allowed_ip = str(record["public_key"]), str(record["allowed_ip"])
        run("wg", "set", DEVICE, "peer", key, "allowed-ips", allowed_ip, "endpoint", endpoint)

    await session.subscribe(subscribed.push_subject, receive)


def _put(bucket: Bucket, ifname: str, numbers: Iterator[int]) -> Measuring:
    """Return a call that puts a new record and returns the seconds until a device has its peer."""

    async def measure() -> float:
        record = _record(next(numbers))
        key = record.public_key.text.encode()
        began_s = time.perf_counter()
        await bucket.put(record.key, encode_record(record), expected=0)
        while key not in await asyncio.to_thread(_peers, ifname):  # in a thread: the subscriber lives in this process
            if time.perf_counter() - began_s > PATIENCE_S:
                raise TimeoutError(f"{ifname} did not get the peer within {PATIENCE_S:.0f} s")
        return time.perf_counter() - began_s

    return measure


def _peers(ifname: str) -> bytes:
    return subprocess.run(["wg", "show", ifname, "peers"], check=True, capture_output=True).stdout  # noqa: S607 - fixed


def _record(number: int) -> PeerRecord:
    return PeerRecord(
        name=f"node-{number}",
        public_key=PrivateKey(sha256(str(number).encode()).digest()).clamped().public(),
        advertise_address="192.0.2.2",
        allowed_ip=f"fd10:f:{number:x}::/48",
        wg_port=51820,
    )


MEASURES = (
    Measure("put-to-device", "writing", partial(_measure, "namespace", "wgtool"), prefix=NAMESPACE),
    *(
        Measure(
            f"put-to-device-{backend}-emulated",
            "emulated",
            partial(_measure, "emulated", backend),
            quick=False,
            prefix=EMULATED,
            timeout_s=1200,
        )
        for backend in ("netlink", "wgtool")
    ),
)
