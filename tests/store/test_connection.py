"""The way to NATS is tried for ever, ever more rarely, and not a moment longer than it is wanted."""

import asyncio
import socket
from collections.abc import Awaitable, Coroutine
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.errors import NatsError
from ikto_core.lab.nats_server import NatsServer
from ikto_core.store import connection as link
from ikto_core.store import dial
from ikto_core.store.connection import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, Backoff, Connection
from ikto_core.store.session import NatsSettings, Session

pytestmark = pytest.mark.usefixtures("untold")


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_each_failure_is_waited_for_twice_as_long_with_jitter_and_a_limit(random: Random, failures: int) -> None:
    backoff = Backoff(random)
    for failure in range(failures):
        longest = min(FIRST_BACKOFF_S * 2**failure, LONGEST_BACKOFF_S)
        assert longest / 2 <= backoff.next_s() <= longest
    backoff.reset()
    assert backoff.next_s() <= FIRST_BACKOFF_S


def test_two_agents_do_not_wait_alike() -> None:
    assert Backoff(Random(1)).next_s() != Backoff(Random(2)).next_s()


def a_link(url: str) -> Connection:
    return Connection(NatsSettings(servers=(url,)), Random(1), patient=True)


async def until_it_closes(session: Session) -> None:
    await session.closed()


async def ends_when_cancelled(running: Coroutine[Any, Any, None], ready: Awaitable[Any]) -> None:
    task = asyncio.create_task(running)
    await ready
    task.cancel()
    assert await ended(task)
    assert task.cancelled()
    assert task.cancelling() == 1, "once was not enough"


async def ended(task: asyncio.Task[None]) -> bool:
    """Whether a cancelled task is over soon; if not, it is ended all the same."""
    done, _ = await asyncio.wait([task], timeout=5)
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
    return bool(done)


@pytest.mark.parametrize("fails", [True, False])
async def test_a_cancellation_that_nats_py_swallows_ends_the_link(
    monkeypatch: pytest.MonkeyPatch, shared_server: NatsServer, fails: bool
) -> None:
    """As `asyncio.wait_for` does before Python 3.12: the result, or another error, comes in its place."""
    connect, reached = dial._Client.connect, asyncio.Event()

    async def swallowing(client: Any, *args: Any, **kwargs: Any) -> None:
        await connect(client, *args, **kwargs)
        reached.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if fails:
                raise OSError("lost") from None

    monkeypatch.setattr(dial._Client, "connect", swallowing)

    await ends_when_cancelled(a_link(shared_server.url).run(until_it_closes), reached.wait())


async def test_a_link_ends_whenever_it_is_cancelled_even_while_it_dials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody hangs up in the middle of the welcome; of such dials, one in fifteen swallowed a cancellation."""
    monkeypatch.setattr(link, "LONGEST_BACKOFF_S", 0.0)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","max_payload":1}\r\n')
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, family=socket.AF_INET) as server:
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for turns in range(0, 100, 2):
            await ends_when_cancelled(a_link(url).run(until_it_closes), for_turns(turns))


async def for_turns(count: int) -> None:
    """Let the event loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_link_that_is_over_dials_no_more_although_a_task_group_forgot_the_cancellation(
    shared_server: NatsServer,
) -> None:
    """Up to Python 3.12 a TaskGroup that one of its tasks has ended already takes a cancellation for its own."""
    failing = asyncio.Event()

    async def fail() -> None:
        failing.set()
        raise NatsError("lost")

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await for_turns(20)

    async def use(_: Session) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(linger())
                tasks.create_task(fail())
        except* NatsError as group:
            raise NatsError("lost") from group

    over = a_link(shared_server.url)
    task = asyncio.create_task(over.run(use))
    await failing.wait()
    await for_turns(3)
    over.end()
    task.cancel()
    assert await ended(task)
    assert over.stats.sessions == 1
