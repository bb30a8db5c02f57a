"""An orchestrator of micro-VMs that runs an Ikto agent itself: `python orchestrator.py SETTINGS.json`."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ikto_core.embedding import RunningAgent, config_of, running_agent
from ikto_core.plugins import IktoError, PeerAccepted, PeerChanged, PeerRemoved, Resync

Printer = Callable[[str], None]


async def orchestrate(settings: Mapping[str, object], show: Printer, *, timeout_s: float = 10.0) -> None:
    """Run an agent until cancelled, and print what happens in the mesh. Raises IktoError if the agent fails."""
    async with running_agent(config_of(**settings)) as agent:
        show(f"VMs get addresses of {await agent.claimed()}")
        missing = await agent.shown(timeout_s=timeout_s)
        show(f"VMs may start; not reached yet: {[peer.name for peer in missing]}")
        await follow(agent, show)


async def follow(agent: RunningAgent, show: Printer) -> None:
    """Print the hosts of the mesh and every change, until the agent ends."""
    async for event in agent.events():
        match event:
            case Resync(peers=count):
                show(f"other hosts: {count}")
            case PeerAccepted(peer=peer) | PeerChanged(peer=peer):
                show(f"{peer.name!r} has {', '.join(peer.subnets)}")  # the name is untrusted text: print its repr
            case PeerRemoved(peer=peer):
                show(f"{peer.name!r} is gone")
            case _:  # an event of a later version
                pass


if __name__ == "__main__":
    try:
        asyncio.run(orchestrate(json.loads(Path(sys.argv[1]).read_text()), print))
    except IktoError as error:
        sys.exit(f"{error}; {error.hint}")
