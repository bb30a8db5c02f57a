"""The metrics are on the loopback if that is configured, and nothing else is."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ikto_core.admin.metrics_listener import serve_metrics
from ikto_core.admin.server import metrics_answer
from ikto_core.config import config_of
from ikto_core.errors import ConfigError, IktoError
from tests.admin.node import Node, converged_node, peer_record


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with converged_node(tmp_path, peer_record(2)) as node:
        yield node


async def ask(port: int, target: str, *, host: str = "", method: str = "GET") -> tuple[int, str]:
    def asked() -> tuple[int, str]:
        with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request(method, target, headers={"Host": host} if host else {})
            with connection.getresponse() as answer:
                return answer.status, answer.read().decode()

    return await asyncio.to_thread(asked)


async def test_a_scraper_gets_the_metrics_and_nothing_else(node: Node) -> None:
    port = free_port()
    async with serve_metrics(partial(metrics_answer, node.report), f"127.0.0.1:{port}"):
        status, text = await ask(port, "/metrics")
        assert status == 200
        assert "\nikto_peers 1.0\n" in text
        assert 'ikto_peer_unreachable{peer="peer-2"' in text
        for target in ("/v1/status", "/v1/info", "/v1/events", "/healthz", "/"):
            assert (await ask(port, target))[0] == 404
        for target in ("/v1/resync", "/v1/rotate-key", "/metrics"):
            assert (await ask(port, target, method="POST"))[0] in (404, 405)
    with pytest.raises(ConnectionRefusedError):
        await ask(port, "/metrics")


async def test_a_page_in_a_browser_can_not_read_them_under_its_own_name(node: Node) -> None:
    port = free_port()
    async with serve_metrics(partial(metrics_answer, node.report), f"127.0.0.1:{port}"):
        assert (await ask(port, "/metrics", host="evil.example"))[0] == 403
        assert (await ask(port, "/metrics", host=f"localhost:{port}"))[0] == 200


async def test_a_port_in_use_is_one_clear_line(node: Node) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            IktoError, match=f"metrics_listen: can't listen on {address}: Address already in use"
        ) as error:
            async with serve_metrics(partial(metrics_answer, node.report), address):
                pass
    assert "another port" in error.value.hint


@pytest.mark.parametrize("listen", ["127.0.0.1:9586", "127.8.9.1:1", "[::1]:9586", ""])
def test_the_loopback_can_be_configured(listen: str) -> None:
    assert config_of(private_address="auto", metrics_listen=listen).metrics_listen == listen


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:9586", "192.0.2.1:9586", "[::]:9586", "localhost:9586", ":9586", "127.0.0.1"]
)
def test_no_other_address_can_be_configured(listen: str) -> None:
    with pytest.raises(ConfigError) as error:
        config_of(private_address="auto", metrics_listen=listen)
    (problem,) = error.value.problems
    assert "is not an address and a port of the loopback" in problem
    assert 'give "127.0.0.1:9586"' in problem
