"""A program that runs an agent itself: `python -m tests.netns.embedder SETTINGS` says when it is shown by its peers.

It prints one line of JSON, its subnet, its address and the names of the peers that don't show it, and runs until its
standard input ends.
"""

import asyncio
import json
import sys
from typing import Any

import structlog

from ikto_core.config import config_of
from ikto_core.embedding import running_agent

TIMEOUT_S = 15.0


async def main(members: dict[str, Any]) -> None:
    async with running_agent(config_of(**members)) as agent:
        subnet = await agent.claimed()
        ready = await agent.ready()
        missing = await agent.shown(timeout_s=TIMEOUT_S)
        shown = {"subnet": str(subnet), "address": ready.address, "missing": [peer.name for peer in missing]}
        sys.stdout.write(json.dumps(shown) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(json.loads(sys.argv[1])))
