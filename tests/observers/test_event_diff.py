"""Delivered events add up to the current mesh, whatever was delivered before and in whatever order changes came."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.observers.contract import (
    MeshEvent,
    MeshReady,
    PeerAccepted,
    PeerChanged,
    PeerRemoved,
    QuarantineEnded,
    RecordQuarantined,
    Resync,
)
from ikto_core.observers.event_diff import EventDiff, MeshContents, peer_facts
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.replay import Replay
from ikto_core.values.keys import PublicKey
from tests.mesh.test_view_properties import BATCHES, EXAMPLES, RULES, SOME_RULES, Change, numbered
from tests.samples import KEY, OTHER_KEY, THIRD_KEY, entries_of, record


def contents(view: MeshView, ready: MeshReady | None = None) -> MeshContents:
    return MeshContents(view.peers, view.quarantined, ready)


def assert_same_mesh(replay: Replay, view: MeshView) -> None:
    """The replayed mesh equals the view, except for revisions: those alone cause no event."""
    replayed = {key: msgspec.structs.replace(peer, revision=0) for key, peer in replay.peers.items()}
    expected = {key.text: msgspec.structs.replace(peer_facts(peer), revision=0) for key, peer in view.peers.items()}
    assert replayed == expected
    reasons = {key: quarantined.reason for key, quarantined in replay.quarantined.items()}
    assert reasons == {key: quarantined.reason for key, quarantined in view.quarantined.items()}


def replay_in_order(replay: Replay, events: tuple[MeshEvent, ...]) -> None:
    """Every event is consistent with the events before it, and no subnet has two owners after a call."""
    for event in events:
        match event:
            case PeerAccepted(peer=peer):
                assert peer.public_key not in replay.peers
            case PeerChanged(peer=peer, before=before):
                assert replay.peers[peer.public_key] == before != peer
            case PeerRemoved(peer=peer):
                assert replay.peers[peer.public_key] == peer
            case QuarantineEnded(key=key, allowed_ip=allowed_ip):
                assert replay.quarantined[key].allowed_ip == allowed_ip
            case _:
                pass
        replay.see([event])
    subnets = [subnet for peer in replay.peers.values() for subnet in peer.subnets]
    assert len(subnets) == len(set(subnets))


SUBNET = record_key("10.0.0.32/28")
PUT = [(SUBNET, encode_record(record("10.0.0.32/28", KEY)))]
DELETE = [(SUBNET, None)]


@EXAMPLES
@example(RULES, [PUT, DELETE], set(), {1})  # its event was waiting when a view without it was set
@given(SOME_RULES, BATCHES, st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)))
def test_whenever_a_reader_takes_events_they_add_up_to_the_mesh(
    rules: MeshRules, batches: list[list[Change]], reads: set[int], new_views: set[int]
) -> None:
    """A reader may read after each batch or lag behind, and the view may be replaced, as after a new claim."""
    view, bucket, hub = MeshView(rules), dict[str, Entry](), EventHub()
    hub.set_view(view)
    replay = Replay()
    with hub.reader() as reader:
        for number, changes in enumerate(numbered(batches)):
            bucket |= changes
            if number in new_views:
                view = MeshView(rules)
                view.update(bucket)
                hub.set_view(view)
            else:
                hub.mark_changed(view.update(changes), view.decided)
            if number in reads:
                replay_in_order(replay, reader.event_diff.take(contents(view)))
                assert_same_mesh(replay, view)
            assert reader.waiting <= len(replay.peers) + len(replay.quarantined) + len(view.peers) + len(
                view.quarantined
            )
        replay_in_order(replay, reader.event_diff.take(contents(view)))
        assert_same_mesh(replay, view)
        assert reader.event_diff.take(contents(view)) == ()


# -- single events -----------------------------------------------------------------------------------------------------


def view_of(*records: PeerRecord, since: int = 1) -> MeshView:
    view = MeshView(RULES)
    view.update(entries_of(*records, since=since))
    return view


def ready(subnet: str = "10.0.0.16/28", address: str = "10.0.0.18", revision: int = 7) -> MeshReady:
    return MeshReady(subnet=subnet, address=address, ifname="wg0", revision=revision)


def diff_after(*records: PeerRecord) -> EventDiff:
    """A reader's diff after these records, and `MeshReady`, were delivered."""
    event_diff = EventDiff()
    event_diff.take(contents(view_of(*records), ready()))
    return event_diff


def next_events(event_diff: EventDiff, view: MeshView, ready: MeshReady | None = None) -> tuple[MeshEvent, ...]:
    event_diff.invalidate()
    return event_diff.take(contents(view, ready))


def test_the_first_call_is_the_complete_state_with_its_counts() -> None:
    bad = replace(record("10.0.0.32/28", OTHER_KEY), allowed_ip="10.0.1.0/28")  # outside the mesh
    events = EventDiff().take(contents(view_of(record("10.0.0.48/28"), bad), ready()))
    assert [type(event) for event in events] == [Resync, PeerAccepted, RecordQuarantined, MeshReady]
    assert events[0] == Resync(peers=1, quarantined=1)
    assert EventDiff().take(MeshContents()) == (Resync(peers=0, quarantined=0),), "an empty mesh is reported, too"


def test_a_change_and_a_removal_contain_what_was_last_delivered() -> None:
    before, after = record("10.0.0.32/28", name="old"), record("10.0.0.48/28", name="new")
    event_diff = diff_after(before)
    [changed] = next_events(event_diff, view_of(after, since=5))
    assert isinstance(changed, PeerChanged)
    assert (changed.before.name, changed.before.subnets) == ("old", ("10.0.0.32/28",))
    assert (changed.peer.name, changed.peer.subnets, changed.peer.revision) == ("new", ("10.0.0.48/28",), 5)
    assert next_events(event_diff, view_of()) == (PeerRemoved(peer=changed.peer),)


def test_a_peer_with_two_subnets_is_one_peer_with_ascending_subnets() -> None:
    [_, event] = EventDiff().take(contents(view_of(record("10.0.0.128/28"), record("10.0.0.32/28"))))
    assert isinstance(event, PeerAccepted)
    assert event.peer.subnets == ("10.0.0.32/28", "10.0.0.128/28")


def test_a_record_written_again_unchanged_causes_no_event() -> None:
    event_diff = diff_after(record("10.0.0.32/28"))
    assert next_events(event_diff, view_of(record("10.0.0.32/28", instance="another run"), since=9)) == ()
    assert next_events(event_diff, view_of()) != (), "the peer is still known"


def test_a_peer_that_takes_another_key_is_removed_and_accepted() -> None:
    event_diff = diff_after(record("10.0.0.32/28", KEY))
    removed, accepted = next_events(event_diff, view_of(record("10.0.0.32/28", OTHER_KEY)))
    assert isinstance(removed, PeerRemoved)
    assert isinstance(accepted, PeerAccepted)


def test_an_announced_next_key_causes_no_event() -> None:
    event_diff = diff_after(record("10.0.0.32/28", KEY))
    assert next_events(event_diff, view_of(replace(record("10.0.0.32/28", KEY), next_public_key=OTHER_KEY))) == ()


def test_ready_comes_once_and_again_for_another_subnet() -> None:
    event_diff = EventDiff()
    assert ready() not in event_diff.take(MeshContents())
    assert event_diff.take(MeshContents(ready=ready())) == (ready(),)
    assert event_diff.take(MeshContents(ready=ready(revision=8))) == ()
    assert event_diff.take(MeshContents(ready=None)) == ()
    assert event_diff.take(MeshContents(ready=ready("10.0.0.64/28", "10.0.0.65"))) == (
        ready("10.0.0.64/28", "10.0.0.65"),
    )


def test_untrusted_text_survives_a_round_trip_through_json() -> None:
    name = "".join(map(chr, range(0x20))) + "\x7f\u202e\ufffe'\"\\\U0001f600" + "x" * 1000
    bad = {record_key("10.0.0.64/28"): Entry(3, b'{"name": "\xff'), "peers.\x1b]0;": Entry(4, b"")}
    view = view_of(record("10.0.0.32/28", name=name))
    view.update(bad)
    events = EventDiff().take(contents(view, ready()))
    assert len(events) == 5
    for event in events:
        text = msgspec.json.encode(event)
        assert not any(byte < 0x20 for byte in text), "each event is one line"
        assert msgspec.json.decode(text, type=MeshEvent) == event


class RecordingDict(dict[PublicKey, MeshPeer]):
    """Records which keys were read, and refuses iteration."""

    def __init__(self, peers: Mapping[PublicKey, MeshPeer]) -> None:
        super().__init__(peers)
        self.keys_read: list[PublicKey] = []

    def get(self, key: PublicKey, default: Any = None) -> Any:
        self.keys_read.append(key)
        return super().get(key, default)

    def __iter__(self) -> Iterator[PublicKey]:
        raise AssertionError("all peers were read")

    keys = items = values = __iter__  # type: ignore[assignment]


def test_only_changed_peers_are_compared() -> None:
    view = view_of(record("10.0.0.32/28", KEY), record("10.0.0.48/28", OTHER_KEY), record("10.0.0.64/28", THIRD_KEY))
    event_diff = EventDiff()
    event_diff.take(contents(view))
    touched = view.update(entries_of(record("10.0.0.80/28", KEY), since=9))
    peers = RecordingDict(view.peers)
    event_diff.touch(touched, [], MeshContents(peers))
    assert len(event_diff.take(MeshContents(peers))) == 1
    assert peers.keys_read == [KEY]


def test_observers_are_told_that_a_peer_is_about_to_leave() -> None:
    view, diff = MeshView(RULES), EventDiff()
    node = record("10.0.0.32/28")
    view.update(entries_of(node))
    diff.take(contents(view))
    diff.touch(view.update(entries_of(replace(node, draining=True), since=2)), (), contents(view))
    [event] = diff.take(contents(view))
    assert isinstance(event, PeerChanged)
    assert (event.before.draining, event.peer.draining) == (False, True)
