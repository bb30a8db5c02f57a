"""No command imports what it does not use: each module costs start-up time, and an agent's memory for ever.

The modules are listed by name, so that the tests say which one came back.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.listed_modules import NEVER_IN_AN_AGENT, listing, modules_in

OF_AGENTS = {"asyncio", "nats", "structlog", "pluggy", "nacl", "xeddsa", "ikto_core.agent.agent"}

IN_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from ikto_core.cli.lean_imports import lean_imports

with lean_imports():
    from nats.aio import transport

assert transport.aiohttp, "it is installed, and nats-py has found it"
assert "aiohttp" not in sys.modules


def use(number):
    import aiohttp
    return aiohttp.ClientSession is transport.aiohttp.ClientSession


sys.setswitchinterval(1e-6)
with ThreadPoolExecutor(8) as threads:
    assert all(threads.map(use, range(8)))
"""


def imported(path: Path, *arguments: str) -> set[str]:
    """Return the modules that a command has imported when it ends."""
    subprocess.run([*listing(path), *arguments], capture_output=True, check=False)
    return modules_in(path)


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (("--help",), OF_AGENTS | {"msgspec", "ssl", "h11", "json", "traceback", "importlib.metadata"}),
        (
            ("status", "-s", "/nonexistent"),
            OF_AGENTS | {"ssl", "http.client", "importlib.metadata", "ikto_core.config"},
        ),
        (("status", "--help"), OF_AGENTS),
        (("agent", "--help"), OF_AGENTS | {"h11", "importlib.metadata"}),
        (("events", "--help"), OF_AGENTS),
    ],
    ids=["--help", "status", "status --help", "agent --help", "events --help"],
)
def test_a_command_imports_only_what_it_uses(tmp_path: Path, command: tuple[str, ...], unwanted: set[str]) -> None:
    found = imported(tmp_path / "modules", *command)
    assert "ikto_core.cli.main" in found
    assert found & (unwanted | NEVER_IN_AN_AGENT - {"ikto_core.client"}) == set()


def test_plugins_import_in_any_thread_what_the_agent_does_without() -> None:
    """What nats-py got in its place is not what others get: they would find half a module."""
    subprocess.run([sys.executable, "-c", IN_THREADS], check=True)
