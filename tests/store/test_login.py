"""All ways to log in to a real nats-server work, and every failure is reported clearly and without secrets."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from ikto_core.cli.main import run
from ikto_core.errors import ConfigError, NatsDeniedError, NatsError
from ikto_core.lab.agent_process import AgentProcess, stopped_at_exit
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.store import dial as dial_module
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings
from tests.store.credentials import (
    ACCOUNT,
    PASSWORD,
    TOKEN,
    USER,
    WRONG,
    Nkey,
    Operator,
    creds_file,
    log_in,
    login_error,
    settings,
)

pytestmark = [
    pytest.mark.usefixtures("no_secrets_logged", "private_umask"),
    pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning"),  # nats-py uses aiohttp for ws://
]

NODE, STRANGER = Nkey(USER), Nkey(USER)
OPERATOR = Operator()
NOWHERE = "nats://127.0.0.1:1"
"""No server listens there. The tests that use it fail before dialling, when files are read."""

USERS = f"""
websocket {{ listen: "127.0.0.1:-1", no_tls: true }}
authorization {{ users: [ {{ user: node, password: "{PASSWORD}" }}, {{ nkey: {NODE.public} }} ] }}
"""


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_server(tmp_path_factory.mktemp("users"), USERS) as server:
        yield server


@pytest.fixture(scope="module")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server that has no nkeys, and so asks for no signature."""
    config = f'authorization {{ user: node, password: "{PASSWORD}" }}'
    with running_server(tmp_path_factory.mktemp("passwords"), config) as server:
        yield server


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_server(tmp_path_factory.mktemp("tokens"), f'authorization {{ token: "{TOKEN}" }}') as server:
        yield server


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_server(tmp_path_factory.mktemp("operated"), OPERATOR.config) as server:
        yield server


def by_password(url: str, _file: Path, right: bool) -> NatsSettings:
    return settings(url, nats_user="node", nats_password=PASSWORD if right else WRONG)


def by_password_in_url(url: str, _file: Path, right: bool) -> NatsSettings:
    return settings(url.replace("//", f"//node:{quote(PASSWORD if right else WRONG, safe='')}@"))


def by_token(url: str, _file: Path, right: bool) -> NatsSettings:
    return settings(url, nats_token=TOKEN if right else WRONG)


def by_token_in_url(url: str, _file: Path, right: bool) -> NatsSettings:
    return settings(url.replace("//", f"//{TOKEN if right else WRONG}@"))


def by_nkey(url: str, file: Path, right: bool) -> NatsSettings:
    file.write_text((NODE if right else STRANGER).seed + "\n")
    return settings(url, nats_nkey_seed=str(file))


def by_creds(url: str, file: Path, right: bool) -> NatsSettings:
    file.write_text((OPERATOR if right else Operator()).creds())
    return settings(url, nats_creds=str(file))


def by_creds_beside_a_user(url: str, file: Path, right: bool) -> NatsSettings:
    """As 0.3.0 does, which always has a creds file."""
    return by_creds(url.replace("//", f"//stranger:{quote(WRONG, safe='')}@"), file, right)


def by_password_beside_creds(url: str, file: Path, right: bool) -> NatsSettings:
    return by_creds(by_password_in_url(url, file, right).servers[0], file, right)


Way = Callable[[str, Path, bool], NatsSettings]
WAYS: tuple[tuple[Way, str], ...] = (
    (by_password, "users"),
    (by_password_in_url, "users"),
    (by_nkey, "users"),
    (by_token, "tokens"),
    (by_token_in_url, "tokens"),
    (by_creds, "operated"),
    (by_creds_beside_a_user, "operated"),
    (by_password_beside_creds, "passwords"),
)
every_way = pytest.mark.parametrize(("way", "server"), WAYS, ids=[way.__name__ for way, _ in WAYS], indirect=["server"])


@pytest.fixture
def server(request: pytest.FixtureRequest) -> NatsServer:
    found: NatsServer = request.getfixturevalue(request.param)
    return found


def port_of(listening: asyncio.Server) -> int:
    port: int = listening.sockets[0].getsockname()[1]
    return port


def websocket_of(server: NatsServer) -> str:
    """Return the URL of a server's websocket, from the ports file that the server writes."""
    (ports,) = server.directory.glob("*.ports")
    url: str = json.loads(ports.read_text())["websocket"][0]
    return url


@every_way
async def test_a_correct_credential_is_accepted(way: Way, server: NatsServer, tmp_path: Path) -> None:
    assert await log_in(way(server.url, tmp_path / "file", True)) == server.url, "the URL shown has no credentials"


@every_way
async def test_a_wrong_credential_is_refused(way: Way, server: NatsServer, tmp_path: Path) -> None:
    error = await login_error(way(server.url, tmp_path / "file", False))
    assert isinstance(error, NatsDeniedError)
    assert f"{server.url} refused the login" in str(error)


@pytest.mark.parametrize("server", ["users", "tokens", "operated"], indirect=True)
async def test_no_credential_is_refused(server: NatsServer) -> None:
    assert isinstance(await login_error(settings(server.url)), NatsDeniedError)


@every_way
def test_printed_settings_show_no_secrets(way: Way, server: NatsServer, tmp_path: Path) -> None:
    given = way(server.url, tmp_path / "file", True)
    assert PASSWORD not in f"{given!r} {given}"
    assert quote(PASSWORD, safe="") not in repr(given)
    assert TOKEN not in repr(given)


@pytest.mark.parametrize("way", [by_password, by_password_in_url])
async def test_a_login_over_a_websocket_works(way: Way, users: NatsServer, tmp_path: Path) -> None:
    url = websocket_of(users)
    assert await log_in(way(url, tmp_path, True)) == url
    assert isinstance(await login_error(way(url, tmp_path, False)), NatsDeniedError)


async def test_a_port_that_is_no_websocket_is_reported_in_one_line(users: NatsServer, tmp_path: Path) -> None:
    error = await login_error(by_password_in_url(users.url.replace("nats:", "ws:"), tmp_path, True))
    assert "can't be reached" in str(error)


async def test_a_creds_file_may_have_crlf_line_ends_and_blank_lines(operated: NatsServer, tmp_path: Path) -> None:
    file = tmp_path / "creds"
    file.write_bytes(b"\r\n" + OPERATOR.creds().replace("\n", "\r\n").encode())
    assert await log_in(settings(operated.url, nats_creds=str(file)))


async def test_a_seed_file_may_have_the_format_of_a_creds_file(users: NatsServer, tmp_path: Path) -> None:
    file = tmp_path / "seed"
    file.write_text(creds_file("", NODE.seed).partition("\n\n")[2])
    assert await log_in(settings(users.url, nats_nkey_seed=str(file)))


JWT = OPERATOR.account.jwt(NODE, {"type": "user"})
NESTED_JWT = "e30." + base64.urlsafe_b64encode(b'{"a":' + b"[" * 5000).decode().rstrip("=") + ".c2ln"
TYPO = NODE.seed[:20] + ("A" if NODE.seed[20] != "A" else "B") + NODE.seed[21:]
FAULTS: dict[str, tuple[str, str, str]] = {
    "creds empty": ("nats_creds", "", "no user JWT"),
    "creds with other content": ("nats_creds", '{"a": 1}', "no user JWT"),
    "truncated creds": ("nats_creds", creds_file(JWT, NODE.seed)[:150], "no user JWT"),
    "creds with a garbled JWT": ("nats_creds", creds_file("eyJ.garbled.x", NODE.seed), "no user JWT"),
    "creds with a JWT nested deeply": ("nats_creds", creds_file(NESTED_JWT, NODE.seed), "no user JWT"),
    "creds without a seed": ("nats_creds", creds_file(JWT, ""), "no user seed"),
    "creds with a typo": ("nats_creds", creds_file(JWT, TYPO), "wrong character"),
    "endless creds": ("nats_creds", "x" * 2**21, "larger than"),
    "seed with other content": ("nats_nkey_seed", "hello", "no user seed"),
    "seed of an account": ("nats_nkey_seed", Nkey(ACCOUNT).seed, "no user seed"),
    "seed with a typo": ("nats_nkey_seed", TYPO, "wrong character"),
}


@pytest.mark.parametrize(("setting", "content", "problem"), FAULTS.values(), ids=FAULTS)
async def test_the_error_names_a_malformed_file(setting: str, content: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(content)
    error = await login_error(settings(NOWHERE, **{setting: str(tmp_path / "file")}))
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"{setting}: {tmp_path / 'file'}: ")
    assert problem in str(error)


@pytest.mark.parametrize("setting", ["nats_creds", "nats_nkey_seed", "nats_tls_ca"])
async def test_the_error_names_a_missing_file(setting: str, tmp_path: Path) -> None:
    for path, problem in ((tmp_path / "nowhere", "no such file"), (tmp_path, "is a directory")):
        error = await login_error(settings(NOWHERE, **{setting: str(path)}))
        assert isinstance(error, ConfigError)
        assert f"{setting}: {path}: " in str(error)
        assert problem in str(error)


@pytest.mark.parametrize(
    ("setting", "mode", "wrong", "command"),
    [
        ("nats_creds", 0o644, "read", "chmod 600"),
        ("nats_creds", 0o620, "change", "chmod 600"),
        ("nats_nkey_seed", 0o640, "read", "chmod 600"),
        ("nats_nkey_seed", 0o602, "change", "chmod 600"),
        ("nats_tls_key", 0o644, "read", "chmod 600"),
        ("nats_tls_cert", 0o666, "change", "chmod go-w"),
        ("nats_tls_ca", 0o664, "change", "chmod go-w"),
    ],
)
async def test_a_file_that_other_users_can_read_or_change_is_refused_before_dialling(
    tmp_path: Path, setting: str, mode: int, wrong: str, command: str
) -> None:
    names = {setting, *(("nats_tls_cert", "nats_tls_key") if setting.startswith("nats_tls_") else ())}
    for name in names:
        (tmp_path / name).touch()
    path = tmp_path / setting
    path.chmod(mode)
    error = await login_error(settings(NOWHERE, **{name: str(tmp_path / name) for name in names}))
    assert str(error) == f"{setting}: {path}: has mode {mode:04o}, which lets other users {wrong} it"
    assert error.hint == f"{command} {path}"
    assert error.exit_code == 3


def test_a_command_exits_with_the_code_of_a_configuration_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bucket", "show", "--nats-url", NOWHERE, "--nats-creds", str(tmp_path / "nowhere")]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "nowhere") in line


def test_a_first_start_of_the_agent_exits_with_the_code_of_a_configuration_error(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("agent")
    (directory / "creds").write_text("garbled")
    config = {"private_address": "auto", "advertise_address": "192.0.2.1", "backend": "fake", "nats_url": NOWHERE}
    agent = AgentProcess(directory, config | {"nats_creds": str(directory / "creds")})
    with stopped_at_exit([agent]):
        agent.start()
        assert agent.wait(30) == 3
    assert f"ikto: nats_creds: {directory / 'creds'}: holds no user JWT" in agent.log_text()
    assert "Traceback" not in agent.log_text()


@pytest.mark.parametrize("scheme", ["nats", "ws"])
async def test_a_dial_to_a_silent_server_times_out(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial_module, "DIAL_TIMEOUT_S", 0.2)
    silence = asyncio.Event()

    async def stay_silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silence.wait()
        writer.close()

    async with await asyncio.start_server(stay_silent, "127.0.0.1", 0) as listening:
        error = await login_error(settings(f"{scheme}://127.0.0.1:{port_of(listening)}"))
        silence.set()
    assert isinstance(error, NatsError)
    assert "can't be reached" in str(error)


async def test_a_server_that_is_full_says_so(tmp_path: Path) -> None:
    with running_server(tmp_path, "max_connections: 1") as server:
        async with open_session(settings(server.url), Random()):
            errors = [await login_error(settings(server.url)) for _ in range(10)]
    said = f"{server.url} accepts no more connections: maximum connections exceeded"
    assert said in map(str, errors), "not always: its message is lost if it closes in the middle of the login"
    assert all("max_connections" in error.hint for error in errors)
    assert not any(isinstance(error, NatsDeniedError) for error in errors)


async def test_an_account_that_is_full_says_so(tmp_path: Path) -> None:
    operator, file = Operator(max_connections=1), tmp_path / "creds"
    file.write_text(operator.creds())
    with running_server(tmp_path, operator.config) as server:
        given = settings(server.url, nats_creds=str(file))
        async with open_session(given, Random()):
            error = await login_error(given)
    assert "accepts no more connections: maximum account active connections exceeded" in str(error).lower()
    assert "that of the account" in error.hint


async def test_a_connection_that_is_closed_during_the_login_is_a_failure() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload": 1048576}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
        error = await login_error(settings(f"nats://127.0.0.1:{port_of(listening)}"))
    assert "the server closed the connection" in str(error)
