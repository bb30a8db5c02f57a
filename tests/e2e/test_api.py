"""docs/openapi.json is what a real agent does: every request that it describes is made, and every answer compared."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import record_key
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.json_schema import faults
from tests.raw_http import Answer, request

ROOT = Path(__file__).parents[2]
DESCRIPTION: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())
EVENTS = {
    "after": ("0", "1"),
    "follow": ("false",),
    "state": ("false", "true"),
    "target": ("node-2&probe=no", "nobody&probe=no"),
    "probe": ("no",),
}
"""The parameters' values to try: a stream that is followed is tried in tests/admin/test_events.py."""

ENDING = {("POST", "/v1/leave"), ("POST", "/v1/down")}
"""Requests after which an agent answers no more."""

pytestmark = pytest.mark.e2e


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in DESCRIPTION["paths"].items():
        for method, operation in found.items():
            yield method.upper(), path, operation


def targets(path: str, operation: dict[str, Any]) -> Iterator[str]:
    """Yield the path, and the path with each value of each parameter."""
    yield path
    for parameter in operation.get("parameters", ()):
        yield from (f"{path}?{parameter['name']}={value}" for value in EVENTS[parameter["name"]])


def assert_described(operation: dict[str, Any], answer: Answer) -> None:
    """The answer has a status that is described, with the type and the content of its description."""
    response = operation["responses"].get(str(answer.status))
    assert response, f"{answer.status} is not described: {answer.body[:300]}"
    ((kind, content),) = response["content"].items()
    assert answer.kind == kind
    if kind == "application/json":
        assert list(faults(json.loads(answer.body), content["schema"], DESCRIPTION)) == []
    elif kind == "application/x-ndjson":
        lines = [json.loads(line) for line in answer.body.splitlines()]
        assert [fault for line in lines for fault in faults(line, content["schema"], DESCRIPTION)] == []


def ask_everything(agent: AgentProcess) -> list[str]:
    """Make every request that is described, those that change something last; return the statuses."""
    statuses = []
    for method, path, operation in sorted(operations(), key=lambda each: each[0]):
        if (method, path) in ENDING:
            continue
        for target in targets(path, operation):
            answer = request(agent.socket, method, target)
            assert_described(operation, answer)
            statuses.append(f"{method} {path} {answer.status}")
    return statuses


def test_every_answer_of_a_real_agent_is_as_described(mesh: Mesh) -> None:
    agent = mesh.agent(program=IMPATIENT, lease="10m", observers=["exec=/bin/false"])
    mesh.agent()
    mesh.assert_formed()
    mesh.write(record_key("fd10:9::/48"), b"{")
    eventually(lambda: len(agent.admin.status().quarantined) == 1)
    statuses = ask_everything(agent)
    assert {status for status in statuses if status.endswith(" 200")} >= {
        "GET /v1/info 200",
        "GET /v1/status 200",
        "GET /v1/peers 200",
        "GET /v1/events 200",
        "GET /healthz 200",
        "GET /readyz 200",
        "GET /metrics 200",
    }
    assert {status for status in statuses if status.startswith("POST")} == {
        "POST /v1/peers/release 202",
        "POST /v1/resync 202",
        "POST /v1/rotate-key 202",
    }


@pytest.mark.slow
@pytest.mark.parametrize(("target", "path"), [("/v1/leave?drain_s=0&forget=1", "/v1/leave"), ("/v1/down", "/v1/down")])
def test_the_end_of_an_agent_is_as_described(mesh: Mesh, target: str, path: str) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    assert_described(DESCRIPTION["paths"][path]["post"], request(agent.socket, "POST", target))
    agent.wait()


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/v1/nothing", 404), ("DELETE", "/v1/info", 405), ("GET", "/v1/events?after=x", 400)],
)
def test_every_error_is_as_described(mesh: Mesh, method: str, target: str, status: int) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    answer = request(agent.socket, method, target)
    assert answer.status == status
    schema = DESCRIPTION["paths"]["/v1/info"]["get"]["responses"]["default"]["content"]["application/json"]["schema"]
    assert list(faults(json.loads(answer.body), schema, DESCRIPTION)) == []
