"""What a peer costs in memory, counted in bytes and in objects.

A limit that is passed here is paid ten thousand times by every node of a large mesh.
"""

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from ikto_backends.fake import FakeHost
from ikto_core.device.reconciler import Reconciler
from ikto_core.mesh.records import encode_record
from ikto_core.mesh.view import Entry, MeshView
from tests.device.reconciling import BASE, RULES, WG, record

PEERS = 5000

MOST_BYTES = 2050
"""Of a peer in the view, in the reconciler and on the device in memory, without the record itself. CPython: 1,920."""

MOST_OBJECTS = 7
"""That the garbage collector looks at, for one peer. CPython: 6; key, subnet, allowed IPs and endpoint are four."""


@contextmanager
def counted() -> Iterator[dict[str, float]]:
    """Yield a mapping that has the bytes and the objects of one peer after the block."""
    costs: dict[str, float] = {}
    gc.collect()
    objects = len(gc.get_objects())
    tracemalloc.start(1)
    try:
        yield costs
        gc.collect()
        costs["bytes"] = tracemalloc.get_traced_memory()[0] / PEERS
        costs["objects"] = (len(gc.get_objects()) - objects) / PEERS
    finally:
        tracemalloc.stop()


async def test_a_peer_takes_few_bytes_and_few_objects() -> None:
    records = [record(number, key=100 + number) for number in range(2, PEERS + 2)]
    entries = {each.key: Entry(number, encode_record(each)) for number, each in enumerate(records, 1)}
    del records
    async with FakeHost().open() as backend:
        with counted() as costs:
            view, reconciler = MeshView(RULES), Reconciler(backend, WG)
            view.update(entries)
            reconciler.set_target(BASE, view.peers, PEERS)
            await reconciler.reconcile()
        state = await backend.read(WG)
    assert state
    assert len(state.peers) == len(view.peers) == PEERS
    assert costs["bytes"] <= MOST_BYTES
    assert costs["objects"] <= MOST_OBJECTS
