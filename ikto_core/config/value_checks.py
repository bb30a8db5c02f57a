"""What a value must be beyond its type. A check raises ValueError, or BetterValueError with the right value."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from ikto_core.mesh.rights import Authority
from ikto_core.values.addressing import Endpoint, Prefix, parse_address

AUTO = "auto"
SHORTEST_LEASE_S, LONGEST_LEASE_S = 600, 30 * 86400
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
NATS_SCHEMES = ("nats", "tls", "ws", "wss")


class BetterValueError(ValueError):
    """The value is wrong, but shows what was meant. The error's text is the value to give instead."""


def split_list(text: str) -> list[str]:
    """Return the items of a comma-separated list; an empty text is an empty list."""
    return [item.strip() for item in text.split(",")] if text.strip() else []


def check_network(text: str) -> None:
    """Accept a network whose bits after the length are zero."""
    prefix = Prefix.parse(text)
    if parse_address(text.partition("/")[0]) != prefix.address:
        raise BetterValueError(str(prefix))


def check_own_address(text: str) -> None:
    """Accept an IP address, "auto", or nothing."""
    if text not in ("", AUTO):
        parse_address(text)


def check_reachable(text: str) -> None:
    """Accept an IP address that packets can be sent to."""
    address = ip_address(text)
    if address.is_unspecified or address.is_multicast:
        raise ValueError(text)


def check_advertised(text: str) -> None:
    """Accept an address that peers can send to, "auto", or nothing."""
    check_own_address(text)
    if text not in ("", AUTO):
        check_reachable(text)


def check_endpoint(text: str) -> None:
    """Accept a host and a port that peers can send to."""
    check_reachable(Endpoint.parse(text).host)


def seconds_of(text: str) -> int:
    """Return the seconds of a duration such as `24h`. Raises ValueError if it is not one."""
    return int(text[:-1]) * _SECONDS[text[-1]]


def check_lease(text: str) -> None:
    """Accept a duration between the shortest and the longest lease, or nothing."""
    if text and not SHORTEST_LEASE_S <= seconds_of(text) <= LONGEST_LEASE_S:
        raise ValueError(text)


def check_record_trust(text: str) -> None:
    """Accept a way to trust records whose account keys are valid."""
    Authority.of(text)


def check_no_repeats(texts: tuple[str, ...]) -> None:
    """Accept a list that names nothing twice."""
    if len(set(texts)) < len(texts):
        raise ValueError(texts)


def check_ifname(text: str) -> None:
    """Accept a name that the kernel takes for a network device."""
    if text in (".", "..") or len(text.encode()) > 15:
        raise ValueError(text)


def check_netns(text: str) -> None:
    """Accept a name, an absolute path, or nothing."""
    if text in (".", "..") or ("/" in text and not text.startswith("/")):
        raise ValueError(text)


def check_api_prefix(text: str) -> None:
    """Accept a prefix without a dot at its end."""
    if text.endswith("."):
        raise BetterValueError(text.rstrip("."))


def check_loopback(text: str) -> None:
    """Accept an address and a port of the loopback, or nothing."""
    if text and not ip_address(Endpoint.parse(text).host).is_loopback:
        raise ValueError(text)


def check_nats_url(text: str) -> None:
    """Accept NATS URLs separated by commas, either all of WebSockets or none."""
    servers = [urlsplit(server) for server in split_list(text)]
    for server in servers:
        if server.scheme not in NATS_SCHEMES or not server.hostname or server.port == 0 or " " in server.netloc:
            raise ValueError(text)
    if len({server.scheme.startswith("ws") for server in servers}) != 1:  # nats-py refuses to mix them
        raise ValueError(text)
