"""Waits until every node of the mesh shows a revision of the bucket, by their own word, as `ikto mesh` asks for it."""

import asyncio
import time
from random import SystemRandom

from ikto_core.agent.from_config import nats_settings, node_name
from ikto_core.cli.mesh import SHORTEST_INTERVAL_S, Look
from ikto_core.config import Config
from ikto_core.errors import NatsDeniedError, NatsError
from ikto_core.fleet.overview import MeshOverview, NodeRow
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.values.text import clipped

MOST_NAMED = 5
"""So many of the nodes that are behind are named."""

NAME_SHOWN = 40
"""Characters of a name: it is another node's word, and may be of any length."""

SHORTEST_PAUSE_S = 2.0
"""Agents do not answer sooner than this after an answer."""


def lacking_in_mesh(config: Config, revision: int, timeout_s: float) -> str:
    """Ask the nodes until all of them show this revision of the bucket, or a later one; return what is missing.

    Raises NatsDeniedError if the credentials do not allow to ask.
    """
    ends_at = time.monotonic() + timeout_s
    while True:
        try:
            lacking = behind(asyncio.run(_look(config)).nodes, revision)
        except NatsDeniedError:
            raise
        except NatsError as error:
            lacking = str(error)
        pause_s = min(SHORTEST_INTERVAL_S, ends_at - time.monotonic())
        if not lacking or pause_s < SHORTEST_PAUSE_S:
            return lacking
        time.sleep(pause_s)


def behind(nodes: tuple[NodeRow, ...], revision: int) -> str:
    """Return which nodes do not show this revision; empty: all of them do."""
    late = [node for node in nodes if node.revision is None or node.revision < revision]
    if not late:
        return ""
    named = ", ".join(f"{clipped(node.name, NAME_SHOWN)!r} {_state(node)}" for node in late[:MOST_NAMED])
    more = f", and {len(late) - MOST_NAMED} more" if len(late) > MOST_NAMED else ""
    return f"{len(nodes) - len(late)} of {len(nodes)} nodes show revision {revision}: {named}{more}"


def _state(node: NodeRow) -> str:
    if not node.answered:
        return "does not answer"
    return "shows none" if node.revision is None else f"shows {node.revision}"


async def _look(config: Config) -> MeshOverview:
    found: list[MeshOverview] = []
    random = SystemRandom()
    async with open_session(nats_settings(config, node_name(config)), random) as session:
        await Look(session, config, Follower(lambda _: None, random)).once(lambda seen, _: found.append(seen))
    return found[0]
