"""What the socket needs of the agent that it serves."""

from typing import Protocol

from ikto_core.admin.views import AgentState, InfoView, PeersView, RotationView, StatusView


class AgentInterface(Protocol):
    """One agent, as its admin interface asks it. IktoError: the request can't be carried out now, with a hint."""

    @property
    def state(self) -> AgentState:
        """How far the agent has come."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the device has shown the mesh since the start."""
        ...

    def info(self) -> InfoView:
        """Return the own record and those of the peers."""
        ...

    async def status(self) -> StatusView:
        """Return everything that the agent knows of itself."""
        ...

    async def peers(self) -> PeersView:
        """Return every accepted peer, with its state on the device."""
        ...

    def release_removals(self) -> int:
        """Apply all pending removals soon; return how many there are."""
        ...

    def resync(self) -> None:
        """Read the whole bucket and the whole device again soon."""
        ...

    def rotate_key(self) -> RotationView:
        """Begin a key rotation, unless one is under way; return its state."""
        ...
