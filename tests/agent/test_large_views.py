"""Views of all peers are those of each one, and the event loop runs while they are made."""

import asyncio
from collections.abc import Awaitable

from ikto_core.admin.showing import device_view, peer_view
from ikto_core.agent.large_views import sliced_device_view, sliced_peer_views
from ikto_core.device import slices
from tests.device.reconciling import mesh, synced

MANY = 3 * slices.SLICE + 7


async def turns_during(view: Awaitable[object]) -> int:
    """Return how often the event loop ran while a view was made."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(count())
        await view
        counting.cancel()
    return turns


async def test_the_device_in_slices() -> None:
    scene = await synced(*mesh(MANY))
    stalled, unreachable = {min(scene.shown)}, {max(scene.shown): "no answer"}
    arguments = scene.device, scene.view.on_device, stalled, unreachable
    assert await sliced_device_view(*arguments) == device_view(*arguments)
    assert await turns_during(sliced_device_view(*arguments)) >= MANY // slices.SLICE - 1


async def test_the_peers_in_slices_sorted_by_subnet() -> None:
    scene = await synced(*reversed(mesh(MANY)))
    peers, shown = scene.view.peers.values(), scene.device.peers
    by_subnet = sorted(peers, key=lambda peer: min(peer.allowed_ips))
    assert await sliced_peer_views(peers, shown) == tuple(peer_view(peer, shown) for peer in by_subnet)
    assert await turns_during(sliced_peer_views(peers, None)) >= 2 * (MANY // slices.SLICE) - 1
