"""Ikto finds the backend; what the backend does not support is an error."""

from pathlib import Path

import pytest

from ikto_backend_uapi import open_uapi
from ikto_backend_uapi.monitor import event_of
from ikto_core.plugins import (
    BackendContext,
    BackendError,
    DeviceEvent,
    DeviceEventKind,
    DevicePatch,
    NoSuchDeviceError,
    load_plugins,
)


def test_it_is_found_by_its_name() -> None:
    assert load_plugins().backend("uapi").name == "uapi"


async def test_another_namespace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="blue"):
        async with open_uapi(BackendContext(ifname="wg0", state_dir=tmp_path, netns="blue")):
            pass


async def test_a_missing_program_is_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with open_uapi(BackendContext(ifname="ikto-absent0", state_dir=tmp_path)) as backend:
        with pytest.raises(NoSuchDeviceError):
            await backend.apply("ikto-absent0", DevicePatch(mtu=1400))
        with pytest.raises(BackendError, match="no program 'wireguard-go'") as caught:
            await backend.create("ikto-absent0")
    assert "wireguard-go" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("5: wg0: <POINTOPOINT,UP> mtu 1400 qdisc", DeviceEvent("wg0", DeviceEventKind.CHANGED)),
        ("5: wg0    inet 10.0.0.1/16 scope global wg0", DeviceEvent("wg0", DeviceEventKind.CHANGED)),
        ("Deleted 5: wg0    inet 10.0.0.1/16 scope global wg0", DeviceEvent("wg0", DeviceEventKind.CHANGED)),
        ("Deleted 5: wg0: <POINTOPOINT> mtu 1400 qdisc", DeviceEvent("wg0", DeviceEventKind.GONE)),
        ("Terminated", None),
    ],
)
def test_lines_of_ip_monitor_become_events(line: str, event: DeviceEvent | None) -> None:
    assert event_of(line) == event
