"""A node answers a question once, after a jitter, only so often, and only if NATS lets it."""

import asyncio
import json
from pathlib import Path
from random import Random

import msgspec
import pytest
from structlog.testing import capture_logs

from ikto_core.fleet.answer import Request, UnreadableAnswerError
from ikto_core.fleet.asking import Asker
from ikto_core.fleet.responder import ANSWER_EVERY_S, BURST, MAX_DUE, AnswerBudget, Responder, about_key
from ikto_core.lab.nats_server import running_server
from ikto_core.lab.simulated_nodes import SimulatedNode, roster
from ikto_core.store.connection import open_session
from ikto_core.store.received import Received
from ikto_core.store.session import NatsSettings
from tests.forked import END_WITH_TESTS
from tests.samples import KEY


def question(**members: str) -> Received:
    return Received("ikto-ask.b", msgspec.json.encode(Request(nonce="a" * 32, **members)))


def test_some_questions_are_answered_at_once_and_later_ones_at_a_rate() -> None:
    budget = AnswerBudget()
    assert [budget.take(1000.0) for _ in range(BURST + 2)] == [True] * BURST + [False] * 2
    assert not budget.take(1000.0 + ANSWER_EVERY_S * 0.9)
    assert budget.take(1000.0 + ANSWER_EVERY_S * 1.1)
    assert not budget.take(1000.0 + ANSWER_EVERY_S * 1.2)
    assert [budget.take(9999.0) for _ in range(BURST + 1)] == [True] * BURST + [False]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_flood_of_questions_gets_few_answers_and_no_memory() -> None:
    node, clock = SimulatedNode(1), Clock()
    responder = Responder("b", node.private_key, node, Random(1), clock)
    for _ in range(10_000):
        responder.receive(question())
    assert responder.refused == 10_000 - BURST
    assert len(responder._due) == BURST


def test_questions_that_are_never_answered_take_no_memory() -> None:
    node, clock = SimulatedNode(1), Clock()
    responder = Responder("b", node.private_key, node, Random(1), clock)
    for _ in range(100):
        clock.now += 2 * ANSWER_EVERY_S
        responder.receive(question())
    assert len(responder._due) == MAX_DUE


def test_questions_to_others_cost_nothing() -> None:
    node, clock = SimulatedNode(1), Clock()
    responder = Responder("b", node.private_key, node, Random(1), clock)
    for _ in range(100):
        responder.receive(question(to=KEY.text))
    assert (responder.refused, responder._due) == (0, [])
    responder.receive(question(to=node.key.text))
    assert len(responder._due) == 1


def test_a_node_without_a_claim_answers_nothing() -> None:
    node = SimulatedNode(1)
    node.kv_key = None
    responder = Responder("b", node.private_key, node, Random(1), Clock())
    responder.receive(question())
    assert responder._due == []


def test_only_questions_to_all_nodes_wait_for_a_jitter() -> None:
    node, clock = SimulatedNode(1, nodes=1000), Clock()
    responder = Responder("b", node.private_key, node, Random(1), clock)
    responder.receive(question())
    assert clock.now < responder._due[0].at <= clock.now + 2
    responder.receive(question(to=node.key.text))
    assert responder._due[0].at == clock.now


def test_what_is_no_question_is_refused_and_counts_for_nothing() -> None:
    node = SimulatedNode(1)
    responder = Responder("b", node.private_key, node, Random(1), Clock())
    for _ in range(2 * BURST):
        with pytest.raises(UnreadableAnswerError):
            responder.receive(Received("ikto-ask.b", b"junk"))
    responder.receive(question())
    assert len(responder._due) == 1


def test_a_question_about_what_is_no_key_is_about_none() -> None:
    assert about_key(Request(nonce="a" * 32, about=KEY.text)) == KEY
    assert about_key(Request(nonce="a" * 32)) is None
    assert about_key(Request(nonce="a" * 32, about="A" * 43 + "=")) is None  # all zero
    assert about_key(Request(nonce="a" * 32, about="A" * 42 + "B=")) is None  # not canonical


@pytest.mark.parametrize(
    ("denied", "named"), [("subscribe", '"ikto-ask.b"'), ("publish", '"ikto-answer.b.')], ids=["question", "answer"]
)
async def test_a_node_that_may_not_answer_warns_once_over_all_its_sessions(
    tmp_path: Path, denied: str, named: str
) -> None:
    permissions = {denied: {"deny": ["ikto-ask.b" if denied == "subscribe" else "ikto-answer.>"]}}
    users = [{"user": "node", "password": "p", "permissions": permissions}, {"user": "asker", "password": "p"}]
    config = f"authorization: {json.dumps({'users': users})}"
    node = SimulatedNode(1)
    responder = node.responder("b")
    with running_server(tmp_path, config, exec_prefix=END_WITH_TESTS) as server, capture_logs() as logged:
        for _ in range(2):
            async with (
                open_session(NatsSettings(servers=(server.url,), user="node", password="p"), Random()) as session,
                open_session(NatsSettings(servers=(server.url,), user="asker", password="p"), Random()) as other,
                asyncio.TaskGroup() as tasks,
            ):
                running = tasks.create_task(responder.run(session))
                asker = Asker(other, "b")
                while not running.done():
                    assert not (await asker.ask(roster([node]), timeout_s=0.2)).by_node
    warnings = [line for line in logged if line["log_level"] == "warning"]
    assert len(warnings) == 1
    assert named in warnings[0]["error"]
