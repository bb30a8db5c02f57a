"""Every route of the server is described in docs/openapi.json, and no other; so is what an agent can't do."""

import json
from pathlib import Path
from typing import Any

import pytest

from ikto_core.admin.events import EventStreams, event_line
from ikto_core.admin.server import _routes, serve
from ikto_core.observers.contract import (
    MeshReady,
    PeerAccepted,
    PeerChanged,
    PeerFacts,
    PeerRemoved,
    QuarantineEnded,
    RecordQuarantined,
    Resync,
)
from ikto_core.observers.health import (
    EventsDropped,
    InSync,
    MeshKnown,
    PeerReachable,
    PeerUnreachable,
    RemovalsPending,
    SyncFailed,
)
from ikto_core.observers.journal import JournalEntry
from tests.admin.node import fresh_node
from tests.admin.test_server import ask
from tests.json_schema import faults
from tools.documents import ROOT

DESCRIPTION: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())
PEER = PeerFacts(public_key="KEY", name="b", subnets=("fd10:2::/48",), addresses=(), endpoints=(), revision=1)
EVERY_EVENT = (
    Resync(peers=1, quarantined=0),
    PeerAccepted(peer=PEER),
    PeerChanged(peer=PEER, before=PEER),
    PeerRemoved(peer=PEER),
    RecordQuarantined(key="peers.x", allowed_ip=None, revision=1, reason="x"),
    QuarantineEnded(key="peers.x", allowed_ip="fd10:2::/48"),
    MeshReady(subnet="fd10:1::/48", address="fd10:1::", ifname="wg0", revision=1),
    MeshKnown(peers=1, quarantined=0),
    PeerUnreachable(public_key="KEY", name="b", reason="x"),
    PeerReachable(public_key="KEY", name="b"),
    SyncFailed(error="x", hint=""),
    InSync(failed_s=1.5),
    RemovalsPending(peers=0),
    EventsDropped(events=7),
)


async def test_every_route_is_described_and_no_other(tmp_path: Path) -> None:
    async with fresh_node(tmp_path) as node:
        found = _routes(node.report, EventStreams(node.report.journal))
        routes = {(method, path) for path, methods in found.items() for method in methods}
    described = {(method.upper(), path) for path, each in DESCRIPTION["paths"].items() for method in each}
    assert {route for route in routes if route[0] != "HEAD"} == described, "describe it in tools/openapi.py"


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: type(event).__name__)
def test_every_event_is_described(event: Any) -> None:
    line = json.loads(event_line(JournalEntry(1, 7.5, event, replaces="OLD", replaced_by="NEW")))
    assert list(faults(line, {"$ref": "#/components/schemas/EventLine"}, DESCRIPTION)) == []
    assert len(DESCRIPTION["components"]["schemas"]["EventLine"]["anyOf"]) == len(EVERY_EVENT)


@pytest.mark.parametrize(("method", "target", "status"), [("POST", "/v1/rotate-key", 409), ("GET", "/readyz", 503)])
async def test_what_a_new_agent_can_not_do_is_described(
    tmp_path: Path, path: Path, method: str, target: str, status: int
) -> None:
    async with fresh_node(tmp_path) as node, serve(node.report, path):
        answer = await ask(path, target, method)
    assert answer.status == status
    ((kind, content),) = DESCRIPTION["paths"][target][method.lower()]["responses"][str(status)]["content"].items()
    assert answer.kind.startswith(kind)
    body = json.loads(answer.body) if kind == "application/json" else answer.body
    assert list(faults(body, content["schema"], DESCRIPTION)) == []


def test_the_checker_finds_faults() -> None:
    schema = DESCRIPTION["components"]["schemas"]["PeerView"]
    right = {
        "public_key": "K", "name": "b", "allowed_ips": [], "endpoints": ["x"], "on_device": None, "endpoint": None,
        "last_handshake": "2026-01-31T23:59:59Z", "proved": True, "draining": False,
    }  # fmt: skip
    assert list(faults(right, schema, DESCRIPTION)) == []
    for wrong in ({"name": 1}, {"endpoints": [1]}, {"proved": 1}, {"on_device": "x"}, {"more": 1}):
        assert list(faults(right | wrong, schema, DESCRIPTION)), wrong
    assert list(faults({}, schema, DESCRIPTION))
