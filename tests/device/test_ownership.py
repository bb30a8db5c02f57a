"""A device with the private key of somebody else is neither written to nor deleted, unless it is to be adopted."""

import pytest

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.model import DevicePatch, DeviceState
from ikto_core.device.ownership import DeviceOwner, OwnDevice
from ikto_core.device.reconciler import Reconciler
from ikto_core.errors import ForeignDeviceError
from ikto_core.testing.devices import private_key_of, spec_of
from ikto_core.values.keys import PrivateKey

WG = "wg0"
OURS, FORMER, THEIRS = (private_key_of(number) for number in (1, 2, 3))
OWNER = DeviceOwner(keys={OURS.public(), FORMER.public()}, adopt=False)


def host_with(patch: DevicePatch | None) -> FakeHost:
    host = FakeHost()
    if patch:
        host.create(WG)
        host.apply(WG, patch)
        host.writes.clear()
    return host


FREE = (None, DevicePatch(listen_port=7))


@pytest.mark.parametrize("patch", [*FREE, *(DevicePatch(private_key=key) for key in (OURS, FORMER))])
async def test_a_device_that_is_absent_or_free_or_has_a_key_of_this_node_is_used(patch: DevicePatch | None) -> None:
    used: list[bool] = []
    owner = DeviceOwner(keys=OWNER.keys, adopt=False, on_use=lambda: used.append(True))
    device = OwnDevice(FakeBackend(host_with(patch)), WG, owner)
    assert isinstance(await device.read_or_create(), DeviceState)
    await device.read_or_create()
    assert device.created is (patch is None)
    assert used == [True]


async def test_a_device_with_another_key_is_refused_and_unchanged() -> None:
    host = host_with(DevicePatch(private_key=THEIRS, listen_port=7))
    reconciler = Reconciler(FakeBackend(host), WG, owner=OWNER)
    reconciler.set_target(spec_of(0, listen_port=7), {}, 1)
    with pytest.raises(ForeignDeviceError, match=r"wg0: the device has a private key that is none of") as raised:
        await reconciler.run()
    assert "adopt_device" in raised.value.hint
    with pytest.raises(ForeignDeviceError):
        await reconciler.own_device.delete()
    assert host.writes == []
    assert host.device(WG) is not None


async def test_a_device_may_be_adopted() -> None:
    host = host_with(DevicePatch(private_key=THEIRS))
    await OwnDevice(FakeBackend(host), WG, DeviceOwner()).read_or_create()
    await OwnDevice(FakeBackend(host), WG, DeviceOwner()).delete()
    assert host.device(WG) is None


async def test_another_key_that_comes_while_the_agent_runs_is_drift() -> None:
    host = host_with(None)
    reconciler = Reconciler(FakeBackend(host), WG, owner=OWNER)
    reconciler.set_target(spec_of(0, listen_port=7), {}, 1)
    await reconciler.reconcile()
    host.tamper(WG, DevicePatch(private_key=THEIRS))
    reconciler.request_full_pass()
    await reconciler.reconcile()
    assert reconciler.stats.drift_repaired == 1
    device = host.device(WG)
    assert device
    assert device.private_key == OURS.clamped()


def test_a_node_that_adopts_owns_only_devices_with_its_keys() -> None:
    owner = DeviceOwner(keys={OURS.public()})
    assert [owner.owns(DeviceState(private_key=key)) for key in (OURS, THEIRS, None)] == [True, False, False]


@pytest.mark.parametrize("key", [OURS, FORMER, THEIRS, None])
async def test_a_device_that_had_another_name_is_deleted_if_it_has_a_key_of_this_node(key: PrivateKey | None) -> None:
    host = FakeHost()
    host.create("old0")
    host.apply("old0", DevicePatch(private_key=key, listen_port=7, up=True))
    owner = DeviceOwner(keys=OWNER.keys, former=["old0", "absent0"])
    device = OwnDevice(FakeBackend(host), WG, owner)
    await device.read_or_create()
    assert (host.device("old0") is None) is (key in (OURS, FORMER))
    await device.read_or_create()
    assert host.device(WG)


async def test_nothing_is_deleted_for_a_device_that_is_refused() -> None:
    host = host_with(DevicePatch(private_key=THEIRS))
    host.create("old0")
    host.apply("old0", DevicePatch(private_key=OURS))
    owner = DeviceOwner(keys=OWNER.keys, adopt=False, former=["old0"])
    with pytest.raises(ForeignDeviceError):
        await OwnDevice(FakeBackend(host), WG, owner).read_or_create()
    assert host.device("old0")
