"""`ikto agent` says which plugins are broken, and ends over one only if it was asked for."""

import os
from pathlib import Path

import pytest

from ikto_core.lab.agent_process import AgentProcess, stopped_at_exit
from tests.plugin_site import Site

CONFIG = {"private_address": "auto", "nats_url": "nats://127.0.0.1:1", "advertise_address": "192.0.2.1"}


def ended(directory: Path, site: Site, **members: object) -> tuple[int, str]:
    """Return exit code and log of an agent that finds no NATS, with what is installed in `site`."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(site.path), str(Path(__file__).parents[2])])}
    agent = AgentProcess(directory, {**CONFIG, "backend": "fake", **members}, environ=environ)
    with stopped_at_exit([agent]):
        agent.start()
        return agent.wait(60), agent.log_text()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "agent"


def test_a_broken_plugin_is_a_warning_once_and_harms_no_other(directory: Path, site: Site) -> None:
    site.install("acme-ikto", "raise RuntimeError('boo')", entry="\x1bacme")
    code, log = ended(directory, site)
    assert code == 5  # as without it
    (line,) = [line for line in log.splitlines() if "a plugin can't be used" in line]
    assert all(word in line for word in ("warning", "acme-ikto", "1.5", "loading it raised RuntimeError"))
    assert r"name=\x1bacme " in line


def test_the_one_that_was_asked_for_ends_it_with_its_cause(directory: Path, site: Site) -> None:
    site.install("acme-ikto", "raise RuntimeError('boo')", entry="acme")
    code, log = ended(directory, site, backend="acme")
    assert code == 7
    told = "ikto: backend 'acme' of acme-ikto 1.5 (entry point 'acme') is broken: loading it raised RuntimeError: boo"
    assert log.splitlines()[-1] == told


def test_one_that_is_blocked_is_not_imported(directory: Path, site: Site) -> None:
    site.install("acme-ikto", f"open({str(site.path / 'ran')!r}, 'w').close()")
    code, log = ended(directory, site, blocked_plugins=["acme-ikto"])
    assert code == 5
    assert "acme-ikto" not in log
    assert not (site.path / "ran").exists()


def test_to_ask_for_one_that_is_blocked_says_so(directory: Path, site: Site) -> None:
    code, log = ended(directory, site, blocked_plugins=["fake"])
    assert code == 7
    assert "backend 'fake' of ikto" in log.splitlines()[-1]
    assert "is blocked: `blocked_plugins` names 'fake'" in log.splitlines()[-1]
