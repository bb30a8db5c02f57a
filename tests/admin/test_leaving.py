"""Requests to leave: only the agent's user and root may send them, and their parameters are checked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from ikto_core.admin import requests
from ikto_core.admin.leave_views import LeaveStep
from ikto_core.admin.server import serve
from ikto_core.client import AdminClient
from ikto_core.errors import IktoError
from tests.admin.node import Node, converged_node, peer_record
from tests.admin.test_server import ask

STRANGER = 4711


@pytest.fixture
async def node(tmp_path: Path, path: Path) -> AsyncIterator[Node]:
    async with converged_node(tmp_path, peer_record(2)) as node, serve(node.report, path):
        yield node


@pytest.mark.usefixtures("node")
async def test_a_client_is_told_how_far_the_agent_is(path: Path) -> None:
    client = AdminClient(path)
    assert (await asyncio.to_thread(client.leaving)).step is LeaveStep.NONE
    view = await asyncio.to_thread(lambda: client.leave(drain_s=30.5, forget=True))
    assert (view.step, view.failure) == (LeaveStep.DRAINING, None)
    assert view.until
    assert await asyncio.to_thread(client.leaving) == view


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("target", ["/v1/leave", "/v1/down", "/v1/peers/release", "/v1/resync", "/v1/rotate-key"])
async def test_another_user_may_read_and_change_nothing(
    path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "peer_user", lambda _: (1, STRANGER))
    answer = await ask(path, target, "POST")
    assert answer.status == 409
    assert f"{target} is not for" in msgspec.json.decode(answer.body)["error"]
    assert (await ask(path, "/metrics")).status == 200
    assert msgspec.json.decode((await ask(path, "/v1/leave")).body)["step"] == "none"


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("query", ["drain_s=x", "forget=maybe", "drain_s=-1", "drain_s=nan", "drain_s=1e9"])
async def test_wrong_parameters_are_refused(path: Path, query: str) -> None:
    assert (await ask(path, f"/v1/leave?{query}", "POST")).status == 409
    assert msgspec.json.decode((await ask(path, "/v1/leave")).body)["step"] == "none"


def test_without_parameters_there_is_no_drain_and_the_claim_is_kept() -> None:
    assert requests.read_leave({}) == (0.0, False)
    with pytest.raises(IktoError, match="drain_s is seconds"):
        requests.read_leave({"drain_s": ""})
