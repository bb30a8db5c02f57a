"""Which new peers are kicked, and when."""

from itertools import pairwise
from math import inf

import pytest
from msgspec.structs import replace

from ikto_core.device.first_contact import (
    HIGHER_KEY_WAIT_S,
    INITIATION_BYTES,
    LONGEST_WAIT_S,
    LOOK_EVERY_S,
    LOWER_KEY_WAIT_S,
    WATCHED_S,
    FirstContact,
)
from ikto_core.device.model import PeerState
from ikto_core.testing.devices import public_key_of
from ikto_core.values.keys import PublicKey

KEY, OTHER = sorted([public_key_of(1), public_key_of(2)])
SILENT = PeerState(public_key=KEY)
ASKED = replace(SILENT, tx_bytes=INITIATION_BYTES)
LOWEST, HIGHEST = PublicKey(bytes(32)), PublicKey(bytes([255] * 32))


def watched(own_key: PublicKey | None = LOWEST, now: float = 0.0) -> FirstContact:
    contact = FirstContact(own_key)
    contact.added([KEY], now)
    return contact


def kick_times(contact: FirstContact, peer: PeerState, seconds: float) -> list[float]:
    """Look whenever it is due, for so long, at a peer that stays as it is; return when it was kicked."""
    kicks, now = [], 0.0
    while (now := contact.look_at) <= seconds:
        kicks += [now] * bool(contact.looked({KEY: peer}, now))
    return kicks


@pytest.mark.parametrize(("own_key", "wait_s"), [(LOWEST, LOWER_KEY_WAIT_S), (HIGHEST, HIGHER_KEY_WAIT_S)])
def test_an_unanswered_peer_is_kicked_and_the_node_with_the_lower_key_kicks_first(
    own_key: PublicKey, wait_s: float
) -> None:
    assert kick_times(watched(own_key), ASKED, 2 * wait_s) == [pytest.approx(wait_s, abs=2 * LOOK_EVERY_S + 0.01)]


def test_kicks_are_ever_rarer_and_go_on_while_something_is_sent() -> None:
    times = kick_times(watched(), ASKED, 300.0)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(later > earlier - 3 * LOOK_EVERY_S for earlier, later in pairwise(pauses))
    assert pauses[-1] == pytest.approx(LONGEST_WAIT_S, abs=2 * LOOK_EVERY_S + 0.01)


@pytest.mark.parametrize("peer", [SILENT, replace(ASKED, tx_bytes=INITIATION_BYTES - 1)], ids=["nothing", "too little"])
def test_a_peer_to_which_nothing_was_sent_is_not_kicked_and_not_watched_for_ever(peer: PeerState) -> None:
    contact = watched()
    assert kick_times(contact, peer, 10 * WATCHED_S) == []
    assert contact.look_at == inf


@pytest.mark.parametrize("shown", [{KEY: replace(ASKED, last_handshake=7.0)}, {}], ids=["session", "removed"])
def test_a_peer_with_a_session_or_without_a_place_on_the_device_is_never_kicked(
    shown: dict[PublicKey, PeerState],
) -> None:
    contact = watched()
    contact.looked({KEY: ASKED}, 0.1)
    assert contact.looked(shown, 100.0) == []
    assert contact.look_at == inf


def test_an_answer_in_time_prevents_the_kick() -> None:
    contact = watched()
    assert contact.looked({KEY: ASKED}, 0.1) == []
    assert contact.looked({KEY: replace(ASKED, last_handshake=7.0)}, 0.1 + LOWER_KEY_WAIT_S) == []


def test_the_wait_begins_when_something_is_sent() -> None:
    contact = watched()
    assert contact.looked({KEY: SILENT}, 30.0) == []
    assert contact.looked({KEY: ASKED}, 30.1) == []
    assert contact.looked({KEY: ASKED}, 30.1 + LOWER_KEY_WAIT_S) == [KEY]


def test_only_watched_peers_are_looked_at_and_no_more_often_than_asked() -> None:
    contact = watched()
    contact.looked({KEY: SILENT}, 1.0, rest_s=7.0)
    assert contact.look_at == 8.0
    assert set(contact.peers) == {KEY}
    contact.removed(KEY)
    assert contact.look_at == inf


def test_a_full_pass_finds_a_peer_that_was_asked_long_after_it_was_added() -> None:
    contact = FirstContact(LOWEST)
    contact.seen({KEY: ASKED, OTHER: replace(SILENT, public_key=OTHER)}, 1000.0)
    assert set(contact.peers) == {KEY}
    contact.looked({KEY: ASKED}, 1000.1)
    assert contact.looked({KEY: ASKED}, 1000.1 + LOWER_KEY_WAIT_S) == [KEY]
