"""Traffic between hosts, and what is read from it."""

import os
import shutil
from collections.abc import Iterator

import pytest

from ikto_core.lab.conversation import Question, conversation, first_answer_s, longest_gap_s, lost
from ikto_core.lab.network import Host, network
from tests.e2e.conftest import eventually

NOWHERE = "10.66.0.99"
QUESTIONS = [Question(1.0, None), Question(2.0, 2.5), Question(3.0, None), Question(4.0, 4.1), Question(5.0, None)]


def test_the_first_answer_counts_from_a_time() -> None:
    assert first_answer_s(QUESTIONS, 1.0) == 1.5
    assert first_answer_s(QUESTIONS, 3.0) == pytest.approx(1.1)
    assert first_answer_s(QUESTIONS, 4.5) is None


def test_a_gap_is_the_time_from_the_first_lost_question_to_the_next_answered_one() -> None:
    assert longest_gap_s(QUESTIONS, 1.0, 4.5) == 1.0
    assert longest_gap_s(QUESTIONS, 1.0, 9.0) == 4.0, "the last one was never followed by an answer"
    assert longest_gap_s(QUESTIONS, 2.0, 2.9) == 0.5, "one that waited"
    assert longest_gap_s([Question(1.0, 1.1), Question(7.0, 7.1)], 0.0, 9.0) == pytest.approx(0.1), "nothing was asked"
    assert lost(QUESTIONS, 1.0, 4.0) == 2


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Host, Host]]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and ip")
    with network(2) as (_, (one, other)):
        yield one, other


def test_questions_are_read_while_the_traffic_runs_and_those_without_an_answer_at_its_end(
    pair: tuple[Host, Host],
) -> None:
    one, other = pair
    with conversation(one, [NOWHERE]) as asking, conversation(other):
        asking.ask(other.address)
        eventually(lambda: len(asking.questions.get(other.address, ())) > 2)
        assert NOWHERE not in asking.questions
        asking.stop()
        assert {question.answered for question in asking.questions[NOWHERE]} == {None}
        sent = [question.sent for question in asking.questions[other.address]]
        assert sent == sorted(sent)


def test_an_address_can_be_asked_until_its_first_answer(pair: tuple[Host, Host]) -> None:
    one, other = pair
    with conversation(one, [NOWHERE], once=True) as asking, conversation(other):
        for address in (other.address, one.address):  # the second is asked later than the first was answered
            asking.ask(address)
            eventually(lambda address=address: asking.questions.get(address))  # type: ignore[misc]
        asking.stop()
        assert asking.questions[other.address][-1].answered
        assert len(asking.questions[other.address]) < len(asking.questions[NOWHERE])
