"""Render the agent's status as Prometheus metrics."""

import time
from collections.abc import Iterable, Iterator

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ikto_core.admin.device_views import DeviceView
from ikto_core.admin.peer_metrics import peer_metrics
from ikto_core.admin.timing_views import HistogramView, TimingsView
from ikto_core.admin.views import AgentState, CredentialsView, LeaseView, ObserverView, StatusView
from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S

CONTENT_TYPE = CONTENT_TYPE_LATEST

COUNTERS = {
    "ikto_follower_pushes": "Messages that NATS pushed to the agent.",
    "ikto_follower_junk_pushes": "Messages on the push subject that were not pushes.",
    "ikto_follower_gaps": "Gaps found in the sequence of pushes.",
    "ikto_follower_checks": "Answers of the bucket's leader about its state.",
    "ikto_follower_whole_walks": "Complete reads of the bucket.",
    "ikto_follower_catch_ups": "Reads of the bucket's new entries.",
    "ikto_follower_audits": "Reads of a part of the bucket, to compare it with what is known.",
    "ikto_follower_failures": "Reads of the bucket that failed.",
    "ikto_reconcile_full_passes": "Passes that read and compared the complete device.",
    "ikto_reconcile_quick_passes": "Passes that wrote changed peers only.",
    "ikto_reconcile_peers_written": "Peers added to or changed on the device.",
    "ikto_reconcile_peers_removed": "Peers removed from the device.",
    "ikto_reconcile_kicks": "New peers removed and added again, because their first handshake got no answer.",
    "ikto_reconcile_drift_repaired": "Full passes that repaired drift: changes made outside Ikto.",
    "ikto_reconcile_failures": "Passes that failed.",
    "ikto_connection_sessions": "Connections to NATS that were accepted.",
    "ikto_connection_failures": "Connections to NATS that were lost or failed.",
    "ikto_snapshot_writes": "Writes of the mesh snapshot.",
    "ikto_snapshot_failures": "Writes of the mesh snapshot that failed.",
    "ikto_lease_renewals": "Renewals of the own record's lease.",
    "ikto_lease_failures": "Renewals of the own record's lease that failed.",
    "ikto_lease_records_removed": "Records of other nodes removed because their lease expired.",
    "ikto_proof_verified": "Signatures of records that were verified.",
    "ikto_proof_wrong": "Signatures of records that were wrong.",
    "ikto_proof_replays": "Proved records that were older than one seen before.",
    "ikto_proof_overwrites": "Writes over a proved record without the proof of its owner.",
    "ikto_record_delayed": "Changes of records that had to wait, because the record changes too often.",
    "ikto_proof_alarms": "Writes of others over the own record or in its name; own ones that it may not withdraw.",
}
"""Help texts of the counters. A name is `ikto_<group>_<member>` of CountersView."""


def render(status: StatusView, *, now: float | None = None, peers_limit: int = 0) -> bytes:
    """Return the status in Prometheus' text format.

    Args:
        status: The status to render.
        now: Seconds since the epoch; None: the current time.
        peers_limit: Up to how many peers there are figures of each.

    """
    registry = CollectorRegistry()
    registry.register(_StatusCollector(status, time.time() if now is None else now, peers_limit))
    return generate_latest(registry)


class _StatusCollector(Collector):
    """One status as metric families. An unknown value has no sample."""

    def __init__(self, status: StatusView, now: float, peers_limit: int) -> None:
        self._status = status
        self._now = now
        self._peers_limit = peers_limit

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        yield from _identity(self._status)
        yield from _gauges(self._status)
        if self._status.device:
            yield from _device(self._status.device, self._now)
            yield from peer_metrics(self._status.device.peers, self._peers_limit)
        if self._status.timings:
            yield from _timings(self._status.timings)
        if self._status.lease:
            yield from _lease(self._status.lease)
        if self._status.credentials:
            yield from _credentials(self._status.credentials)
        yield from _counters(msgspec.to_builtins(self._status.counters))
        if self._status.observers:
            yield from _observers(self._status.observers)


def _identity(status: StatusView) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        "ikto_build_info", "Always 1; the labels describe the agent.", labels=("version", "backend", "ifname")
    )
    build.add_metric((status.version, status.backend, status.ifname), 1)
    yield build
    state = GaugeMetricFamily("ikto_state", "1 for the agent's current state, 0 for the others.", labels=("state",))
    for each in AgentState:
        state.add_metric((each.value,), each is status.state)
    yield state


def _gauges(status: StatusView) -> Iterable[Metric]:
    gauge = GaugeMetricFamily
    yield gauge("ikto_ready", "1 while the device shows the mesh, from the bucket or from the snapshot.", status.ready)
    yield gauge("ikto_nats_connected", "1 while the agent has a session with NATS.", status.nats.connected)
    yield gauge("ikto_peers", "Accepted peers.", status.accepted)
    yield gauge("ikto_unproved_peers", "Accepted peers of whom a record has no proof.", status.unproved)
    yield gauge("ikto_quarantined_records", "Records that are not accepted.", len(status.quarantined))
    yield gauge("ikto_pending_removals", "Peers whose removal waits to be applied.", len(status.pending_removals))
    pending_help = "Records with another public key than before that wait to be applied."
    yield gauge("ikto_pending_key_changes", pending_help, len(status.pending_key_changes))
    frequent_help = "Records that change too often, so that the latest change may wait."
    yield gauge("ikto_frequent_records", frequent_help, len(status.frequent_records))
    yield gauge("ikto_bucket_revision", "The latest known revision of the bucket.", status.bucket_revision)
    yield gauge("ikto_device_revision", "The revision of the bucket that the device shows.", status.revision)
    yield gauge(
        "ikto_snapshot_in_use", "1 while the device shows the snapshot, not the bucket.", status.snapshot.in_use
    )
    yield gauge("ikto_snapshot_failed", "1 while the snapshot can't be written.", status.snapshot.failure is not None)
    if status.snapshot.saved_at is not None:
        help_text = "Time at which the snapshot was taken, in seconds since the epoch."
        yield gauge("ikto_snapshot_saved_timestamp_seconds", help_text, status.snapshot.saved_at.timestamp())
    conflict_help = "1 while the mesh settings in the bucket differ from this node's."
    yield gauge("ikto_mesh_settings_conflict", conflict_help, status.mesh_settings_conflict is not None)
    failed = status.device_failure is not None
    yield gauge("ikto_device_failed", "1 while the device can't be written or read.", failed)
    yield gauge("ikto_device_stuck", "1 while a call of the backend does not return.", status.device_stuck)


def _device(device: DeviceView, now: float) -> Iterable[Metric]:
    handshakes = [peer.last_handshake for peer in device.peers if peer.last_handshake is not None]
    alive = [each for each in handshakes if now - each.timestamp() < HANDSHAKE_RECENT_S]
    yield GaugeMetricFamily("ikto_device_peers", "Peers on the device.", len(device.peers))
    yield GaugeMetricFamily("ikto_device_peers_alive", "Peers with a handshake in the last 180 s.", len(alive))
    unreachable = sum(peer.unreachable is not None for peer in device.peers)
    yield GaugeMetricFamily("ikto_unreachable_peers", "Peers that this node can't reach.", unreachable)
    stalled = sum(peer.stalled for peer in device.peers)
    yield GaugeMetricFamily("ikto_device_peers_stalled", "Peers from which handshakes arrive and no data.", stalled)


def _observers(observers: Iterable[ObserverView]) -> Iterator[Metric]:
    events = CounterMetricFamily("ikto_observer_events", "Events delivered to the observer.", labels=("observer",))
    failures = CounterMetricFamily("ikto_observer_failures", "Failures of the observer.", labels=("observer",))
    waiting_help = "Upper bound of the peers and records with an event to deliver."
    waiting = GaugeMetricFamily("ikto_observer_waiting", waiting_help, labels=("observer",))
    for observer in observers:
        events.add_metric((observer.name,), observer.counters.events)
        failures.add_metric((observer.name,), observer.counters.failures)
        waiting.add_metric((observer.name,), observer.waiting)
    yield from (events, failures, waiting)


def _lease(lease: LeaseView) -> Iterable[Metric]:
    gauge = GaugeMetricFamily
    yield gauge("ikto_lease_seconds", "How long the own record lives after its last renewal.", lease.lease_s)
    yield gauge("ikto_lease_failed", "1 while the own record's lease can't be renewed.", lease.failure != "")
    if lease.renewed_at is not None:
        help_text = "Time of the lease's last renewal, in seconds since the epoch."
        yield gauge("ikto_lease_renewed_timestamp_seconds", help_text, lease.renewed_at.timestamp())


def _credentials(credentials: CredentialsView) -> Iterable[Metric]:
    soon_help = "1 while the node's user JWT expires within a week, or has expired."
    yield GaugeMetricFamily("ikto_credentials_expire_soon", soon_help, credentials.expires_soon)
    failed_help = "1 while other nodes would refuse the own record for want of a right to it."
    yield GaugeMetricFamily("ikto_credentials_failed", failed_help, credentials.failure is not None)
    if credentials.expires_at is not None:
        help_text = "Time at which the node's user JWT expires, in seconds since the epoch."
        expires_s = credentials.expires_at.timestamp()
        yield GaugeMetricFamily("ikto_credentials_expiry_timestamp_seconds", help_text, expires_s)


def _timings(timings: TimingsView) -> Iterable[Metric]:
    lag_help = "How long the device has been behind the bucket; 0 while it is not."
    yield GaugeMetricFamily("ikto_sync_lag_seconds", lag_help, timings.lag_s)
    if timings.clock_offset_s is not None:
        offset_help = "How far this host's clock is ahead of the NATS server's; negative: behind."
        yield GaugeMetricFamily("ikto_clock_offset_seconds", offset_help, timings.clock_offset_s)
    applied_help = "From a write's storage at the NATS server to this node's device, by the clocks of both."
    yield _histogram("ikto_applied_seconds", applied_help, timings.applied)
    contact_help = "From a new peer's addition to the device to its first session, of peers that had one within 60 s."
    yield _histogram("ikto_first_contact_seconds", contact_help, timings.first_contact)


def _histogram(name: str, help_text: str, view: HistogramView) -> Metric:
    buckets = [(f"{bound:g}", count) for bound, count in zip(view.bounds_s, view.counts, strict=True)]
    return HistogramMetricFamily(name, help_text, buckets=[*buckets, ("+Inf", view.count)], sum_value=view.sum_s)


def _resyncs(causes: dict[str, int]) -> Metric:
    resyncs = CounterMetricFamily("ikto_resyncs", "Complete reads of the bucket, by cause.", labels=("cause",))
    for cause, number in causes.items():
        resyncs.add_metric((cause,), number)
    return resyncs


def _counters(counters: dict[str, dict[str, int]]) -> Iterator[Metric]:
    yield _resyncs(counters.pop("resync"))
    for group, members in counters.items():
        for member, value in members.items():
            name = f"ikto_{group}_{member}"
            yield CounterMetricFamily(name, COUNTERS[name], value)
