"""An agent asks a peer about itself over its own session, and says why there is no answer."""

import pytest
from msgspec.structs import replace

from ikto_core.fleet import asking
from ikto_core.fleet.answer import NodeAnswer, PeerHealth, Request
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.peer_word import PeerQuestions, PeerWord
from ikto_core.lab.simulated_nodes import SimulatedNode, answering
from ikto_core.mesh.view import MeshRules, MeshView
from ikto_core.store.session import Session
from ikto_core.values.addressing import Prefix
from tests.samples import KEY, OWN_KEY, entries_of, record

HEALTH = PeerHealth(heard=Heard.UNANSWERED, handshake_age_s=None, rx_bytes=0, tx_bytes=148, has_endpoint=True)


class Peer(SimulatedNode):
    """Tells of this node what the test says."""

    about: PeerHealth | None = HEALTH
    device_read = True

    async def answer(self, request: Request) -> NodeAnswer:
        answer = await super().answer(request)
        assert request.about == OWN_KEY.text
        return replace(answer, about=self.about, heard=answer.heard if self.device_read else None)


def questions_about(peer: SimulatedNode, name: str) -> PeerQuestions:
    view = MeshView(MeshRules(cidr=Prefix.parse("fd10::/16"), subnet_prefix=48, own_key=OWN_KEY))
    view.update(entries_of(record(peer.allowed_ip, peer.key)))
    return PeerQuestions(name, lambda: view)


async def test_a_peer_says_what_it_sees_of_this_node(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_S", 60.0)
    peer = Peer(1)
    questions = questions_about(peer, "word")
    async with answering(session, "word", [peer]):
        with questions.over(session):
            assert await questions.ask(peer.key) == PeerWord(health=HEALTH)
            peer.about = None
            assert await questions.ask(peer.key) == PeerWord()
            peer.device_read = False
            assert await questions.ask(peer.key) == PeerWord(reason="its device can't be read")
    assert await questions.ask(peer.key) == PeerWord(reason="this node has no connection to NATS")


@pytest.mark.slow
async def test_who_does_not_answer_or_is_no_peer_has_a_reason(session: Session) -> None:
    peer = Peer(1)
    questions = questions_about(peer, "silent")
    with questions.over(session):
        assert await questions.ask(peer.key) == PeerWord(reason="no answer within 3 s")
        assert await questions.ask(KEY) == PeerWord(reason="it is not a peer")


async def test_a_node_in_an_account_of_its_own_is_told_why_it_cannot_ask(session: Session) -> None:
    peer = Peer(1)
    questions = questions_about(peer, "other")
    session.api_prefix = "MESH.API."
    with questions.over(session):
        assert "from an account of its own" in (await questions.ask(peer.key)).reason
