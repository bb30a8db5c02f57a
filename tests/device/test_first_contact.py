"""Which new peers are kicked, and when."""

from itertools import pairwise
from math import inf

import pytest
from msgspec.structs import replace

from ikto_core.device.endpoint_policy import INITIATION_BYTES
from ikto_core.device.first_contact import (
    COLLISION_WAIT_S,
    HIGHER_KEY_WAIT_S,
    LONGEST_LOOK_S,
    LONGEST_WAIT_S,
    LOOK_EVERY_S,
    LOWER_KEY_WAIT_S,
    MAX_PROBES,
    NEW_S,
    QUICK_LOOK_S,
    REST_FACTOR,
    STARTED_OVER_WAIT_S,
    WATCHED_S,
    FirstContact,
)
from ikto_core.device.model import PeerState
from ikto_core.testing.devices import public_key_of
from ikto_core.values.keys import PublicKey

KEY, OTHER = sorted([public_key_of(1), public_key_of(2)])
SILENT = PeerState(public_key=KEY)
ASKED = replace(SILENT, tx_bytes=INITIATION_BYTES)
CROSSED = replace(ASKED, tx_bytes=INITIATION_BYTES + 92, rx_bytes=INITIATION_BYTES)
"""What is there after both sides have sent an initiation; ours was answered with a response of 92 bytes, in vain."""
LOWEST, HIGHEST = PublicKey(bytes(32)), PublicKey(bytes([255] * 32))


def watched(own_key: PublicKey | None = LOWEST, now: float = 0.0) -> FirstContact:
    contact = FirstContact(own_key)
    contact.added([KEY], now)
    return contact


def kick_times(contact: FirstContact, peer: PeerState, seconds: float) -> list[float]:
    """Look whenever it is due, for so long, at a peer that stays as it is; return when it was kicked."""
    kicks, now = [], 0.0
    while (now := contact.look_at) <= seconds:
        kicks += [now] * bool(look(contact, {KEY: peer}, now))
    return kicks


def look(contact: FirstContact, shown: dict[PublicKey, PeerState], now: float, took_s: float = 0.0) -> list[PublicKey]:
    """Look at the peers that are due."""
    kicked = contact.looked(contact.due(now), shown, now)
    contact.rest(now, took_s=took_s)
    return kicked


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
    look(contact, {KEY: ASKED}, 0.1)
    assert look(contact, shown, 100.0) == []
    assert contact.look_at == inf


def test_an_answer_in_time_prevents_the_kick() -> None:
    contact = watched()
    assert look(contact, {KEY: ASKED}, 0.1) == []
    assert look(contact, {KEY: replace(ASKED, last_handshake=7.0)}, 0.1 + LOWER_KEY_WAIT_S) == []


def test_the_wait_begins_when_something_is_sent() -> None:
    contact = watched()
    assert look(contact, {KEY: SILENT}, 30.0) == []
    assert 30.0 < (seen_at := contact.look_at) <= 30.0 + LONGEST_LOOK_S
    assert look(contact, {KEY: ASKED}, seen_at) == []
    while not look(contact, {KEY: ASKED}, now := contact.look_at):
        assert now < 40.0
    assert now == seen_at + LOWER_KEY_WAIT_S


def test_a_peer_that_starts_over_itself_is_given_time_for_its_handshake_and_then_kicked() -> None:
    collided = replace(ASKED, tx_bytes=2 * INITIATION_BYTES, rx_bytes=INITIATION_BYTES)
    started_over = replace(collided, rx_bytes=2 * INITIATION_BYTES)
    contact = watched(HIGHEST)
    look(contact, {KEY: collided}, 0.1)
    kick_at = contact.look_at
    assert look(contact, {KEY: started_over}, kick_at) == []
    assert contact.look_at == kick_at + STARTED_OVER_WAIT_S
    assert look(contact, {KEY: started_over}, contact.look_at) == [KEY]


@pytest.mark.parametrize(
    ("own_key", "seen", "wait_s"),
    [
        pytest.param(LOWEST, ASKED, LOOK_EVERY_S, id="the initiations have crossed"),
        pytest.param(LOWEST, CROSSED, COLLISION_WAIT_S, id="they may have crossed"),
        pytest.param(HIGHEST, ASKED, HIGHER_KEY_WAIT_S, id="crossed, the other side kicks first"),
        pytest.param(HIGHEST, CROSSED, HIGHER_KEY_WAIT_S, id="perhaps crossed, the other side kicks first"),
    ],
)
def test_a_collision_is_ended_sooner_by_the_node_that_kicks_first(
    own_key: PublicKey, seen: PeerState, wait_s: float
) -> None:
    """WireGuard discards a response to an initiation that another one has replaced."""
    contact = watched(own_key)
    look(contact, {KEY: seen}, 0.1)
    while not look(contact, {KEY: CROSSED}, now := contact.look_at):
        assert now < 2.0
    assert now == pytest.approx(0.1 + wait_s)


def test_after_a_kick_the_handshake_has_time_also_if_the_other_side_had_sent_something() -> None:
    contact = watched()
    assert kick_times(contact, ASKED, LOWER_KEY_WAIT_S + LOOK_EVERY_S)
    kicked_at = LOWER_KEY_WAIT_S + LOOK_EVERY_S
    assert kick_times(contact, CROSSED, kicked_at + 2 * LOWER_KEY_WAIT_S) == []
    assert len(kick_times(contact, CROSSED, kicked_at + 2 * LOWER_KEY_WAIT_S + 2 * LOOK_EVERY_S)) == 1


def test_a_look_is_followed_by_a_rest_whoever_is_added_meanwhile() -> None:
    contact = watched()
    look(contact, {KEY: SILENT}, 1.0, took_s=0.5)
    contact.added([OTHER], 1.5)
    contact.seen({OTHER: replace(ASKED, public_key=OTHER)}, 1.5)
    rested_at = 1.0 + REST_FACTOR * 0.5
    assert contact.look_at == rested_at
    assert contact.due(rested_at - 0.1) == set()
    assert contact.due(rested_at) == {KEY, OTHER}


@pytest.mark.parametrize(
    ("age_s", "took_s", "rest_s"),
    [
        pytest.param(0.2, QUICK_LOOK_S, LOOK_EVERY_S, id="new and quick"),
        pytest.param(0.2, LOOK_EVERY_S / REST_FACTOR / 2, LOOK_EVERY_S / 2, id="new and very quick"),
        pytest.param(0.2, 0.06, REST_FACTOR * 0.06, id="new but slow"),
        pytest.param(NEW_S, 0.01, REST_FACTOR * 0.01, id="no longer new"),
    ],
)
def test_quick_looks_at_a_new_peer_do_not_make_the_next_one_wait(age_s: float, took_s: float, rest_s: float) -> None:
    """A busy machine takes 30 ms for a look; twenty times that is longer than the wait before a kick."""
    contact = watched()
    look(contact, {KEY: SILENT}, age_s, took_s=took_s)
    contact.added([OTHER], age_s - LOOK_EVERY_S)  # it could be looked at now
    assert contact.look_at == pytest.approx(age_s + rest_s)


def test_a_kick_does_not_wait_for_the_rest() -> None:
    """Or it would coincide with that of the other side."""
    contact = watched()
    look(contact, {KEY: ASKED}, 0.1, took_s=0.5)
    assert contact.look_at == 0.1 + LOWER_KEY_WAIT_S < 0.1 + REST_FACTOR * 0.5
    assert look(contact, {KEY: ASKED}, contact.look_at) == [KEY]


def test_only_due_peers_are_looked_at() -> None:
    contact = watched(HIGHEST)
    look(contact, {KEY: ASKED}, 0.1)
    contact.added([OTHER], 0.2)
    assert contact.due(0.35) == {OTHER}
    assert look(contact, {OTHER: replace(SILENT, public_key=OTHER)}, 0.35) == []
    contact.removed(OTHER)
    assert contact.due(0.1 + HIGHER_KEY_WAIT_S) == {KEY}


def test_an_idle_new_peer_is_looked_at_ever_more_rarely() -> None:
    contact, looks = watched(), 0
    while (now := contact.look_at) < inf:
        look(contact, {KEY: SILENT}, now)
        looks += 1
    assert looks < 100


def test_many_idle_new_peers_are_looked_at_together() -> None:
    """A fleet that starts at once: each look at a peer of its own would be a pass, and with wgtool a run of `wg`."""
    peers = {key: replace(SILENT, public_key=key) for key in map(public_key_of, range(1, 201))}
    looks = []
    for added in (list(peers)[:1], list(peers)):
        contact, now, count = FirstContact(LOWEST), 0.0, 0
        for number, key in enumerate(added):
            contact.added([key], number * 0.017)
        while (now := contact.look_at) < inf:
            look(contact, peers, now)
            count += 1
        looks.append(count)
    one, many = looks
    assert many <= 5 * one


def test_a_peer_to_which_something_is_sent_now_and_then_is_kicked_ever_more_rarely_too() -> None:
    """Every 150 s; a kick resets the counters of the device, and between two packets the peer is not watched."""
    contact, kicks, probed, tx_bytes = watched(), 0, 0, 0
    for now in map(float, range(6 * 3600)):
        if now % 150 == 0:
            tx_bytes = INITIATION_BYTES
        shown = {KEY: replace(SILENT, tx_bytes=tx_bytes)}
        if now % 60 == 0:
            contact.seen(shown, now)
        for key in look(contact, shown, now):
            kicks, tx_bytes, probed = kicks + 1, 0, probed + contact.must_probe(key)
    assert kicks <= 6 * 3600 / 150 + MAX_PROBES
    assert probed == MAX_PROBES


def test_a_peer_that_was_kicked_long_ago_and_had_a_session_since_is_as_new() -> None:
    contact = watched()
    assert kick_times(contact, ASKED, 2.0)
    kick_times(contact, SILENT, 10 * WATCHED_S)
    contact.seen({KEY: replace(ASKED, last_handshake=7.0)}, 700.0)
    contact.seen({KEY: ASKED}, 1000.0)
    assert kick_times(contact, ASKED, 1001.0) == [pytest.approx(1000.5, abs=0.2)]


def test_a_peer_that_is_down_is_kicked_rarely_for_ever_and_probed_a_few_times_only() -> None:
    contact, probed = watched(), 0
    for _ in range(20_000):
        now = contact.look_at
        for key in look(contact, {KEY: ASKED}, now):
            probed += contact.must_probe(key)
    assert probed == MAX_PROBES


def test_a_full_pass_finds_a_peer_that_was_asked_long_after_it_was_added() -> None:
    contact = FirstContact(LOWEST)
    contact.seen({KEY: ASKED, OTHER: replace(SILENT, public_key=OTHER)}, 1000.0)
    assert contact.due(1001.0) == {KEY}
    look(contact, {KEY: ASKED}, 1000.1)
    assert look(contact, {KEY: ASKED}, 1000.1 + LOWER_KEY_WAIT_S) == [KEY]
