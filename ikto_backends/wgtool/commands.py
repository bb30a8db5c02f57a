"""What to run so that a patch is written, and no more. Pure.

Two commands write peers, each with a trap. `wg addconf` replaces a named peer's allowed IPs by those of its section,
so it is used exactly where the patch replaces them. `wg set` leaves alone what it does not name, so it does the rest.
Both make a peer that is absent. Keys that are secret go through standard input, never through arguments.
"""

from collections.abc import Iterable, Iterator, Set
from itertools import groupby
from typing import TypeVar

from ikto_backends.wgtool.link import check_ifname
from ikto_backends.wgtool.programs import Command
from ikto_backends.wgtool.sections import endpoint_text, section
from ikto_core.plugins import BackendError, DevicePatch, PeerPatch, PublicKey

T = TypeVar("T")
BATCH = 500  # peers in the arguments of one call: about 50 KiB, and a short while of the kernel's lock

_LIMITS = {"listen_port": 0xFFFF, "fwmark": 0xFFFF_FFFF, "mtu": 0x7FFF_FFFF}


def check_patch(ifname: str, patch: DevicePatch) -> None:
    """Refuse a name and numbers that no device takes, with BackendError: `wg` cuts a port of 70000 down to 4464."""
    check_ifname(ifname)
    for member, limit in _LIMITS.items():
        value = getattr(patch, member)
        if value is not None and not 0 <= value <= limit:
            raise BackendError(f"{ifname}: {member} {value} is not 0 to {limit}")
    for peer in patch.peers:
        if (keepalive_s := peer.persistent_keepalive) is not None and not 0 <= keepalive_s <= 0xFFFF:
            raise BackendError(f"{ifname}: persistent_keepalive {keepalive_s} is not 0 to {0xFFFF}")
        if (endpoint := peer.endpoint) is not None and not 1 <= endpoint[1] <= 0xFFFF:
            raise BackendError(f"{ifname}: the endpoint {endpoint} has a port that is not 1 to 65535")


def interface_commands(ifname: str, patch: DevicePatch) -> Iterator[Command]:
    """Yield what sets the device's own key, port and mark; nothing if the patch names none of them."""
    lines = {
        "PrivateKey": None if patch.private_key is None else patch.private_key.text,
        "ListenPort": patch.listen_port,
        "FwMark": patch.fwmark,
    }
    named = [f"{name} = {value}\n" for name, value in lines.items() if value is not None]
    if named:
        yield _addconf(ifname, ["[Interface]\n", *named])


def applicable(patches: Iterable[PeerPatch], present: Set[PublicKey]) -> list[PeerPatch]:
    """Return the patches without those that would update a peer which is absent by then."""
    known, kept = set(present), []
    for patch in patches:
        if patch.create or patch.public_key in known:
            known.add(patch.public_key)
            kept.append(patch)
    return kept


def peer_commands(ifname: str, patches: Iterable[PeerPatch]) -> Iterator[Command]:
    """Yield what writes the peers, in their order; whichever is absent is made."""
    for replaces, group in groupby(patches, key=lambda patch: patch.allowed_ips is not None):
        if replaces:
            yield _addconf(ifname, map(section, list(group)))
        else:
            yield from _set(ifname, list(group))


def removal_commands(ifname: str, peers: Set[PublicKey]) -> Iterator[Command]:
    """Yield what removes the peers; an absent one stays absent."""
    for batch in _batches(sorted(peers)):
        yield Command(("wg", "set", ifname, *(word for key in batch for word in ("peer", key.text, "remove"))))


def _addconf(ifname: str, sections: Iterable[str]) -> Command:
    return Command(("wg", "addconf", ifname, "/dev/stdin"), sections)


def _set(ifname: str, patches: list[PeerPatch]) -> Iterator[Command]:
    """Yield calls of `wg set`: many peers each, but for a preshared key one, for there is one standard input."""
    plain = [patch for patch in patches if patch.preshared_key is None]
    for batch in _batches(plain):
        yield Command(("wg", "set", ifname, *(word for patch in batch for word in _words(patch))))
    for patch in patches:
        if patch.preshared_key is not None:
            words = (*_words(patch), "preshared-key", "/dev/stdin")
            yield Command(("wg", "set", ifname, *words), (f"{patch.preshared_key.text}\n",))


def _words(patch: PeerPatch) -> Iterator[str]:
    yield from ("peer", patch.public_key.text)
    if patch.endpoint is not None:
        yield from ("endpoint", endpoint_text(patch.public_key, patch.endpoint))
    if patch.persistent_keepalive is not None:
        yield from ("persistent-keepalive", str(patch.persistent_keepalive))


def _batches(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
