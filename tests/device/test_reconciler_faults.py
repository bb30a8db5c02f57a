"""Failed passes, and changes during a pass, lose no update and are never reported as in sync."""

import pytest
from msgspec.structs import replace

from ikto_core.errors import BackendError
from ikto_core.mesh.records import encode_record
from ikto_core.mesh.view import Entry, MeshView
from tests.device.reconciling import RULES, Scene, mesh, record, synced


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("after", [None, 1, 2, 3])
async def test_after_a_failed_write_the_next_pass_reads_and_repairs_the_device(full: bool, after: int | None) -> None:
    scene = await synced(*mesh(2))
    if full:
        scene.reconciler.request_full_pass()
    if after is None:
        scene.host.fail_next("apply")
    else:
        scene.host.fail_midway(after=after)
    scene.put(record(2, key=3), record(4))
    with pytest.raises(BackendError):
        await scene.reconcile()
    assert scene.reconciler.shown_revision == 2
    assert scene.reconciler.failure.startswith("injected")
    await scene.reconcile()
    assert scene.host.calls["read"] == 1 + full
    assert scene.shown == scene.wanted
    assert scene.reconciler.shown_revision == 4
    assert scene.reconciler.failure == ""
    assert (scene.drift, scene.reconciler.stats.failures) == (0, 1)


@pytest.mark.parametrize("operation", ["read", "create"])
async def test_a_failed_first_pass_is_not_in_sync(operation: str) -> None:
    scene = Scene()
    scene.put(*mesh(2))
    scene.host.fail_next("read" if operation == "read" else "create")
    with pytest.raises(BackendError):
        await scene.reconcile()
    assert scene.reconciler.shown_revision is None
    assert not scene.reconciler.in_sync.is_set()
    await scene.reconcile()
    assert scene.shown == scene.wanted
    assert scene.reconciler.in_sync.is_set()


# -- changes during a pass ---------------------------------------------------------------------------------------------


async def test_an_update_during_a_read_is_applied_and_is_not_drift() -> None:
    scene = await synced(*mesh(2))
    scene.backend.interruptions.append(lambda: scene.put(record(3)))
    await scene.reconcile_fully()
    await scene.reconcile()
    assert scene.shown == scene.wanted
    assert (scene.reconciler.shown_revision, scene.drift) == (3, 0)


async def test_an_update_during_a_write_is_applied_by_the_next_pass() -> None:
    scene = await synced(*mesh(2))
    scene.backend.interruptions.append(lambda: scene.put(record(4)))
    scene.put(record(3))
    await scene.reconcile()
    assert scene.reconciler.shown_revision == 3
    await scene.reconcile()
    assert scene.shown == scene.wanted
    assert scene.reconciler.shown_revision == 4


async def test_a_peer_deleted_during_its_write_is_removed_from_the_device() -> None:
    scene = await synced(*mesh(2))
    scene.backend.interruptions.append(lambda: scene.delete(3))
    scene.put(record(3))
    await scene.reconcile()
    await scene.reconcile()
    assert scene.shown == scene.wanted
    assert len(scene.shown) == 2


async def test_an_endpoint_that_changes_during_the_write_of_its_peer_is_written() -> None:
    scene = await synced(*mesh(2))
    scene.backend.interruptions.append(lambda: scene.put(record(3, endpoints=["192.0.2.99:9"])))
    scene.put(record(3))
    await scene.reconcile()
    await scene.reconcile()
    assert str(scene.peer(3).endpoint) == "192.0.2.99:9"


async def test_a_target_set_during_a_pass_is_applied_and_is_not_drift() -> None:
    scene = await synced(*mesh(2))

    def change_target() -> None:
        scene.base = replace(scene.base, listen_port=4000)
        scene.view = MeshView(RULES)
        scene.view.update({one.key: Entry(1, encode_record(one)) for one in (record(3), record(4))})
        scene.set_target()

    scene.backend.interruptions.append(change_target)
    await scene.reconcile_fully()
    await scene.reconcile()
    assert scene.device.listen_port == 4000
    assert scene.shown == scene.wanted
    assert scene.drift == 0
