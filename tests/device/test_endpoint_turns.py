"""A silent peer is tried at each of its candidates in turn; an idle or answering peer keeps its endpoint."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.device.endpoint_policy import INITIATION_BYTES, TURN_S, EndpointHistory
from ikto_core.device.model import PeerState
from ikto_core.testing.strategies import endpoints
from ikto_core.values.addressing import Endpoint
from tests.device.checked_peer import AGES, CANDIDATES, OVER, ROAMED, A, B, C, CheckedPeer, observed

STEPS = st.lists(
    st.tuples(st.floats(0.1, 100), st.sampled_from([0, 32, 148, 999]), st.sampled_from([0, 0, 32]), st.booleans()),
    max_size=20,
)


@given(CANDIDATES, st.builds(observed, st.none() | endpoints(), AGES), st.booleans(), st.integers(0, 4), STEPS)
def test_only_candidates_are_written_and_the_next_check_is_in_the_future(
    candidates: tuple[Endpoint, ...],
    shown: PeerState,
    keepalive: bool,
    unrouted: int,
    steps: list[tuple[float, int, int, bool]],
) -> None:
    peer = CheckedPeer(*candidates, shown=shown, keepalive=keepalive)
    peer.without_route = {*candidates[:unrouted]}
    for after_s, sent, received, handshake in steps:
        choice = peer.check(after_s, sent=sent, received=received, handshake=handshake)
        assert choice.endpoint in {*candidates, None}
        assert choice.check_at is None or choice.check_at > peer.now


@given(CANDIDATES, st.booleans(), st.lists(st.tuples(st.floats(0.1, 100), st.integers(0, 9999)), max_size=20))
def test_the_endpoint_of_an_answering_peer_is_left_unchanged(
    candidates: tuple[Endpoint, ...], keepalive: bool, steps: list[tuple[float, int]]
) -> None:
    peer = CheckedPeer(*candidates, keepalive=keepalive)
    peer.check()
    peer.shown = observed(ROAMED, 0)
    for after_s, sent in steps:
        assert peer.check(after_s, sent=sent, received=32).endpoint is None


@given(CANDIDATES, AGES, st.booleans(), st.lists(st.floats(0.1, 100), max_size=20))
def test_the_endpoint_of_an_idle_peer_is_left_unchanged(
    candidates: tuple[Endpoint, ...], age_s: int | None, keepalive: bool, steps: list[float]
) -> None:
    peer = CheckedPeer(*candidates, keepalive=keepalive)
    peer.check()
    peer.shown = observed(ROAMED, age_s)
    assert not any(peer.check(after_s).endpoint for after_s in steps)


@given(CANDIDATES, st.lists(st.floats(0.1, 20), max_size=8), st.integers(0, 9999))
def test_keepalives_in_a_live_session_need_no_answer(
    candidates: tuple[Endpoint, ...], steps: list[float], sent: int
) -> None:
    peer = CheckedPeer(*candidates, shown=observed(candidates[0], 0), keepalive=True)
    assert not any(peer.check(after_s, sent=sent).endpoint for after_s in steps)


def test_keepalives_need_an_answer_if_the_clock_went_back_since_the_handshake() -> None:
    """The age of the session is unknown then: a dead peer would keep its endpoint until the clock has caught up."""
    peer = CheckedPeer(A, B, shown=observed(A, -86400), keepalive=True)
    peer.check()
    assert peer.outcome(60, sent=500) == (None, peer.now + TURN_S)
    assert peer.check(TURN_S, sent=500).endpoint == B


@given(CANDIDATES, st.booleans(), st.integers(INITIATION_BYTES, 9999), st.integers(0, 9))
def test_every_candidate_of_a_silent_peer_gets_a_turn(
    candidates: tuple[Endpoint, ...], keepalive: bool, sent: int, rounds: int
) -> None:
    """The peer is checked when the policy asks for it, while traffic continues."""
    peer = CheckedPeer(*candidates, keepalive=keepalive)
    peer.check()
    for _ in range(rounds):
        check_at = peer.history and peer.check(TURN_S, sent=sent).check_at
        assert check_at == (peer.now + TURN_S if len(candidates) > 1 else None)
    turns = [endpoint for _, endpoint in peer.written]
    count = rounds + 1 if len(candidates) > 1 else 1
    assert turns == [candidates[turn % len(candidates)] for turn in range(count)]


def check_while_unanswered(peer: CheckedPeer) -> Iterator[Endpoint | None]:
    """Check a peer every 5 s while traffic to it is not answered; yield the endpoints that are written."""
    while True:
        yield peer.check(5, sent=INITIATION_BYTES).endpoint


@pytest.mark.parametrize("age_s", [0, OVER, None])
def test_frequent_checks_do_not_shorten_a_turn(age_s: float | None) -> None:
    peer = CheckedPeer(A, B, C, shown=observed(ROAMED, age_s))
    peer.history = EndpointHistory(candidates=(A, B, C), last_handshake=observed(ROAMED, age_s).last_handshake)
    checks = check_while_unanswered(peer)
    assert [next(checks) for _ in range(13)] == [None, None, None, A, None, None, B, None, None, C, None, None, A]
    assert {after - before for (before, _), (after, _) in pairwise(peer.written)} == {TURN_S}


def test_a_roamed_peer_that_is_silent_is_tried_at_its_recorded_endpoint() -> None:
    peer = CheckedPeer(A)
    peer.check()
    peer.shown = observed(ROAMED, 0)
    peer.check(20, received=32)
    assert peer.outcome(60, sent=INITIATION_BYTES) == (None, peer.now + TURN_S)
    assert peer.outcome(TURN_S, sent=INITIATION_BYTES) == (A, None)
    assert peer.check(TURN_S, sent=INITIATION_BYTES).endpoint is None, "there is no other candidate"


@pytest.mark.parametrize("answer", [{"received": 32}, {"handshake": True}])
def test_an_answer_ends_the_turns(answer: dict[str, int | bool]) -> None:
    peer = CheckedPeer(A, B)
    peer.check()
    assert peer.check(TURN_S, sent=500).endpoint == B
    assert peer.outcome(TURN_S, sent=500, **answer) == (None, None)  # type: ignore[arg-type]
    assert [endpoint for _, endpoint in peer.written] == [A, B]


def test_an_answer_may_arrive_after_the_check() -> None:
    peer = CheckedPeer(A, B, shown=observed(A, 0))
    peer.check()
    assert peer.outcome(60, sent=500) == (None, peer.now + TURN_S)
    assert peer.outcome(TURN_S, sent=500, received=32) == (None, None)


def test_a_few_keepalives_need_no_answer() -> None:
    peer = CheckedPeer(A, B, shown=observed(A, 0))
    peer.check()
    for _ in range(3):
        assert peer.outcome(60, sent=64) == (None, None)


def test_the_wait_ends_with_a_turn_in_which_nothing_was_sent() -> None:
    peer = CheckedPeer(A, B)
    assert peer.check().check_at == peer.now + TURN_S
    assert peer.outcome(TURN_S) == (None, None)


# -- endpoints without a route -----------------------------------------------------------------------------------------


def test_candidates_with_a_route_come_first() -> None:
    peer = CheckedPeer(A, B, C)
    peer.without_route = {A}
    peer.check()
    peer.check(TURN_S, sent=INITIATION_BYTES)
    peer.check(TURN_S, sent=INITIATION_BYTES)
    assert [endpoint for _, endpoint in peer.written] == [B, C, B]


@pytest.mark.parametrize("candidates", [(A,), (A, B)])
def test_a_new_peer_has_no_endpoint_until_there_is_a_route(candidates: tuple[Endpoint, ...]) -> None:
    peer = CheckedPeer(*candidates)
    peer.without_route = {*candidates}
    assert not any(peer.check(60).endpoint for _ in range(3))
    peer.without_route = {*candidates[:-1]}
    assert peer.check(60).endpoint == candidates[-1]


def test_an_endpoint_without_a_route_is_replaced_when_the_session_is_over() -> None:
    peer = CheckedPeer(A, B, shown=observed(A, 0))
    peer.check()
    peer.without_route = {A}
    assert peer.check(60).endpoint is None
    assert peer.check(OVER).endpoint == B


@pytest.mark.parametrize("keepalive", [False, True])
def test_an_endpoint_that_loses_its_route_in_a_live_session_is_replaced_after_a_turn(keepalive: bool) -> None:
    """As when a host loses one of IPv4 and IPv6. Nothing is sent, so no answer is missing."""
    peer = CheckedPeer(A, B, shown=observed(A, 0), keepalive=keepalive)
    peer.check()
    peer.without_route = {A}
    assert peer.outcome(1) == (None, peer.now + TURN_S)
    assert peer.check(TURN_S).endpoint == B


def test_a_peer_that_was_heard_just_before_its_endpoint_lost_its_route_is_waited_for_too() -> None:
    """Nothing of the peer may change any more, so nothing else would cause another check."""
    peer = CheckedPeer(A, B, shown=observed(A, 0))
    peer.check()
    peer.without_route = {A}
    assert peer.outcome(1, received=1000, handshake=True) == (None, peer.now + TURN_S)
    assert peer.outcome(TURN_S, received=1000) == (None, peer.now + TURN_S), "heard again"
    assert peer.check(TURN_S).endpoint == B


def test_a_first_candidate_that_is_in_place_and_has_no_route_is_waited_for_too() -> None:
    """As when a peer has roamed there while its records named it first. The session may live on for minutes."""
    peer = CheckedPeer(A, B, C, shown=observed(A, 0))
    peer.check()
    peer.candidates, peer.shown = (B, A), observed(B, 0)
    peer.without_route = {B}
    assert peer.outcome(1) == (None, peer.now + TURN_S)
    assert peer.check(TURN_S).endpoint == A


def test_a_route_that_comes_back_within_the_turn_changes_no_endpoint() -> None:
    peer = CheckedPeer(A, B, shown=observed(A, 0))
    peer.check()
    peer.without_route = {A}
    peer.check(1)
    peer.without_route = set()
    assert peer.outcome(TURN_S) == (None, None)
