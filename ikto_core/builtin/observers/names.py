"""Which names of peers may stand in a hosts file. Pure; names are chosen by others, who may mean harm."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from ikto_core.plugins import PeerFacts

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1123 section 2.1
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # which resolvers take for an IPv4 address: inet_aton(3)
_MOST_CHARACTERS = 253

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
"""Names of this host, wherever it is, and others that systems come with."""

LOOKED_FOR = frozenset({"wpad", "isatap", "metadata", "gateway"})
"""Names that programs look up by themselves, to obey whoever has them."""


class Names(NamedTuple):
    """The names that may be written, and why others may not."""

    addresses: Mapping[str, tuple[str, ...]]  # of each name, in lower case
    refused: Mapping[str, str]  # by what the peer calls itself: the reason


def host_names(peers: Iterable[PeerFacts], *, ours: Collection[str], others: Collection[str]) -> Names:
    """Return the short name (up to the first dot) of each peer, with its addresses.

    A name that two peers have is had by neither: who joins the mesh can take a name away then, but never get what is
    meant for another.

    Args:
        peers: The peers.
        ours: What this host and its NATS are called, in lower case.
        others: Names that the rest of the file gives, in lower case; its owner's word comes first.

    """
    called: dict[str, list[PeerFacts]] = {}
    refused = {}
    for peer in peers:
        if reason := _fault(peer.name, ours, others):
            refused[peer.name] = reason
        else:
            called.setdefault(short_name(peer.name), []).append(peer)
    for name, owners in called.items():
        if len(owners) > 1:
            refused |= {peer.name: f"{len(owners)} peers are called {name!r}" for peer in owners}
    return Names({name: owners[0].addresses for name, owners in called.items() if len(owners) == 1}, refused)


def short_name(name: str) -> str:
    """Return a host's name up to the first dot, in lower case."""
    return name.partition(".")[0].lower()


def _fault(name: str, ours: Collection[str], others: Collection[str]) -> str | None:
    """Return why a peer's name may not be written; None: it may."""
    short = short_name(name)
    if len(name) > _MOST_CHARACTERS or not _HOST_NAME.fullmatch(name):
        return "it is no host name"
    if _NUMBER.fullmatch(short):
        return "it may be taken for an address"
    if short in RESERVED or short in ours:
        return "it is this host's own, or its NATS's"
    if short in LOOKED_FOR:
        return "programs trust whoever is called so"
    if short in others:
        return "the rest of the file has it"
    return None
