"""A server's addresses are dialled in turn, each within a limit of its own, and the error names each."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.errors import NatsDeniedError, NatsError
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.store import addresses as addresses_module
from ikto_core.store import dial as dial_module
from ikto_core.store.addresses import Target, interleaved, targets
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings
from tests.store.credentials import Authority, log_in, login_error, settings

pytestmark = [
    pytest.mark.usefixtures("no_secrets_logged"),
    pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning"),  # nats-py uses aiohttp for wss://
]

NAME = "nats.test"
LIMIT_S = 60.0
"""The tests fail after so long, where a dead address would use up the time of all."""


@pytest.fixture(autouse=True)
def short_tcp_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial_module, "TCP_TIMEOUT_S", 0.2)


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> "Resolver":
    return Resolver(monkeypatch)


class Resolver:
    """Lets the name NAME have the given addresses, in this order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch, self._getaddrinfo = monkeypatch, socket.getaddrinfo

    def __call__(self, *addresses: str) -> None:
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> list[Any]:
            name = host.decode() if isinstance(host, bytes) else host
            hosts = addresses if name and name.rstrip(".") == NAME else [host]
            return [found for each in hosts for found in self._getaddrinfo(each, *args, **kwargs)]

        self._monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@contextmanager
def black_hole(address: str, port: int) -> Iterator[None]:
    """Let connections to an address get no answer: its listener's queue is full, so the kernel drops every SYN."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(2):
            filling = stack.enter_context(socket.socket(family))
            filling.setblocking(False)
            filling.connect_ex((address, port))
        yield


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with running_server(tmp_path) as server:
        yield server


async def test_a_dead_ipv6_address_does_not_keep_a_server_from_being_used(
    server: NatsServer, resolve: Resolver
) -> None:
    resolve("::1", "127.0.0.1")
    url = f"nats://{NAME}:{server.port}"
    async with asyncio.timeout(LIMIT_S):
        with black_hole("::1", server.port):
            assert await log_in(settings(url)) == url
        assert await log_in(settings(url)) == url  # refused, not silent


async def test_an_address_that_accepts_and_stays_silent_does_not_either(
    server: NatsServer, resolve: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial_module, "DIAL_TIMEOUT_S", 1.0)
    resolve("127.0.0.2", "127.0.0.1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.2", server.port))
        silent.listen(16)
        assert await log_in(settings(f"nats://{NAME}:{server.port}"))


async def test_the_last_address_has_the_whole_time_of_a_dial(resolve: Resolver, server: NatsServer) -> None:
    resolve("127.0.0.2", "127.0.0.3", "127.0.0.1")
    found = await targets(f"nats://{NAME}:{server.port}")
    assert [(target.address, target.is_last) for target in found] == [
        ("127.0.0.2", False),
        ("127.0.0.3", False),
        ("127.0.0.1", True),
    ]


async def test_a_server_that_is_silent_does_not_use_up_the_time_of_the_next(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of a whole dial is for the last server of all."""
    monkeypatch.setattr(dial_module, "DIAL_TIMEOUT_S", 2 * LIMIT_S)
    with black_hole("127.0.0.2", server.port):
        servers = (f"nats://127.0.0.2:{server.port}", server.url)
        random = Random(next(seed for seed in range(9) if Random(seed).sample(servers, 2)[0] != server.url))
        async with asyncio.timeout(LIMIT_S), open_session(NatsSettings(servers=servers), random) as session:
            assert session.server == server.url


async def test_the_error_names_every_address_and_why(resolve: Resolver, server: NatsServer) -> None:
    resolve("127.0.0.2", "::1")
    with black_hole("127.0.0.2", server.port):
        url = f"nats://{NAME}:{server.port}"
        server.stop()
        error = await login_error(settings(url))
    assert f"{url} (127.0.0.2) can't be reached: no answer in time; " in str(error)
    assert f"{url} (::1) can't be reached: " in str(error)
    assert "Connect call failed ('::1'" in str(error)


async def test_the_error_names_every_server_and_why(tmp_path: Path) -> None:
    users = 'authorization { user: node, password: "another" }'
    with running_server(tmp_path, users) as refusing:
        urls = ("nats://127.0.0.1:1", "nats://user:wr0ng-secret@127.0.0.1:2", "nats://[::1]:3", refusing.url)
        for seed in range(3):
            with pytest.raises(NatsError) as raised:
                async with open_session(NatsSettings(servers=urls), Random(seed)):
                    pass
            said = str(raised.value)
            assert "nats://127.0.0.1:1 can't be reached: " in said
            assert "nats://127.0.0.1:2 can't be reached: " in said
            assert "nats://[::1]:3 can't be reached: " in said
            assert f"{refusing.url} refused the login: " in said
            assert "check the user" in raised.value.hint, "the hint that says most"
            assert not isinstance(raised.value, NatsDeniedError), "another server may accept the login later"


async def test_an_error_of_many_servers_is_bounded() -> None:
    with pytest.raises(NatsError, match=r"; and 12 more$"):
        async with open_session(NatsSettings(servers=("nats://127.0.0.1:1",) * 20), Random()):
            pass


async def test_a_name_without_addresses_is_an_error_that_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_args: Any, **_kwargs: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = await login_error(settings(f"nats://user:wr0ng-secret@{NAME}"))
    assert f"nats://{NAME} can't be reached: " in str(error)
    assert "Name or service not known" in str(error)


async def test_a_resolver_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses_module, "LOOKUP_TIMEOUT_S", 0.1)

    async def getaddrinfo(*_args: Any, **_kwargs: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert "no answer in time" in str(await login_error(settings(f"nats://{NAME}")))


async def test_the_certificate_must_be_for_the_name_and_not_for_the_address(
    authority: Authority, resolve: Resolver, tmp_path: Path
) -> None:
    resolve("127.0.0.1")
    for name, accepted in ((NAME, True), ("other.test", False)):
        pem = authority.issue(f"server-{name}", san=f"DNS:{name}")
        with running_server(tmp_path / name, f'tls {{ cert_file: "{pem.cert}", key_file: "{pem.key}" }}') as server:
            given = settings(f"tls://{NAME}:{server.port}", nats_tls_ca=str(authority.pem.cert))
            if accepted:
                assert await log_in(given)
            else:
                assert "Hostname mismatch" in str(await login_error(given))


@pytest.mark.parametrize("scheme", ["tls", "wss"])
async def test_a_host_name_with_a_trailing_dot_has_the_certificate_of_the_name_without(
    authority: Authority, resolve: Resolver, tmp_path: Path, scheme: str
) -> None:
    resolve("127.0.0.1")
    pem = authority.issue(f"dotted-{scheme}", san=f"DNS:{NAME}")
    tls = f'tls {{ cert_file: "{pem.cert}", key_file: "{pem.key}" }}'
    with running_server(tmp_path, f'{tls}\nwebsocket {{ listen: "127.0.0.1:-1", {tls} }}') as server:
        port = server.port if scheme == "tls" else port_of_websocket(server)
        assert await log_in(settings(f"{scheme}://{NAME}.:{port}", nats_tls_ca=str(authority.pem.cert)))


def port_of_websocket(server: NatsServer) -> int:
    (ports,) = server.directory.glob("*.ports")
    return int(json.loads(ports.read_text())["websocket"][0].rpartition(":")[2])


async def test_an_address_in_the_url_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", None)
    for url in ("nats://127.0.0.1:4222", "tls://[::1]:4222", "wss://nats.test"):
        assert await targets(url) == [Target(url)]


@given(st.lists(st.tuples(st.sampled_from((socket.AF_INET, socket.AF_INET6)), st.sampled_from("abcdefgh"))))
def test_families_alternate_and_nothing_is_lost(found: list[tuple[int, str]]) -> None:
    given = [(family, f"{family.name}-{address}") for family, address in found]  # type: ignore[attr-defined]
    order = interleaved(given)
    assert sorted(order) == sorted({address for _, address in given})
    assert order[:1] == [address for _, address in given][:1]
    families = [address.partition("-")[0] for address in order]
    shorter = min(families.count("AF_INET"), families.count("AF_INET6"))
    assert all(one != other for one, other in pairwise(families[: 2 * shorter]))
    for family in ("AF_INET", "AF_INET6"):
        mine = [address for address in order if address.startswith(f"{family}-")]
        assert mine == list(dict.fromkeys(address for _, address in given if address.startswith(f"{family}-")))
