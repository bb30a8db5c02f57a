"""What `ikto wait` waits for, and the words for what is missing."""

from typing import Any

import pytest
from msgspec.structs import replace

from ikto_core.admin.mesh_views import InfoView, PeersView, PeerView, RecordView
from ikto_core.admin.views import AgentState, ProgressView
from ikto_core.cli import conditions
from ikto_core.cli.conditions import Condition, Seen, missing
from ikto_core.values.times import utc

NOW = 1_700_000_000.0
PROGRESS = ProgressView(
    state=AgentState.READY,
    claimed=True,
    ready=True,
    allowed_ip="fd10:1::/48",
    private_address="fd10:1::",
    accepted=2,
    revision=7,
    bucket_revision=8,
    failure=None,
)
RECORD = RecordView(
    name="node-b", public_key="KEY2=", advertise_address="192.0.2.2", allowed_ip="fd10:2::/48", wg_port=51820
)
PEER = PeerView(
    public_key="KEY2=",
    name="node-b",
    allowed_ips=("fd10:2::/48",),
    endpoints=(),
    on_device=True,
    endpoint=None,
    last_handshake=utc(NOW - 10),
)


def seen(peer: PeerView = PEER, **changed: Any) -> Seen:
    info, peers = InfoView(own=None, peers=(RECORD,)), PeersView(peers=(peer,), device_failure=None)
    return Seen(replace(PROGRESS, **changed), lambda: info, lambda: peers, NOW)


@pytest.mark.parametrize(
    "condition",
    [
        conditions.claimed,
        conditions.ready,
        conditions.peers(2),
        conditions.revision(7),
        *(conditions.peer(which) for which in ("node-b", "KEY2=", "KEY2…", "fd10:2::/48", "FD10:2:0::5", "192.0.2.2")),
        conditions.reachable("node-b"),
    ],
)
def test_what_is_true_is_not_missing(condition: Condition) -> None:
    assert not condition(seen())


@pytest.mark.parametrize(
    ("condition", "changed", "said"),
    [
        (conditions.claimed, {"claimed": False}, "no subnet is claimed"),
        (conditions.claimed, {"claimed": False, "failure": "denied"}, "no subnet is claimed (denied)"),
        (conditions.ready, {"ready": False, "state": AgentState.APPLYING}, "the agent is applying"),
        (conditions.peers(3), {}, "2 of 3 peers"),
        (conditions.revision(9), {}, "the device shows revision 7, not 9"),
        (conditions.revision(0), {"revision": None}, "the device shows revision none, not 0"),
        (conditions.peer("node-c"), {}, "no peer 'node-c'"),
        (conditions.peer("fd10:3::5"), {}, "no peer 'fd10:3::5'"),
        (conditions.peer("KEY"), {}, "no peer 'KEY'"),
        (conditions.peer(""), {}, "no peer ''"),
        (conditions.reachable("node-c"), {}, "no peer 'node-c'"),
    ],
)
def test_what_is_missing_is_said_with_its_reason(condition: Condition, changed: dict[str, Any], said: str) -> None:
    assert condition(seen(**changed)) == said


@pytest.mark.parametrize("last", [None, NOW - 200])
def test_a_peer_without_a_recent_handshake_is_not_reachable(last: float | None) -> None:
    told = conditions.reachable("node-b")(seen(replace(PEER, last_handshake=utc(last))))
    assert told == "peer 'node-b' has not answered a handshake in the last 180 s"


def test_all_that_is_missing_is_named_in_one_line() -> None:
    both = [conditions.ready, conditions.peers(3), conditions.peers(1)]
    assert missing(both, seen(ready=False)) == "the agent is ready; 2 of 3 peers"


def test_the_peers_are_asked_for_only_where_they_are_needed() -> None:
    def never() -> Any:
        raise AssertionError("asked")

    lazy = seen()._replace(info=never, peers=never)
    assert not missing([conditions.claimed, conditions.ready, conditions.peers(1), conditions.revision(1)], lazy)


def test_a_probe_goes_to_the_peer_that_is_meant() -> None:
    found = seen()
    assert conditions.addresses_to_probe(found.peers(), found.info(), "node-b") == ["fd10:2::"]
    assert not conditions.addresses_to_probe(found.peers(), found.info(), "node-c")
