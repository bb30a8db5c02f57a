"""The socket of a userspace WireGuard: a request, an answer; the one place where its errors become ours."""

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from errno import EACCES, EADDRINUSE, EPERM
from itertools import takewhile
from pathlib import Path

from ikto_backend_uapi.programs import RIGHTS, TIMEOUT_S
from ikto_core.plugins import BackendError, NoSuchDeviceError

_HINTS = {
    EADDRINUSE: "Choose another wg_port, or find who has this one: ss -ulpn",
    EACCES: RIGHTS,
    EPERM: RIGHTS,
}


def socket_of(ifname: str) -> Path:
    """Return where the process of a device answers."""
    return Path("/var/run/wireguard") / f"{ifname}.sock"


def ask(ifname: str, *lines: str) -> list[tuple[str, str]]:
    """Send a request and return the answer's lines, as name and value. Raises BackendError.

    A request that is refused half-way is carried out up to there.
    """
    with _connected(ifname) as connection, connection.makefile(encoding="ascii", newline="\n") as answer:
        with suppress(BrokenPipeError):  # refused before its end was read: the answer says why
            connection.sendall("".join(f"{line}\n" for line in (*lines, "")).encode())
        told = [line.rstrip("\n").partition("=") for line in takewhile(lambda line: line != "\n", answer)]
    pairs = [(name, value) for name, _, value in told]
    if not pairs or pairs[-1][0] != "errno":
        raise NoSuchDeviceError(f"{ifname}: its process ended before it had answered")
    if number := abs(int(pairs.pop()[1])):
        raise _refusal(ifname, number)
    return pairs


def wait_until_ended(ifname: str) -> None:
    """Return once no process answers for the device: it closes its connections as it ends. Else BackendError."""
    with suppress(NoSuchDeviceError), _connected(ifname) as connection:
        connection.recv(1)


@contextmanager
def _connected(ifname: str) -> Generator[socket.socket, None, None]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(socket_of(ifname)))
            yield connection
        except (FileNotFoundError, ConnectionError):
            raise NoSuchDeviceError(f"{ifname}: no process answers for it") from None
        except TimeoutError:
            raise BackendError(
                f"{ifname}: its process neither answers nor ends",
                hint="Does it belong to another network namespace? They share the names of userspace devices.",
            ) from None
        except OSError as error:
            raise _refusal(ifname, error.errno or 0) from None


def _refusal(ifname: str, number: int) -> BackendError:
    return BackendError(f"{ifname}: {os.strerror(number)}", hint=_HINTS.get(number, ""))
