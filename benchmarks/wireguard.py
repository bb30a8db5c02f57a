"""`python -m benchmarks.wireguard`: what a device of 10,000 peers costs our backends, beside the program `wg`.

Measured in the network namespace that it is run in, which nobody else should use: inside the machine of
tests/kernel/vm.sh on the kernel's WireGuard, elsewhere on a userspace one. The last line it prints holds the findings.
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
from ikto_core.device.backend import Backend, BackendContext
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey

PEERS, ROUNDS, ADDED = 10_000, 8, 26
SETTLED_S = 0.3  # by then the kernel has freed the peers of a device that was deleted
OURS, BESIDE = "ikto-bench0", "ikto-bench1"

Call = Callable[[], Awaitable[object]]


async def measure(directory: Path) -> list[Finding]:
    """Measure the kernel's WireGuard, if there is one, else a userspace one; leave no device behind."""
    context = BackendContext(ifname=OURS, state_dir=directory)
    async with open_wgtool(context) as wgtool, open_netlink(context) as netlink:
        kernel = await _kernel(netlink)
        maker = netlink if kernel else wgtool
        try:
            if not kernel:
                return [await _set(wgtool, maker, "wgtool", directory, "")]
            return [
                await _set(netlink, maker, "netlink", directory, "≤ 1.2"),
                *await _beside_many(netlink, context),
                await _set(wgtool, maker, "wgtool", directory, "≤ 1.3"),
            ]
        finally:
            for ifname in (OURS, BESIDE):
                await maker.delete(ifname)


async def _kernel(backend: Backend) -> bool:
    try:
        await backend.create(OURS)
    except BackendError:
        return False
    return True


async def _set(backend: Backend, maker: Backend, name: str, directory: Path, wanted: str) -> Finding:
    """Set all peers of a device that has none; `maker` makes the devices."""
    peers = tuple(map(_peer, range(1, PEERS + 1)))
    config = _config(directory, peers)

    async def anew() -> None:
        for ifname in (OURS, BESIDE):
            await maker.delete(ifname)
            await maker.create(ifname)

    ours_s, beside_s = await _side_by_side(
        lambda: backend.apply(OURS, DevicePatch(peers=peers)),
        lambda: _wg("setconf", BESIDE, str(config)),
        before=anew,
    )
    return finding(f"{name}: {PEERS:,} peers set", ours_s, "`wg setconf` of them", beside_s, wanted)


async def _beside_many(backend: Backend, context: BackendContext) -> list[Finding]:
    """Read a device, by a backend that has not seen it before and by one that has; and add peers to it, one by one."""
    stranger = backend

    async def another() -> None:
        nonlocal stranger
        stranger = await opened.enter_async_context(open_netlink(context))

    def dump() -> Awaitable[None]:
        return _wg("show", OURS, "dump")

    more = [_peer(number) for number in range(PEERS + 1, PEERS + 1 + 2 * ADDED)]
    patches, words = iter([DevicePatch(peers=(peer,)) for peer in more[::2]]), iter(map(_words, more[1::2]))
    one_s, wg_set_s = await _side_by_side(
        lambda: backend.apply(OURS, next(patches)),
        lambda: _wg("set", OURS, *next(words)),
        rounds=ADDED,
    )
    async with AsyncExitStack() as opened:
        first_s, dump_s = await _side_by_side(lambda: stranger.read(OURS), dump, before=another)
    again_s, dump_again_s = await _side_by_side(lambda: backend.read(OURS), dump)
    return [
        finding(f"netlink: one peer added beside {PEERS:,}", one_s, "`wg set`", wg_set_s, "≤ 0.05"),
        finding(f"netlink: {PEERS:,} peers read, first time", first_s, "`wg show dump`", dump_s, "≤ 2"),
        finding(f"netlink: {PEERS:,} peers read again", again_s, "`wg show dump`", dump_again_s, "≤ 2"),
    ]


async def _side_by_side(
    ours: Call, other: Call, *, rounds: int = ROUNDS, before: Call | None = None
) -> tuple[float, float]:
    """Return the median time of each, measured by turns; each goes first every other round."""
    took: tuple[list[float], list[float]] = [], []
    in_turn = list(zip(took, (ours, other), strict=True))
    for _ in range(rounds):
        if before:
            await before()
            await asyncio.sleep(SETTLED_S)
        for times, call in in_turn:
            started = time.perf_counter()
            await call()
            times.append(time.perf_counter() - started)
        in_turn.reverse()
    return median(took[0]), median(took[1])


async def _wg(*arguments: str) -> None:
    subprocess.run(["wg", *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: ASYNC221, S607 - quicker


def _peer(number: int) -> PeerPatch:
    """Return a peer as Ikto's meshes have them: a /48, an IPv4 endpoint, a keepalive."""
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


def _words(peer: PeerPatch) -> tuple[str, ...]:
    allowed_ips = ",".join(map(str, peer.allowed_ips or ()))
    return ("peer", peer.public_key.text, "allowed-ips", allowed_ips, "endpoint", str(peer.endpoint),
            "persistent-keepalive", str(peer.persistent_keepalive))  # fmt: skip


def main() -> None:
    """Measure, and print what was found as one line of JSON."""
    with tempfile.TemporaryDirectory(prefix="ikto-bench-") as directory:
        findings = asyncio.run(measure(Path(directory)))
    sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")


if __name__ == "__main__":
    main()
