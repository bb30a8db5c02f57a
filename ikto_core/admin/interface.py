"""The interface of an agent that the admin socket serves."""

from collections.abc import Mapping
from typing import Protocol

from ikto_core.admin.device_views import DiffView
from ikto_core.admin.leave_views import LeaveView
from ikto_core.admin.mesh_views import InfoView, PeersView
from ikto_core.admin.views import AgentState, ProgressView, RotationView, StatusView
from ikto_core.admin.why_views import Diagnosis
from ikto_core.observers.journal import Journal


class DepartureInterface(Protocol):
    """The end of an agent on an operator's word."""

    def begin(self, *, withdraw: bool, drain_s: float = 0.0, forget: bool = False) -> LeaveView:
        """Begin to leave the mesh, or only to take the device down; return how far it is. Raises IktoError."""
        ...

    def view(self) -> LeaveView:
        """Return how far it is."""
        ...


class AgentInterface(Protocol):
    """An agent as the admin socket sees it. Methods raise IktoError if the request can't be carried out now."""

    @property
    def state(self) -> AgentState:
        """How far the agent has come."""
        ...

    @property
    def departure(self) -> DepartureInterface:
        """How the agent ends when an operator asks."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the device has shown the mesh since the start."""
        ...

    @property
    def journal(self) -> Journal:
        """The latest events."""
        ...

    @property
    def metrics_peers(self) -> int:
        """Up to how many peers the metrics have figures of each."""
        ...

    def info(self) -> InfoView:
        """Return this node's record and the peers' records."""
        ...

    def progress(self) -> ProgressView:
        """Return how far the agent is, without reading the device."""
        ...

    async def status(self) -> StatusView:
        """Return the agent's status. Reads the device."""
        ...

    async def peers(self) -> PeersView:
        """Return every accepted peer, with its state on the device."""
        ...

    async def why(self, target: str, *, probe: bool = True) -> Diagnosis:
        """Return why a peer is reachable or not. With `probe`, packets are sent; takes up to half a minute."""
        ...

    def settings(self) -> Mapping[str, object]:
        """Return the configuration's settings by name, as JSON values; secrets are shown as `(hidden)`."""
        ...

    async def diff(self) -> DiffView:
        """Return what would be done to the device now. Reads the device."""
        ...

    def release_removals(self) -> int:
        """Apply all pending removals and key changes soon; return how many there are."""
        ...

    def resync(self) -> None:
        """Read the whole bucket and the whole device again soon."""
        ...

    def rotate_key(self) -> RotationView:
        """Start a key rotation unless one is under way; return its state."""
        ...
