"""`python -m benchmarks`: measure everything and write RESULTS.md."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median

from benchmarks import first_contact, mesh_answers
from benchmarks.machines import wireguard
from benchmarks.notice import notice
from benchmarks.report import Finding, write
from benchmarks.trust import first_syncs
from ikto_backends.fake import FakeHost
from ikto_core.device.model import DeviceSpec
from ikto_core.device.reconciler import Reconciler
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.mesh.settings import MeshSettings
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import NatsSettings
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey

PEERS = 10_000


def main() -> None:
    """Run all benchmarks, write RESULTS.md and print it."""
    with tempfile.TemporaryDirectory(prefix="ikto-bench-") as directory, running_server(Path(directory)) as server:
        findings = [*asyncio.run(_with_nats(server)), asyncio.run(_one_more_peer()), _help()]
    findings += mesh_answers.measure()
    device_findings, notes = wireguard()
    sys.stdout.write(
        write([*findings, *device_findings, *first_contact.measure()], [*notes, mesh_answers.NOTE, first_contact.NOTE])
    )


async def _with_nats(server: NatsServer) -> list[Finding]:
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        for name in ("notice", "walk"):
            await create_bucket(Bucket(session, name), MeshSettings("fd10::/16", 48), replicas=1, memory=False)
    return [await notice(server, "notice"), await _walk(server), *await first_syncs(server)]


async def _walk(server: NatsServer) -> Finding:
    """Read a whole bucket: Ikto's read and fold, compared with nats-py's kv.watch of the same bucket."""
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        bucket = Bucket(session, "walk")
        for key, value in _records(PEERS).items():
            await session.client.publish(f"$KV.walk.{key}", value)
        await session.client.flush()
        ikto_s = []
        watch_s = []
        for _ in range(3):
            view = MeshView(_rules())
            follower = Follower(view.update, Random())
            started = time.perf_counter()
            await follower.resync(bucket)
            ikto_s.append(time.perf_counter() - started)
            kv = await session.client.jetstream().key_value("walk")
            started = time.perf_counter()
            watcher = await kv.watch("peers.*")
            while await watcher.updates(timeout=30) is not None:  # type: ignore[no-untyped-call]  # nats-py's
                pass
            watch_s.append(time.perf_counter() - started)
            await watcher.stop()  # type: ignore[no-untyped-call]  # as above
    return Finding(
        what=f"first read of {PEERS:,} records, folded into the view",
        ikto=f"{median(ikto_s):.2f} s",
        reference=f"kv.watch alone: {median(watch_s):.2f} s",
        ratio=median(ikto_s) / median(watch_s),
        target="",
    )


async def _one_more_peer() -> Finding:
    """Add one peer to a device in memory that has 10,000 peers, compared with one that has ten."""
    many_s, few_s = await _time_to_add_peer(PEERS), await _time_to_add_peer(10)
    return Finding(
        what=f"one peer added to {PEERS:,}: from record to written device",
        ikto=f"{many_s * 1000:.2f} ms",
        reference=f"added to ten: {few_s * 1000:.2f} ms",
        ratio=many_s / few_s,
        target="about 1",
    )


async def _time_to_add_peer(peers: int) -> float:
    view = MeshView(_rules())
    records = _records(peers + 100)
    async with FakeHost().open() as backend:
        reconciler = Reconciler(backend, "wg0")
        entries = {key: Entry(number, value) for number, (key, value) in enumerate(records.items(), 1)}
        new = [entries.popitem() for _ in range(100)]
        view.update(entries)
        reconciler.set_target(
            DeviceSpec(private_key=PrivateKey.generate(), listen_port=51820, addresses=frozenset(), peers={}),
            view.peers,
            peers,
        )
        await reconciler.reconcile()
        times = []
        for key, entry in new:
            started = time.perf_counter()
            reconciler.mark_changed(view.update({key: entry}), entry.revision)
            await reconciler.reconcile()
            times.append(time.perf_counter() - started)
    return median(times)


def _help() -> Finding:
    """Time `ikto --help`, compared with an empty Python program."""
    help_s = _median_time(lambda: _run("-m", "ikto_core", "--help"))
    empty_s = _median_time(lambda: _run("-c", "pass"))
    return Finding(
        what="`ikto --help`",
        ikto=f"{help_s:.2f} s",
        reference=f"`python -c pass`: {empty_s:.2f} s",
        ratio=help_s / empty_s,
        target="< 0.2 s",
    )


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def _median_time(call: Callable[[], None]) -> float:
    """Return the median duration of ten calls, in seconds."""
    times = []
    for _ in range(10):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times)


def _rules() -> MeshRules:
    return MeshRules(cidr=Prefix.parse("fd10::/16"), subnet_prefix=48, own_key=PrivateKey.generate().public())


def _records(count: int) -> dict[str, bytes]:
    """Return the records of `count` peers by KV key."""
    return {
        record_key(allowed_ip): encode_record(
            PeerRecord(
                name=f"node-{number}",
                public_key=PublicKey(number.to_bytes(32, "big")),
                advertise_address="192.0.2.1",
                allowed_ip=allowed_ip,
                wg_port=51820,
            )
        )
        for number in range(1, count + 1)
        for allowed_ip in [f"fd10:{number:x}::/48"]
    }


if __name__ == "__main__":
    main()
