"""Events of the device and failures of the event stream request a full pass; a failure does not end the watch."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device import watch
from ikto_core.device.backend import DeviceEvent, DeviceEventKind
from ikto_core.device.watch import watch_device
from ikto_core.errors import BackendError


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
