"""How an operator names a node: one rule for every command. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

from ikto_core.values.addressing import Endpoint, Prefix, normalise_host, parse_address

SHORTEST_KEY = 4
"""Characters of the beginning of a public key that name a node."""

ELLIPSIS = "…"
"""Tables show the beginning of a key so."""

T = TypeVar("T")


class Handles(NamedTuple):
    """By what one node or record can be named."""

    public_key: str
    name: str
    subnets: tuple[Prefix, ...] = ()
    endpoints: tuple[str, ...] = ()  # HOST:PORT
    kv_key: str = ""


def select(text: str, known: Iterable[tuple[Handles, T]]) -> tuple[str, Sequence[T]]:
    """Return by what a text names something, such as `subnet`, and all that it names; `("", ())` if that is nothing.

    A whole public key or KV key comes before a subnet, an address of the mesh, an endpoint, a name, and the beginning
    of a key: a node may call itself by another one's address or key.
    """
    every = list(known)
    for how, found in _ways(text.strip().rstrip(ELLIPSIS), every):
        if found:
            return how, found
    return "", ()


def prefix_of(text: str) -> Prefix | None:
    """Return a subnet, or an address as one; None: it is neither."""
    with suppress(ValueError):
        if "/" in text:
            return Prefix.parse(text)
        packed = parse_address(text)
        return Prefix.of(packed, len(packed) * 8)
    return None


def _ways(text: str, known: Sequence[tuple[Handles, T]]) -> Iterator[tuple[str, list[T]]]:
    if not text:
        return
    wanted, host = prefix_of(text), _host(text)
    yield "public key", [one for by, one in known if by.public_key == text]
    yield "KV key", [one for by, one in known if by.kv_key == text]
    if wanted:
        yield "subnet", [one for by, one in known if wanted in by.subnets]
        yield "address", [one for by, one in known if any(subnet.covers(wanted) for subnet in by.subnets)]
    if host:
        yield "endpoint", [one for by, one in known if any(host in {e, _host_of(e)} for e in by.endpoints)]
    yield "name", [one for by, one in known if by.name == text]
    if len(text) >= SHORTEST_KEY:
        yield "public key", [one for by, one in known if by.public_key.startswith(text)]


def _host(text: str) -> str | None:
    """Return an endpoint, or the host of one, in the form that `Endpoint` prints."""
    with suppress(ValueError):
        return str(Endpoint.parse(text))
    with suppress(ValueError):
        return normalise_host(text)
    return None


def _host_of(endpoint: str) -> str:
    with suppress(ValueError):
        return Endpoint.parse(endpoint).host
    return ""
