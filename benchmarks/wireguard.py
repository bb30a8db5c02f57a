"""The backends on a device with 10,000 peers, compared with the program `wg`.

Measures in the current network namespace, which must not be in use otherwise: with the kernel's WireGuard if there
is one, as in the machine of tests/kernel/vm.sh, otherwise with a userspace one.
"""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from shutil import which

from benchmarks.findings import Finding, Target, at_most_times
from benchmarks.machines import EMULATED, NAMESPACE
from benchmarks.measures import Bench, Measure, SkippedError
from benchmarks.samples import Pair
from benchmarks.side_by_side import side_by_side, timed
from ikto_backends.netlink import open_netlink
from ikto_backends.wgtool import open_wgtool
from ikto_core.device.backend import Backend, BackendContext, read_peers
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey

SETTLE_S = 0.3  # after this time the kernel has freed the peers of a deleted device
DEVICE, REFERENCE_DEVICE = "ikto-bench0", "ikto-bench1"

Call = Callable[[], Awaitable[object]]


async def _measure(where: str, bench: Bench) -> Sequence[Finding]:
    """Measure the kernel's WireGuard if there is one, otherwise a userspace one. Deletes its devices."""
    if which("wg") is None:
        raise SkippedError("wg is not installed")
    context = BackendContext(ifname=DEVICE, state_dir=bench.directory)
    async with open_wgtool(context) as wgtool, open_netlink(context) as netlink:
        has_kernel = await has_kernel_wireguard(netlink)
        tried = _Backends(where, bench, netlink if has_kernel else wgtool)
        try:
            if not has_kernel:
                return [await tried.set_all(wgtool, "wgtool", None), await tried.read_one(wgtool, "wgtool")]
            return [
                await tried.set_all(netlink, "netlink", at_most_times(1.2)),
                *await tried.add_and_read(netlink, context),
                await tried.read_one(netlink, "netlink"),
                await tried.set_all(wgtool, "wgtool", at_most_times(1.3)),
                await tried.read_one(wgtool, "wgtool"),
            ]
        finally:
            for ifname in (DEVICE, REFERENCE_DEVICE):
                await tried.creator.delete(ifname)


async def has_kernel_wireguard(netlink: Backend) -> bool:
    """Return whether the kernel has WireGuard. Leaves DEVICE behind if it has."""
    try:
        await netlink.create(DEVICE)
    except BackendError:
        return False
    return True


class _Backends:
    """Backends on devices that `creator` makes, in a network namespace that the rows name."""

    def __init__(self, where: str, bench: Bench, creator: Backend) -> None:
        self.creator = creator
        self._where = where
        self._directory = bench.directory
        self._peers = bench.pick(10_000, 1_000)
        self._rounds = bench.pick(5, 3)
        self._added = bench.pick(26, 6)

    async def set_all(self, backend: Backend, name: str, target: Target | None) -> Finding:
        """Set all peers of a device without peers."""
        peers = tuple(map(_peer, range(1, self._peers + 1)))
        config = _config(self._directory, peers)

        async def recreate() -> None:
            for ifname in (DEVICE, REFERENCE_DEVICE):
                await self.creator.delete(ifname)
                await self.creator.create(ifname)
            await asyncio.sleep(SETTLE_S)

        pair = await side_by_side(
            timed(lambda: backend.apply(DEVICE, DevicePatch(peers=peers))),
            timed(lambda: _wg("setconf", REFERENCE_DEVICE, str(config))),
            rounds=self._rounds,
            before=recreate,
        )
        return self._finding(pair, f"{name}/set", f"{self._peers:,} peers set", "`wg setconf`", target)

    async def add_and_read(self, backend: Backend, context: BackendContext) -> Sequence[Finding]:
        """Add peers one by one; read the device with a new backend, whose cache is empty, and with a used one."""
        new_backend = backend

        async def open_new() -> None:
            nonlocal new_backend
            new_backend = await opened.enter_async_context(open_netlink(context))

        dump = timed(lambda: _wg("show", DEVICE, "dump"))
        patches, arguments = self._further_peers()
        one = await side_by_side(
            timed(lambda: backend.apply(DEVICE, next(patches))),
            timed(lambda: _wg("set", DEVICE, *next(arguments))),
            rounds=self._added,
        )
        async with AsyncExitStack() as opened:
            first = await side_by_side(
                timed(lambda: new_backend.read(DEVICE)), dump, rounds=self._rounds, before=open_new
            )
        again = await side_by_side(timed(lambda: backend.read(DEVICE)), dump, rounds=self._rounds)
        read, show = f"{self._peers:,} peers read", "`wg show dump`"
        return [
            self._finding(one, "netlink/add", f"one peer added to {self._peers:,}", "`wg set`", at_most_times(0.05)),
            self._finding(first, "netlink/read-first", f"{read}, first time", show, at_most_times(2)),
            self._finding(again, "netlink/read-again", f"{read} again", show, at_most_times(2)),
        ]

    def _further_peers(self) -> tuple[Iterator[DevicePatch], Iterator[Sequence[str]]]:
        """Return a patch of the backend and the arguments of `wg set` for each further peer."""
        more = [_peer(number) for number in range(self._peers + 1, self._peers + 1 + 2 * self._added)]
        return iter([DevicePatch(peers=(peer,)) for peer in more[::2]]), iter(map(_wg_arguments, more[1::2]))

    async def read_one(self, backend: Backend, name: str) -> Finding:
        """Read one peer of a device that has all of them, as is done while a new peer has no session."""
        key = frozenset({_peer(self._peers).public_key})
        pair = await side_by_side(
            timed(lambda: read_peers(backend, DEVICE, key)), timed(lambda: backend.read(DEVICE)), rounds=self._rounds
        )
        return self._finding(pair, f"{name}/read-one", f"one of {self._peers:,} peers read", "all of them", None)

    def _finding(self, pair: Pair, name: str, what: str, beside: str, target: Target | None) -> Finding:
        """Return the finding; `name` begins with the backend's."""
        said = f"{name.partition('/')[0]}: {what}"
        return pair.finding(f"{self._where}/{name}/{self._peers}", said, beside=beside, target=target)


async def _wg(*arguments: str) -> None:
    subprocess.run(["wg", *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: ASYNC221, S607 - quicker


def _peer(number: int) -> PeerPatch:
    """Return a peer typical of an Ikto mesh: a /48, an IPv4 endpoint, a keepalive."""
    return PeerPatch(
        public_key=PublicKey(number.to_bytes(32, "big")),
        create=True,
        allowed_ips=frozenset({Prefix.parse(f"fd10:{number:x}::/48")}),
        endpoint=Endpoint(f"198.18.{number >> 8}.{number & 255}", 51820),
        persistent_keepalive=25,
    )


def _config(directory: Path, peers: Iterable[PeerPatch]) -> Path:
    lines = [
        f"[Peer]\nPublicKey = {peer.public_key.text}\nAllowedIPs = {', '.join(map(str, peer.allowed_ips or ()))}\n"
        f"Endpoint = {peer.endpoint}\nPersistentKeepalive = {peer.persistent_keepalive}\n"
        for peer in peers
    ]
    path = directory / "peers.conf"
    path.write_text("".join(lines))
    return path


def _wg_arguments(peer: PeerPatch) -> tuple[str, ...]:
    allowed_ips = ",".join(map(str, peer.allowed_ips or ()))
    return ("peer", peer.public_key.text, "allowed-ips", allowed_ips, "endpoint", str(peer.endpoint),
            "persistent-keepalive", str(peer.persistent_keepalive))  # fmt: skip


MEASURES = (
    Measure("wireguard", "writing", partial(_measure, "namespace"), prefix=NAMESPACE),
    Measure("wireguard-emulated", "emulated", partial(_measure, "emulated"), prefix=EMULATED, timeout_s=3000),
)
