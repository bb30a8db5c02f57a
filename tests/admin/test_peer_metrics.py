"""Figures of each peer end where they would be too many, and no name can break the format."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from ikto_core.admin.device_views import DevicePeerView
from ikto_core.admin.metrics import render
from ikto_core.admin.timing_views import HistogramView
from ikto_core.admin.views import StatusView
from ikto_core.values.times import utc
from tests.admin.node import converged_node, peer_record

PEER = DevicePeerView(
    public_key="KEY", name="node-b", endpoint=None, allowed_ips=(), last_handshake=utc(7.5), rx_bytes=10, tx_bytes=20
)


@pytest.fixture
async def status(tmp_path: Path) -> StatusView:
    async with converged_node(tmp_path, peer_record(2)) as node:
        return await node.report.status()


def samples(status: StatusView, *peers: DevicePeerView, limit: int = 200) -> dict[tuple[str, ...], float]:
    assert status.device
    text = render(replace(status, device=replace(status.device, peers=peers)), peers_limit=limit).decode()
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_each_peer_has_its_figures(status: StatusView) -> None:
    found = samples(status, PEER, replace(PEER, public_key="OTHER", last_handshake=None, unreachable="no answer"))
    assert found["ikto_peer_receive_bytes_total", "node-b", "KEY"] == 10
    assert found["ikto_peer_transmit_bytes_total", "node-b", "KEY"] == 20
    assert found["ikto_peer_last_handshake_timestamp_seconds", "node-b", "KEY"] == 7.5
    assert found["ikto_peer_unreachable", "node-b", "KEY"] == 0
    assert found["ikto_peer_unreachable", "node-b", "OTHER"] == 1
    assert ("ikto_peer_last_handshake_timestamp_seconds", "node-b", "OTHER") not in found
    assert found["ikto_peer_metrics_omitted",] == 0
    assert found["ikto_unreachable_peers",] == 1


def test_above_the_limit_there_are_none_and_it_says_so(status: StatusView) -> None:
    peers = [replace(PEER, public_key=str(number)) for number in range(3)]
    assert samples(status, *peers, limit=3)["ikto_peer_metrics_omitted",] == 0
    found = samples(status, *peers, limit=2)
    assert found["ikto_peer_metrics_omitted",] == 3
    assert not any(name.startswith("ikto_peer_") and name != "ikto_peer_metrics_omitted" for name, *_ in found)


def test_a_peer_that_is_not_in_the_mesh_has_none(status: StatusView) -> None:
    assert not any("KEY" in name for name in samples(status, replace(PEER, name=None)))


def test_any_name_is_a_label_of_one_line(status: StatusView) -> None:
    name = 'a"b\\c\nikto_ready 0\n\x1b' + "x" * 1000
    (label,) = [names[1] for names in samples(status, replace(PEER, name=name)) if names[0] == "ikto_peer_unreachable"]
    assert label.startswith('a"b\\c\\nikto_ready 0')
    assert len(label) == 64
    assert ("ikto_ready",) in samples(status, replace(PEER, name=name))


def test_a_histogram_has_its_buckets_its_sum_and_its_count(status: StatusView) -> None:
    assert status.timings
    applied = HistogramView(bounds_s=(0.5, 1), counts=(2, 3), count=4, sum_s=9.5)
    timed = replace(status.timings, applied=applied, lag_s=3.0, clock_offset_s=-2.0)
    found = samples(replace(status, timings=timed))
    assert [found["ikto_applied_seconds_bucket", le] for le in ("0.5", "1", "+Inf")] == [2, 3, 4]
    assert (found["ikto_applied_seconds_sum",], found["ikto_applied_seconds_count",]) == (9.5, 4)
    assert (found["ikto_sync_lag_seconds",], found["ikto_clock_offset_seconds",]) == (3, -2)


def test_resyncs_have_their_cause(status: StatusView) -> None:
    assert samples(status)["ikto_resyncs_total", "start"] == 1
    assert samples(status)["ikto_resyncs_total", "purged"] == 0
