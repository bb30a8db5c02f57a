"""A peer is stalled if handshakes go on, data is sent to it, and none arrives; one that is only quiet is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.device import stalled
from ikto_core.device.model import PeerState
from ikto_core.device.stalled import QUICK_RENEWAL_S, STALLED_AFTER, WINDOW_S, StallTracker
from ikto_core.testing.devices import public_key_of
from ikto_core.values.keys import PublicKey
from tests.device.reconciling import WG, mesh, synced

KEY = public_key_of(1)
EVERY_S = 60.0  # as full passes are
FIRST = PeerState(public_key=KEY, last_handshake=1000.0, rx_bytes=5000, tx_bytes=5000)
PING = 128  # bytes on the wire of a ping of the usual size
HEALTHY_RENEWAL_S = 120.0


def one_way(peer: PeerState, seconds: float = EVERY_S, *, handshakes: int = 4, data: int = 60 * PING) -> PeerState:
    """Return the peer after so long: data went out, and handshakes came in, begun by this node."""
    assert peer.last_handshake
    return replace(
        peer,
        last_handshake=peer.last_handshake + seconds,
        rx_bytes=peer.rx_bytes + handshakes * 92,
        tx_bytes=peer.tx_bytes + handshakes * (148 + 32) + data,
    )


def take(tracker: StallTracker, shown: dict[PublicKey, PeerState], now: float) -> None:
    """Take a sample of all peers, as a full pass does."""
    tracker.begin(now)
    tracker.add(shown)
    tracker.end()


def watched(*samples: PeerState, every_s: float = EVERY_S) -> StallTracker:
    tracker = StallTracker()
    for number, sample in enumerate(samples):
        take(tracker, {sample.public_key: sample}, 7.0 + number * every_s)
    return tracker


def one_way_for(windows: int) -> list[PeerState]:
    samples = [FIRST]
    for _ in range(windows):
        samples.append(one_way(samples[-1]))
    return samples


@pytest.mark.parametrize("handshakes", [1, 4, 5])
def test_a_peer_is_stalled_after_some_one_way_windows_in_a_row(handshakes: int) -> None:
    samples = [FIRST]
    for _ in range(STALLED_AFTER):
        assert not watched(*samples).stalled
        samples.append(one_way(samples[-1], handshakes=handshakes))
    assert watched(*samples).stalled == {KEY}


def test_handshakes_without_data_to_send_make_no_peer_stalled() -> None:
    samples = [FIRST]
    for _ in range(STALLED_AFTER + 1):
        samples.append(one_way(samples[-1], data=0))
    assert not watched(*samples).stalled


def test_data_that_arrives_ends_it() -> None:
    *samples, last = one_way_for(STALLED_AFTER + 1)
    assert watched(*samples, replace(last, rx_bytes=last.rx_bytes + 60 * PING)).stalled == set()
    after = replace(samples[-1], last_handshake=None)
    assert watched(*samples, after).stalled == set()
    assert watched(*samples, PeerState(public_key=public_key_of(2))).stalled == set()


def test_samples_that_come_sooner_are_skipped() -> None:
    """Full passes are made for other reasons too, many in a second."""
    tracker = StallTracker()
    for number, sample in enumerate(one_way_for(STALLED_AFTER)):
        take(tracker, {KEY: sample}, number * EVERY_S)
        for n in range(1, 20):
            take(tracker, {KEY: sample}, number * EVERY_S + n * WINDOW_S / 20)
    assert tracker.stalled == {KEY}


@given(
    seconds=st.lists(st.floats(WINDOW_S, 300.0), min_size=1, max_size=6),
    sent=st.integers(0, 10**9),
    keepalive_s=st.floats(10.0, 60.0),
    begun_here=st.booleans(),
)
def test_a_tunnel_that_works_is_not_stalled_however_one_sided_its_traffic_is(
    seconds: list[float], sent: int, keepalive_s: float, begun_here: bool
) -> None:
    """The peer answers with empty keepalives only, and the session is renewed for its age, every 120 s of use."""
    peer, tracker, now, renewed_at = FIRST, StallTracker(), 0.0, 0.0
    take(tracker, {KEY: peer}, now)
    for elapsed_s in seconds:
        now += elapsed_s
        renewals = int((now - renewed_at) // HEALTHY_RENEWAL_S)
        renewed_at += renewals * HEALTHY_RENEWAL_S
        assert peer.last_handshake
        peer = replace(
            peer,
            last_handshake=FIRST.last_handshake and FIRST.last_handshake + renewed_at,
            rx_bytes=peer.rx_bytes + renewals * (92 if begun_here else 148) + int(elapsed_s // keepalive_s) * 32,
            tx_bytes=peer.tx_bytes + sent,
        )
        take(tracker, {KEY: peer}, now)
        assert not tracker.stalled


@given(
    windows=st.integers(1, 5),
    idle=st.builds(
        replace,
        st.just(FIRST),
        last_handshake=st.none() | st.floats(1000.0, 1000.0 + QUICK_RENEWAL_S),
        rx_bytes=st.integers(0, 10**6),
    ),
)
def test_a_peer_to_which_nothing_is_sent_is_not_stalled(windows: int, idle: PeerState) -> None:
    assert not watched(*[FIRST, idle] * windows).stalled


def test_a_peer_that_is_gone_without_handshakes_is_not_stalled() -> None:
    samples = [replace(FIRST, tx_bytes=FIRST.tx_bytes + n * 100_000) for n in range(10)]
    assert not watched(*samples).stalled


async def test_full_passes_feed_it_without_a_read_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalled, "WINDOW_S", 0.0)
    scene = await synced(*mesh(1))
    for number in range(STALLED_AFTER + 1):
        assert not scene.reconciler.stalled
        scene.host.handshake(WG, KEY, 5000.0 + number * EVERY_S, rx_bytes=92, tx_bytes=60 * PING)
        await scene.reconcile_fully()
    assert scene.reconciler.stalled == {KEY}
    assert scene.host.calls["read"] == STALLED_AFTER + 1


def test_the_latest_sample_that_is_old_enough_can_be_had() -> None:
    tracker = StallTracker()
    assert tracker.earlier(1000.0, 0.0) is None
    first, second = {KEY: FIRST}, {KEY: replace(FIRST, rx_bytes=9000)}
    take(tracker, first, 1000.0)
    assert tracker.earlier(1020.0, 15.0) == (first, 20.0)
    take(tracker, second, 1060.0)
    assert tracker.earlier(1070.0, 15.0) == (first, 70.0)
    assert tracker.earlier(1080.0, 15.0) == (second, 20.0)
    assert tracker.earlier(1010.0, 15.0) is None
