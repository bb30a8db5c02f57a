"""One question gets one answer of each node, within bounds, whatever anybody sends in between."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from ikto_core.errors import NatsDeniedError
from ikto_core.fleet.answer import MAX_ANSWER_BYTES, NodeAnswer, Request, read_request
from ikto_core.fleet.asking import TRIES_PER_NODE, Answers, Asker, roster_of
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.responder import Responder
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.lab.simulated_nodes import SimulatedNode, answering, roster
from ikto_core.mesh.records import record_key
from ikto_core.mesh.view import MeshRules, MeshView
from ikto_core.store.connection import open_session
from ikto_core.store.received import Received
from ikto_core.store.session import NatsSettings, Session
from ikto_core.store.subjects import Subjects
from tests.forked import END_WITH_TESTS
from tests.samples import KEY, MESH, OTHER_KEY, OWN_KEY, entries_of, record

SILENCE_S = 4.0
"""How long to wait where an answer is missing: long enough for those that come, on a busy machine."""


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """The name of a bucket of the test's own; none is made."""
    return "".join(c if c.isalnum() else "_" for c in request.node.name)


@pytest.fixture
async def other_session(shared_server: NatsServer) -> AsyncIterator[Session]:
    """The connection of somebody else."""
    async with open_session(NatsSettings(servers=(shared_server.url,)), Random()) as session:
        yield session


async def test_every_node_answers_once(session: Session, other_session: Session, name: str) -> None:
    nodes = [SimulatedNode(number) for number in range(1, 4)]
    nodes[0].heard = {nodes[1].key: Heard.ACTIVE, nodes[2].key: Heard.NEVER}
    async with answering(other_session, name, nodes):
        answers = await Asker(session, name).ask(roster(nodes), timeout_s=60)
    assert answers.by_node.keys() == {node.key for node in nodes}
    assert not answers.missing
    assert not answers.forged
    heard = answers.by_node[nodes[0].key].answer.heard
    assert heard
    assert heard.active == nodes[1].key.text[:8]
    assert [len(node.asked) for node in nodes] == [1, 1, 1]


async def test_one_node_can_be_asked_about_a_peer(session: Session, other_session: Session, name: str) -> None:
    nodes = [SimulatedNode(number) for number in range(1, 4)]
    async with answering(other_session, name, nodes):
        answers = await Asker(session, name).ask(roster(nodes), to=nodes[1].key, about=KEY, timeout_s=60)
    assert answers.asked == answers.by_node.keys() == {nodes[1].key}
    assert [[request.about for request in node.asked] for node in nodes] == [[], [KEY.text], []]


async def test_who_asks_one_node_receives_no_answers_of_others(
    session: Session, other_session: Session, name: str
) -> None:
    class Chatty(SimulatedNode):
        async def answer(self, request: Request) -> NodeAnswer:
            await other_session.publish(f"ikto-answer.{name}.other", b"another node's answer")
            return await super().answer(request)

    node = Chatty(1)
    async with answering(other_session, name, [node]):
        one = await Asker(session, name).ask(roster([node]), to=node.key, timeout_s=60)
        every = await Asker(session, name).ask(roster([node]), timeout_s=60)
    assert (one.foreign, every.foreign) == (0, 1)


async def test_a_node_that_is_not_there_is_missing_and_the_others_are_not_held_up(
    session: Session, other_session: Session, name: str
) -> None:
    nodes = [SimulatedNode(number) for number in range(1, 4)]
    async with answering(other_session, name, nodes[:2]):
        answers = await Asker(session, name).ask(roster(nodes), timeout_s=SILENCE_S)
    assert answers.missing == {nodes[2].key}
    assert len(answers.by_node) == 2


async def test_the_session_receives_no_answers_between_questions(
    session: Session, other_session: Session, name: str
) -> None:
    """An agent asks over the session by which it follows the bucket, and others ask all the time."""
    nodes, received = [SimulatedNode(number) for number in range(1, 4)], list[str]()
    subjects = Subjects(name)
    async with answering(other_session, name, nodes):
        asker = Asker(session, name)
        await asker.ask(roster(nodes), to=nodes[0].key, timeout_s=60)
        await asker.ask(roster(nodes), timeout_s=60)
        assert not [each for each in session.client._subs.values() if each.subject.startswith("ikto-answer")]
        assert not [subject for subject in session._subscribed if subject.startswith("ikto-answer")]
        await session.subscribe(subjects.answer(nodes[1].kv_key or ""), lambda seen: received.append(seen.subject))
        assert (await Asker(other_session, name).ask(roster(nodes), timeout_s=60)).by_node.keys() == {
            node.key for node in nodes
        }
        await session.client.flush()
    assert received == [subjects.answer(nodes[1].kv_key or "")]


async def test_a_node_that_may_be_asked_and_may_not_ask_keeps_its_session(tmp_path: Path) -> None:
    """It subscribes to the subject on which it may not publish."""
    users = [{"user": "node", "password": "p", "permissions": {"publish": {"deny": ["ikto-ask.b"]}}}]
    with running_server(
        tmp_path, f"authorization: {json.dumps({'users': users})}", exec_prefix=END_WITH_TESTS
    ) as server:
        async with open_session(NatsSettings(servers=(server.url,), user="node", password="p"), Random()) as session:
            await session.subscribe(Subjects("b").asked, lambda _: None)
            for _ in range(2):
                with pytest.raises(NatsDeniedError, match=r'publication to "ikto-ask\.b"'):
                    await Asker(session, "b").ask(roster([SimulatedNode(1)]), timeout_s=1)
            await session.client.flush()
            assert not session.client.is_closed


async def test_nobody_is_asked_and_the_answer_is_there(session: Session, name: str) -> None:
    answers = await Asker(session, name).ask({}, timeout_s=60)
    assert not answers.by_node
    assert not (await Asker(session, name).ask({}, to=KEY, timeout_s=60)).asked


async def liar(session: Session, name: str, victim: SimulatedNode, copies: int, then: Responder) -> None:
    """Let somebody with every permission answer first in the victim's name, and the victim afterwards."""
    subject, attacker = Subjects(name).answer(victim.kv_key or ""), SimulatedNode(2)
    asked: asyncio.Queue[Received] = asyncio.Queue()
    await session.subscribe(Subjects(name).asked, asked.put_nowait)
    question = await asked.get()
    request = read_request(question.data)
    forged = await attacker.responder(name).message(request, victim.kv_key or "")
    for payload in (forged, b"junk " + request.nonce.encode(), request.nonce.encode() * MAX_ANSWER_BYTES):
        for _ in range(copies):
            await session.publish(subject, payload)
    await session.publish(subject, b"an answer to another question")
    await session.publish(f"ikto-answer.{name}.unknown", forged)
    then.receive(question)
    await then.answer_received(session)


async def lied_to(session: Session, other_session: Session, name: str, copies: int, timeout_s: float) -> Answers:
    victim = SimulatedNode(1)
    async with asyncio.TaskGroup() as tasks:
        lying = tasks.create_task(liar(other_session, name, victim, copies, victim.responder(name)))
        while Subjects(name).asked.lower() not in other_session._subscribed:
            await asyncio.sleep(0.01)
        answers = await Asker(session, name).ask(roster([victim]), timeout_s=timeout_s)
        lying.cancel()
    return answers


async def test_an_answer_in_the_name_of_another_is_noticed_and_not_believed(
    session: Session, other_session: Session, name: str
) -> None:
    answers = await lied_to(session, other_session, name, 1, 60)
    assert [answered.answer.version for answered in answers.by_node.values()] == ["0.4"]
    assert list(answers.forged.values()) == [3]
    assert answers.foreign == 2


@pytest.mark.slow
async def test_a_flood_in_the_name_of_another_costs_no_more_than_some_verifications(
    session: Session, other_session: Session, name: str
) -> None:
    """It can hide the node's answer. That is seen: the node is missing, and has forged answers."""
    answers = await lied_to(session, other_session, name, 30, SILENCE_S)
    assert not answers.by_node
    assert list(answers.forged.values()) == [TRIES_PER_NODE]


@pytest.mark.slow
async def test_the_answer_to_an_earlier_question_is_refused(
    session: Session, other_session: Session, name: str
) -> None:
    node = SimulatedNode(1)
    old = await node.responder(name).message(Request(nonce="0" * 32), node.kv_key or "")
    asked: asyncio.Queue[Received] = asyncio.Queue()
    await other_session.subscribe(Subjects(name).asked, asked.put_nowait)

    async def replay() -> None:
        nonce = read_request((await asked.get()).data).nonce.encode()
        await other_session.publish(Subjects(name).answer(node.kv_key or ""), old + nonce)
        await other_session.publish(Subjects(name).answer(node.kv_key or ""), old[:-1] + b',"x":"%s"}' % nonce)
        await other_session.publish(Subjects(name).answer(node.kv_key or ""), old.replace(b"0" * 32, nonce))
        await other_session.publish(Subjects(name).answer(node.kv_key or ""), old)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(replay())
        answers = await Asker(session, name).ask(roster([node]), timeout_s=SILENCE_S)
    assert not answers.by_node
    assert answers.forged == {node.key: 3}
    assert answers.foreign == 1


def test_the_roster_has_the_accepted_records_of_the_peers_and_this_node() -> None:
    view = MeshView(MeshRules(cidr=MESH, subnet_prefix=28, own_key=OWN_KEY))
    view.update(
        entries_of(
            record("10.0.0.16/28", OWN_KEY),
            record("10.0.0.32/28", KEY),
            record("10.0.0.48/28", KEY),
            record("10.0.0.64/28", OTHER_KEY),
            record("10.0.1.0/28", OTHER_KEY),  # outside the mesh
        )
    )
    assert roster_of(view) == {
        OWN_KEY: {record_key("10.0.0.16/28")},
        KEY: {record_key("10.0.0.32/28"), record_key("10.0.0.48/28")},
        OTHER_KEY: {record_key("10.0.0.64/28")},
    }
