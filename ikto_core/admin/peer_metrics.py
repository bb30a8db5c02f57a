"""Metrics of each peer, in a mesh that is not too large for them. Pure."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ikto_core.admin.device_views import DevicePeerView
from ikto_core.values.text import clipped, printable

LABELS = ("peer", "public_key")

LONGEST_NAME = 64
"""Characters; names are written by others, and each one that was ever seen is kept by the scraper."""


def peer_metrics(peers: Sequence[DevicePeerView], limit: int) -> Iterator[Metric]:
    """Yield the figures of each peer of the mesh on the device; above `limit` only how many peers have none."""
    found = [peer for peer in peers if peer.name is not None]
    shown = found if len(found) <= limit else []
    omitted_help = "Peers without figures of their own: there are more than metrics_peers."
    yield GaugeMetricFamily("ikto_peer_metrics_omitted", omitted_help, len(found) - len(shown))
    if shown:
        yield from _figures(shown)


def _figures(peers: Sequence[DevicePeerView]) -> Iterator[Metric]:
    received = CounterMetricFamily("ikto_peer_receive_bytes", "Bytes received from the peer.", labels=LABELS)
    sent = CounterMetricFamily("ikto_peer_transmit_bytes", "Bytes sent to the peer.", labels=LABELS)
    handshake_help = "Time of the last handshake, in seconds since the epoch."
    handshake = GaugeMetricFamily("ikto_peer_last_handshake_timestamp_seconds", handshake_help, labels=LABELS)
    unreachable = GaugeMetricFamily("ikto_peer_unreachable", "1 while this node can't reach the peer.", labels=LABELS)
    for peer in peers:
        labels = (clipped(printable(peer.name or ""), LONGEST_NAME), peer.public_key)
        received.add_metric(labels, peer.rx_bytes)
        sent.add_metric(labels, peer.tx_bytes)
        unreachable.add_metric(labels, peer.unreachable is not None)
        if peer.last_handshake is not None:
            handshake.add_metric(labels, peer.last_handshake.timestamp())
    yield from (received, sent, handshake, unreachable)
