"""Requests to a userspace WireGuard process on its socket. Maps its errors to BackendError, in this one place."""

import os
import socket
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from errno import EACCES, EADDRINUSE, EPERM
from itertools import takewhile
from pathlib import Path

from ikto_core.plugins import BackendError, NoSuchDeviceError

TIMEOUT_S = 60.0
RIGHTS = "Run as root: this needs CAP_NET_ADMIN, /dev/net/tun and /var/run/wireguard."
_HINTS = {
    EADDRINUSE: "Choose another wg_port, or find the process that uses this one: ss -ulpn",
    EACCES: RIGHTS,
    EPERM: RIGHTS,
}


def socket_of(ifname: str) -> Path:
    """Return the path of a device's socket."""
    return Path("/var/run/wireguard") / f"{ifname}.sock"


def ask(ifname: str, lines: Iterable[str]) -> list[tuple[str, str]]:
    """Send a request and return the answer's lines, as name and value. It blocks. Raises BackendError.

    If the process refuses a line of the request, the lines before it have been applied.
    """
    with _connected(ifname) as connection, connection.makefile(encoding="ascii", newline="\n") as answer:
        with suppress(BrokenPipeError):  # the process refused a line and stopped reading: the answer says why
            connection.sendall("".join(f"{line}\n" for line in (*lines, "")).encode())
        answered = [line.rstrip("\n").partition("=") for line in takewhile(lambda line: line != "\n", answer)]
    pairs = [(name, value) for name, _, value in answered]
    if not pairs or pairs[-1][0] != "errno":
        raise NoSuchDeviceError(f"{ifname}: its process ended before it answered")
    if number := abs(int(pairs.pop()[1])):
        raise _refusal(ifname, number)
    return pairs


@contextmanager
def _connected(ifname: str) -> Generator[socket.socket, None, None]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(socket_of(ifname)))
            yield connection
        except (FileNotFoundError, ConnectionError):
            raise NoSuchDeviceError(f"{ifname}: no process serves it") from None
        except TimeoutError:
            raise BackendError(
                f"{ifname}: its process does not answer",
                hint="It may belong to another network namespace: namespaces share the names of userspace devices.",
            ) from None
        except OSError as error:
            raise _refusal(ifname, error.errno or 0) from None


def _refusal(ifname: str, number: int) -> BackendError:
    return BackendError(f"{ifname}: {os.strerror(number)}", hint=_HINTS.get(number, ""))
