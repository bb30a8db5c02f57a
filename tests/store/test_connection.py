"""The connection retries with a growing pause and ends as soon as it is cancelled."""

import asyncio
import socket
from collections.abc import Awaitable, Coroutine
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ikto_core.errors import NatsError
from ikto_core.lab.nats_server import NatsServer
from ikto_core.store import connection as connection_module
from ikto_core.store.answers import NoAnswerError
from ikto_core.store.client import Client
from ikto_core.store.connection import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, Backoff, Connection
from ikto_core.store.session import NatsSettings, Session, SessionClosedError

pytestmark = pytest.mark.usefixtures("no_secrets_logged")


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_the_pause_doubles_with_each_failure_with_jitter_and_a_limit(random: Random, failures: int) -> None:
    backoff = Backoff(random)
    for failure in range(failures):
        longest = min(FIRST_BACKOFF_S * 2**failure, LONGEST_BACKOFF_S)
        assert longest / 2 <= backoff.next_s() <= longest
    backoff.reset()
    assert backoff.next_s() <= FIRST_BACKOFF_S


def test_two_agents_have_different_pauses() -> None:
    assert Backoff(Random(1)).next_s() != Backoff(Random(2)).next_s()


def connection_to(url: str) -> Connection:
    return Connection(NatsSettings(servers=(url,)), Random(1), keep_trying=lambda: True)


async def until_it_closes(session: Session) -> None:
    await session.closed()


async def assert_ends_when_cancelled(running: Coroutine[Any, Any, None], ready: Awaitable[Any]) -> None:
    task = asyncio.create_task(running)
    await ready
    task.cancel()
    assert await ends_soon(task)
    assert task.cancelled()
    assert task.cancelling() == 1, "one cancellation must be enough"


async def ends_soon(task: asyncio.Task[None]) -> bool:
    """Return whether a cancelled task ends soon; if not, cancel it until it ends."""
    done, _ = await asyncio.wait([task], timeout=60)
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
    return bool(done)


@pytest.mark.parametrize("fails", [True, False])
async def test_a_cancellation_that_nats_py_swallows_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, shared_server: NatsServer, fails: bool
) -> None:
    """`asyncio.wait_for` before Python 3.12 returns the result, or another error, in its place."""
    connect, reached = Client.connect, asyncio.Event()

    async def swallowing(client: Any, *args: Any, **kwargs: Any) -> None:
        await connect(client, *args, **kwargs)
        reached.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if fails:
                raise OSError("lost") from None

    monkeypatch.setattr(Client, "connect", swallowing)

    await assert_ends_when_cancelled(connection_to(shared_server.url).run(until_it_closes), reached.wait())


async def test_a_connection_ends_when_it_is_cancelled_at_any_moment_of_a_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server closes during the login; one in fifteen of such dials swallowed a cancellation."""
    monkeypatch.setattr(connection_module, "LONGEST_BACKOFF_S", 0.0)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","max_payload":1}\r\n')
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, family=socket.AF_INET) as server:
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for iterations in range(0, 100, 2):
            await assert_ends_when_cancelled(connection_to(url).run(until_it_closes), loop_iterations(iterations))


async def loop_iterations(count: int) -> None:
    """Let the event loop run so many iterations."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_stopped_connection_dials_no_more_even_if_a_task_group_swallowed_the_cancellation(
    shared_server: NatsServer,
) -> None:
    """Up to Python 3.12 a TaskGroup that is ending after an error treats a cancellation as its own."""
    failing = asyncio.Event()

    async def fail() -> None:
        failing.set()
        raise NatsError("lost")

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await loop_iterations(20)

    async def use(_: Session) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(linger())
                tasks.create_task(fail())
        except* NatsError as group:
            raise NatsError("lost") from group

    connection = connection_to(shared_server.url)
    task = asyncio.create_task(connection.run(use))
    await failing.wait()
    await loop_iterations(3)
    connection.stop()
    task.cancel()
    assert await ends_soon(task)
    assert connection.stats.sessions == 1


@pytest.mark.parametrize("gone", [True, False])
async def test_a_session_ends_at_once_when_its_source_address_is_gone(shared_server: NatsServer, gone: bool) -> None:
    connection, asked = connection_to(shared_server.url), list[str]()

    def has_address(address: str) -> bool:
        asked.append(address)
        return not gone

    async def use(session: Session) -> None:
        connection.end_session_without(has_address)
        if gone:
            with pytest.raises(NatsError, match=r"no longer has the address 127\.0\.0\.1"):
                await session.request("nobody.answers")
        else:
            await session.subscribe("anything", lambda _: None)
        connection.stop()
        raise NatsError("the end")

    async with asyncio.timeout(60):
        await connection.run(use)
        connection.end_session_without(has_address)  # there is no session
    assert asked == ["127.0.0.1"]


async def test_a_session_that_ends_once_something_was_claimed_is_dialled_again(shared_server: NatsServer) -> None:
    claimed: list[Session] = []

    async def claim(session: Session) -> None:
        claimed.append(session)
        if len(claimed) == 2:
            raise KeyError("the second session")
        raise SessionClosedError("after the claim, and before the connection counts as healthy")

    settings = NatsSettings(servers=(shared_server.url,))
    with pytest.raises(KeyError):
        await Connection(settings, Random(1), keep_trying=lambda: bool(claimed)).run(claim)
    claimed.clear()
    with pytest.raises(SessionClosedError):
        await Connection(settings, Random(1), keep_trying=lambda: False).run(claim)


async def test_a_first_start_retries_a_request_that_got_no_answer(shared_server: NatsServer) -> None:
    errors: list[NatsError] = [NoAnswerError("no answer"), NoAnswerError("no answer"), NatsError("refused")]

    async def use(_: Session) -> None:
        raise errors.pop(0)

    with pytest.raises(NatsError, match="refused"):
        await Connection(NatsSettings(servers=(shared_server.url,)), Random(1), keep_trying=lambda: False).run(use)


async def test_the_hint_of_a_failure_is_kept_and_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    made = connection_to("nats://127.0.0.1:1")
    dials: list[str] = []

    async def refuse(*_: object) -> Session:
        dials.append(made.hint)
        if len(dials) == 2:
            made.stop()
        raise NatsError("denied", hint="permit it")

    monkeypatch.setattr(connection_module, "_dial_any", refuse)
    with capture_logs() as logged:
        await made.run(_never)
    assert dials == ["", "permit it"]
    assert [(entry["error"], entry["hint"]) for entry in logged] == [("denied", "permit it")]


async def _never(_: Session) -> None:
    raise AssertionError("there is no session")
