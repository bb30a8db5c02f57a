"""A new peer whose first handshake gets no answer is removed and added again, and nothing else is touched."""

import asyncio
import time
from math import inf

import pytest

from ikto_core.device import first_contact
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.testing.devices import public_key_of
from ikto_core.values.keys import PublicKey
from tests.device.reconciling import LOWEST, WG, Scene, mesh, record
from tests.device.test_reconciler_run import running, until

A = public_key_of(1)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_contact, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(first_contact, "LOWER_KEY_WAIT_S", 0.02)  # so the second look is the one that kicks


async def test_a_kicked_peer_is_as_before_but_new_to_wireguard() -> None:
    scene = Scene(own_key=LOWEST)
    kicked: list[PublicKey] = []
    scene.reconciler.on_contact = kicked.extend
    async with running(scene):
        await scene.reconciler.in_sync.wait()
        scene.put(*mesh(3))
        await until(lambda: len(scene.device.peers) == 3)
        before = scene.peer(1)
        scene.host.send_unanswered(WG, A)
        scene.reset_counts()
        await until(lambda: bool(kicked))
    assert kicked == [A], "the device was empty before, but no peer had a session"
    assert scene.peer(1) == before, "with no bytes sent"
    removal, addition = scene.patches
    assert removal == DevicePatch(remove_peers=frozenset({A}))
    assert [peer.public_key for peer in addition.peers] == [A]
    assert scene.host.calls["read"] == 0
    assert scene.reconciler.stats.kicks == 1
    assert scene.drift == 0


async def test_a_kick_that_fails_half_way_is_repaired() -> None:
    scene = Scene(own_key=LOWEST)
    async with running(scene):
        await scene.reconciler.in_sync.wait()
        scene.put(*mesh(3))
        await until(lambda: len(scene.device.peers) == 3)
        scene.host.send_unanswered(WG, A)
        scene.reset_counts()
        await until(lambda: bool(scene.patches))  # the removal
        await until(lambda: A in scene.device.peers)
    assert scene.shown == scene.wanted


async def test_peers_with_a_session_are_left_alone_and_no_longer_looked_at() -> None:
    scene = Scene(own_key=LOWEST)
    async with running(scene):
        await scene.reconciler.in_sync.wait()
        scene.put(record(1))
        await until(lambda: A in scene.device.peers)
        scene.host.handshake(WG, A, 1.0, rx_bytes=92, tx_bytes=148)
        await until(lambda: scene.reconciler._passes.kicker.next_check_at == float("inf"))
        scene.reset_counts()
        await asyncio.sleep(0.1)
    assert scene.patches == []
    assert scene.host.calls["read_peers"] == 0


async def test_a_kick_that_is_cancelled_between_its_writes_leaves_the_peer_on_the_device() -> None:
    scene = Scene(own_key=LOWEST)
    scene.put(*mesh(3))
    await scene.reconcile()
    scene.host.send_unanswered(WG, A)
    kicker = scene.reconciler._passes.kicker
    await asyncio.sleep(kicker.next_check_at - time.monotonic() + 0.001)
    await scene.reconcile()  # which finds that nobody answers
    while A not in kicker._contacts.due(time.monotonic()):
        await asyncio.sleep(0.001)
    task = asyncio.ensure_future(scene.reconcile())
    scene.reset_counts()
    scene.backend.interruptions.extend([lambda: None, lambda: cancel(task)])  # after the read, and after the removal
    with pytest.raises(asyncio.CancelledError):
        await task
    assert A in scene.device.peers


async def test_a_kick_that_is_cancelled_and_then_fails_is_still_cancelled() -> None:
    """Or a device that hangs would keep the agent from ending."""
    scene = Scene(own_key=LOWEST)
    scene.put(*mesh(3))
    await scene.reconcile()
    scene.host.send_unanswered(WG, A)
    kicker = scene.reconciler._passes.kicker
    while not kicker._contacts.due(time.monotonic()):
        await asyncio.sleep(0.001)
    await scene.reconcile()
    while A not in kicker._contacts.due(time.monotonic()):
        await asyncio.sleep(0.001)
    task = asyncio.ensure_future(scene.reconcile())

    def cancel_and_fail() -> None:
        task.cancel()
        scene.host.fail_midway(BackendError("stuck"), after=0)

    scene.backend.interruptions.extend([lambda: None, cancel_and_fail])
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_watched_peer_that_leaves_leaves_nothing_to_check() -> None:
    """Or the reconciler would make passes without end."""
    scene = Scene(own_key=LOWEST)
    scene.put(*mesh(3))
    await scene.reconcile()
    kicker = scene.reconciler._passes.kicker
    due_at = kicker.next_check_at
    for number in (1, 2, 3):
        kicker.removed(public_key_of(number))
    while time.monotonic() <= due_at:
        await asyncio.sleep(0.001)
    await scene.reconcile()
    assert kicker.next_check_at == inf


def cancel(task: "asyncio.Future[None]") -> None:
    task.cancel()


async def test_a_foreign_peer_is_never_kicked() -> None:
    scene = Scene(own_key=LOWEST, keep_foreign_peers=True)
    scene.put(*mesh(3))
    await scene.reconcile()
    foreign = public_key_of(200)
    scene.tamper(DevicePatch(peers=(PeerPatch(public_key=foreign, create=True),)))
    scene.host.send_unanswered(WG, foreign)
    await scene.reconcile_fully()
    assert scene.reconciler._passes.kicker._contacts.due(float("inf")).isdisjoint({foreign})
