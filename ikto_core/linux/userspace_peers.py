"""Reads peers of a userspace device from its process, by WireGuard's cross-platform interface: runs no program."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager

from ikto_core.device.model import PeerState
from ikto_core.errors import BackendError, NoSuchDeviceError
from ikto_core.linux.dump import MAX_U16, number
from ikto_core.linux.userspace import socket_of
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey, PublicKey

TIMEOUT_S = 60.0
_CHUNK_BYTES = 1 << 15  # about 100 peers
_PEER = "public_key="
_SUCCESS = "errno=0"
_NO_KEY = "0" * 64


async def userspace_keys(ifname: str) -> frozenset[PublicKey]:
    """Return the public keys of the device's peers. Raises BackendError; NoSuchDeviceError if no process serves it."""
    keys: set[str] = set()
    await _ask(ifname, lambda lines: keys.update(line for line in lines if line.startswith(_PEER)))
    with _parsing(ifname):
        return frozenset(map(_key, keys))


async def userspace_peers(ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
    """Return those of these peers that the device has, as `wg show dump` shows them. Errors as above."""
    peers = _WantedPeers(keys)
    await _ask(ifname, peers.take)
    with _parsing(ifname):
        return {key: _peer(key, lines) for key, lines in peers.found.items()}


@contextmanager
def _parsing(ifname: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise BackendError(f"{ifname}: can't parse the answer of its process: {error}") from None


class _WantedPeers:
    """Collects the lines of some peers; those of the others are not looked at."""

    def __init__(self, keys: Set[PublicKey]) -> None:
        self.found: dict[PublicKey, list[str]] = {}
        self._wanted = {f"{_PEER}{key.hex()}" for key in keys}
        self._lines: list[str] | None = None  # of the present peer; None: it is not wanted

    def take(self, lines: Iterable[str]) -> None:
        for line in lines:
            if line.startswith(_PEER):
                self._lines = self.found.setdefault(_key(line), []) if line in self._wanted else None
            elif self._lines is not None:
                self._lines.append(line)


async def _ask(ifname: str, take: Callable[[list[str]], None]) -> None:
    """Read the whole device, and give its lines to `take`, about a hundred peers at a time.

    BackendError if the answer does not end with a success: it may be a part of the device.
    """
    loop, last = asyncio.get_running_loop(), ""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await loop.sock_connect(connection, str(socket_of(ifname)))
                await loop.sock_sendall(connection, b"get=1\n\n")
                rest = end = b""
                while end != b"\n\n":
                    received = await loop.sock_recv(connection, _CHUNK_BYTES)
                    if not received:
                        raise NoSuchDeviceError(f"{ifname}: its process ended before it answered")
                    *lines, rest = (rest + received).split(b"\n")
                    end = (end + received)[-2:]
                    texts = [line.decode("ascii", "replace") for line in lines]
                    take(texts)
                    last = next(filter(None, reversed(texts)), last)
                    await asyncio.sleep(0)
        except TimeoutError:
            raise BackendError(f"{ifname}: its process does not answer") from None
        except OSError as error:
            raise NoSuchDeviceError(f"{ifname}: no process serves it ({error.strerror})") from None
    if last != _SUCCESS:  # never print another line: it may contain a key
        raise BackendError(
            f"{ifname}: its process answers with {last[:32] if last.startswith('errno=') else 'no result'}"
        )


def _key(line: str) -> PublicKey:
    return PublicKey(bytes.fromhex(line.removeprefix(_PEER)))


def _peer(key: PublicKey, lines: Iterable[str]) -> PeerState:
    pairs = [line.partition("=") for line in lines]
    fields = {name: value for name, _, value in pairs}
    preshared = fields.get("preshared_key", _NO_KEY)
    return PeerState(
        public_key=key,
        preshared_key=None if preshared == _NO_KEY else PresharedKey(bytes.fromhex(preshared)),
        endpoint=Endpoint.parse(fields["endpoint"]) if "endpoint" in fields else None,
        allowed_ips=frozenset(Prefix.parse(value) for name, _, value in pairs if name == "allowed_ip"),
        persistent_keepalive=number(fields.get("persistent_keepalive_interval", "0"), MAX_U16),
        last_handshake=float(number(fields.get("last_handshake_time_sec", "0"))) or None,
        rx_bytes=number(fields.get("rx_bytes", "0")),
        tx_bytes=number(fields.get("tx_bytes", "0")),
    )
