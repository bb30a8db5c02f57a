"""The end of an agent on an operator's word: the order of its steps, and what a failure leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ikto_core.admin.leave_views import LeaveStep
from ikto_core.agent import departure as departure_module
from ikto_core.agent.departure import Departure
from ikto_core.errors import BackendError, IktoError, LeftMeshError
from tests.admin.node import OWN_SUBNET, WG, Node, converged_node, peer_record
from tests.nodes import until

KEY = "peers.ZmQxMDoxOjovNDg="


@asynccontextmanager
async def departing(tmp_path: Path) -> AsyncIterator[tuple[Node, Departure, "asyncio.Task[None]"]]:
    """Yield a node in the mesh, whose claim is kept and whose departure runs."""
    async with converged_node(tmp_path, peer_record(2)) as node, asyncio.TaskGroup() as tasks:
        node.bucket.subscribe(node.controller.follower.receive)
        keeping = tasks.create_task(node.controller.keep(node.bucket, lambda: None))
        departure = node.report.departure
        running = asyncio.ensure_future(departure.run())
        departure._lease_settled.set()  # as over a session with NATS
        try:
            yield node, departure, running
        finally:
            running.cancel()
            keeping.cancel()


async def test_leaving_withdraws_and_removes_and_ends_once_the_client_knows(tmp_path: Path) -> None:
    async with departing(tmp_path) as (node, departure, running):
        assert KEY in node.bucket.live
        assert departure.begin(withdraw=True).step is LeaveStep.WITHDRAWING
        await until(lambda: departure._view.step is LeaveStep.DONE)
        assert KEY not in node.bucket.live
        assert node.host.device(WG) is None
        assert not running.done()
        assert departure.view().failure is None
        with pytest.raises(LeftMeshError, match="left the mesh") as raised:
            await running
        assert raised.value.exit_code == 9


async def test_down_keeps_the_record(tmp_path: Path) -> None:
    async with departing(tmp_path) as (node, departure, running):
        departure.begin(withdraw=False)
        await until(lambda: departure.view().step is LeaveStep.DONE)
        with pytest.raises(LeftMeshError, match="took the device down"):
            await running
        assert KEY in node.bucket.live
        assert node.host.device(WG) is None
        assert str(node.controller.view.rules.own_subnet) == OWN_SUBNET


async def test_nobody_need_wait_for_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure_module, "TOLD_WITHIN_S", 0.0)
    async with departing(tmp_path) as (_, departure, running):
        departure.begin(withdraw=True)
        with pytest.raises(LeftMeshError):
            await running


async def test_a_refusal_leaves_the_node_in_the_mesh_and_it_can_be_asked_again(tmp_path: Path) -> None:
    async with departing(tmp_path) as (node, departure, running):
        node.bucket.faults.deny = frozenset([KEY])
        departure.begin(withdraw=True)
        await until(lambda: departure.view().step is LeaveStep.FAILED)
        assert "denied this node to withdraw" in (departure.view().failure or "")
        assert departure.view().hint
        assert KEY in node.bucket.live
        assert node.host.device(WG)
        node.bucket.faults.deny = frozenset()
        node.bucket.write(KEY, None)
        await until(lambda: KEY in node.bucket.live)  # it guards its record again
        departure.begin(withdraw=True)
        await until(lambda: departure.view().step is LeaveStep.DONE)
        with pytest.raises(LeftMeshError):
            await running


async def test_a_drain_is_announced_first_and_taken_back_if_the_node_stays(tmp_path: Path) -> None:
    async with departing(tmp_path) as (node, departure, _):
        node.bucket.faults.deny = frozenset([KEY])

        def announced() -> bool:
            record = node.controller.record
            return bool(record and record.draining)

        departure.begin(withdraw=True, drain_s=0.01)
        await until(announced)
        await until(lambda: departure.view().step is LeaveStep.FAILED)
        assert not announced()


async def test_without_nats_the_node_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure_module, "ACKNOWLEDGED_WITHIN_S", 0.0)
    async with departing(tmp_path) as (node, departure, _):
        node.connection.failure = "connection refused"
        departure.begin(withdraw=True)
        await until(lambda: departure.view().step is LeaveStep.FAILED)
        assert (departure.view().failure or "").endswith("is withdrawn: connection refused")
        await until(lambda: not node.controller.recheck.is_requested)
        assert node.host.device(WG)


async def test_a_device_that_can_not_be_removed_is_reported_and_the_agent_ends_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing() -> None:
        raise BackendError("the kernel says no", hint="ip link delete")

    async with departing(tmp_path) as (node, departure, running):
        monkeypatch.setattr(node.reconciler, "delete_device", failing)
        departure.begin(withdraw=True)
        await until(lambda: departure._view.step is LeaveStep.DONE)
        view = departure.view()
        assert (view.failure, view.hint) == ("the kernel says no", "ip link delete")
        with pytest.raises(LeftMeshError):
            await running
        assert KEY not in node.bucket.live


async def test_a_second_request_joins_the_first_or_is_refused(tmp_path: Path) -> None:
    async with departing(tmp_path) as (_, departure, _running):
        first = departure.begin(withdraw=True, drain_s=3600)
        assert departure.begin(withdraw=True, drain_s=5) == first
        with pytest.raises(IktoError, match="in another way"):
            departure.begin(withdraw=False)
