"""A credential may expire and be renewed: the session ends and says why, and the link takes up the renewed file."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from ikto_core.errors import ConfigError, NatsDeniedError
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.store import connection as link_module
from ikto_core.store.connection import Connection, open_session
from ikto_core.store.session import NatsSettings, Session, SessionClosedError
from tests.store.credentials import Operator, refusal, settings

pytestmark = pytest.mark.usefixtures("untold")

OPERATOR = Operator()
LONG_AGO = 0x6000_0000


class ReachedError(Exception):
    """Ends a link that would run for ever."""


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_server(tmp_path_factory.mktemp("operated"), OPERATOR.config) as server:
        yield server


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "LONGEST_BACKOFF_S", 0.1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "creds"


@pytest.fixture
def given(operated: NatsServer, file: Path) -> NatsSettings:
    return settings(operated.url, nats_creds=str(file))


def soon() -> float:
    """Return a moment that is one to two seconds away: a JWT knows whole seconds only."""
    return math.ceil(time.time()) + 1


def put(file: Path, *, expires_s: float | None = None) -> None:
    """Have the file hold a credential for a new user."""
    file.write_text(OPERATOR.creds(expires_s=expires_s))


async def mend_when_failing(link: Connection, words: str, mend: Callable[[], None]) -> None:
    """Run a link, mend something once it has failed with these words, and return when it has a session after that."""
    reached = asyncio.Event()

    async def use(session: Session) -> None:
        reached.set()
        await session.closed()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(use))
        while words not in link.failure:
            await asyncio.sleep(0.01)
        mend()
        await reached.wait()
        running.cancel()


async def test_an_expired_creds_file_is_said_to_be_expired(given: NatsSettings, file: Path) -> None:
    put(file, expires_s=LONG_AGO)
    error = await refusal(given)
    assert isinstance(error, NatsDeniedError)
    assert "expired at 2021-01-14 08:25:36 UTC" in str(error)


async def test_a_creds_file_that_still_holds_is_not_blamed(given: NatsSettings, file: Path) -> None:
    await asyncio.to_thread(file.write_text, Operator().creds(expires_s=time.time() + 3600))
    assert "expired" not in str(await refusal(given))


async def test_a_session_ends_when_its_credential_expires(given: NatsSettings, file: Path) -> None:
    put(file, expires_s=soon())
    async with asyncio.timeout(10), open_session(given, Random()) as session:
        with pytest.raises(SessionClosedError, match="expired"):
            await session.closed()


async def test_the_link_dials_again_with_the_renewed_file_when_its_credential_expires(
    given: NatsSettings, file: Path
) -> None:
    put(file, expires_s=soon())
    link = Connection(given, Random(), patient=False)
    sessions: list[Session] = []

    async def use(session: Session) -> None:
        sessions.append(session)
        if len(sessions) == 2:
            raise ReachedError
        link.settled()
        put(file)
        await session.closed()

    with pytest.raises(ReachedError):
        async with asyncio.timeout(10):
            await link.run(use)
    assert "expired" in link.failure


async def test_a_refused_file_is_replaced_without_a_restart(given: NatsSettings, file: Path) -> None:
    put(file, expires_s=LONG_AGO)
    await mend_when_failing(Connection(given, Random(), patient=True), "expired at 2021", lambda: put(file))


async def test_a_file_in_the_midst_of_being_replaced_is_tried_again(given: NatsSettings, file: Path) -> None:
    await asyncio.to_thread(file.touch)
    await mend_when_failing(Connection(given, Random(), patient=True), f"{file}: holds no user JWT", lambda: put(file))


async def test_before_the_first_success_a_bad_file_is_final(given: NatsSettings) -> None:
    async def use(_session: Session) -> None:
        raise ReachedError

    async with asyncio.timeout(5):
        with pytest.raises(ConfigError, match="no such file"):
            await Connection(given, Random(), patient=False).run(use)
