"""A call that the kernel never answers blocks neither the agent nor its end."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from ikto_core.underlay import routes
from ikto_core.underlay.daemon_thread import DaemonThread
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.values.addressing import Prefix


@pytest.fixture
def answer() -> Iterator[threading.Event]:
    """Set it to let the blocked calls end; it is set at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_call_returns_its_result_or_raises_its_error() -> None:
    thread = DaemonThread("test")
    assert await thread.run(lambda: 7, 60) == 7
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0, 60)


async def test_a_blocked_call_is_given_up_and_no_other_starts_before_it_ends(answer: threading.Event) -> None:
    thread, started = DaemonThread("test"), threading.Event()
    with pytest.raises(TimeoutError):
        await thread.run(answer.wait, 0.01)
    with pytest.raises(TimeoutError, match="an earlier call is still blocked"):
        await thread.run(started.set, 60)
    answer.set()
    async with asyncio.timeout(60):
        while thread.is_blocked:
            await asyncio.sleep(0.01)
    await thread.run(started.set, 60)
    assert started.is_set()


def test_a_blocked_call_does_not_hold_up_the_end_of_the_loop(
    answer: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    with pytest.raises(TimeoutError):
        asyncio.run(DaemonThread("test").run(answer.wait, 0.01))
    [blocked] = [thread for thread in threading.enumerate() if thread.name == "test"]
    answer.set()
    blocked.join(60)
    assert not failures, "its answer has no loop to go to"


async def test_links_that_the_kernel_never_shows_leave_the_advertised_address_unchanged(
    answer: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocked(*_: object) -> list[object]:
        answer.wait()
        return []

    monkeypatch.setattr(routes, "_read_links", blocked)
    monkeypatch.setattr(routes, "LINKS_TIMEOUT_S", 0.01)
    monitor = UnderlayMonitor("192.0.2.1", Prefix.parse("fd10::/16"), "wg0")
    await monitor.connected("nats://127.0.0.1:4222", keep_trying=False)
    assert monitor.found.addresses == ("192.0.2.1",)
