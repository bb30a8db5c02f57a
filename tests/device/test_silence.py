"""A peer is silent if what was sent to it needs an answer and none came; one that was not asked is not."""

import pytest
from msgspec.structs import replace

from ikto_core.device.endpoint_policy import Moment
from ikto_core.device.model import PeerState
from ikto_core.device.silence import UNANSWERED_S, SilenceTracker, reasons
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint

KEY, OTHER = public_key_of(1), public_key_of(2)
NOW = 1_700_000_000.0
NEW = PeerState(public_key=KEY)
ALIVE = PeerState(public_key=KEY, last_handshake=NOW - 10, rx_bytes=5000, tx_bytes=5000)
DONE = replace(ALIVE, last_handshake=NOW - 500)
EVERY_S = 60.0


def silent_after(*samples: PeerState, every_s: float = EVERY_S) -> bool:
    tracker = SilenceTracker()
    for number, sample in enumerate(samples):
        tracker.observe({KEY: sample}, Moment(7.0 + number * every_s, NOW + number * every_s))
    return bool(tracker.silent)


def sent(peer: PeerState, tx_bytes: int) -> PeerState:
    return replace(peer, tx_bytes=peer.tx_bytes + tx_bytes)


@pytest.mark.parametrize("peer", [NEW, ALIVE, DONE])
def test_one_that_does_not_answer_is_silent(peer: PeerState) -> None:
    asked = sent(peer, 148)
    assert silent_after(peer, asked, sent(asked, 148))
    assert silent_after(peer, asked, asked), "once asked, it owes an answer"


@pytest.mark.parametrize("peer", [NEW, ALIVE, DONE])
def test_one_that_was_not_asked_is_not_silent(peer: PeerState) -> None:
    assert not silent_after(peer, peer, peer, peer)
    assert not silent_after(peer, sent(peer, 96), sent(peer, 96))


def test_one_that_was_asked_just_now_has_time_to_answer() -> None:
    assert not silent_after(NEW, sent(NEW, 148), sent(NEW, 296), every_s=UNANSWERED_S - 1)


@pytest.mark.parametrize("sign", [{"rx_bytes": 5092}, {"last_handshake": NOW}])
def test_any_sign_of_life_ends_it(sign: dict[str, float]) -> None:
    asked = sent(ALIVE, 1000)
    heard = replace(asked, **sign)
    assert silent_after(ALIVE, asked, asked)
    assert not silent_after(ALIVE, asked, asked, heard)
    assert not silent_after(ALIVE, asked, asked, heard, heard)


def test_keepalives_in_a_session_need_no_answer() -> None:
    keeping = replace(ALIVE, persistent_keepalive=25)
    samples = [sent(keeping, number * 80) for number in range(4)]
    assert not silent_after(*samples, every_s=UNANSWERED_S + 10)
    assert silent_after(*(replace(sample, last_handshake=NOW - 500) for sample in samples), every_s=UNANSWERED_S + 10)


def test_one_that_is_added_again_is_still_silent() -> None:
    asked = sent(ALIVE, 1000)
    assert silent_after(ALIVE, asked, asked, NEW, sent(NEW, 148))


def test_one_that_leaves_and_comes_back_is_new() -> None:
    tracker = SilenceTracker()
    for number, shown in enumerate([{KEY: NEW}, {KEY: sent(NEW, 148)}, {}, {KEY: sent(NEW, 148)}]):
        tracker.observe(shown, Moment(number * EVERY_S, NOW + number * EVERY_S))
        if not shown:
            tracker.forget(KEY)
    assert not tracker.silent


def test_each_peer_has_the_reason_that_says_most() -> None:
    endpoint = Endpoint.parse("192.0.2.1:51820")
    shown = {KEY: replace(NEW, endpoint=endpoint), OTHER: PeerState(public_key=OTHER)}
    assert dict(reasons({KEY}, frozenset(), {}, shown)) == {KEY: "no answer from 192.0.2.1:51820"}
    assert dict(reasons({KEY}, {KEY}, {}, shown)) == {KEY: "stalled: handshakes arrive, data does not"}
    missing = {KEY: "learned meanwhile", OTHER: "no route"}
    assert dict(reasons({OTHER}, frozenset(), missing, shown)) == {OTHER: "no usable endpoint: no route"}
    assert dict(reasons({OTHER}, frozenset(), {}, shown)) == {OTHER: "no endpoint known"}
    assert not dict(reasons({KEY}, {KEY}, missing, {})), "gone from the device"
