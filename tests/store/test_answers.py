"""Answers to one request: each has a time limit, all together have none."""

import asyncio
import time

import pytest

from ikto_core.store.answers import REQUEST_TIMEOUT_S, AnswerLimit, Answers
from ikto_core.store.received import Received

STEP_S = REQUEST_TIMEOUT_S / 2


async def test_a_page_has_no_time_limit_while_its_messages_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the event loop's clock the next message arrives late each time, but within the limit."""
    loop, late_s = asyncio.get_running_loop(), 0.0
    monkeypatch.setattr(loop, "time", lambda: time.monotonic() + late_s)
    answers = Answers("subject", AnswerLimit(messages=100, size=100))
    for _ in range(100):
        waiting = loop.create_task(answers.next())
        await asyncio.sleep(0)
        late_s += STEP_S
        answers.add(Received("reply", b"x"))
        assert (await waiting).data == b"x"
    assert late_s > 60
