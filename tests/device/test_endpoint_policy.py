"""Which endpoint is written: the best one of a new peer at once, and a new candidate when the session is over."""

import pytest
from msgspec.structs import replace

from ikto_core.device.endpoint_policy import TURN_S, EndpointHistory, kicked
from ikto_core.device.model import PeerState
from ikto_core.values.addressing import Endpoint
from tests.device.checked_peer import NOW, OVER, ROAMED, A, B, CheckedPeer, observed

# -- new peers ---------------------------------------------------------------------------------------------------------


def test_the_best_endpoint_of_a_new_peer_is_written_at_once() -> None:
    assert CheckedPeer(A, B).check().endpoint == A


def test_a_turn_goes_on_while_the_peer_is_kicked() -> None:
    peer = CheckedPeer(A, B)
    peer.check()
    peer.check(TURN_S / 2, sent=148)
    assert peer.shown
    assert peer.history
    peer.shown, peer.history = replace(peer.shown, tx_bytes=0), kicked(peer.history)
    assert peer.check(TURN_S / 2, sent=148).endpoint == B


# -- changed records, and peers that the agent finds on the device ----------------------------------------------------


@pytest.mark.parametrize(
    ("candidates", "before", "shown", "written"),
    [
        pytest.param((A, B), (A, B), observed(None), A, id="no endpoint: the best candidate"),
        pytest.param((A, B), (A, B), observed(None, 1), A, id="no endpoint, recent handshake"),
        pytest.param((A, B), (A, B), observed(ROAMED), None, id="record unchanged, roamed, no handshake"),
        pytest.param((A, B), (A, B), observed(ROAMED, 9999), None, id="record unchanged, roamed, idle"),
        pytest.param((B,), (A,), observed(A), B, id="record changed, no session"),
        pytest.param((B, A), (A,), observed(A), B, id="record changed, no session, old endpoint still listed"),
        pytest.param((B,), (A,), observed(ROAMED, OVER - 1), None, id="record changed, session alive"),
        pytest.param((B,), (A,), observed(ROAMED, OVER), B, id="record changed, session over"),
        pytest.param((B,), (A,), observed(ROAMED, -60), None, id="record changed, clock went back"),
        pytest.param((), None, None, None, id="new, and no candidate may be written"),
        pytest.param((), (A,), observed(None), None, id="no endpoint, and no candidate may be written"),
        pytest.param((), (A,), observed(A), None, id="no session, and no candidate may be written any more"),
        pytest.param((A, B), None, observed(B), None, id="found with one of its candidates"),
        pytest.param((A, B), None, observed(ROAMED, 1), None, id="found with another endpoint, session alive"),
        pytest.param((A, B), None, observed(ROAMED, 9999), None, id="found with another endpoint, idle"),
        pytest.param((A, B), None, observed(ROAMED), A, id="found with another endpoint, no handshake ever"),
    ],
)
def test_the_endpoint_to_write(
    candidates: tuple[Endpoint, ...],
    before: tuple[Endpoint, ...] | None,
    shown: PeerState | None,
    written: Endpoint | None,
) -> None:
    peer = CheckedPeer(*candidates, shown=shown)
    last_handshake = shown.last_handshake if shown else None
    peer.history = EndpointHistory(candidates=before, last_handshake=last_handshake) if before else None
    assert peer.check().endpoint == written


def test_a_new_candidate_is_written_when_the_live_session_is_over() -> None:
    peer = CheckedPeer(B, shown=observed(ROAMED, 0))
    peer.history = EndpointHistory(candidates=(A,))
    assert peer.check().endpoint is None
    assert peer.check(OVER / 2, received=32).endpoint is None
    assert peer.check(OVER / 2, received=32).endpoint == B


@pytest.mark.parametrize("age_s", [0, OVER])
def test_after_a_restart_the_endpoint_of_an_idle_peer_stays_until_it_does_not_answer(age_s: int) -> None:
    peer = CheckedPeer(A, shown=observed(ROAMED, age_s))
    assert not any(peer.check(OVER / 2).endpoint for _ in range(4))
    assert peer.outcome(60, sent=500) == (None, peer.now + TURN_S)
    assert peer.check(TURN_S, sent=500).endpoint == A


def test_a_changed_record_is_followed_after_one_silent_turn_of_the_old_endpoint() -> None:
    """Its session still counts as alive."""
    peer = CheckedPeer(A, shown=observed(A, 10))
    peer.check()
    peer.candidates = (B,)
    assert peer.outcome(1, sent=500) == (None, NOW + 1 + TURN_S)
    assert peer.check(TURN_S - 1, sent=500).endpoint is None
    assert peer.check(1, sent=500).endpoint == B
