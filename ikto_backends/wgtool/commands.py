"""Builds the `wg` commands that write a patch. Pure.

Two commands write peers. `wg addconf` replaces the allowed IPs of each peer in its input, so it is used for exactly
the patches that replace them. `wg set` leaves unchanged what its arguments don't name, so it is used for the others.
Both create a peer that is absent. Secret keys are passed on standard input, never as arguments.
"""

from collections.abc import Iterable, Iterator, Set
from itertools import groupby
from typing import NamedTuple, TypeVar

from ikto_core.plugins import (
    DevicePatch,
    PeerPatch,
    PublicKey,
    endpoint_text,
    peer_section,
)

T = TypeVar("T")
BATCH = 500  # peers in the arguments of one command: about 50 KiB; more would hold the kernel's lock for longer


class Command(NamedTuple):
    """A program, its arguments, and its standard input. Secrets are passed on standard input only."""

    argv: tuple[str, ...]
    stdin: Iterable[str] = ()  # in pieces, each built just before it is written


def interface_commands(ifname: str, patch: DevicePatch) -> Iterator[Command]:
    """Yield the command that sets the private key, listen port and fwmark; none if the patch names none of them."""
    lines = {
        "PrivateKey": None if patch.private_key is None else patch.private_key.text,
        "ListenPort": patch.listen_port,
        "FwMark": patch.fwmark,
    }
    named = [f"{name} = {value}\n" for name, value in lines.items() if value is not None]
    if named:
        yield _addconf(ifname, ["[Interface]\n", *named])


def applicable(patches: Iterable[PeerPatch], present: Set[PublicKey]) -> list[PeerPatch]:
    """Return the patches without updates of peers that are neither present nor created by an earlier patch."""
    peers_then, applied = set(present), []
    for patch in patches:
        if patch.create or patch.public_key in peers_then:
            peers_then.add(patch.public_key)
            applied.append(patch)
    return applied


def peer_commands(ifname: str, patches: Iterable[PeerPatch]) -> Iterator[Command]:
    """Yield the commands that write the peers in order. They create absent peers."""
    for replaces, group in groupby(patches, key=lambda patch: patch.allowed_ips is not None):
        if replaces:
            yield _addconf(ifname, map(peer_section, list(group)))
        else:
            yield from _set(ifname, list(group))


def removal_commands(ifname: str, peers: Set[PublicKey]) -> Iterator[Command]:
    """Yield the commands that remove the peers. Removing an absent peer has no effect."""
    for batch in _batches(sorted(peers)):
        yield Command(("wg", "set", ifname, *(word for key in batch for word in ("peer", key.text, "remove"))))


def _addconf(ifname: str, sections: Iterable[str]) -> Command:
    return Command(("wg", "addconf", ifname, "/dev/stdin"), sections)


def _set(ifname: str, patches: list[PeerPatch]) -> Iterator[Command]:
    """Yield `wg set` commands for many peers each, and one command for each preshared key: it needs standard input."""
    plain = [patch for patch in patches if patch.preshared_key is None]
    for batch in _batches(plain):
        yield Command(("wg", "set", ifname, *(word for patch in batch for word in _set_arguments(patch))))
    for patch in patches:
        if patch.preshared_key is not None:
            words = (*_set_arguments(patch), "preshared-key", "/dev/stdin")
            yield Command(("wg", "set", ifname, *words), (f"{patch.preshared_key.text}\n",))


def _set_arguments(patch: PeerPatch) -> Iterator[str]:
    yield from ("peer", patch.public_key.text)
    if patch.endpoint is not None:
        yield from ("endpoint", endpoint_text(patch.public_key, patch.endpoint))
    if patch.persistent_keepalive is not None:
        yield from ("persistent-keepalive", str(patch.persistent_keepalive))


def _batches(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
