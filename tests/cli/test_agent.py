"""`ikto agent` warns of broken plugins, and ends only if the configuration names one of them."""

import os
from pathlib import Path

import pytest

from ikto_core.lab.agent_process import AgentProcess, stopped_at_exit
from tests.plugin_site import AGING, AGING_USE, Site

CONFIG = {"private_address": "auto", "nats_url": "nats://127.0.0.1:1", "advertise_address": "192.0.2.1"}


def run_to_end(directory: Path, site: Site, **settings: object) -> tuple[int, str]:
    """Return exit code and log of an agent without NATS, with the plugins installed in `site`."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(site.path), str(Path(__file__).parents[2])])}
    agent = AgentProcess(directory, {**CONFIG, "backend": "fake", **settings}, environ=environ)
    with stopped_at_exit([agent]):
        agent.start()
        return agent.wait(60), agent.log_text()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "agent"


def test_a_broken_plugin_is_logged_once_and_does_not_affect_others(directory: Path, site: Site) -> None:
    site.install("acme-ikto", "raise RuntimeError('boo')", entry="\x1bacme")
    site.install(
        "rack-ikto",
        "@hookimpl\ndef ikto_register_ipam_strategies(): return [IpamPlugin(name='rack', summary='', make=print)]",
    )
    code, log = run_to_end(directory, site, ipam="rack")
    assert code == 5  # NATS unreachable, as without the plugin
    (line,) = [line for line in log.splitlines() if "plugin unusable" in line]
    assert all(word in line for word in ("warning", "acme-ikto", "1.5", "import raised RuntimeError"))
    assert r"name=\x1bacme " in line


def test_a_plugin_that_the_configuration_does_not_name_is_not_imported(directory: Path, site: Site) -> None:
    for group in ("ikto.backends", "ikto"):
        site.install(f"{group}-acme".replace(".", "-"), f"open({str(site.path / group)!r}, 'w').close()", group=group)
    code, log = run_to_end(directory, site)
    assert code == 5
    assert "plugin unusable" not in log
    assert not [each for each in ("ikto.backends", "ikto") if (site.path / each).exists()]


def test_a_configured_backend_that_is_broken_ends_the_agent_with_its_cause(directory: Path, site: Site) -> None:
    site.install("acme-ikto", "raise RuntimeError('boo')", entry="acme")
    code, log = run_to_end(directory, site, backend="acme")
    assert code == 7
    expected = "ikto: backend 'acme' of acme-ikto 1.5 (entry point 'acme') is broken: import raised RuntimeError: boo"
    assert log.splitlines()[-1] == expected


def test_a_blocked_plugin_is_not_imported(directory: Path, site: Site) -> None:
    site.install("acme-ikto", f"open({str(site.path / 'ran')!r}, 'w').close()")
    code, log = run_to_end(directory, site, blocked_plugins=["acme-ikto"])
    assert code == 5
    assert "acme-ikto" not in log
    assert not (site.path / "ran").exists()


def test_a_configured_backend_that_is_blocked_is_an_error(directory: Path, site: Site) -> None:
    code, log = run_to_end(directory, site, blocked_plugins=["fake"])
    assert code == 7
    assert "backend 'fake' of ikto" in log.splitlines()[-1]
    assert "is blocked: `blocked_plugins` names 'fake'" in log.splitlines()[-1]


@pytest.mark.parametrize("observers", [["acme"], []])
def test_wrong_settings_of_a_plugin_end_the_agent_with_one_line(
    directory: Path, site: Site, monkeypatch: pytest.MonkeyPatch, observers: list[str]
) -> None:
    code = """
    import msgspec
    class Settings(msgspec.Struct):
        port: int
    @hookimpl
    def ikto_register_observers():
        return [ObserverPlugin(name="acme", summary="", open=print, settings=Settings)]
    """
    site.install("acme-ikto", code, entry="acme", group="ikto.observers")
    monkeypatch.setenv("IKTO_PLUGINS__ACME__PORT", "http")
    ended, log = run_to_end(directory, site, observers=observers, plugins={"acme": {"port": 80}})
    assert ended == 3
    expected = "ikto: plugins.acme.port: expected int, got str (observer 'acme' of acme-ikto 1.5 (entry point 'acme'))"
    assert log.splitlines()[-1] == expected


def test_what_a_plugin_uses_that_is_deprecated_is_logged_once_with_its_name(directory: Path, site: Site) -> None:
    strategy = "@hookimpl\ndef ikto_register_ipam_strategies(): yield IpamPlugin(name='rack', summary='', make=print)"
    site.install("rack-ikto", AGING + AGING + strategy, entry="rack", group="ikto.ipam")
    code, log = run_to_end(directory, site, ipam="rack")
    assert code == 5  # as without the plugin
    (line,) = [line for line in log.splitlines() if "plugin uses what a later version removes" in line]
    assert "warning" in line
    assert f"rack-ikto 1.5 (entry point 'rack'): {AGING_USE}" in line
