"""Checks of the WireGuard device: whose it is, its port, whether it is in sync."""

from collections.abc import Iterable, Set

import msgspec

from ikto_core.admin.views import StatusView
from ikto_core.device.model import DeviceState
from ikto_core.device.ownership import DeviceOwner
from ikto_core.diagnosis.checks import Category, Check, error, failure, ok, skipped, warning
from ikto_core.diagnosis.checks_host import NO_HOST_DEVICE, uses_host
from ikto_core.diagnosis.host_facts import may_configure_networks, port_is_free
from ikto_core.diagnosis.subject import Subject
from ikto_core.disk.state_file import SavedState
from ikto_core.errors import BackendError, ConfigError, ForeignDeviceError
from ikto_core.plugins.check_contract import Finding
from ikto_core.values.keys import PublicKey

STATE_FILE = "state.json"

PORT_FIX = "find the process that uses it with `ss -ulnp`, or choose another wg_port"


async def _device(subject: Subject) -> Iterable[Finding]:
    """Return whose the device is. It is read by the backend; without the right to do so, only the agent can."""
    ifname = subject.config.wg_dev_name
    try:
        device = await subject.device()
    except BackendError as raised:
        if subject.status and not may_configure_networks():
            return [skipped(f"{ifname} can't be read by this user: {raised}")]
        raise
    if device is None:
        return [_absent(subject)]
    if not (keys := own_keys(subject)):
        return [skipped("the private key can't be read")]
    return [ownership_finding(ifname, device, DeviceOwner(keys=keys, adopt=subject.config.adopt_device))]


def _absent(subject: Subject) -> Finding:
    ifname = subject.config.wg_dev_name
    if subject.status and not subject.is_foreign_config:
        return error(f"there is no device {ifname}", "the agent makes it again within a minute; see `ikto status`")
    return ok(f"there is no device {ifname} yet: the agent makes it")


def own_keys(subject: Subject) -> Set[PublicKey]:
    """Return the public keys of this node, also those before a rotation; empty if the private key can't be read."""
    try:
        return saved_state(subject).public_keys | {subject.private_key.public()}
    except ConfigError:
        return frozenset()


def saved_state(subject: Subject) -> SavedState:
    """Return what the state file says; an empty state if there is none, or if it can't be read.

    Unlike `StateFile.load`, this leaves a damaged file where it is.
    """
    try:
        return msgspec.json.decode((subject.config.state_path() / STATE_FILE).read_bytes(), type=SavedState)
    except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return SavedState()


def ownership_finding(ifname: str, device: DeviceState, owner: DeviceOwner) -> Finding:
    """Return whether the device has a private key that is none of this node's."""
    try:
        owner.require(ifname, device)
    except ForeignDeviceError as raised:
        return failure(raised)
    if device.private_key is None:
        return ok(f"{ifname} has no private key, so it can be used")
    if owner.owns(device):
        return ok(f"{ifname} has this node's key, and {len(device.peers)} peers")
    text = f"{ifname} has a private key that is none of this node's, which the agent replaces (adopt_device)"
    return warning(text, "set adopt_device to false once the device is this node's")


async def _port(subject: Subject) -> Iterable[Finding]:
    """Return whether the port is free, or this device's. Its socket is in the agent's network namespace."""
    if not uses_host(subject):
        return [skipped(NO_HOST_DEVICE)]
    port = subject.config.wg_port
    if subject.status and subject.status.device and subject.status.device.listen_port == port:
        return [ok(f"{subject.status.ifname} listens on UDP port {port}")]
    try:
        device = await subject.device()
    except BackendError:
        device = None
    if device and device.listen_port == port and device.up:
        return [ok(f"{subject.config.wg_dev_name} listens on UDP port {port}")]
    return [ok(f"UDP port {port} is free") if port_is_free(port) else error(f"UDP port {port} is in use", PORT_FIX)]


async def _in_sync(subject: Subject) -> Iterable[Finding]:
    return in_sync_findings(subject.status) if subject.status else [skipped("no agent answers")]


def in_sync_findings(status: StatusView) -> list[Finding]:
    """Return why the device does not show what it should."""
    if status.device_stuck:
        text = f"a call of the backend {status.backend} does not return"
        return [error(text, status.device_hint or "delete the device (`ip link delete`), or reboot")]
    if status.device_failure:
        return [error(status.device_failure, status.device_hint or "see the agent's log")]
    if status.device is None:
        return [error(f"there is no device {status.ifname}", "see the agent's log")]
    if not status.device.up:
        return [
            error(f"{status.ifname} is down", f"the agent sets it up within a minute: ip link show {status.ifname}")
        ]
    if status.revision is not None and status.revision < status.bucket_revision:
        behind = status.bucket_revision - status.revision
        return [warning(f"{status.ifname} is {behind} revisions behind the bucket", "look again in a minute")]
    return [ok(f"{status.ifname} shows revision {status.revision} of the bucket")]


DEVICE_CHECKS = (
    Check(category=Category.DEVICE, name="device", summary="the device is this node's", run=_device),
    Check(category=Category.DEVICE, name="port", summary="the UDP port can be used", run=_port),
    Check(
        category=Category.DEVICE,
        name="in-sync",
        summary="the device shows the bucket",
        run=_in_sync,
        before_start=False,
    ),
)
