"""`GET /v1/why`: one diagnosis for each target, with or without packets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ikto_core.admin.server import LONGEST_TARGET, serve
from ikto_core.admin.why_views import Cause, Diagnosis, Mark
from ikto_core.client import AdminClient
from ikto_core.errors import IktoError
from ikto_core.testing.devices import public_key_of
from tests.admin.node import WG, Node, converged_node, fresh_node, peer_record


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with converged_node(tmp_path, peer_record(2), peer_record(3)) as node, serve(node.report, tmp_path / "s"):
        yield node


async def why(tmp_path: Path, target: str, *, probe: bool = True) -> Diagnosis:
    return await asyncio.to_thread(lambda: AdminClient(tmp_path / "s").why(target, probe=probe))


async def test_the_diagnosis_names_the_peer_and_the_way_to_it(node: Node, tmp_path: Path) -> None:
    found = await why(tmp_path, "peer-2")
    assert (found.peer, found.public_key) == ("peer-2", public_key_of(2).text)
    assert found.path
    assert (found.path.ifname, found.path.address, found.path.endpoint) == (WG, "fd10:2::", "192.0.2.2:51820")
    assert found.verdict.cause is Cause.UNCERTAIN
    assert node.host.device(WG)


async def test_without_probe_nothing_is_sent_and_the_links_say_so(node: Node, tmp_path: Path) -> None:
    node.host.handshake(WG, public_key_of(2), 0.0)
    links = {link.name: link for link in (await why(tmp_path, "peer-2", probe=False)).links}
    assert links["data"].mark is Mark.UNKNOWN
    assert links["data"].text == "not checked: nothing was sent"
    assert links["record"].mark is Mark.OK


async def test_a_target_may_have_any_character(node: Node, tmp_path: Path) -> None:
    node.put(peer_record(4, name="a&probe=no#ü/?"))
    await node.converge()
    assert (await why(tmp_path, "a&probe=no#ü/?")).peer == "a&probe=no#ü/?"


@pytest.mark.parametrize("target", ["", "x" * (LONGEST_TARGET + 1)])
async def test_no_target_and_a_long_one_are_refused(node: Node, tmp_path: Path, target: str) -> None:
    assert node.host.device(WG)
    with pytest.raises(IktoError, match="target: a name"):
        await why(tmp_path, target)


async def test_a_device_that_cannot_be_read_or_lacks_the_peer(node: Node, tmp_path: Path) -> None:
    node.host.remove_device(WG)
    assert (await why(tmp_path, "peer-2")).verdict.cause is Cause.NO_DEVICE
    node.reconciler.request_full_pass()
    await node.reconciler.reconcile()
    node.put(peer_record(5))
    await node.controller.follower.resync(node.bucket)
    assert (await why(tmp_path, "peer-5")).verdict.cause is Cause.NOT_ON_DEVICE


async def test_before_the_claim(tmp_path: Path) -> None:
    async with fresh_node(tmp_path) as node, serve(node.report, tmp_path / "s"):
        node.put(peer_record(2))
        await node.see()
        found = await why(tmp_path, "peer-2")
    assert {link.cause for link in found.links if link.name == "claim"} == {Cause.NOT_CLAIMED}
