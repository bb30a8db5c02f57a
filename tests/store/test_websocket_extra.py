"""WebSockets need the extra `websocket`: without it one line says so; with it, it is loaded when one is dialled."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from nats.aio import transport

from ikto_core.errors import NatsError
from ikto_core.lab.nats_server import running_server
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings

DIAL = """
import asyncio, random, sys
from ikto_core.cli.lean_imports import lean_imports

with lean_imports():
    from ikto_core.store.connection import open_session
    from ikto_core.store.session import NatsSettings


async def dial(url):
    async with open_session(NatsSettings(servers=(url,)), random.Random()):
        print("aiohttp.client" in sys.modules, "rich" in sys.modules)


for url in sys.argv[1:]:
    asyncio.run(dial(url))
"""


async def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "aiohttp", None)
    with pytest.raises(NatsError) as caught:
        async with open_session(NatsSettings(servers=("ws://127.0.0.1:1",)), Random()):
            pass
    assert str(caught.value) == "ws://127.0.0.1:1 can't be reached: WebSockets need aiohttp, which is not installed"
    assert caught.value.hint == "pip install 'ikto[websocket]'"


def test_what_dials_websockets_is_loaded_when_one_is_dialled(tmp_path: Path) -> None:
    with running_server(tmp_path, 'websocket { listen: "127.0.0.1:-1", no_tls: true }') as server:
        (ports,) = server.directory.glob("*.ports")
        web = json.loads(ports.read_text())["websocket"][0]
        program = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", DIAL, server.url, web]
        done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False", "True False"]
