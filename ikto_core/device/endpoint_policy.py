"""Which endpoint to write for a peer, if any. WireGuard learns where a peer is; undoing that cuts the tunnel.

An endpoint is written when the peer is new, when its records name others and its session is over, and when it does not
answer: then the candidates have their turns. What roaming has learned is let be as long as the peer answers, and so
is a peer that is idle: what was never asked can't be missing.
"""

from collections.abc import Callable
from math import inf
from typing import NamedTuple

import msgspec

from ikto_core.device.model import PeerState
from ikto_core.values.addressing import Endpoint

HANDSHAKE_RECENT_S = 180.0
"""A session this young is alive: REJECT_AFTER_TIME of the WireGuard paper, section 6.1; innernet takes the same."""

TURN_S = 15.0
"""How long a candidate may take to answer, as in Talos KubeSpan. By then WireGuard itself has given the session up:
who gets data answers within KEEPALIVE_TIMEOUT, 10 s, and after REKEY_TIMEOUT, 5 s more, a handshake is tried."""

START_WAIT_S = 1.0
"""How long a new peer whose part it is to speak first is waited for: many round trips, and soon enough for people."""

INITIATION_BYTES = 148
"""The size of a handshake initiation: less than that is sent to a peer that hears us, and need not answer, now and
then (an empty keepalive has 32)."""


class Moment(NamedTuple):
    """A point in time, by two clocks."""

    now: float  # seconds of a clock that never goes back
    epoch: float  # seconds since the epoch, as handshakes are told


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at a peer leaves for the next."""

    candidates: tuple[Endpoint, ...]  # what its records said
    owed: bool = False  # none of them was written yet, for a session was alive
    unspoken: bool = False  # the peer was added without an endpoint: it is its part to speak first
    since: float | None = None  # when we began to wait for a sign of it; None: we wait for none
    sent: int = 0  # bytes sent to it by then
    heard: tuple[int, float | None] = (0, None)  # bytes received of it by then, and its last handshake


class Choice(NamedTuple):
    """What to do about a peer, and what to remember once it is done."""

    endpoint: Endpoint | None  # write this one; None: leave what the device has or learned by roaming
    memory: Memory
    look_at: float | None = None  # when to look at it again, by `Moment.now`; None: whenever somebody looks anyway


def starts(own: bytes, other: bytes) -> bool:
    """Whether it is our part to speak first to a new peer: exactly one of two public keys says so.

    Two that do it at once, within a round trip, throw away each other's handshakes for as long as both go on.
    """
    return own < other


def choose_endpoint(
    candidates: tuple[Endpoint, ...],
    memory: Memory | None,
    observed: PeerState | None,
    *,
    at: Moment,
    first: bool = True,
    keepalive: bool = False,
    has_route: Callable[[Endpoint], bool] = lambda _: True,
) -> Choice:
    """Return what to write for a peer.

    Args:
        candidates: What the peer's records say, best first; at least one.
        memory: What the last look left; None: we never looked at this peer.
        observed: The peer as the device shows it; None if it is not there yet.
        at: The time of the look.
        first: Whether it is our part to speak first: see `starts`.
        keepalive: Whether we keep sending to it, which a peer need not answer.
        has_route: Whether this host can send to an endpoint at all. What can't be sent is not counted, so who is asked
            there seems to be idle.

    """
    if observed is None or observed.endpoint is None:
        waiting = _waiting(candidates, memory, observed, at.now, first=first)
        return waiting or _written(_routed(candidates, has_route) or candidates[0], candidates, observed, at.now)
    memory = _continued(candidates, memory, observed, at.now)
    others = _others(() if memory.owed else candidates, observed.endpoint) or candidates
    if others[0] == observed.endpoint:
        return Choice(None, _looked(candidates, observed))
    watched = _watched(memory, observed, at, keepalive=keepalive)
    ends = _turn_ends(watched)
    over = _age_s(observed, at.epoch) >= HANDSHAKE_RECENT_S
    lost = over and (memory.owed or not has_route(observed.endpoint))
    if not lost and (ends is None or ends > at.now):
        return Choice(None, watched, ends)
    if endpoint := _routed(others, has_route):
        return _written(endpoint, candidates, observed, at.now)
    return Choice(None, _looked(candidates, observed, owed=memory.owed))


def _waiting(
    candidates: tuple[Endpoint, ...], memory: Memory | None, observed: PeerState | None, now: float, *, first: bool
) -> Choice | None:
    """Return what to remember of a peer without an endpoint whose part it is to speak; None: we have waited."""
    if observed is None and memory is None and not first:
        return Choice(None, Memory(candidates=candidates, unspoken=True, since=now), now + START_WAIT_S)
    if observed and memory and memory.unspoken and memory.since is not None and now < memory.since + START_WAIT_S:
        return Choice(None, memory, memory.since + START_WAIT_S)
    return None


def _written(endpoint: Endpoint, candidates: tuple[Endpoint, ...], observed: PeerState | None, now: float) -> Choice:
    """Write an endpoint; if there are others, its turn begins."""
    memory = _looked(candidates, observed, since=now if len(candidates) > 1 else None)
    return Choice(endpoint, memory, _turn_ends(memory))


def _continued(candidates: tuple[Endpoint, ...], memory: Memory | None, observed: PeerState, now: float) -> Memory:
    """Return the memory of a peer with these candidates; if they are new, what the device has is not of them.

    A peer that was there before us may have been found by roaming, unless it never shook hands.
    """
    if memory is None:
        roamed_or_ours = observed.last_handshake is not None or observed.endpoint in candidates
        return _looked(candidates, observed, owed=not roamed_or_ours)
    if memory.candidates != candidates:
        return _looked(candidates, observed, owed=True, since=now)
    return memory


def _watched(memory: Memory, observed: PeerState, at: Moment, *, keepalive: bool) -> Memory:
    """Return the memory after a look: we wait for a sign of who is silent though asked, for a turn at a time.

    To be asked is to have been sent a handshake's worth, or more, since the last look; keepalives in a living session
    are no question. Who was not asked by the end of a turn is waited for no longer.
    """
    excused = keepalive and 0 <= _age_s(observed, at.epoch) < HANDSHAKE_RECENT_S
    silent = memory.heard == _heard(observed) and not excused
    asked = observed.tx_bytes - memory.sent >= INITIATION_BYTES
    if silent and memory.since is not None and (asked or at.now < memory.since + TURN_S):
        return memory
    return _looked(memory.candidates, observed, owed=memory.owed, since=at.now if silent and asked else None)


def _looked(
    candidates: tuple[Endpoint, ...], observed: PeerState | None, *, owed: bool = False, since: float | None = None
) -> Memory:
    if observed is None:
        return Memory(candidates=candidates, owed=owed, since=since)
    return Memory(candidates=candidates, owed=owed, since=since, sent=observed.tx_bytes, heard=_heard(observed))


def _turn_ends(memory: Memory) -> float | None:
    return None if memory.since is None else memory.since + TURN_S


def _others(candidates: tuple[Endpoint, ...], current: Endpoint) -> tuple[Endpoint, ...]:
    """Return whose turns come after `current`, itself last; none if it is no candidate."""
    if current not in candidates:
        return ()
    after = candidates.index(current) + 1
    return candidates[after:] + candidates[:after]


def _routed(endpoints: tuple[Endpoint, ...], has_route: Callable[[Endpoint], bool]) -> Endpoint | None:
    """Return the first that this host can send to; a single one is not put to the test."""
    return endpoints[0] if len(endpoints) == 1 else next(filter(has_route, endpoints), None)


def _heard(observed: PeerState) -> tuple[int, float | None]:
    return observed.rx_bytes, observed.last_handshake


def _age_s(observed: PeerState, epoch: float) -> float:
    """How long ago the last handshake was; below 0: the clock went back since, and it may be as old as can be."""
    return inf if observed.last_handshake is None else epoch - observed.last_handshake
