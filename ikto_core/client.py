"""Asking a running agent. Standard library only, so that asking is quick."""

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
]

TIMEOUT_S = 5.0

View = TypeVar("View")


class AdminClient:
    """Asks the agent that answers on the unix socket `path`; a new connection for each question.

    Every method raises IktoError, in one line with what to do, if there is no answer or not one of an agent's.
    """

    def __init__(self, path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def info(self) -> InfoView:
        """Return the agent's own record and its peers'."""
        return self._ask("GET", "/v1/info", InfoView)

    def status(self) -> StatusView:
        """Return what the agent is, sees and does."""
        return self._ask("GET", "/v1/status", StatusView)

    def peers(self) -> PeersView:
        """Return every accepted peer, with what the device knows of it."""
        return self._ask("GET", "/v1/peers", PeersView)

    def release(self) -> ReleasedView:
        """Have the agent carry out the removals that it holds back, soon."""
        return self._ask("POST", "/v1/peers/release", ReleasedView)

    def resync(self) -> None:
        """Have the agent read the whole bucket and the whole device again, soon."""
        self._ask("POST", "/v1/resync", dict[str, object])

    def rotate_key(self) -> RotationView:
        """Have the agent rotate its key, make before break; it does so by itself from then on."""
        return self._ask("POST", "/v1/rotate-key", RotationView)

    def _ask(self, method: str, target: str, view: type[View]) -> View:
        with self._told():
            status, body = self._exchange(method, target)
            if status < 400:
                return msgspec.json.decode(body, type=view)
            refusal = msgspec.json.decode(body, type=ErrorView)
        hint = refusal.hint or "is it of another version?"
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
    def _told(self) -> Iterator[None]:
        """Turn what goes wrong on the way into an error that tells what to do."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            hint = f"ikto agent -c FILE -s {self._path}"
            raise IktoError(f"no agent answers on {self._path}", hint=hint) from None
        except PermissionError:
            raise IktoError(f"{self._path}: permission denied", hint="run as the agent's user, or as root") from None
        except (TimeoutError, BlockingIOError):
            message = f"the agent on {self._path} did not answer within {self._timeout_s:g} s"
            raise IktoError(message, hint="see its log") from None
        except (HTTPException, ConnectionError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            reason = str(error).strip() or type(error).__name__
            message = f"what answers on {self._path} is no agent of this version: {reason}"
            raise IktoError(
                message, hint="give the agent's own socket with -s, or upgrade the older of the two"
            ) from None
        except OSError as error:
            raise IktoError(f"{self._path}: {error.strerror or error}") from None


class _UnixConnection(HTTPConnection):
    """HTTP on a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the path instead of host and port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
