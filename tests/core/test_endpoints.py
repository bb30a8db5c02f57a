"""An endpoint is written where one is needed, and what a living session has learned is let be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.addressing import Endpoint
from ikto_core.endpoints import HANDSHAKE_RECENT_S, endpoint_to_write
from ikto_core.model import PeerState
from ikto_core.testing.devices import public_key_of
from ikto_core.testing.strategies import endpoints

NOW = 1_700_000_000.0
A, B, ROAMED = (Endpoint("192.0.2.1", port) for port in (1, 2, 3))
BARE = PeerState(public_key=public_key_of(1))
CANDIDATES = st.lists(endpoints(), min_size=1, max_size=4, unique=True).map(tuple)
AGES = st.none() | st.integers(-1000, 1000)


def observed(endpoint: Endpoint | None, age_s: float | None = None) -> PeerState:
    """Return a peer at an endpoint whose last handshake is so long ago; None: there was none."""
    return replace(BARE, endpoint=endpoint, last_handshake=None if age_s is None else NOW - age_s)


@pytest.mark.parametrize(
    ("candidates", "tried", "observed", "written"),
    [
        pytest.param((A, B), None, None, A, id="new peer: the best"),
        pytest.param((A, B), (A, B), None, A, id="gone from the device: the best again"),
        pytest.param((A, B), (A, B), observed(None), A, id="none known: the best"),
        pytest.param((A, B), (A, B), observed(None, 1), A, id="none known, whatever the handshake"),
        pytest.param((A, B), (A, B), observed(ROAMED), None, id="tried before: roaming is let be, idle or not"),
        pytest.param((A, B), (A, B), observed(ROAMED, 9999), None, id="tried before: idle is not dead"),
        pytest.param((B,), (A,), observed(A), B, id="record changed, no session: the new one"),
        pytest.param((B, A), (A,), observed(A), B, id="record changed, no session, the old one still listed"),
        pytest.param((B,), (A,), observed(ROAMED, 179), None, id="record changed, session alive"),
        pytest.param((B,), (A,), observed(ROAMED, 180), B, id="record changed, session over"),
        pytest.param((B,), (A,), observed(ROAMED, -60), None, id="a handshake from before the clock went back"),
        pytest.param((A, B), None, observed(B), None, id="found one of its own"),
        pytest.param((A, B), None, observed(ROAMED, 1), None, id="found another, session alive"),
        pytest.param((A, B), None, observed(ROAMED), A, id="found another, no session"),
    ],
)
def test_the_endpoint_to_write(
    candidates: tuple[Endpoint, ...],
    tried: tuple[Endpoint, ...] | None,
    observed: PeerState | None,
    written: Endpoint | None,
) -> None:
    assert endpoint_to_write(candidates, tried=tried, observed=observed, now=NOW) == written


@given(CANDIDATES, st.none() | CANDIDATES, st.none() | endpoints(), AGES)
def test_what_is_written_is_the_best_candidate_or_nothing(
    candidates: tuple[Endpoint, ...], tried: tuple[Endpoint, ...] | None, endpoint: Endpoint | None, age_s: float | None
) -> None:
    written = endpoint_to_write(candidates, tried=tried, observed=observed(endpoint, age_s), now=NOW)
    assert written in {candidates[0], None}
    assert endpoint or written


@given(CANDIDATES, st.none() | CANDIDATES, endpoints(), st.integers(-1000, int(HANDSHAKE_RECENT_S) - 1))
def test_a_living_sessions_endpoint_is_never_written(
    candidates: tuple[Endpoint, ...], tried: tuple[Endpoint, ...] | None, endpoint: Endpoint, age_s: float
) -> None:
    assert endpoint_to_write(candidates, tried=tried, observed=observed(endpoint, age_s), now=NOW) is None


@given(CANDIDATES, st.none() | CANDIDATES, endpoints(), AGES)
def test_what_was_written_once_is_not_written_again(
    candidates: tuple[Endpoint, ...], tried: tuple[Endpoint, ...] | None, endpoint: Endpoint, age_s: float | None
) -> None:
    first = endpoint_to_write(candidates, tried=tried, observed=observed(endpoint, age_s), now=NOW)
    if first:
        assert endpoint_to_write(candidates, tried=candidates, observed=observed(first, age_s), now=NOW + 1) is None
