"""What passes on a device cost the event loop, and what one peer costs beside many.

The device is in memory and its calls run in a thread, so that the loop has nothing but the agent's work. Blocking is
measured in processor time of the loop's thread, which other programs do not lengthen.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import suppress

import msgspec

from benchmarks.findings import Finding, at_most, at_most_times
from benchmarks.measures import Bench, Measure
from benchmarks.side_by_side import own_processor_time, side_by_side
from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.model import DevicePatch, DeviceSpec, DeviceState, PeerState
from ikto_core.device.reconciler import Reconciler
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PrivateKey, PublicKey

SIZES = (10_000, 50_000)
NEW_PEERS = 200
WG = "wg0"
Step = Callable[[], Awaitable[object]]


class ThreadedBackend(FakeBackend):
    """A fake backend whose calls run in a thread, and whose reads build every peer anew, as those of real ones do."""

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the device, each peer an object of its own."""
        return await asyncio.to_thread(self._read, ifname)

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return some peers."""
        return await asyncio.to_thread(self._read_peers, ifname, keys)

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write a patch."""
        await asyncio.to_thread(self.host.apply, ifname, patch)

    def _read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        state = self._read(ifname)
        return {key: state.peers[key] for key in keys if key in state.peers} if state else {}

    def _read(self, ifname: str) -> DeviceState | None:
        state = self.host.device(ifname)
        peers = map(msgspec.structs.replace, state.peers.values()) if state else ()
        return state and msgspec.structs.replace(
            state, peers={PublicKey(bytes(bytearray(p.public_key))): p for p in peers}
        )


class Mesh:
    """A view of so many peers, and a reconciler that shows it on a device. Every peer has two endpoints to try."""

    def __init__(self, peers: int) -> None:
        self.host = FakeHost()
        self.reconciler = Reconciler(ThreadedBackend(self.host), WG)
        own_key = PrivateKey.generate().public()
        self.view = MeshView(MeshRules(cidr=Prefix.parse("fd00::/8"), subnet_prefix=48, own_key=own_key))
        self.size = self.revision = peers
        records = enumerate(map(_record, range(peers)), 1)
        self.view.update({record.key: Entry(number, encode_record(record)) for number, record in records})
        base = DeviceSpec(private_key=PrivateKey.generate(), listen_port=51820, addresses=frozenset(), peers={})
        self.reconciler.set_target(base, self.view.on_device, peers)

    async def full_pass(self) -> None:
        """Read and compare the whole device."""
        self.reconciler.request_full_pass()
        await self.reconciler.reconcile()

    async def new_peer(self) -> None:
        """Take the record of one more peer, from its bytes to the device."""
        self.revision += 1
        record = _record(self.revision)
        touched = self.view.update({record.key: Entry(self.revision, encode_record(record))})
        self.reconciler.mark_changed(touched, self.revision)
        await self.reconciler.reconcile()

    def all_hear(self) -> None:
        """Let every peer have a handshake and some traffic."""
        now = time.time()
        for key in self.view.peers:
            self.host.handshake(WG, key, now)


async def longest_block_s(step: Step) -> float:
    """Return the longest time for which the event loop made no turn during a step, in processor time of its thread."""
    longest_s, ended = 0.0, asyncio.Event()

    async def probe() -> None:
        nonlocal longest_s
        before = time.thread_time()
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 0.001)
            before, longest_s = (now := time.thread_time()), max(longest_s, now - before)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(probe())
        await asyncio.sleep(0.01)
        await step()
        ended.set()
    return longest_s


async def _measure(bench: Bench) -> Sequence[Finding]:
    sizes = (1_000,) if bench.quick else SIZES
    return [found for peers in sizes for found in await _passes(peers)]


async def _passes(peers: int) -> Sequence[Finding]:
    """Measure passes on a device with so many peers."""
    mesh = Mesh(peers)
    findings = [await _blocking(peers, "first", "first pass, all are written", mesh.reconciler.reconcile)]
    await mesh.full_pass()
    findings += [await _blocking(peers, "unchanged", "full pass, nothing changed", mesh.full_pass)]
    mesh.all_hear()
    findings += [await _blocking(peers, "traffic", "full pass, all had traffic", mesh.full_pass)]
    mesh.reconciler._passes.kicker._contacts._contacts.clear()  # noqa: SLF001 - as after their first minute
    return [*findings, await _one_more(mesh)]


async def _blocking(peers: int, name: str, what: str, step: Step) -> Finding:
    gc.collect()
    gc.freeze()  # what the collector takes of fifty thousand records is none of the pass
    return Finding(
        name=f"pass-block/{name}/{peers}",
        what=f"{peers:,} peers, {what}: longest block of the event loop",
        unit="s",
        ikto=await longest_block_s(step),
        target=at_most(0.01),
    )


async def _one_more(mesh: Mesh) -> Finding:
    few = Mesh(10)
    await few.reconciler.reconcile()
    pair = await side_by_side(own_processor_time(mesh.new_peer), own_processor_time(few.new_peer), rounds=NEW_PEERS)
    return pair.finding(
        f"one-more-peer/{mesh.size}",
        f"one more peer beside {mesh.size:,}, from its record to the device: processor time",
        beside="beside ten",
        target=at_most_times(1.5),
    )


def _record(number: int) -> PeerRecord:
    return PeerRecord(
        name=f"node-{number}",
        public_key=PublicKey((number + 1).to_bytes(32, "big")),
        advertise_address="192.0.2.1",
        allowed_ip=str(Prefix(bytes([0xFD]) + number.to_bytes(5, "big") + bytes(10), 48)),
        wg_port=51820,
        endpoints=(Endpoint("192.0.2.1", 51820),),
    )


MEASURES = (Measure("passes", "passes", _measure),)
