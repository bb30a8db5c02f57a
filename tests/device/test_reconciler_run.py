"""The loop wakes for changes, makes a full pass every minute, and survives every failure."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ikto_core.device import pass_schedule
from ikto_core.device import reconciler as reconcile
from ikto_core.device.model import DevicePatch
from ikto_core.testing.devices import create
from tests.device.reconciling import WG, Scene, mesh, record


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(scene: Scene) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(scene.reconciler.run())
        yield
        loop.cancel()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(reconcile, "LONGEST_RETRY_S", 0.004)


async def test_a_target_a_change_and_a_requested_full_pass_wake_the_loop() -> None:
    scene = Scene()
    scene.put(*mesh(2))
    async with running(scene):
        await until(lambda: scene.reconciler.shown_revision == 2)
        scene.put(record(3))
        await until(lambda: scene.reconciler.shown_revision == 3)
        assert scene.shown == scene.wanted
        scene.host.remove_device(WG)
        scene.reconciler.request_full_pass()
        await until(lambda: scene.drift == 1)
        await until(lambda: scene.host.device(WG) is not None and scene.shown == scene.wanted)


async def test_a_periodic_full_pass_finds_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pass_schedule, "FULL_PASS_EVERY_S", 0.02)
    scene = Scene()
    scene.put(*mesh(2))
    async with running(scene):
        await scene.reconciler.in_sync.wait()
        scene.tamper(DevicePatch(peers=(create(900),)))
        await until(lambda: scene.shown == scene.wanted)


async def test_constant_updates_do_not_delay_the_full_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pass_schedule, "FULL_PASS_EVERY_S", 0.05)
    scene = Scene()
    async with running(scene):
        await scene.reconciler.in_sync.wait()
        scene.tamper(DevicePatch(peers=(create(900),)))

        def update_again() -> bool:
            scene.put(record(1 + scene.revision % 2))
            return scene.shown == scene.wanted

        await until(update_again)


async def test_without_a_target_the_loop_does_not_call_the_backend_or_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    idle = reconcile.Reconciler(scene.backend, WG)
    passes = 0

    async def count_pass() -> None:
        nonlocal passes
        passes += 1

    monkeypatch.setattr(idle, "reconcile", count_pass)
    scene.reconciler = idle
    async with running(scene):
        for _ in range(100):
            await asyncio.sleep(0)
    assert passes <= 1
    assert not scene.host.calls


@pytest.mark.usefixtures("quick_retries")
async def test_the_loop_retries_until_the_backend_works() -> None:
    scene = Scene()
    scene.put(*mesh(3))
    for _ in range(10):
        scene.host.fail_next("read")
        scene.host.fail_next("apply")
        scene.host.fail_midway()
    async with running(scene):
        await until(lambda: scene.reconciler.failure != "")
        assert not scene.reconciler.in_sync.is_set()
        await until(scene.reconciler.in_sync.is_set)
        assert scene.reconciler.failure == ""
    assert scene.reconciler.stats.failures == 30
    assert scene.shown == scene.wanted


async def test_the_retry_delay_doubles_and_is_reset_by_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def record_wait(delay: float) -> None:
        waits.extend([delay] if delay else [])
        await sleep(0)

    monkeypatch.setattr("ikto_core.device.reconciler.asyncio.sleep", record_wait)
    scene = Scene()
    for _ in range(8):
        scene.host.fail_next("read")
    async with running(scene):
        await scene.reconciler.in_sync.wait()
        scene.host.fail_next("read")
        scene.reconciler.request_full_pass()
        async with asyncio.timeout(60):
            while len(waits) < 9:
                await sleep(0)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 0.5]
