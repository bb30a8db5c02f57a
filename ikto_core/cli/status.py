"""`ikto status`: the agent's state, connection, peers and device."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from ikto_core.admin.device_views import DevicePeerView, DeviceView
from ikto_core.admin.mesh_views import QuarantinedView, UnreachableView
from ikto_core.admin.views import (
    AgentState,
    CredentialsView,
    LeaseView,
    NatsView,
    ObserverView,
    SnapshotView,
    StatusView,
)
from ikto_core.cli.examples import examples
from ikto_core.cli.formatting import json_text, size
from ikto_core.cli.health import health_code
from ikto_core.cli.options import json_option, output_option, socket_option
from ikto_core.cli.tables import Row, Section, hint_rows, line, listing, short_keys, show
from ikto_core.client import AdminClient
from ikto_core.values.ages import age
from ikto_core.values.counters import LeaseCounters
from ikto_core.values.times import epoch_s

_COLOURS = {AgentState.READY: "green", AgentState.DEGRADED: "red"}


@click.command(
    epilog=examples(
        "ikto status",
        "ikto status -o wide",
        "ikto status --json | jq .state",
    )
)
@socket_option
@json_option
@output_option
def status(socket: Path | None, *, as_json: bool, output: str) -> int:
    """Show the agent's state, its connection, its peers and its device.

    The exit code is 0 if the node is healthy, 25 while it starts, 26 if something is wrong, and 1 if no agent answers.
    """
    view = AdminClient(socket).status()
    if as_json or output == "json":
        click.echo(json_text(view))
    else:
        show(sections(view, time.time(), wide=output == "wide"), wide=output == "wide")
    return health_code(view)


def sections(view: StatusView, now: float, *, wide: bool = False) -> list[Section]:
    """Return the sections to show; `now` is in seconds since the epoch."""
    on_device = view.device.peers if view.device else ()
    every_key = [peer.public_key for peer in on_device] + [peer.public_key for peer in view.unreachable_endpoints]
    keys = short_keys(every_key, wide=wide)
    found = [
        Section("", list(_facts(view, now))),
        listing("Quarantined records", view.quarantined, _quarantined),
        listing("Pending removals; `ikto peers release` applies them now", view.pending_removals, line),
        listing("Pending key changes; `ikto peers release` applies them now", view.pending_key_changes, line),
        listing("Records that change too often; the latest change may wait", view.frequent_records, line),
        listing("Peers without a usable endpoint", view.unreachable_endpoints, lambda peer: _unreachable(peer, keys)),
        listing("Failed observers", [observer for observer in view.observers if observer.failure], _observer),
    ]
    table = listing("Peers on the device", on_device, lambda peer: _device_peer(peer, keys, now), _PEER_HEADER)
    found.append(table._replace(optional=(("endpoint",), ("received", "sent"))))
    return [section for section in found if section.rows]


def _facts(view: StatusView, now: float) -> Iterator[Row]:
    yield line("state", view.state.value, style=_COLOURS.get(view.state, "yellow"))
    yield line("name", view.name)
    yield line("public key", view.public_key)
    if view.rotation:
        yield line("next key", view.rotation.next_public_key, style="yellow")
    claimed = f"{view.private_address} in {view.allowed_ip}"
    yield line("address", claimed if view.allowed_ip else "none claimed yet")
    yield line("NATS", _nats(view.nats), style="" if view.nats.connected else "red")
    yield from hint_rows(view.nats.hint)
    if view.credentials and (view.credentials.failure or view.credentials.expires_soon):
        yield line("NATS user", _credentials(view.credentials, now), style="red")
    if view.mesh_settings_conflict:
        yield line("mesh", f"the bucket has other settings: {view.mesh_settings_conflict}", style="red")
    revision = "none" if view.revision is None else view.revision
    latest = "; bucket not read yet" if view.snapshot.in_use else f" of {view.bucket_revision}"
    yield line("revision", f"device at {revision}{latest}")
    if view.snapshot.in_use or view.snapshot.failure:
        yield line("snapshot", _snapshot(view.snapshot, now), style="red")
    if view.lease:
        yield line("lease", _lease(view.lease, view.counters.lease, now), style="red" if view.lease.failure else "")
    yield line("peers", _peers(view), style="red" if view.pending_removals or view.pending_key_changes else "")
    yield line("device", f"{view.ifname} ({view.backend}): {_device(view.device)}")
    if view.device_failure:
        yield line("failure", view.device_failure, style="red")
    yield from hint_rows(view.device_hint)


def _nats(nats: NatsView) -> str:
    text = f"connected to {nats.server}" if nats.connected else "not connected"
    return f"{text}: {nats.failure}" if nats.failure else text


def _credentials(credentials: CredentialsView, now: float) -> str:
    expires_s = (epoch_s(credentials.expires_at) or now) - now
    when = f"the JWT expires in {expires_s / 86400:.1f} days" if expires_s > 0 else "the JWT has expired"
    return "; ".join(filter(None, (credentials.failure, when if credentials.expires_soon else "")))


def _snapshot(snapshot: SnapshotView, now: float) -> str:
    if snapshot.saved_at is None:
        parts = ["none"]
    elif snapshot.in_use:
        parts = [
            f"in use until NATS answers: revision {snapshot.revision}, saved {age(epoch_s(snapshot.saved_at), now)}"
        ]
    else:
        parts = [f"revision {snapshot.revision}, saved {age(epoch_s(snapshot.saved_at), now)}"]
    return ", ".join(parts + ([f"can't be written: {snapshot.failure}"] if snapshot.failure else []))


def _lease(lease: LeaseView, counters: LeaseCounters, now: float) -> str:
    failed = f", renewal failed: {lease.failure}" if lease.failure else ""
    refused = f"; can't remove expired records: {lease.refusal}" if lease.refusal else ""
    renewed = f", renewed {age(epoch_s(lease.renewed_at), now)}" if lease.renewed_at is not None else ""
    removed = f"; removed {counters.records_removed} expired records" if counters.records_removed else ""
    return f"{lease.lease_s} s{renewed}{failed}{removed}{refused}"


def _peers(view: StatusView) -> str:
    parts = [f"{view.accepted} accepted" + (f" ({view.unproved} without a proof)" if view.unproved else "")]
    if view.device:
        parts.append(f"{len(view.device.peers)} on the device")
        if stalled := sum(peer.stalled for peer in view.device.peers):
            parts.append(f"{stalled} stalled")
    parts.append(_count(len(view.pending_removals), "pending removal"))
    if view.pending_key_changes:
        parts.append(_count(len(view.pending_key_changes), "pending key change"))
    if view.quarantined:
        parts.append(f"{len(view.quarantined)} quarantined")
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _device(device: DeviceView | None) -> str:
    if device is None:
        return "missing or unreadable"
    parts = ["up" if device.up else "down", f"port {device.listen_port}", f"MTU {device.mtu}"]
    if device.fwmark:
        parts.append(f"fwmark {device.fwmark:#x}")
    return ", ".join([*parts, *device.addresses])


_PEER_HEADER = ("name", "subnet", "key", "endpoint", "handshake", "received", "sent")


def _device_peer(peer: DevicePeerView, keys: Mapping[str, str], now: float) -> Row:
    return line(
        peer.name or "unknown",
        ", ".join(peer.allowed_ips),
        keys[peer.public_key],
        peer.endpoint or "none",
        age(epoch_s(peer.last_handshake), now) + ", stalled" * peer.stalled,
        size(peer.rx_bytes),
        size(peer.tx_bytes),
    )


def _quarantined(record: QuarantinedView) -> Row:
    return line(record.allowed_ip or record.key, f"revision {record.revision}", record.reason)


def _unreachable(peer: UnreachableView, keys: Mapping[str, str]) -> Row:
    return line(peer.name, keys[peer.public_key], peer.reason)


def _observer(observer: ObserverView) -> Row:
    return line(observer.name, f"{observer.failure}" + (f" ({observer.hint})" if observer.hint else ""))
