"""What a backend tells of our device makes the device be looked at; that it fails to tell ends nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device import watch as device_events
from ikto_core.device.backend import DeviceEvent, DeviceEventKind
from ikto_core.device.watch import watch_device
from ikto_core.errors import BackendError


class EventDiff(FakeBackend):
    """Tells this once, and then no more; None: it fails to tell."""

    def __init__(self, *told: DeviceEvent | None) -> None:
        super().__init__(FakeHost())
        self.told = list(told)

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while self.told:
            event = self.told.pop(0)
            if event is None:
                raise BackendError("too many at once")
            yield event


def gone(ifname: str) -> DeviceEvent:
    return DeviceEvent(ifname, DeviceEventKind.GONE)


@pytest.mark.parametrize(
    ("backend", "looks"),
    [
        (EventDiff(gone("wg0"), gone("eth0"), gone("wg0")), 2),
        (EventDiff(gone("eth0")), 0),
        (EventDiff(gone("wg0"), None), 2),
        (EventDiff(None, gone("wg0")), 2),
        (EventDiff(None, None), 2),
    ],
)
async def test_each_event_of_the_device_and_each_failure_requests_one_full_pass(
    backend: EventDiff, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_events, "RETRY_S", 0.0)
    looked: list[int] = []
    async with asyncio.timeout(5):
        await watch_device(backend, "wg0", lambda: looked.append(1))
    assert len(looked) == looks
