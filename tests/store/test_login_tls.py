"""TLS to a real nats-server: server and client certificates, and no clear text where TLS is required."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGSTOP

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from ikto_core.errors import ConfigError, NatsDeniedError, NatsError
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.store import dial as dial_module
from ikto_core.store.connection import open_session
from ikto_core.store.session import Session
from tests.store.credentials import PASSWORD, Authority, Pem, log_in, login_error, settings

pytestmark = [
    pytest.mark.usefixtures("no_secrets_logged", "private_umask"),
    pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning"),  # nats-py uses aiohttp for wss://
]


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial_module, "DIAL_TIMEOUT_S", 2.0)
    monkeypatch.setattr(dial_module, "CLOSE_TIMEOUT_S", 0.1)


@pytest.fixture(scope="module")
def pem(authority: Authority) -> Pem:
    """The server's certificate."""
    return authority.issue("server")


@pytest.fixture(scope="module")
def client_pem(authority: Authority) -> Pem:
    """The client's certificate."""
    return authority.issue("client")


@pytest.fixture(scope="module")
def stranger(openssl: str, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA with the same name that neither the servers nor the clients trust."""
    return Authority(tmp_path_factory.mktemp("stranger"), openssl)


def tls(pem: Pem, more: str = "") -> str:
    return f'tls {{ cert_file: "{pem.cert}", key_file: "{pem.key}", {more} }}'


@pytest.fixture(scope="module")
def encrypted(pem: Pem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server with TLS on its port and its websocket that requires a password."""
    websocket = f'websocket {{ listen: "127.0.0.1:-1", {tls(pem)} }}'
    users = f'authorization {{ user: node, password: "{PASSWORD}" }}'
    with running_server(tmp_path_factory.mktemp("tls"), f"{tls(pem)}\n{websocket}\n{users}") as server:
        yield server


@pytest.fixture(scope="module")
def verifying(pem: Pem, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server that requires client certificates."""
    more = f'ca_file: "{authority.pem.cert}", verify: true'
    with running_server(tmp_path_factory.mktemp("verify"), tls(pem, more)) as server:
        yield server


@pytest.fixture
def user(authority: Authority) -> dict[str, str]:
    return {"nats_user": "node", "nats_password": PASSWORD, "nats_tls_ca": str(authority.pem.cert)}


def certificate(pem: Pem) -> dict[str, str]:
    return {"nats_tls_cert": str(pem.cert), "nats_tls_key": str(pem.key)}


def is_encrypted(session: Session) -> bool:
    transport = session.client._transport._io_writer.transport  # type: ignore[union-attr]
    return isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)


@pytest.mark.parametrize("scheme", ["tls", "nats"])
async def test_a_server_certificate_of_the_configured_ca_is_accepted(
    encrypted: NatsServer, user: dict[str, str], scheme: str
) -> None:
    url = encrypted.url.replace("nats", scheme)
    async with open_session(settings(url, **user), Random()) as session:
        assert session.server == url
        assert is_encrypted(session)


async def test_the_connection_to_a_server_that_hangs_is_closed(user: dict[str, str], pem: Pem, tmp_path: Path) -> None:
    """TLS ends with a message from each side; a frozen server sends none."""
    with running_server(tmp_path, tls(pem)) as server:
        async with open_session(settings(server.url, nats_tls_ca=user["nats_tls_ca"]), Random()) as session:
            socket = session.client._transport._bare_io_writer.get_extra_info("socket")  # type: ignore[union-attr]
            server.send(SIGSTOP)
        await asyncio.sleep(0)
        server.send(SIGCONT)
        assert socket.fileno() == -1


async def test_a_login_over_a_websocket_with_tls_works(encrypted: NatsServer, user: dict[str, str]) -> None:
    (ports,) = encrypted.directory.glob("*.ports")
    url = json.loads(ports.read_text())["websocket"][0]
    assert url.startswith("wss://")
    async with open_session(settings(url, **user), Random()) as session:
        assert session.server == url
        socket = session.client._transport._ws.get_extra_info("socket")  # type: ignore[union-attr]
    await asyncio.sleep(0)
    assert socket.fileno() == -1, "aiohttp ends TLS later, which may be after the end of the loop"


async def test_a_wrong_password_is_refused_over_tls(encrypted: NatsServer, user: dict[str, str]) -> None:
    error = await login_error(settings(encrypted.url, **user | {"nats_password": "wr0ng-secret"}))
    assert isinstance(error, NatsDeniedError)


async def test_a_server_certificate_of_another_ca_is_not_trusted(
    encrypted: NatsServer, user: dict[str, str], stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial_module, "DIAL_TIMEOUT_S", 1000.0)  # it is not waited for
    for trusted in (str(stranger.pem.cert), ""):
        async with asyncio.timeout(60):
            error = await login_error(settings(encrypted.url, **user | {"nats_tls_ca": trusted}))
        assert isinstance(error, NatsError)
        assert "has an untrusted certificate" in str(error)
        assert "nats_tls_ca" in error.hint


async def test_a_certificate_for_another_host_is_not_trusted(encrypted: NatsServer, user: dict[str, str]) -> None:
    error = await login_error(settings(encrypted.url.replace("127.0.0.1", "localhost"), **user))
    assert "Hostname mismatch" in str(error)


async def test_the_client_certificate_is_accepted(verifying: NatsServer, authority: Authority, client_pem: Pem) -> None:
    assert await log_in(settings(verifying.url, nats_tls_ca=str(authority.pem.cert), **certificate(client_pem)))


async def test_a_missing_client_certificate_is_refused(verifying: NatsServer, authority: Authority) -> None:
    error = await login_error(settings(verifying.url, nats_tls_ca=str(authority.pem.cert)))
    assert isinstance(error, NatsDeniedError)
    assert "requires a client certificate" in str(error)


async def test_a_client_certificate_of_another_ca_is_refused(
    verifying: NatsServer, authority: Authority, stranger: Authority
) -> None:
    certificate_of_stranger = certificate(stranger.issue("client"))
    error = await login_error(settings(verifying.url, nats_tls_ca=str(authority.pem.cert), **certificate_of_stranger))
    assert isinstance(error, NatsDeniedError)
    assert "refused the client certificate" in str(error)


@pytest.mark.parametrize("required_by", ["tls:// in the URL", "a CA"])
async def test_nothing_is_sent_in_clear_text_where_tls_is_required(user: dict[str, str], required_by: str) -> None:
    """A man in the middle can pretend that the server offers no TLS."""
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def offer_no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"auth_required": true, "max_payload": 1048576}\r\n')
        received.put_nowait(await reader.read())
        writer.close()

    changes = {"nats_tls_ca": ""} if required_by != "a CA" else {}
    async with await asyncio.start_server(offer_no_tls, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        error = await login_error(
            settings(f"{'nats' if required_by == 'a CA' else 'tls'}://127.0.0.1:{port}", **user | changes)
        )
        assert await asyncio.wait_for(received.get(), 5) == b""
    assert "offers no TLS" in str(error)


async def test_optional_tls_of_a_server_is_used_where_tls_is_required(
    pem: Pem, user: dict[str, str], tmp_path: Path
) -> None:
    with running_server(tmp_path, tls(pem) + "\nallow_non_tls: true") as server:
        async with open_session(settings(server.url, **user), Random()) as session:
            assert is_encrypted(session)
        async with open_session(settings(server.url), Random()) as session:
            assert not is_encrypted(session)


async def test_nothing_is_sent_to_a_websocket_without_tls_that_claims_to_require_it(user: dict[str, str]) -> None:
    """nats-py never upgrades a ws:// connection to TLS."""
    received: asyncio.Queue[WSMsgType] = asyncio.Queue()

    async def claim_tls(request: web.Request) -> web.WebSocketResponse:
        await (socket := web.WebSocketResponse()).prepare(request)
        await socket.send_bytes(b'INFO {"tls_required": true, "auth_required": true, "max_payload": 1048576}\r\n')
        received.put_nowait((await socket.receive()).type)
        return socket

    app = web.Application()
    app.router.add_get("/", claim_tls)
    async with TestServer(app) as listening:
        error = await login_error(settings(f"ws://127.0.0.1:{listening.port}", **user))
        assert await asyncio.wait_for(received.get(), 5) is WSMsgType.CLOSE
    assert "offers no TLS" in str(error)


async def test_a_websocket_without_tls_is_not_used_where_tls_is_required(user: dict[str, str], tmp_path: Path) -> None:
    with running_server(tmp_path, 'websocket { listen: "127.0.0.1:-1", no_tls: true }') as server:
        (ports,) = server.directory.glob("*.ports")
        error = await login_error(settings(json.loads(ports.read_text())["websocket"][0], **user))
    assert "offers no TLS" in str(error)
    assert "wss://" in error.hint


async def test_the_error_names_a_ca_file_without_a_certificate(encrypted: NatsServer, client_pem: Pem) -> None:
    error = await login_error(settings(encrypted.url, nats_tls_ca=str(client_pem.key)))
    assert isinstance(error, ConfigError)
    assert str(error) == f"nats_tls_ca: {client_pem.key}: holds no certificate"


@pytest.fixture(scope="module")
def tls_first(pem: Pem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server that says nothing before TLS."""
    with running_server(tmp_path_factory.mktemp("first"), tls(pem, "handshake_first: true")) as server:
        yield server


async def test_a_server_with_handshake_first_is_used_with_its_setting(
    tls_first: NatsServer, encrypted: NatsServer, user: dict[str, str]
) -> None:
    async with open_session(settings(tls_first.url, **user, nats_tls_first="true"), Random()) as session:
        assert is_encrypted(session)
    url = json.loads(next(encrypted.directory.glob("*.ports")).read_text())["websocket"][0]
    assert await log_in(settings(url, **user, nats_tls_first="true")) == url, "a WebSocket begins with TLS anyway"


@pytest.mark.parametrize("timeout_s", [0.3, pytest.param(60.0, marks=pytest.mark.slow)])
async def test_without_the_setting_the_error_names_it(
    tls_first: NatsServer, user: dict[str, str], monkeypatch: pytest.MonkeyPatch, timeout_s: float
) -> None:
    """The server closes after two seconds, by default; before that it is silent."""
    monkeypatch.setattr(dial_module, "DIAL_TIMEOUT_S", timeout_s)
    for url in (tls_first.url, tls_first.url.replace("nats:", "tls:")):
        assert "set nats_tls_first" in (await login_error(settings(url, **user))).hint


@pytest.mark.parametrize("config", ["", "its TLS"])
async def test_with_the_setting_nothing_is_sent_to_a_server_without_handshake_first(
    pem: Pem, user: dict[str, str], config: str, tmp_path: Path
) -> None:
    with running_server(tmp_path, config and tls(pem)) as server:
        error = await login_error(settings(server.url, **user, nats_tls_first="true"))
    assert f"{server.url} does not begin with TLS" in str(error)
    assert "nats_tls_first" in error.hint


async def test_a_server_with_tls_that_is_full_is_an_error_with_a_hint(
    pem: Pem, user: dict[str, str], tmp_path: Path
) -> None:
    """Its message is in clear text, and may arrive in the middle of the handshake."""
    with running_server(tmp_path, f"max_connections: 1\n{tls(pem)}") as server:
        async with open_session(settings(server.url, **user), Random()):
            error = await login_error(settings(server.url, **user))
    assert "max_connections" in error.hint
    assert not isinstance(error, NatsDeniedError)


def unusable(client_pem: Pem, other: Pem, directory: Path) -> list[Pem]:
    garbled, locked = directory / "garbled", directory / "locked"
    garbled.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    encrypt = [
        "openssl",
        "ec",
        "-aes128",
        "-passout",
        "pass:wr0ng-secret",
        "-in",
        str(client_pem.key),
        "-out",
        str(locked),
    ]
    subprocess.run(encrypt, check=True, capture_output=True)
    return [Pem(garbled, client_pem.key), Pem(client_pem.cert, other.key), Pem(client_pem.cert, locked)]


async def test_the_error_names_an_unusable_certificate(
    encrypted: NatsServer, client_pem: Pem, pem: Pem, tmp_path: Path
) -> None:
    for wrong in unusable(client_pem, pem, tmp_path):
        error = await login_error(settings(encrypted.url, **certificate(wrong)))
        assert isinstance(error, ConfigError)
        assert f"nats_tls_cert: {wrong.cert}: can't be used with {wrong.key}" in str(error)


async def test_the_error_names_a_missing_key(encrypted: NatsServer, client_pem: Pem, tmp_path: Path) -> None:
    error = await login_error(settings(encrypted.url, **certificate(Pem(client_pem.cert, tmp_path / "nowhere"))))
    assert isinstance(error, ConfigError)
    assert str(error) == f"nats_tls_key: {tmp_path / 'nowhere'}: there is no such file"
