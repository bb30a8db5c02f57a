"""No command imports what it does not use: each module costs start-up time, and an agent's memory for ever.

The modules are listed by name, so that the tests say which one came back.
"""

import subprocess
from pathlib import Path

import pytest

from tests.listed_modules import NEVER_IN_AN_AGENT, listing, modules_in

OF_AGENTS = {"asyncio", "nats", "structlog", "pluggy", "nacl", "xeddsa", "ikto_core.agent.agent"}


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
