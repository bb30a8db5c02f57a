"""Which peers a node hears, by its own word: what its device shows now, against what it showed a while ago. Pure."""

from collections.abc import Iterable, Mapping, Set
from enum import Enum

import msgspec

from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S
from ikto_core.device.model import PeerState
from ikto_core.values.keys import PublicKey

CLOCK_SLACK_S = 5.0
"""So far in the future a handshake may be: the clock was set back a little since."""


class Heard(Enum):
    """What a node says of one peer, the worst first."""

    ABSENT = "absent"  # accepted, and not on the device
    STALLED = "stalled"  # handshakes arrive and data does not, although data is sent
    HALF_OPEN = "half_open"  # packets of the peer arrive, and no session comes of them
    UNANSWERED = "unanswered"  # packets are sent to the peer, and nothing arrives
    NEVER = "never"  # there was no handshake yet, and none is tried
    IDLE = "idle"  # the last session is over, and nothing is sent
    ACTIVE = "active"  # there is a session: a handshake within HANDSHAKE_RECENT_S


class Sample(msgspec.Struct, frozen=True):
    """The peers of a device at an earlier time."""

    peers: Mapping[PublicKey, PeerState]
    at_s: float  # seconds since the epoch


def heard_states(
    accepted: Iterable[PublicKey],
    shown: Mapping[PublicKey, PeerState],
    before: Sample | None,
    stalled: Set[PublicKey],
    now_s: float,
) -> dict[PublicKey, Heard]:
    """Return what to say of each accepted peer.

    Args:
        accepted: The peers.
        shown: The peers that the device shows now.
        before: What it showed seconds or minutes ago; None: not known, so nothing is said of packets without a session.
        stalled: The peers whose tunnel passes packets one way only.
        now_s: The time of `shown`, in seconds since the epoch.

    """
    earlier = before.peers if before else {}
    return {
        key: Heard.STALLED
        if key in stalled and key in shown
        else heard_state(shown.get(key), earlier.get(key), before.at_s if before else now_s, now_s)
        for key in accepted
    }


def heard_state(now: PeerState | None, before: PeerState | None, before_s: float, now_s: float) -> Heard:
    """Return what to say of a peer that is not stalled; times are seconds since the epoch."""
    if now is None:
        return Heard.ABSENT
    if has_session(now, now_s):
        return Heard.ACTIVE
    if before is not None and not has_session(before, before_s):
        if now.rx_bytes > before.rx_bytes:
            return Heard.HALF_OPEN
        if now.tx_bytes > before.tx_bytes:
            return Heard.UNANSWERED
    return Heard.NEVER if now.last_handshake is None else Heard.IDLE


def has_session(peer: PeerState, now_s: float) -> bool:
    """Return whether a peer had a handshake so lately that its session is alive."""
    return peer.last_handshake is not None and -CLOCK_SLACK_S < now_s - peer.last_handshake < HANDSHAKE_RECENT_S
