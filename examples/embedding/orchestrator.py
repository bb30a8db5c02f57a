"""An orchestrator of micro-VMs that runs an Ikto agent itself: `python orchestrator.py SETTINGS.json`."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ikto_core.embedding import RunningAgent, config_of, running_agent
from ikto_core.plugins import IktoError, PeerAccepted, PeerChanged, PeerRemoved, Resync

Tell = Callable[[str], None]


async def orchestrate(members: Mapping[str, object], tell: Tell, *, patience_s: float = 10.0) -> None:
    """Take part in the mesh until cancelled; IktoError if that is not possible."""
    async with running_agent(config_of(**members)) as agent:
        tell(f"VMs get addresses of {await agent.claimed()}")
        missing = await agent.shown(timeout_s=patience_s)
        tell(f"VMs may start; not reached yet: {[peer.name for peer in missing]}")
        await follow(agent, tell)


async def follow(agent: RunningAgent, tell: Tell) -> None:
    """Tell of the hosts in the mesh, for as long as there are any news."""
    async for event in agent.events():
        match event:
            case Resync(peers=count):
                tell(f"other hosts: {count}")
            case PeerAccepted(peer=peer) | PeerChanged(peer=peer):
                tell(f"{peer.name!r} has {', '.join(peer.subnets)}")  # others chose the name: never print it as it is
            case PeerRemoved(peer=peer):
                tell(f"{peer.name!r} is gone")
            case _:  # later versions tell of more
                pass


if __name__ == "__main__":
    try:
        asyncio.run(orchestrate(json.loads(Path(sys.argv[1]).read_text()), print))
    except IktoError as error:
        sys.exit(f"{error}; {error.hint}")
