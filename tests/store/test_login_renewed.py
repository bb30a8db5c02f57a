"""When a credential expires, the session ends with the reason, and the connection uses the renewed file."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from ikto_core.errors import ConfigError, NatsDeniedError
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.store import connection as connection_module
from ikto_core.store.connection import Connection, open_session
from ikto_core.store.session import NatsSettings, Session, SessionClosedError
from tests.store.credentials import Operator, login_error, settings

pytestmark = pytest.mark.usefixtures("no_secrets_logged", "private_umask")

OPERATOR = Operator()
LONG_AGO = 0x6000_0000


class ReachedError(Exception):
    """Ends a connection that would run for ever."""


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_server(tmp_path_factory.mktemp("operated"), OPERATOR.config) as server:
        yield server


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "LONGEST_BACKOFF_S", 0.1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "creds"


@pytest.fixture
def given(operated: NatsServer, file: Path) -> NatsSettings:
    return settings(operated.url, nats_creds=str(file))


def soon() -> float:
    """Return a time one to two seconds from now; a JWT has whole seconds only."""
    return math.ceil(time.time()) + 1


def write_creds(file: Path, *, expires_s: float | None = None) -> None:
    """Write a credential for a new user to the file."""
    file.write_text(OPERATOR.creds(expires_s=expires_s))


async def fix_when_failing(connection: Connection, reason: str, fix: Callable[[], None]) -> None:
    """Run a connection, call `fix` once it has failed for this reason, and return when it has a session after that."""
    reached = asyncio.Event()

    async def use(session: Session) -> None:
        reached.set()
        await session.closed()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run(use))
        while reason not in connection.failure:
            await asyncio.sleep(0.01)
        fix()
        await reached.wait()
        running.cancel()


async def test_the_error_says_that_a_creds_file_has_expired(given: NatsSettings, file: Path) -> None:
    write_creds(file, expires_s=LONG_AGO)
    error = await login_error(given)
    assert isinstance(error, NatsDeniedError)
    assert "expired at 2021-01-14 08:25:36 UTC" in str(error)


async def test_the_error_for_a_valid_creds_file_does_not_say_expired(given: NatsSettings, file: Path) -> None:
    await asyncio.to_thread(file.write_text, Operator().creds(expires_s=time.time() + 3600))
    assert "expired" not in str(await login_error(given))


@pytest.mark.slow
async def test_a_session_ends_when_its_credential_expires(given: NatsSettings, file: Path) -> None:
    write_creds(file, expires_s=soon())
    async with asyncio.timeout(60), open_session(given, Random()) as session:
        with pytest.raises(SessionClosedError, match="expired"):
            await session.closed()


async def test_the_connection_dials_again_with_the_renewed_file_after_an_expiry(
    given: NatsSettings, file: Path
) -> None:
    write_creds(file, expires_s=soon())
    connection = Connection(given, Random(), keep_trying=lambda: False)
    sessions: list[Session] = []

    async def use(session: Session) -> None:
        sessions.append(session)
        if len(sessions) == 2:
            raise ReachedError
        connection.mark_healthy()
        write_creds(file)
        await session.closed()

    with pytest.raises(ReachedError):
        async with asyncio.timeout(60):
            await connection.run(use)
    assert "expired" in connection.failure


async def test_a_refused_file_is_replaced_without_a_restart(given: NatsSettings, file: Path) -> None:
    write_creds(file, expires_s=LONG_AGO)
    connection = Connection(given, Random(), keep_trying=lambda: True)
    await fix_when_failing(connection, "expired at 2021", lambda: write_creds(file))


async def test_an_incomplete_file_is_read_again_at_the_next_dial(given: NatsSettings, file: Path) -> None:
    await asyncio.to_thread(file.touch)
    await fix_when_failing(
        Connection(given, Random(), keep_trying=lambda: True), f"{file}: holds no user JWT", lambda: write_creds(file)
    )


async def test_before_the_first_success_a_bad_file_is_final(given: NatsSettings) -> None:
    async def use(_session: Session) -> None:
        raise ReachedError

    async with asyncio.timeout(60):
        with pytest.raises(ConfigError, match="no such file"):
            await Connection(given, Random(), keep_trying=lambda: False).run(use)
