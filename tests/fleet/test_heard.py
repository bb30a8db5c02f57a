"""What a node says of its peers: by the last handshake, by packets without a session, and by what stalls."""

import pytest
from msgspec.structs import replace

from ikto_core.device.model import PeerState
from ikto_core.fleet.heard import Heard, Sample, heard_state, heard_states
from tests.samples import KEY, OTHER_KEY

NOW = 1_700_000_000.0
BEFORE = NOW - 60
SILENT = PeerState(public_key=KEY)


def shaken(age_s: float, **members: int) -> PeerState:
    return replace(SILENT, last_handshake=NOW - age_s, **members)


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (None, None, Heard.ABSENT),
        (SILENT, None, Heard.NEVER),
        (SILENT, SILENT, Heard.NEVER),
        (shaken(179), None, Heard.ACTIVE),
        (shaken(181), None, Heard.IDLE),
        (shaken(300), shaken(300), Heard.IDLE),
        (shaken(-3600), None, Heard.IDLE),  # the clock was set back: the handshake says nothing
        (replace(SILENT, tx_bytes=148), SILENT, Heard.UNANSWERED),
        (replace(SILENT, rx_bytes=148), SILENT, Heard.HALF_OPEN),
        (replace(SILENT, rx_bytes=148, tx_bytes=92), SILENT, Heard.HALF_OPEN),
        (shaken(300, tx_bytes=9), shaken(300, tx_bytes=8), Heard.UNANSWERED),
        (shaken(200, rx_bytes=9), shaken(200, rx_bytes=8), Heard.IDLE),  # then the session was alive
        (shaken(200, rx_bytes=1), shaken(200, rx_bytes=8), Heard.IDLE),  # the peer was added anew
    ],
)
def test_what_is_said_of_one_peer(now: PeerState | None, before: PeerState | None, said: Heard) -> None:
    assert heard_state(now, before, BEFORE, NOW) is said


def test_every_accepted_peer_is_told_of_and_a_stall_comes_before_the_handshake() -> None:
    shown = {KEY: shaken(5)}
    told = heard_states([KEY, OTHER_KEY], shown, Sample({}, BEFORE), {KEY, OTHER_KEY}, NOW)
    assert told == {KEY: Heard.STALLED, OTHER_KEY: Heard.ABSENT}
    assert heard_states([KEY], shown, None, frozenset(), NOW) == {KEY: Heard.ACTIVE}
