"""Metrics equal the status, in a format that Prometheus' own parser accepts."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from ikto_core.admin.metrics import render
from ikto_core.admin.views import AgentState, CredentialsView, LeaseView, ObserverView, StatusView
from ikto_core.mesh.records import PEER_KEYS
from ikto_core.testing.devices import public_key_of
from ikto_core.values.counters import LeaseCounters, ObserverCounters
from ikto_core.values.times import utc
from tests.admin.node import WG, converged_node, peer_record

NOW = 1_700_000_000.0


def samples(status: StatusView) -> dict[str, float]:
    families = text_string_to_metric_families(render(status, now=NOW).decode())
    return {
        sample.name + "".join(sample.labels.get("state", "")): sample.value for f in families for sample in f.samples
    }


@pytest.fixture
async def status(tmp_path: Path) -> StatusView:
    async with converged_node(tmp_path, *(peer_record(number) for number in range(2, 12))) as node:
        for number in range(2, 10):
            node.bucket.write(peer_record(number).key, None)
        node.bucket.write(f"{PEER_KEYS}x", b"{")
        await node.converge()
        node.host.handshake(WG, public_key_of(10), NOW - 10)
        node.host.handshake(WG, public_key_of(11), NOW - 1000)
        return await node.report.status()


def test_gauges_equal_the_status(status: StatusView) -> None:
    found = samples(status)
    assert found["ikto_build_info"] == 1
    assert found["ikto_nats_connected"] == 1
    assert found["ikto_peers"] == 2
    assert found["ikto_quarantined_records"] == 1
    assert found["ikto_pending_removals"] == 3
    assert found["ikto_pending_key_changes"] == 0
    assert samples(replace(status, frequent_records=("a",)))["ikto_frequent_records"] == 1
    assert samples(replace(status, pending_key_changes=("a", "b")))["ikto_pending_key_changes"] == 2
    assert found["ikto_bucket_revision"] == found["ikto_device_revision"] == 20
    assert (found["ikto_device_failed"], found["ikto_device_stuck"], found["ikto_device_peers_stalled"]) == (0, 0, 0)
    assert (found["ikto_device_peers"], found["ikto_device_peers_alive"]) == (5, 1)


def test_exactly_one_state_is_on(status: StatusView) -> None:
    for state in AgentState:
        found = samples(replace(status, state=state))
        assert [name for name, value in found.items() if name.startswith("ikto_state") and value] == [
            f"ikto_state{state.value}"
        ]


def test_every_counter_is_a_total(status: StatusView) -> None:
    found = samples(status)
    assert found["ikto_reconcile_peers_written_total"] == 10
    assert found["ikto_reconcile_peers_removed_total"] == 5
    assert found["ikto_follower_whole_walks_total"] == 1
    assert sum(name.endswith("_total") for name in found) == 29


def test_an_unknown_value_has_no_sample(status: StatusView) -> None:
    found = samples(replace(status, revision=None, device=None, device_failure="gone"))
    assert found.keys().isdisjoint({"ikto_device_revision", "ikto_device_peers"})
    assert found["ikto_device_failed"] == 1


def test_a_stuck_device_and_stalled_peers_are_metrics(status: StatusView) -> None:
    assert status.device
    peers = tuple(replace(peer, stalled=number < 3) for number, peer in enumerate(status.device.peers))
    found = samples(replace(status, device=replace(status.device, peers=peers), device_stuck=True))
    assert (found["ikto_device_stuck"], found["ikto_device_peers_stalled"]) == (1, 3)


def test_other_mesh_settings_in_the_bucket_are_a_metric(status: StatusView) -> None:
    assert samples(status)["ikto_mesh_settings_conflict"] == 0
    conflict = replace(status, mesh_settings_conflict="subnet_prefix is 29, not 28")
    assert samples(conflict)["ikto_mesh_settings_conflict"] == 1


def test_lease_metrics_exist_only_with_a_lease(status: StatusView) -> None:
    assert "ikto_lease_seconds" not in samples(status)
    first = samples(replace(status, lease=LeaseView(lease_s=600, failure="no answer", refusal="")))
    assert (first["ikto_lease_seconds"], first["ikto_lease_failed"]) == (600, 1)
    assert "ikto_lease_renewed_timestamp_seconds" not in first
    renewed = LeaseView(lease_s=600, renewed_at=utc(NOW - 7), failure="", refusal="")
    counters = replace(status.counters, lease=LeaseCounters(renewals=3, failures=2, records_removed=1))
    found = samples(replace(status, lease=renewed, counters=counters))
    assert (found["ikto_lease_failed"], found["ikto_lease_renewed_timestamp_seconds"]) == (0, NOW - 7)
    assert [found[f"ikto_lease_{each}_total"] for each in ("renewals", "failures", "records_removed")] == [3, 2, 1]


def test_metrics_of_the_credentials_exist_only_with_a_creds_file(status: StatusView) -> None:
    assert not any("credentials" in name for name in samples(status))
    endless = samples(replace(status, credentials=CredentialsView(expires_at=None, expires_soon=False, failure="x")))
    assert (endless["ikto_credentials_expire_soon"], endless["ikto_credentials_failed"]) == (0, 1)
    assert "ikto_credentials_expiry_timestamp_seconds" not in endless
    ending = samples(replace(status, credentials=CredentialsView(expires_at=utc(NOW), expires_soon=True, failure=None)))
    assert (ending["ikto_credentials_expire_soon"], ending["ikto_credentials_failed"]) == (1, 0)
    assert ending["ikto_credentials_expiry_timestamp_seconds"] == NOW


def test_the_global_registry_is_not_changed(status: StatusView) -> None:
    render(status)
    assert not any(family.name.startswith("ikto") for family in REGISTRY.collect())


def test_observer_metrics_have_the_observer_as_label_whatever_its_argument(status: StatusView) -> None:
    counters = ObserverCounters(calls=2, events=7, failures=1)
    views = [ObserverView(name=name, failure=None, waiting=3, counters=counters) for name in ("hosts", 'exec=/"\\\n')]
    text = render(replace(status, observers=tuple(views)), now=NOW).decode()
    found = {
        (s.name, s.labels["observer"]): s.value
        for f in text_string_to_metric_families(text)
        for s in f.samples
        if "observer" in s.labels
    }
    for view in views:
        assert found["ikto_observer_events_total", view.name] == 7
        assert found["ikto_observer_failures_total", view.name] == 1
        assert found["ikto_observer_waiting", view.name] == 3
    assert "observer" not in render(status, now=NOW).decode()
