"""Client for a running agent's admin socket. It imports no HTTP library, so that commands start fast."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TypeVar

import msgspec

from ikto_core.admin.views import (
    AgentState,
    CountersView,
    DevicePeerView,
    DeviceView,
    ErrorView,
    InfoView,
    LeaseView,
    NatsView,
    ObserverView,
    PeersView,
    PeerView,
    QuarantinedView,
    RecordView,
    ReleasedView,
    RotationView,
    SnapshotView,
    StatusView,
    UnreachableView,
)
from ikto_core.errors import IktoError
from ikto_core.values.counters import (
    ConnectionCounters,
    FollowerCounters,
    LeaseCounters,
    ObserverCounters,
    ReconcileCounters,
    SnapshotCounters,
)

__all__ = [
    "AdminClient",
    "AgentState",
    "ConnectionCounters",
    "CountersView",
    "DevicePeerView",
    "DeviceView",
    "FollowerCounters",
    "InfoView",
    "LeaseCounters",
    "LeaseView",
    "NatsView",
    "ObserverCounters",
    "ObserverView",
    "PeerView",
    "PeersView",
    "QuarantinedView",
    "ReconcileCounters",
    "RecordView",
    "ReleasedView",
    "RotationView",
    "SnapshotCounters",
    "SnapshotView",
    "StatusView",
    "UnreachableView",
]

TIMEOUT_S = 5.0

View = TypeVar("View")


class AdminClient:
    """Queries the agent on the unix socket `path`, with a new connection for each request.

    Every method raises IktoError if no agent answers, the answer is not an agent's, or the agent reports an error.
    """

    def __init__(self, path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def info(self) -> InfoView:
        """Return the agent's own record and the records of its peers."""
        return self._ask("GET", "/v1/info", InfoView)

    def status(self) -> StatusView:
        """Return the agent's status."""
        return self._ask("GET", "/v1/status", StatusView)

    def peers(self) -> PeersView:
        """Return every accepted peer, with its state on the device."""
        return self._ask("GET", "/v1/peers", PeersView)

    def release(self) -> ReleasedView:
        """Ask the agent to apply its pending removals. Returns before they are applied."""
        return self._ask("POST", "/v1/peers/release", ReleasedView)

    def resync(self) -> None:
        """Ask the agent to read the whole bucket and the whole device again. Returns before that is done."""
        self._ask("POST", "/v1/resync", dict[str, object])

    def rotate_key(self) -> RotationView:
        """Start a rotation of the agent's key, make before break. The agent completes it on its own."""
        return self._ask("POST", "/v1/rotate-key", RotationView)

    def _ask(self, method: str, target: str, view: type[View]) -> View:
        with self._ikto_errors():
            status, body = self._exchange(method, target)
            if status < 400:
                return msgspec.json.decode(body, type=view)
            refusal = msgspec.json.decode(body, type=ErrorView)
        hint = refusal.hint or "check that the agent and this program have the same version"
        raise IktoError(f"the agent on {self._path}: {refusal.error}", hint=hint)

    def _exchange(self, method: str, target: str) -> tuple[int, bytes]:
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(method, target)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    @contextmanager
    def _ikto_errors(self) -> Iterator[None]:
        """Translate errors of the connection and of decoding into IktoError."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            hint = f"ikto agent -c FILE -s {self._path}"
            raise IktoError(f"no agent answers on {self._path}", hint=hint) from None
        except PermissionError:
            raise IktoError(f"{self._path}: permission denied", hint="run as the agent's user, or as root") from None
        except (TimeoutError, BlockingIOError):
            message = f"the agent on {self._path} did not answer within {self._timeout_s:g} s"
            raise IktoError(message, hint="see the agent's log") from None
        except (HTTPException, ConnectionError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            reason = str(error).strip() or type(error).__name__
            message = f"the answer on {self._path} is not from an agent of this version: {reason}"
            raise IktoError(
                message, hint="give the agent's socket with -s, or upgrade the older of agent and client"
            ) from None
        except OSError as error:
            raise IktoError(f"{self._path}: {error.strerror or error}") from None


class _UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path instead of a host and port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
