"""Events of the device and failures of the event stream request a full pass; a failure does not end the watch."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device import watch
from ikto_core.device.backend import DeviceEvent, DeviceEventKind
from ikto_core.device.watch import watch_device
from ikto_core.errors import BackendError
from tests.nodes import until


class EventsBackend(FakeBackend):
    """Yields these events once; None: the event stream fails."""

    def __init__(self, *events: DeviceEvent | None) -> None:
        super().__init__(FakeHost())
        self.pending = list(events)

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while self.pending:
            event = self.pending.pop(0)
            if event is None:
                raise BackendError("too many events at once")
            yield event


def gone(ifname: str) -> DeviceEvent:
    return DeviceEvent(ifname, DeviceEventKind.GONE)


class EndlessEvents(FakeBackend):
    """Yields events without waiting, until `enough` were taken."""

    def __init__(self, enough: int) -> None:
        super().__init__(FakeHost())
        self.taken = 0
        self.enough = enough

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while self.taken < self.enough:
            self.taken += 1
            yield gone("wg0")


async def test_events_without_end_neither_block_the_loop_nor_cause_a_pass_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a burst each event waits: other tasks run, and the backend is asked for the next one later."""
    monkeypatch.setattr(watch, "PAUSE_S", 3600.0)
    endless = EndlessEvents(10_000)
    with structlog.testing.capture_logs() as logs:
        watching = asyncio.ensure_future(watch_device(endless, "wg0", lambda: None))
        await until(lambda: bool(logs))
        for _ in range(20):
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait([watching])
    assert endless.taken == watch.BURST
    assert [line["event"] for line in logs] == ["device events all the time"]


async def test_a_burst_of_events_is_not_delayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PAUSE_S", 3600.0)
    requested: list[int] = []
    async with asyncio.timeout(60):
        await watch_device(EndlessEvents(watch.BURST - 1), "wg0", lambda: requested.append(1))
    assert len(requested) == watch.BURST - 1


@pytest.mark.parametrize(
    ("backend", "requests"),
    [
        (EventsBackend(gone("wg0"), gone("eth0"), gone("wg0")), 2),
        (EventsBackend(gone("eth0")), 0),
        (EventsBackend(gone("wg0"), None), 2),
        (EventsBackend(None, gone("wg0")), 2),
        (EventsBackend(None, None), 2),
    ],
)
async def test_each_event_of_the_device_and_each_failure_requests_one_full_pass(
    backend: EventsBackend, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "RETRY_S", 0.0)
    requested: list[int] = []
    async with asyncio.timeout(60):
        await watch_device(backend, "wg0", lambda: requested.append(1))
    assert len(requested) == requests
