"""Decides which endpoint to write for a peer, if any. Pure.

WireGuard learns the endpoint of a peer by roaming, and overwriting it breaks the tunnel. So an endpoint is written only
if the peer is new, if its records name other candidates and its session is over, or if it does not answer: then each
candidate gets a turn. A roamed endpoint stays as long as the peer answers. The endpoint of an idle peer stays too: a
missing answer says nothing as long as nothing was sent.
"""

from collections.abc import Callable, Iterable
from math import inf
from typing import NamedTuple

import msgspec

from ikto_core.device.model import PeerState
from ikto_core.values.addressing import Endpoint

HANDSHAKE_RECENT_S = 180.0
"""A session whose last handshake is younger is alive: REJECT_AFTER_TIME of the WireGuard paper, section 6.1; innernet
uses the same limit."""

TURN_S = 15.0
"""How long a candidate has to answer, as in Talos KubeSpan. By then WireGuard itself has given the session up: a peer
that receives data answers within KEEPALIVE_TIMEOUT, 10 s; REKEY_TIMEOUT, 5 s, later, WireGuard tries a handshake."""

INITIATION_BYTES = 148
"""The size of a handshake initiation. Fewer bytes between two checks need no answer: an answering peer with no data to
send is sent an empty keepalive, of 32 bytes, now and then."""


class Moment(NamedTuple):
    """A point in time on two clocks."""

    monotonic: float  # seconds of a clock that never goes back
    epoch: float  # seconds since the epoch, the clock of handshake times


class EndpointHistory(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a check of a peer records for the next check."""

    candidates: tuple[Endpoint, ...]  # from the peer's records
    unwritten: bool = False  # none of the candidates was written yet, because a session was alive
    waiting_since: float | None = None  # when the wait for a sign of the peer began; None: not waiting
    tx_bytes: int = 0  # bytes sent to the peer by then
    rx_bytes: int = 0  # bytes received from the peer by then
    last_handshake: float | None = None  # its last handshake by then


class EndpointChoice(msgspec.Struct, frozen=True, gc=False):
    """What to write for a peer, and the history to record after the write."""

    endpoint: Endpoint | None  # None: leave the endpoint that the device has or has learned by roaming
    history: EndpointHistory
    check_at: float | None = None  # when to check the peer again, by `Moment.monotonic`; None: at the next full pass


def choose_endpoint(
    candidates: tuple[Endpoint, ...],
    history: EndpointHistory | None,
    observed: PeerState | None,
    *,
    at: Moment,
    keepalive: bool = False,
    has_route: Callable[[Endpoint], bool] = lambda _: True,
) -> EndpointChoice:
    """Return the endpoint to write for a peer, if any, and when to check the peer again.

    Args:
        candidates: The endpoints in the peer's records that may be written, best first; none is possible.
        history: The history that the last check recorded; None: the peer was never checked.
        observed: The peer as the device shows it; None if the device does not have it yet.
        at: The time of the check.
        keepalive: Whether the device sends persistent keepalives to the peer, which need no answer.
        has_route: Whether this host has a route to an endpoint; one without a route is not written. Without a route
            nothing is sent and no byte is counted, so the peer would seem to be idle.

    """
    if observed is None or observed.endpoint is None:
        return _begin_turn(first_routable(candidates, has_route), candidates, observed, at.monotonic)
    history = _carry_over(candidates, history, observed, at.monotonic)
    others = _later_turns(() if history.unwritten else candidates, observed.endpoint) or candidates
    if not others or others[0] == observed.endpoint:
        is_lost = len(others) > 1 and not has_route(observed.endpoint)
        history = _record(candidates, observed, waiting_since=at.monotonic if is_lost else None)
        return EndpointChoice(None, history, _turn_ends(history))
    unrouted = not has_route(observed.endpoint)
    history = _track_silence(history, observed, at, keepalive=keepalive, unrouted=unrouted)
    turn_ends = _turn_ends(history)
    session_over = _handshake_age_s(observed, at.epoch) >= HANDSHAKE_RECENT_S
    obsolete = session_over and (history.unwritten or unrouted)
    if not obsolete and (turn_ends is None or turn_ends > at.monotonic):
        return EndpointChoice(None, history, turn_ends)
    if endpoint := first_routable(others, has_route):
        return _begin_turn(endpoint, candidates, observed, at.monotonic)
    return EndpointChoice(None, _record(candidates, observed, unwritten=history.unwritten))


def first_routable(endpoints: Iterable[Endpoint], has_route: Callable[[Endpoint], bool]) -> Endpoint | None:
    """Return the first endpoint that this host has a route to; None: there is none."""
    return next(filter(has_route, endpoints), None)


def kicked(history: EndpointHistory) -> EndpointHistory:
    """Return the history of a peer that was removed and added again: its counters begin at 0, its turn goes on."""
    return msgspec.structs.replace(history, tx_bytes=0, rx_bytes=0, last_handshake=None)


def _begin_turn(
    endpoint: Endpoint | None, candidates: tuple[Endpoint, ...], observed: PeerState | None, now: float
) -> EndpointChoice:
    """Return the choice to write an endpoint, if there is one; its turn begins now if there are other candidates."""
    history = _record(candidates, observed, waiting_since=now if endpoint and len(candidates) > 1 else None)
    return EndpointChoice(endpoint, history, _turn_ends(history))


def _carry_over(
    candidates: tuple[Endpoint, ...], history: EndpointHistory | None, observed: PeerState, now: float
) -> EndpointHistory:
    """Return the history of a peer with these candidates; if they are new, none of them was written yet.

    Without a history (after a restart of the agent), an endpoint that is not a candidate counts as roamed, unless the
    peer never had a handshake.
    """
    if history is None:
        roamed_or_own = observed.last_handshake is not None or observed.endpoint in candidates
        return _record(candidates, observed, unwritten=not roamed_or_own)
    if history.candidates != candidates:
        return _record(candidates, observed, unwritten=True, waiting_since=now)
    return history


def _track_silence(
    history: EndpointHistory, observed: PeerState, at: Moment, *, keepalive: bool, unrouted: bool
) -> EndpointHistory:
    """Return the history after a check; it waits, one turn at a time, for a peer that does not answer.

    An answer is due if at least the size of a handshake initiation was sent since the last check; keepalives in a live
    session need no answer. If the endpoint has no route (`unrouted`), nothing can be sent: an answer is due at once,
    and again after each sign of the peer. The wait ends with the turn if no answer was due by then.
    """
    excused = keepalive and not unrouted and 0 <= _handshake_age_s(observed, at.epoch) < HANDSHAKE_RECENT_S
    heard = (history.rx_bytes, history.last_handshake) != (observed.rx_bytes, observed.last_handshake)
    silent = not heard and not excused
    answer_due = unrouted or observed.tx_bytes - history.tx_bytes >= INITIATION_BYTES
    if silent and history.waiting_since is not None and (answer_due or at.monotonic < history.waiting_since + TURN_S):
        return history
    waiting_since = at.monotonic if unrouted or (silent and answer_due) else None
    return _record(history.candidates, observed, unwritten=history.unwritten, waiting_since=waiting_since)


def _record(
    candidates: tuple[Endpoint, ...],
    observed: PeerState | None,
    *,
    unwritten: bool = False,
    waiting_since: float | None = None,
) -> EndpointHistory:
    """Return a new history with the counters of the observed peer."""
    return EndpointHistory(
        candidates=candidates,
        unwritten=unwritten,
        waiting_since=waiting_since,
        tx_bytes=observed.tx_bytes if observed else 0,
        rx_bytes=observed.rx_bytes if observed else 0,
        last_handshake=observed.last_handshake if observed else None,
    )


def _turn_ends(history: EndpointHistory) -> float | None:
    return None if history.waiting_since is None else history.waiting_since + TURN_S


def _later_turns(candidates: tuple[Endpoint, ...], current: Endpoint) -> tuple[Endpoint, ...]:
    """Return the candidates whose turns follow that of `current`, itself last; empty if it is not a candidate."""
    if current not in candidates:
        return ()
    after = candidates.index(current) + 1
    return candidates[after:] + candidates[:after]


def _handshake_age_s(observed: PeerState, epoch: float) -> float:
    """Return the age of the last handshake; negative if the clock went back since, and then it may be of any age."""
    return inf if observed.last_handshake is None else epoch - observed.last_handshake
