"""`python -m benchmarks.wireguard`: the backends on a device with 10,000 peers, compared with the program `wg`.

It measures in the current network namespace, which must not be in use otherwise: with the kernel's WireGuard if there
is one, as in the machine of tests/kernel/vm.sh, otherwise with a userspace one. The last line of its output is the
findings as JSON.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.report import Finding, finding
from ikto_backends.netlink import open_netlink
from ikto_backends.wgtool import open_wgtool
from ikto_core.device.backend import Backend, BackendContext, read_peers
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey

PEERS, ROUNDS, ADDED = 10_000, 8, 26
SETTLE_S = 0.3  # after this time the kernel has freed the peers of a deleted device
DEVICE, REFERENCE_DEVICE = "ikto-bench0", "ikto-bench1"

Call = Callable[[], Awaitable[object]]


async def measure(directory: Path) -> list[Finding]:
    """Measure the kernel's WireGuard if there is one, otherwise a userspace one. Deletes its devices."""
    context = BackendContext(ifname=DEVICE, state_dir=directory)
    async with open_wgtool(context) as wgtool, open_netlink(context) as netlink:
        has_kernel = await _has_kernel_wireguard(netlink)
        creator = netlink if has_kernel else wgtool
        try:
            if not has_kernel:
                return [await _set_all(wgtool, creator, "wgtool", directory, ""), await _read_one(wgtool, "wgtool")]
            return [
                await _set_all(netlink, creator, "netlink", directory, "≤ 1.2"),
                *await _add_and_read(netlink, context),
                await _read_one(netlink, "netlink"),
                await _set_all(wgtool, creator, "wgtool", directory, "≤ 1.3"),
                await _read_one(wgtool, "wgtool"),
            ]
        finally:
            for ifname in (DEVICE, REFERENCE_DEVICE):
                await creator.delete(ifname)


async def _has_kernel_wireguard(backend: Backend) -> bool:
    try:
        await backend.create(DEVICE)
    except BackendError:
        return False
    return True


async def _set_all(backend: Backend, creator: Backend, name: str, directory: Path, target: str) -> Finding:
    """Set all peers of a device without peers; `creator` creates the devices."""
    peers = tuple(map(_peer, range(1, PEERS + 1)))
    config = _config(directory, peers)

    async def recreate() -> None:
        for ifname in (DEVICE, REFERENCE_DEVICE):
            await creator.delete(ifname)
            await creator.create(ifname)

    ikto_s, setconf_s = await _side_by_side(
        lambda: backend.apply(DEVICE, DevicePatch(peers=peers)),
        lambda: _wg("setconf", REFERENCE_DEVICE, str(config)),
        before=recreate,
    )
    return finding(f"{name}: {PEERS:,} peers set", ikto_s, "`wg setconf`", setconf_s, target)


async def _add_and_read(backend: Backend, context: BackendContext) -> list[Finding]:
    """Add peers one by one; read the device with a new backend, whose cache is empty, and with a used one."""
    new_backend = backend

    async def open_new() -> None:
        nonlocal new_backend
        new_backend = await opened.enter_async_context(open_netlink(context))

    def dump() -> Awaitable[None]:
        return _wg("show", DEVICE, "dump")

    more = [_peer(number) for number in range(PEERS + 1, PEERS + 1 + 2 * ADDED)]
    patches, arguments = iter([DevicePatch(peers=(peer,)) for peer in more[::2]]), iter(map(_wg_arguments, more[1::2]))
    one_s, wg_set_s = await _side_by_side(
        lambda: backend.apply(DEVICE, next(patches)),
        lambda: _wg("set", DEVICE, *next(arguments)),
        rounds=ADDED,
    )
    async with AsyncExitStack() as opened:
        first_s, dump_s = await _side_by_side(lambda: new_backend.read(DEVICE), dump, before=open_new)
    again_s, dump_again_s = await _side_by_side(lambda: backend.read(DEVICE), dump)
    return [
        finding(f"netlink: one peer added to {PEERS:,}", one_s, "`wg set`", wg_set_s, "≤ 0.05"),
        finding(f"netlink: {PEERS:,} peers read, first time", first_s, "`wg show dump`", dump_s, "≤ 2"),
        finding(f"netlink: {PEERS:,} peers read again", again_s, "`wg show dump`", dump_again_s, "≤ 2"),
    ]


async def _read_one(backend: Backend, name: str) -> Finding:
    """Read one peer of a device that has all of them, as is done while a new peer has no session."""
    key = frozenset({_peer(PEERS).public_key})
    one_s, read_s = await _side_by_side(lambda: read_peers(backend, DEVICE, key), lambda: backend.read(DEVICE))
    return finding(f"{name}: one of {PEERS:,} peers read", one_s, "all of them", read_s, "")


async def _side_by_side(
    ikto: Call, reference: Call, *, rounds: int = ROUNDS, before: Call | None = None
) -> tuple[float, float]:
    """Return the median duration of each call. The calls alternate, and so does their order."""
    durations: tuple[list[float], list[float]] = [], []
    in_turn = list(zip(durations, (ikto, reference), strict=True))
    for _ in range(rounds):
        if before:
            await before()
            await asyncio.sleep(SETTLE_S)
        for times, call in in_turn:
            started = time.perf_counter()
            await call()
            times.append(time.perf_counter() - started)
        in_turn.reverse()
    return median(durations[0]), median(durations[1])


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


def main() -> None:
    """Measure, and print the findings as one line of JSON."""
    with tempfile.TemporaryDirectory(prefix="ikto-bench-") as directory:
        findings = asyncio.run(measure(Path(directory)))
    sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")


if __name__ == "__main__":
    main()
