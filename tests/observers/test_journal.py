"""The journal logs what happens, keeps the latest of it, and tells a reader what it has missed."""

import asyncio
import tracemalloc
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ikto_core.agent.agent import running
from ikto_core.mesh.records import encode_record
from ikto_core.mesh.view import Entry, MeshView, Ruling
from ikto_core.observers import journal as journal_module
from ikto_core.observers.contract import MeshEvent, MeshReady, PeerAccepted, PeerChanged, PeerFacts, PeerRemoved
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.health import EventsDropped, InSync, MeshKnown, RemovalsPending, SyncFailed
from ikto_core.observers.journal import Journal
from ikto_core.observers.replay import Replay
from ikto_core.observers.wording import EVENTS
from ikto_core.values.addressing import Prefix
from ikto_core.values.line_limit import LineLimit
from tests.admin.node import peer_record
from tests.mesh.test_view_properties import RULES
from tests.nodes import until

Logs = list[MutableMapping[str, Any]]
PEER = PeerFacts(
    public_key="KEY",
    name="node-b",
    subnets=("fd10:2::/48",),
    addresses=("fd10:2::1",),
    endpoints=("192.0.2.2:51820",),
    revision=7,
)


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as captured:
        yield captured


def told(logs: Logs, *events: MeshEvent) -> list[str]:
    """Return the log's lines after a reader of the hub has received these events."""
    journal = Journal()
    journal._record(tuple(journal_module._to_record(events)), journal_module._successors(events))
    return [line["event"] for line in logs]


def changed(**members: Any) -> PeerChanged:
    return PeerChanged(peer=replace(PEER, **members), before=PEER)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (PeerAccepted(peer=PEER), "peer joined"),
        (PeerRemoved(peer=PEER), "peer left"),
        (changed(subnets=("fd10:3::/48",)), "peer moved"),
        (changed(addresses=("fd10:2::2",)), "peer moved"),
        (changed(endpoints=("192.0.2.9:51820",)), "peer changed its endpoints"),
        (changed(name="node-c"), "peer has another name"),
        (changed(draining=True), "peer is draining"),
        (PeerChanged(peer=PEER, before=replace(PEER, draining=True)), "peer stays after all"),
        (MeshReady(subnet="fd10:1::/48", address="fd10:1::1", ifname="wg0", revision=3), "ready"),
    ],
)
def test_each_change_is_one_line(logs: Logs, event: MeshEvent, line: str) -> None:
    assert told(logs, event) == [line]
    assert line in EVENTS


def test_lines_about_a_peer_have_its_name(logs: Logs) -> None:
    told(logs, PeerAccepted(peer=PEER))
    (line,) = logs
    assert (line["log_level"], line["name"], line["subnets"]) == ("info", "node-b", "fd10:2::/48")
    assert (line["public_key"], line["endpoints"]) == ("KEY", "192.0.2.2:51820")


async def test_another_key_is_one_line_and_both_events(logs: Logs) -> None:
    other = replace(PEER, public_key="NEXT")
    assert told(logs, PeerRemoved(peer=PEER), PeerAccepted(peer=other)) == ["peer changed its key"]
    assert (logs[0]["before"], logs[0]["public_key"]) == ("KEY", "NEXT")
    newcomer = replace(PEER, public_key="NEXT", subnets=("fd10:3::/48",))
    logs.clear()
    assert told(logs, PeerRemoved(peer=PEER), PeerAccepted(peer=newcomer)) == ["peer left", "peer joined"]


async def test_many_at_once_are_two_lines(logs: Logs) -> None:
    journal = Journal()
    journal._limit = LineLimit(0.05)
    journal._record([PeerAccepted(peer=replace(PEER, public_key=str(number))) for number in range(42)], {})
    await until(lambda: len(logs) == 2)
    assert [line["event"] for line in logs] == ["peer joined"] * 2
    assert logs[1]["summary"] == "… and 41 more"
    logs.clear()
    journal._record([PeerRemoved(peer=replace(PEER, name=name)) for name in "ab"], {})
    await until(lambda: len(logs) == 2)
    assert [line["name"] for line in logs] == ["a", "b"], "one line is as short as its summary"


def test_untrusted_text_can_not_begin_a_line(logs: Logs) -> None:
    told(logs, PeerAccepted(peer=replace(PEER, name="a\nlevel=error \x1b[31m" + "x" * 1000)))
    assert "\n" not in logs[0]["name"]
    assert "\x1b" not in logs[0]["name"]
    assert len(logs[0]["name"]) <= 200


def test_every_warning_has_a_hint(logs: Logs) -> None:
    journal = Journal()
    journal.add([RemovalsPending(peers=3)])
    assert [(line["log_level"], bool(line["hint"])) for line in logs] == [("warning", True)]


def test_a_failure_is_kept_and_left_to_the_reconciler_to_log(logs: Logs) -> None:
    journal = Journal()
    journal.add([SyncFailed(error="x", hint="y")])
    assert logs == []
    journal.add([InSync(failed_s=3.0)])
    assert [line["event"] for line in logs] == ["in sync again"]
    assert [entry.number for entry in journal.after(0)] == [1, 2]


async def test_a_reader_goes_on_where_it_was() -> None:
    journal = Journal(clock=lambda: 5.0)
    journal.add(InSync(failed_s=float(number)) for number in range(3))
    assert [(entry.number, entry.at) for entry in journal.after(1)] == [(2, 5.0), (3, 5.0)]
    assert list(journal.after(3)) == []
    assert [entry.number for entry in journal.after(99)] == [1, 2, 3], "the number of an earlier run"


async def test_a_reader_is_told_how_much_it_has_missed() -> None:
    journal = Journal(kept=10)
    journal.add(InSync(failed_s=float(number)) for number in range(100))
    first, *others = journal.after(30)
    assert (first.number, first.event) == (90, EventsDropped(events=60))
    assert [entry.number for entry in others] == list(range(91, 101))
    assert [entry.number for entry in journal.after(90)] == list(range(91, 101))


async def test_the_first_read_of_the_bucket_is_one_line_and_later_changes_one_each(logs: Logs) -> None:
    hub, journal, view = (
        EventHub(),
        Journal(),
        MeshView(replace(RULES, cidr=Prefix.parse("fd10::/16"), subnet_prefix=48)),
    )
    records = [peer_record(number) for number in range(2, 200)]
    view.update({record.key: Ruling(Entry(7, encode_record(record))) for record in records})
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(journal.run(hub))
        await until(lambda: hub._readers)
        hub.set_view(view)
        await until(lambda: journal.last)
        assert [entry.event for entry in journal.after(0)] == [MeshKnown(peers=198, quarantined=0)]
        hub.mark_changed(view.update({records[0].key: Ruling(Entry(8, None))}), ())
        await until(lambda: journal.last == 2)
        running.cancel()
    assert [line["event"] for line in logs] == ["mesh known", "peer left"]
    assert logs[1]["name"] == records[0].name
    replay = Replay()
    replay.see(entry.event for entry in journal.state() if isinstance(entry.event, MeshEvent))
    assert len(replay.peers) == 197
    assert {entry.number for entry in journal.state()} == {2}


async def test_waiting_ends_with_the_next_event() -> None:
    journal = Journal()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(journal.wait(0))
        await asyncio.sleep(0)
        assert not waiting.done()
        journal.add([InSync(failed_s=1.0)])


def test_the_state_of_an_unknown_mesh_is_nothing() -> None:
    assert list(Journal().state()) == []


async def test_the_events_of_all_peers_are_not_kept_until_the_next_event() -> None:
    """They come first, and the next event may be hours away."""
    wide = replace(RULES, cidr=Prefix.parse("fd10::/16"), subnet_prefix=48)
    count, hub, view, journal = 250, EventHub(), MeshView(wide), Journal()
    records = [peer_record(number) for number in range(2, count + 2)]
    view.update({each.key: Entry(number, encode_record(each)) for number, each in enumerate(records, 1)})
    hub.set_view(view)
    tracemalloc.start()
    try:
        async with running(journal.run(hub)):
            await until(lambda: journal.last)
            found = tracemalloc.take_snapshot().filter_traces(
                [tracemalloc.Filter(inclusive=True, filename_pattern="*event_diff.py")]
            )
    finally:
        tracemalloc.stop()
    assert len(view.peers) == count
    assert sum(trace.size for trace in found.traces) / count < 200
