"""An endpoint is written where one is needed, by whose part it is, and what a living session has learned is let be."""

import pytest
from hypothesis import given

from ikto_core.device.endpoint_policy import START_WAIT_S, TURN_S, Memory, starts
from ikto_core.device.model import PeerState
from ikto_core.testing.strategies import public_keys
from ikto_core.values.addressing import Endpoint
from tests.device.looks import NOW, OVER, ROAMED, A, B, Peer, observed

# -- who speaks first --------------------------------------------------------------------------------------------------


@given(public_keys(), public_keys())
def test_exactly_one_of_two_starts(one: bytes, other: bytes) -> None:
    assert one == other or starts(one, other) is not starts(other, one)


def test_who_starts_writes_a_new_peers_best_endpoint_at_once() -> None:
    assert Peer(A, B).look().endpoint == A


def test_who_does_not_start_writes_none_until_the_wait_is_over() -> None:
    peer = Peer(A, B, first=False)
    assert peer.look()[::2] == (None, NOW + START_WAIT_S)
    assert peer.look(START_WAIT_S / 2)[::2] == (None, NOW + START_WAIT_S)
    assert peer.look(START_WAIT_S / 2).endpoint == A


def test_who_was_spoken_to_meanwhile_writes_none() -> None:
    peer = Peer(A, B, first=False)
    peer.look()
    peer.shown = observed(ROAMED, 0)
    assert peer.look(START_WAIT_S).endpoint is None
    assert peer.look(OVER + 1).endpoint is None, "and it is no record that changed"


def test_a_record_that_changes_while_its_peer_is_waited_for_gives_the_endpoint() -> None:
    peer = Peer(A, first=False)
    peer.look()
    peer.candidates = (B,)
    assert peer.look(START_WAIT_S / 2)[::2] == (None, NOW + START_WAIT_S)
    assert peer.look(START_WAIT_S).endpoint == B


# -- records that change, and peers that were there before us ---------------------------------------------------------


@pytest.mark.parametrize(
    ("candidates", "before", "shown", "written"),
    [
        pytest.param((A, B), (A, B), observed(None), A, id="none known: the best"),
        pytest.param((A, B), (A, B), observed(None, 1), A, id="none known, whatever the handshake"),
        pytest.param((A, B), (A, B), observed(ROAMED), None, id="the same: roaming is let be, idle or not"),
        pytest.param((A, B), (A, B), observed(ROAMED, 9999), None, id="the same: idle is not dead"),
        pytest.param((B,), (A,), observed(A), B, id="record changed, no session: the new one"),
        pytest.param((B, A), (A,), observed(A), B, id="record changed, no session, the old one still listed"),
        pytest.param((B,), (A,), observed(ROAMED, OVER - 1), None, id="record changed, session alive"),
        pytest.param((B,), (A,), observed(ROAMED, OVER), B, id="record changed, session over"),
        pytest.param((B,), (A,), observed(ROAMED, -60), None, id="a handshake from before the clock went back"),
        pytest.param((A, B), None, observed(B), None, id="found one of its own"),
        pytest.param((A, B), None, observed(ROAMED, 1), None, id="found another, session alive"),
        pytest.param((A, B), None, observed(ROAMED, 9999), None, id="found another, idle: it may have roamed"),
        pytest.param((A, B), None, observed(ROAMED), A, id="found another, no session ever"),
    ],
)
def test_the_endpoint_to_write(
    candidates: tuple[Endpoint, ...],
    before: tuple[Endpoint, ...] | None,
    shown: PeerState,
    written: Endpoint | None,
) -> None:
    peer = Peer(*candidates, shown=shown)
    peer.memory = Memory(candidates=before, heard=(0, shown.last_handshake)) if before else None
    assert peer.look().endpoint == written


def test_what_a_living_session_put_off_is_written_when_the_session_is_over() -> None:
    peer = Peer(B, shown=observed(ROAMED, 0))
    peer.memory = Memory(candidates=(A,))
    assert peer.look().endpoint is None
    assert peer.look(OVER / 2, received=32).endpoint is None
    assert peer.look(OVER / 2, received=32).endpoint == B


@pytest.mark.parametrize("age_s", [0, OVER])
def test_where_an_idle_peer_was_when_we_were_restarted_is_let_be_until_it_does_not_answer_there(age_s: int) -> None:
    peer = Peer(A, shown=observed(ROAMED, age_s))
    assert not any(peer.look(OVER / 2).endpoint for _ in range(4))
    assert peer.look(60, sent=500)[::2] == (None, peer.now + TURN_S)
    assert peer.look(TURN_S, sent=500).endpoint == A


def test_a_peer_that_moved_is_followed_once_its_old_place_is_silent_for_a_turn() -> None:
    """Its session is alive, as far as we know; its record has changed."""
    peer = Peer(A, shown=observed(A, 10))
    peer.look()
    peer.candidates = (B,)
    assert peer.look(1, sent=500)[::2] == (None, NOW + 1 + TURN_S)
    assert peer.look(TURN_S - 1, sent=500).endpoint is None
    assert peer.look(1, sent=500).endpoint == B
