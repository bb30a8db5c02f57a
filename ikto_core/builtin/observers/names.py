"""Select the peer names that are safe to write to a hosts file. Pure. Peers choose their names, perhaps maliciously."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from ikto_core.plugins import PeerFacts

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1123 section 2.1
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # resolvers take it for an IPv4 address: inet_aton(3)
_MAX_CHARACTERS = 253

RESERVED = frozenset(
    [
        "localhost",
        "localhost4",
        "localhost6",
        "loopback",
        "broadcasthost",
        "ip6-localhost",
        "ip6-loopback",
        "ip6-localnet",
        "ip6-mcastprefix",
        "ip6-allnodes",
        "ip6-allrouters",
    ]
)
"""Names that mean the local host on any system, and others from systems' default hosts files."""

DISCOVERY_NAMES = frozenset({"wpad", "isatap", "metadata", "gateway"})
"""Names that programs look up on their own, and whose owner they trust."""


class Names(NamedTuple):
    """The names to write, and the refused ones with reasons."""

    addresses: Mapping[str, tuple[str, ...]]  # by name, in lower case
    refused: Mapping[str, str]  # the reason, by the peer's full name


def host_names(peers: Iterable[PeerFacts], *, own_names: Collection[str], other_names: Collection[str]) -> Names:
    """Return the short name (up to the first dot) of each peer, with its addresses.

    If several peers have a name, none of them gets it. A new peer can thereby take away another peer's name, but never
    receive traffic meant for that peer.

    Args:
        peers: The peers.
        own_names: Names of this host and its NATS servers, in lower case.
        other_names: Names in the rest of the file, in lower case; they take precedence.

    """
    by_name: dict[str, list[PeerFacts]] = {}
    refused = {}
    for peer in peers:
        if reason := _refusal(peer.name, own_names, other_names):
            refused[peer.name] = reason
        else:
            by_name.setdefault(short_name(peer.name), []).append(peer)
    for name, owners in by_name.items():
        if len(owners) > 1:
            refused |= {peer.name: f"{len(owners)} peers have the name {name!r}" for peer in owners}
    return Names({name: owners[0].addresses for name, owners in by_name.items() if len(owners) == 1}, refused)


def short_name(name: str) -> str:
    """Return a host's name up to the first dot, in lower case."""
    return name.partition(".")[0].lower()


def _refusal(name: str, own_names: Collection[str], other_names: Collection[str]) -> str | None:
    """Return why a peer's name must not be written; None if it may be."""
    short = short_name(name)
    if len(name) > _MAX_CHARACTERS or not _HOST_NAME.fullmatch(name):
        return "not a valid host name"
    if _NUMBER.fullmatch(short):
        return "resolvers may take it for an address"
    if short in RESERVED or short in own_names:
        return "reserved for this host or its NATS servers"
    if short in DISCOVERY_NAMES:
        return "programs look up this name and trust its owner"
    if short in other_names:
        return "already in the rest of the file"
    return None
