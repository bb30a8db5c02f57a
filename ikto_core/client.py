"""Client for a running agent's admin socket. It imports no HTTP library, so that commands start fast."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TypeVar

import msgspec

from ikto_core.admin.socket_paths import searched_sockets
from ikto_core.admin.trusted_socket import TrustedSocket, first_agent
from ikto_core.admin.views import (
    AgentState,
    CountersView,
    CredentialsView,
    DevicePeerView,
    DeviceView,
    ErrorView,
    InfoView,
    LeaseView,
    LeaveStep,
    LeaveView,
    NatsView,
    ObserverView,
    PeersView,
    PeerView,
    ProgressView,
    QuarantinedView,
    RecordView,
    ReleasedView,
    RotationView,
    SnapshotView,
    StatusView,
    UnreachableView,
)
from ikto_core.errors import IktoError, NoAgentError
from ikto_core.values.counters import (
    ConnectionCounters,
    FollowerCounters,
    LeaseCounters,
    ObserverCounters,
    ProofCounters,
    ReconcileCounters,
    RecordCounters,
    SnapshotCounters,
)

__all__ = [
    "AdminClient",
    "AgentState",
    "ConnectionCounters",
    "CountersView",
    "CredentialsView",
    "DevicePeerView",
    "DeviceView",
    "FollowerCounters",
    "InfoView",
    "LeaseCounters",
    "LeaseView",
    "LeaveStep",
    "LeaveView",
    "NatsView",
    "ObserverCounters",
    "ObserverView",
    "PeerView",
    "PeersView",
    "ProgressView",
    "ProofCounters",
    "QuarantinedView",
    "ReconcileCounters",
    "RecordCounters",
    "RecordView",
    "ReleasedView",
    "RotationView",
    "SnapshotCounters",
    "SnapshotView",
    "StatusView",
    "UnreachableView",
]

TIMEOUT_S = 5.0
PART_BYTES = 65536

View = TypeVar("View")


class AdminClient:
    """Queries the agent on the unix socket `path`, with a new connection for each request.

    Every method raises IktoError if no agent answers, the answer is not an agent's, or the agent reports an error. Only
    an agent of root or of this user is believed.

    Args:
        path: The agent's socket; None: the first one of those where agents listen by default (docs/operations.md).
        timeout_s: How long a request may take, with its answer.

    """

    def __init__(self, path: Path | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._paths = (path,) if path else searched_sockets()
        self._is_given = path is not None
        self._timeout_s = timeout_s

    def info(self) -> InfoView:
        """Return the agent's own record and the records of its peers."""
        return self._ask("GET", "/v1/info", InfoView)

    def progress(self) -> ProgressView:
        """Return how far the agent is. It costs little, because the device is not read."""
        return self._ask("GET", "/v1/progress", ProgressView)

    def status(self) -> StatusView:
        """Return the agent's status."""
        return self._ask("GET", "/v1/status", StatusView)

    def peers(self) -> PeersView:
        """Return every accepted peer, with its state on the device."""
        return self._ask("GET", "/v1/peers", PeersView)

    def release(self) -> ReleasedView:
        """Ask the agent to apply its pending removals and key changes. Returns before they are applied."""
        return self._ask("POST", "/v1/peers/release", ReleasedView)

    def resync(self) -> None:
        """Ask the agent to read the whole bucket and the whole device again. Returns before that is done."""
        self._ask("POST", "/v1/resync", dict[str, object])

    def rotate_key(self) -> RotationView:
        """Start a rotation of the agent's key, make before break. The agent completes it on its own."""
        return self._ask("POST", "/v1/rotate-key", RotationView)

    def leave(self, *, drain_s: float = 0.0, forget: bool = False) -> LeaveView:
        """Ask the agent to leave the mesh and to end; ask `leaving` how far it is.

        Args:
            drain_s: How long peers get to end their sessions.
            forget: Whether the agent forgets its claim.

        """
        return self._ask("POST", f"/v1/leave?drain_s={drain_s:g}&forget={int(forget)}", LeaveView)

    def down(self) -> LeaveView:
        """Ask the agent to remove its device and to end; it keeps its record and its claim."""
        return self._ask("POST", "/v1/down", LeaveView)

    def leaving(self) -> LeaveView:
        """Return how far an agent is that was asked to end."""
        return self._ask("GET", "/v1/leave", LeaveView)

    def _ask(self, method: str, target: str, view: type[View]) -> View:
        with _ikto_errors(self._paths, self._timeout_s):
            connected = self._connect()
        with closing(connected), _ikto_errors((connected.path,), self._timeout_s):
            status, body = _exchange(connected, method, target)
            if status < 400:
                return msgspec.json.decode(body, type=view)
            refusal = msgspec.json.decode(body, type=ErrorView)
        hint = refusal.hint or "check that the agent and this program have the same version"
        raise IktoError(f"the agent on {connected.path}: {refusal.error}", hint=hint)

    def _connect(self) -> TrustedSocket:
        if self._is_given:
            return TrustedSocket(self._paths[0], self._timeout_s)
        return first_agent(self._paths, self._timeout_s)


def _exchange(connected: TrustedSocket, method: str, target: str) -> tuple[int, bytes]:
    connection = HTTPConnection("localhost")
    connection.sock = connected
    connection.request(method, target)
    with connection.getresponse() as response:
        parts = iter(lambda: response.read(PART_BYTES), b"")  # never as many at once as the answer says that it has
        return response.status, b"".join(parts)


@contextmanager
def _ikto_errors(paths: Sequence[Path], timeout_s: float) -> Iterator[None]:
    """Translate errors of the connection and of decoding into IktoError."""
    where = " or ".join(map(str, paths))
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        hint = f"ikto agent -c FILE -s {where}" if len(paths) == 1 else "ikto agent -c FILE, or give its socket with -s"
        raise NoAgentError(f"no agent answers on {where}", hint=hint) from None
    except PermissionError as error:
        hint = "run as the agent's user, or as root"
        raise IktoError(f"{error.filename or where}: permission denied", hint=hint) from None
    except (TimeoutError, BlockingIOError):
        message = f"the agent on {where} did not answer within {timeout_s:g} s"
        raise IktoError(message, hint="see the agent's log") from None
    except (HTTPException, ConnectionError, ValueError, OverflowError, RecursionError) as error:
        # msgspec's errors are ValueErrors; a negative size of a chunk is one, too, or an OverflowError
        reason = str(error).strip() or type(error).__name__
        raise IktoError(
            f"the answer on {where} is not from an agent of this version: {reason}",
            hint="give the agent's socket with -s, or upgrade the older of agent and client",
        ) from None
    except OSError as error:
        raise IktoError(f"{where}: {error.strerror or error}") from None
