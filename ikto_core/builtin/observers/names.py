"""Select the peer names that are safe to write to a hosts file. Pure. Peers choose their names, perhaps maliciously."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from ikto_core.plugins import PeerFacts

DEFAULT_SUFFIX = "ikto.internal"
"""`internal` is reserved for private use (ICANN board, 29 July 2024): no public name ends with it."""

MAX_SUFFIX = 253 - 64  # characters: a name has at most 253, and a label with its dot 64

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

_WELL_KNOWN = """
    wpad isatap metadata instance-data gateway router proxy squid cache dns ns resolver ntp time dhcp
    puppet puppetmaster salt chef ansible foreman wsus pxe tftp
    registry docker-registry repo repos mirror apt yum pypi npm update updates download git jenkins
    radius tacacs ldap ldaps kdc kerberos krb5 sso auth login ca pki crl ocsp vault
    mail mailhost smtp relay imap pop autodiscover autoconfig mta-sts
    log logs loghost syslog statsd graphite influxdb prometheus grafana zabbix nagios monitor monitoring
    consul etcd zookeeper nats kafka rabbitmq redis memcached db database mysql postgres mongodb
    kubernetes kube-apiserver api backup nas nfs printer ipp ftp www web intranet hub host
"""

WELL_KNOWN = frozenset(_WELL_KNOWN.split())
"""Names without a dot that programs look up on their own, or by a well-known default, and whose owner they trust."""


class Naming(NamedTuple):
    """How a peer is called: LABEL.SUFFIX, and also LABEL alone if `short`."""

    suffix: str = DEFAULT_SUFFIX  # in lower case, without a dot before it
    short: bool = False

    def names(self, label: str) -> Iterator[str]:
        """Yield the names of the peer with this label."""
        yield f"{label}.{self.suffix}"
        if self.short:
            yield label


class Names(NamedTuple):
    """The names to write, and the refused ones with reasons."""

    addresses: Mapping[str, tuple[str, ...]]  # by name, in lower case
    refused: Mapping[str, str]  # the reason, by the peer's full name


def host_names(
    peers: Iterable[PeerFacts], naming: Naming, *, own_names: Collection[str], other_names: Collection[str]
) -> Names:
    """Return the names of each peer, with its addresses. The label is its name up to the first dot, in lower case.

    If several peers have a label, none of them gets it. A new peer can thereby take away another peer's name, but
    never receive traffic meant for that peer.

    Args:
        peers: The peers.
        naming: How peers are called.
        own_names: Names of this host and its NATS servers, in lower case.
        other_names: Names in the rest of the file, in lower case; they take precedence.

    """
    by_label: dict[str, list[PeerFacts]] = {}
    addresses, refused = {}, {}
    for peer in peers:
        if is_host_name(peer.name):
            by_label.setdefault(short_name(peer.name), []).append(peer)
        else:
            refused[peer.name] = "not a valid host name"
    for label, owners in by_label.items():
        if len(owners) > 1:
            refused |= {peer.name: f"{len(owners)} peers have the name {label!r}" for peer in owners}
            continue
        for name in naming.names(label):
            if reason := _refusal(name, own_names, other_names):
                refused[owners[0].name] = f"{name!r} {reason}"
            else:
                addresses[name] = owners[0].addresses
    return Names(addresses, refused)


def short_name(name: str) -> str:
    """Return a host's name up to the first dot, in lower case."""
    return name.partition(".")[0].lower()


def is_host_name(name: str) -> bool:
    """Return whether a text is a host name by RFC 1123."""
    return len(name) <= _MAX_CHARACTERS and _HOST_NAME.fullmatch(name) is not None


def _refusal(name: str, own_names: Collection[str], other_names: Collection[str]) -> str | None:
    """Return why a name must not be written; None if it may be."""
    if _NUMBER.fullmatch(name):
        return "may be taken for an address"
    if name in RESERVED or name in own_names:
        return "is reserved for this host or its NATS servers"
    if name in WELL_KNOWN:
        return "is looked up by programs, which trust its owner"
    if name in other_names:
        return "is already in the rest of the file"
    return None
