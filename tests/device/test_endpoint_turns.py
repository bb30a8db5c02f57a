"""Who is silent though asked is tried elsewhere, each place in its turn; who is idle or answers is let be."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.device.endpoint_policy import INITIATION_BYTES, TURN_S, Memory
from ikto_core.device.model import PeerState
from ikto_core.testing.strategies import endpoints
from ikto_core.values.addressing import Endpoint
from tests.device.looks import AGES, CANDIDATES, OVER, ROAMED, A, B, C, Peer, observed

STEPS = st.lists(
    st.tuples(st.floats(0.1, 100), st.sampled_from([0, 32, 148, 999]), st.sampled_from([0, 0, 32]), st.booleans()),
    max_size=20,
)


@given(CANDIDATES, st.builds(observed, st.none() | endpoints(), AGES), st.booleans(), st.integers(0, 4), STEPS)
def test_whatever_happens_a_candidate_is_written_or_none_and_the_next_look_is_ahead(
    candidates: tuple[Endpoint, ...],
    shown: PeerState,
    keepalive: bool,
    unrouted: int,
    steps: list[tuple[float, int, int, bool]],
) -> None:
    peer = Peer(*candidates, shown=shown, first=False, keepalive=keepalive)
    peer.unrouted = {*candidates[:unrouted]}
    for after_s, sent, received, shake in steps:
        choice = peer.look(after_s, sent=sent, received=received, shake=shake)
        assert choice.endpoint in {*candidates, None}
        assert choice.look_at is None or choice.look_at > peer.now


@given(CANDIDATES, st.booleans(), st.lists(st.tuples(st.floats(0.1, 100), st.integers(0, 9999)), max_size=20))
def test_who_answers_between_looks_is_let_be_wherever_it_is(
    candidates: tuple[Endpoint, ...], keepalive: bool, steps: list[tuple[float, int]]
) -> None:
    peer = Peer(*candidates, keepalive=keepalive)
    peer.look()
    peer.shown = observed(ROAMED, 0)
    for after_s, sent in steps:
        assert peer.look(after_s, sent=sent, received=32).endpoint is None


@given(CANDIDATES, AGES, st.booleans(), st.lists(st.floats(0.1, 100), max_size=20))
def test_who_was_not_asked_is_let_be_for_ever(
    candidates: tuple[Endpoint, ...], age_s: int | None, keepalive: bool, steps: list[float]
) -> None:
    peer = Peer(*candidates, keepalive=keepalive)
    peer.look()
    peer.shown = observed(ROAMED, age_s)
    assert not any(peer.look(after_s).endpoint for after_s in steps)


@given(CANDIDATES, st.lists(st.floats(0.1, 20), max_size=8), st.integers(0, 9999))
def test_our_keepalives_that_a_living_session_need_not_answer_are_no_question(
    candidates: tuple[Endpoint, ...], steps: list[float], sent: int
) -> None:
    peer = Peer(*candidates, shown=observed(candidates[0], 0), keepalive=True)
    assert not any(peer.look(after_s, sent=sent).endpoint for after_s in steps)


def test_keepalives_are_a_question_if_the_clock_went_back_since_the_last_handshake() -> None:
    """Nobody knows then how old the session is: a dead peer would be let be until the clock is there again."""
    peer = Peer(A, B, shown=observed(A, -86400), keepalive=True)
    peer.look()
    assert peer.look(60, sent=500)[::2] == (None, peer.now + TURN_S)
    assert peer.look(TURN_S, sent=500).endpoint == B


@given(CANDIDATES, st.booleans(), st.integers(INITIATION_BYTES, 9999), st.integers(0, 9))
def test_all_candidates_of_a_silent_peer_get_their_turns(
    candidates: tuple[Endpoint, ...], keepalive: bool, sent: int, rounds: int
) -> None:
    """It is looked at when the rule asks for it, and traffic goes on."""
    peer = Peer(*candidates, keepalive=keepalive)
    peer.look()
    for _ in range(rounds):
        asked_for = peer.memory and peer.look(TURN_S, sent=sent).look_at
        assert asked_for == (peer.now + TURN_S if len(candidates) > 1 else None)
    turns = [endpoint for _, endpoint in peer.written]
    count = rounds + 1 if len(candidates) > 1 else 1
    assert turns == [candidates[turn % len(candidates)] for turn in range(count)]


def unanswered(peer: Peer) -> Iterator[Endpoint | None]:
    """Look at a peer every 5 s, as traffic to it goes on; yield what is written."""
    while True:
        yield peer.look(5, sent=INITIATION_BYTES).endpoint


@pytest.mark.parametrize("age_s", [0, OVER, None])
def test_looked_at_more_often_a_turn_still_has_its_time(age_s: float | None) -> None:
    peer = Peer(A, B, C, shown=observed(ROAMED, age_s))
    peer.memory = Memory(candidates=(A, B, C), heard=(0, observed(ROAMED, age_s).last_handshake))
    looks = unanswered(peer)
    assert [next(looks) for _ in range(13)] == [None, None, None, A, None, None, B, None, None, C, None, None, A]
    assert {after - before for (before, _), (after, _) in pairwise(peer.written)} == {TURN_S}


def test_a_roamed_peer_that_died_is_tried_where_its_record_says() -> None:
    peer = Peer(A)
    peer.look()
    peer.shown = observed(ROAMED, 0)
    peer.look(20, received=32)
    assert peer.look(60, sent=INITIATION_BYTES)[::2] == (None, peer.now + TURN_S)
    assert peer.look(TURN_S, sent=INITIATION_BYTES)[::2] == (A, None)
    assert peer.look(TURN_S, sent=INITIATION_BYTES).endpoint is None, "there is no other"


@pytest.mark.parametrize("answer", [{"received": 32}, {"shake": True}])
def test_an_answer_ends_the_turns(answer: dict[str, int | bool]) -> None:
    peer = Peer(A, B)
    peer.look()
    assert peer.look(TURN_S, sent=500).endpoint == B
    assert peer.look(TURN_S, sent=500, **answer)[::2] == (None, None)  # type: ignore[arg-type]
    assert [endpoint for _, endpoint in peer.written] == [A, B]


def test_what_is_sent_right_before_a_look_may_be_answered_later() -> None:
    peer = Peer(A, B, shown=observed(A, 0))
    peer.look()
    assert peer.look(60, sent=500)[::2] == (None, peer.now + TURN_S)
    assert peer.look(TURN_S, sent=500, received=32)[::2] == (None, None)


def test_a_few_keepalives_are_no_question() -> None:
    peer = Peer(A, B, shown=observed(A, 0))
    peer.look()
    for _ in range(3):
        assert peer.look(60, sent=64)[::2] == (None, None)


def test_who_is_not_asked_in_its_turn_is_waited_for_no_longer() -> None:
    peer = Peer(A, B)
    assert peer.look().look_at == peer.now + TURN_S
    assert peer.look(TURN_S)[::2] == (None, None)


# -- endpoints that this host can't send to ----------------------------------------------------------------------------


def test_who_can_be_sent_to_comes_first() -> None:
    peer = Peer(A, B, C)
    peer.unrouted = {A}
    peer.look()
    peer.look(TURN_S, sent=INITIATION_BYTES)
    peer.look(TURN_S, sent=INITIATION_BYTES)
    assert [endpoint for _, endpoint in peer.written] == [B, C, B]


def test_a_new_peer_that_can_not_be_sent_to_has_its_best_endpoint_until_a_route_comes() -> None:
    peer = Peer(A, B)
    peer.unrouted = {A, B}
    assert peer.look().endpoint == A
    assert not any(peer.look(60).endpoint for _ in range(3))
    peer.unrouted = {A}
    assert peer.look(60).endpoint == B


def test_who_lost_its_route_is_moved_when_its_session_is_over() -> None:
    peer = Peer(A, B, shown=observed(A, 0))
    peer.look()
    peer.unrouted = {A}
    assert peer.look(60).endpoint is None
    assert peer.look(OVER).endpoint == B
