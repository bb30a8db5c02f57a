"""Client for a running agent's admin socket. It imports no server, so that commands start fast."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from ikto_core.admin.device_views import ChangeView, DevicePeerView, DeviceView, DiffView
from ikto_core.admin.exchange import STREAM_TIMEOUT_S, exchange, ikto_errors, lines
from ikto_core.admin.leave_views import LeaveStep, LeaveView
from ikto_core.admin.mesh_views import (
    InfoView,
    PeersView,
    PeerView,
    QuarantinedView,
    RecordView,
    ReleasedView,
    UnreachableView,
)
from ikto_core.admin.socket_paths import searched_sockets
from ikto_core.admin.timing_views import HistogramView, TimingsView
from ikto_core.admin.trusted_socket import TrustedSocket, first_agent
from ikto_core.admin.views import (
    AgentState,
    CountersView,
    CredentialsView,
    EventView,
    LeaseView,
    NatsView,
    ObserverView,
    ProgressView,
    RotationView,
    SnapshotView,
    StatusView,
)
from ikto_core.admin.why_views import Cause, Diagnosis, Link, Mark, TunnelPath, Verdict
from ikto_core.errors import IktoError
from ikto_core.values.counters import (
    ConnectionCounters,
    FollowerCounters,
    LeaseCounters,
    ObserverCounters,
    ProofCounters,
    ReconcileCounters,
    RecordCounters,
    ResyncCounters,
    SnapshotCounters,
)

__all__ = [
    "AdminClient",
    "AgentState",
    "Cause",
    "ChangeView",
    "ConnectionCounters",
    "CountersView",
    "CredentialsView",
    "DevicePeerView",
    "DeviceView",
    "Diagnosis",
    "DiffView",
    "EventView",
    "FollowerCounters",
    "HistogramView",
    "InfoView",
    "LeaseCounters",
    "LeaseView",
    "LeaveStep",
    "LeaveView",
    "Link",
    "Mark",
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
    "ResyncCounters",
    "RotationView",
    "SnapshotCounters",
    "SnapshotView",
    "StatusView",
    "TimingsView",
    "TunnelPath",
    "UnreachableView",
    "Verdict",
]

TIMEOUT_S = 5.0
RECONNECT_S = 3.0
"""How long a client that follows events tries to reach an agent whose stream has ended; one that stops is gone then."""
WHY_TIMEOUT_S = 60.0
"""For `why`, which watches a tunnel for up to half a minute."""

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

    def why(self, target: str, *, probe: bool = True) -> Diagnosis:
        """Return why a peer is reachable or not, link by link.

        Args:
            target: The peer's name, public key or the beginning of it, subnet, an address in it, or an endpoint.
            probe: Whether the agent sends packets; `timeout_s` should be WHY_TIMEOUT_S then.

        """
        query = urlencode({"target": target} | ({} if probe else {"probe": "no"}))
        return self._ask("GET", f"/v1/why?{query}", Diagnosis)

    def config(self) -> dict[str, object]:
        """Return the settings of the agent's configuration by name; secrets are shown as `(hidden)`."""
        return self._ask("GET", "/v1/config", dict[str, object])

    def diff(self) -> DiffView:
        """Return what the agent would do to its device now."""
        return self._ask("GET", "/v1/diff", DiffView)

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

    def metrics(self) -> str:
        """Return the metrics in Prometheus' text format."""
        with self._asked(self._timeout_s) as connected:
            return exchange(connected, "GET", "/metrics").decode()

    def event_lines(self, *, after: int = 0, state: bool = False, follow: bool = False) -> Iterator[bytes]:
        """Yield the agent's latest events, each a line of JSON: the members of `EventView` and of an event.

        Args:
            after: Only events with a higher number.
            state: Yield the whole mesh first, as an observer gets it.
            follow: Go on with the events to come, until an error: the agent has ended.

        """
        give_up_at = 0.0
        while True:
            target = f"/v1/events?after={after}&state={str(state).lower()}&follow={str(follow).lower()}"
            try:
                with self._asked(STREAM_TIMEOUT_S) as connected:
                    for line in lines(connected, target):
                        after = msgspec.json.decode(line, type=EventView).number
                        yield line
                        state, give_up_at = False, time.monotonic() + RECONNECT_S * follow
            except IktoError:
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(0.1)
            else:
                if not follow:
                    return
                give_up_at = time.monotonic() + RECONNECT_S

    @contextmanager
    def _asked(self, timeout_s: float) -> Iterator[TrustedSocket]:
        with ikto_errors(self._paths, timeout_s):
            connected = self._connect(timeout_s)
        with closing(connected), ikto_errors((connected.path,), timeout_s):
            yield connected

    def _ask(self, method: str, target: str, view: type[View]) -> View:
        with self._asked(self._timeout_s) as connected:
            return msgspec.json.decode(exchange(connected, method, target), type=view)

    def _connect(self, timeout_s: float) -> TrustedSocket:
        if self._is_given:
            return TrustedSocket(self._paths[0], timeout_s)
        return first_agent(self._paths, timeout_s)
