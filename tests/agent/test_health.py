"""What a node answers about itself: no more than a reader of the bucket may know, and how its tunnels are."""

import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from ikto_core import __version__
from ikto_core.agent import health
from ikto_core.agent.health import NodeHealth
from ikto_core.errors import BackendError
from ikto_core.fleet.answer import NodeAnswer, Request
from ikto_core.fleet.heard import Heard
from ikto_core.mesh.records import PeerRecord
from ikto_core.values.keys import PrivateKey, PublicKey
from tests.admin.node import OWN_KEY, WG, Node, converged_node, fresh_node, peer_record

ALL = Request(nonce="a" * 32)


def key_of(number: int) -> PublicKey:
    return PrivateKey(bytes([number] * 32)).public()


def record(number: int) -> PeerRecord:
    return replace(peer_record(number), public_key=key_of(number))


def health_of(node: Node) -> NodeHealth:
    return NodeHealth(node.report, node.controller, node.controller._desired_state, node.reconciler)


def said(answer: NodeAnswer) -> dict[str, Heard]:
    assert answer.heard
    return dict(answer.heard.states())


def short(number: int) -> str:
    return key_of(number).text[:8]


async def test_an_answer_says_how_the_node_is_and_whom_it_hears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "SAMPLE_AGE_S", 0.0)
    async with converged_node(tmp_path, *(record(number) for number in range(2, 6))) as node:
        node.report.resync()
        await node.converge()  # takes the sample
        now = time.time()
        node.host.handshake(WG, key_of(2), now - 10, rx_bytes=7, tx_bytes=9)
        node.host.handshake(WG, key_of(3), now - 1000, rx_bytes=0, tx_bytes=0)
        node.host.send_unanswered(WG, key_of(4))
        source = health_of(node)
        answer = await source.answer(Request(nonce="b" * 32, about=key_of(2).text))
        assert source.nodes == 5
        assert source.kv_key == node.controller.record.key  # type: ignore[union-attr]
    assert (answer.nonce, answer.public_key, answer.version) == ("b" * 32, OWN_KEY.public().text, __version__)
    assert (answer.state, answer.revision, answer.bucket_revision) == ("ready", 5, 5)
    assert (answer.accepted, answer.quarantined, answer.pending_removals, answer.left_out) == (4, 0, 0, 0)
    assert now <= answer.time_s <= time.time()
    assert said(answer) == {
        short(2): Heard.ACTIVE,
        short(3): Heard.IDLE,
        short(4): Heard.UNANSWERED,
        short(5): Heard.NEVER,
    }
    assert answer.about
    assert 10 <= (answer.about.handshake_age_s or 0) < 10 + 60
    assert (answer.about.heard, answer.about.rx_bytes, answer.about.tx_bytes) == (Heard.ACTIVE, 7, 9)
    assert answer.about.has_endpoint


async def test_an_answer_has_no_address_and_no_name(tmp_path: Path) -> None:
    """A reader of the bucket does not learn from where a peer sends, nor what this host is called inside."""
    async with converged_node(tmp_path, record(2)) as node:
        node.host.handshake(WG, key_of(2), time.time(), rx_bytes=7, tx_bytes=9)
        request = Request(nonce="a" * 32, about=key_of(2).text)
        text = msgspec.json.encode(await health_of(node).answer(request)).decode()
    for secret in ("192.0.2", "fd10", "51820", WG, "peer-2", str(tmp_path)):
        assert secret not in text


async def test_a_device_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    async with converged_node(tmp_path, record(2)) as node:
        node.host.fail_next("read", BackendError("no such device", hint="make one"))
        answer = await health_of(node).answer(Request(nonce="a" * 32, about=key_of(2).text))
    assert (answer.heard, answer.about) == (None, None)
    assert answer.accepted == 1


async def test_nothing_is_told_of_a_stranger(tmp_path: Path) -> None:
    async with converged_node(tmp_path, record(2)) as node:
        answer = await health_of(node).answer(Request(nonce="a" * 32, about=key_of(9).text))
    assert answer.about is None


async def test_a_node_without_a_claim_has_no_key_to_answer_with(tmp_path: Path) -> None:
    async with fresh_node(tmp_path) as node:
        assert health_of(node).kv_key is None
