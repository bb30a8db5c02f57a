"""Checks of the host fail where the host lacks something: rights, programs, WireGuard, IPv6, a place for the state."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.admin.views import AgentState
from ikto_core.config import config_of
from ikto_core.diagnosis import checks_host
from ikto_core.diagnosis.checks_host import (
    agent_finding,
    forwarding_findings,
    ipv6_findings,
    networkd_findings,
    wireguard_finding,
)
from ikto_core.diagnosis.host_facts import may_configure_networks
from ikto_core.errors import IktoError
from ikto_core.lab.network import run
from ikto_core.lab.own_network import own_network, why_no_network
from ikto_core.plugins.check_contract import Level
from tests.cli.test_status import DEGRADED, STATUS
from tests.diagnosis.checking import findings_of, levels, node_to_check, only_finding
from tests.other_user import NOBODY, needs_root

IPV4: dict[str, object] = {"mesh_cidr": "10.0.0.0/8", "subnet_prefix": 24}
needs_network = pytest.mark.skipif(bool(why_no_network()), reason=why_no_network())


def files(root: Path, **content: str) -> Path:
    """Write files; in a name `__` stands for a slash."""
    for name, text in content.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


async def test_an_agent_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    no_agent = IktoError("no agent answers on s", hint="ikto agent")
    found = await only_finding(node_to_check(tmp_path, no_agent=no_agent), "agent")
    assert (found.level, found.text, found.fix) == (Level.ERROR, "no agent answers on s", "ikto agent")


async def test_the_agent_of_another_configuration_is_named(tmp_path: Path) -> None:
    found = await only_finding(node_to_check(tmp_path, status=STATUS, wg_dev_name="wg7"), "agent")
    assert found.level is Level.WARNING
    assert "the agent is 'node-a' on wg0, the configuration is for 'node-a' on wg7" in found.text


@pytest.mark.parametrize(
    ("status", "level", "text"),
    [
        (STATUS, Level.OK, "the agent is ready: 2 peers, revision 41"),
        (DEGRADED, Level.ERROR, "the agent is degraded: wg0: no buffer space"),
        (
            replace(STATUS, state=AgentState.CLAIMING),
            Level.WARNING,
            "the agent is claiming: it has not got further yet",
        ),
    ],
)
def test_the_state_of_the_agent_is_judged(status: object, level: Level, text: str) -> None:
    found = agent_finding(status)  # type: ignore[arg-type]
    assert (found.level, found.text) == (level, text)


@contextmanager
def as_nobody() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
def test_the_capability_of_this_process_is_seen() -> None:
    assert may_configure_networks()
    with as_nobody():
        assert not may_configure_networks()


async def test_a_missing_capability_is_an_error_unless_an_agent_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_host, "may_configure_networks", lambda: False)
    found = await only_finding(node_to_check(tmp_path, backend="netlink"), "privileges")
    assert (found.level, "CAP_NET_ADMIN" in found.fix) == (Level.ERROR, True)
    found = await only_finding(node_to_check(tmp_path, backend="netlink", status=STATUS), "privileges")
    assert found.level is Level.SKIPPED


async def test_missing_programs_are_named_with_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ip").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = await only_finding(node_to_check(tmp_path, backend="wgtool"), "programs")
    assert (found.level, found.text) == (Level.ERROR, "the program wg is not installed")
    assert found.fix == "install the package wireguard-tools"


@pytest.mark.parametrize(
    ("backend", "facts", "level", "text"),
    [
        ("netlink", (True, False, False), Level.OK, "the kernel has WireGuard"),
        ("netlink", (False, True, True), Level.ERROR, "this kernel has no WireGuard"),
        ("wgtool", (False, True, True), Level.OK, "wireguard-go is installed"),
        ("wgtool", (False, False, True), Level.ERROR, "there is no WireGuard"),
        ("wgtool", (False, True, False), Level.ERROR, "wireguard-go needs /dev/net/tun"),
    ],
)
def test_a_wireguard_is_needed(backend: str, facts: tuple[bool, bool, bool], level: Level, text: str) -> None:
    found = wireguard_finding(backend, *facts)
    assert found.level is level
    assert found.text.startswith(text)


async def test_without_programs_and_module_wgtool_has_no_wireguard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(checks_host, "kernel_has_wireguard", lambda: False)
    found = await only_finding(node_to_check(tmp_path, backend="wgtool"), "wireguard")
    assert found.text == "there is no WireGuard: neither in the kernel nor the program wireguard-go"


@needs_network
async def test_disabled_ipv6_is_an_error_for_a_mesh_with_such_addresses(tmp_path: Path) -> None:
    with own_network():
        fine = await findings_of(node_to_check(tmp_path, backend="netlink"), "ipv6")
        run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        found = await only_finding(node_to_check(tmp_path, backend="netlink"), "ipv6")
    assert levels(fine) == ["ok"]
    assert found.level is Level.ERROR
    assert found.fix == "sysctl net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0"


def test_a_kernel_without_ipv6_is_an_error_for_a_mesh_with_such_addresses(tmp_path: Path) -> None:
    ipv6, ipv4 = config_of(private_address="auto"), config_of(private_address="auto", **IPV4)
    assert levels(ipv6_findings(ipv6, tmp_path)) == ["error"]
    assert levels(ipv6_findings(ipv4, tmp_path)) == ["ok"]


def test_strict_rp_filter_with_a_firewall_mark_is_a_warning(tmp_path: Path) -> None:
    sysctls = {"rp_filter": "1", "src_valid_mark": "0"}
    root = files(tmp_path, **{f"proc__sys__net__ipv4__conf__all__{name}": text for name, text in sysctls.items()})
    marked = config_of(private_address="auto", fwmark=7)
    assert levels(forwarding_findings(marked, root)) == ["warning"]
    assert forwarding_findings(config_of(private_address="auto"), root) == []
    files(tmp_path, proc__sys__net__ipv4__conf__all__src_valid_mark="1")
    assert forwarding_findings(marked, root) == []


@pytest.mark.parametrize(
    ("mesh", "name"),
    [
        ({}, "proc__sys__net__ipv6__conf__all__forwarding"),
        (IPV4, "proc__sys__net__ipv4__ip_forward"),
    ],
)
def test_guests_are_told_of_if_forwarding_is_off(tmp_path: Path, mesh: dict[str, object], name: str) -> None:
    config = config_of(private_address="auto", **mesh)
    (found,) = forwarding_findings(config, files(tmp_path, **{name: "0"}))
    assert "no guests in its subnet" in found.text
    assert forwarding_findings(config, files(tmp_path, **{name: "1"})) == []


async def test_a_state_directory_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = await only_finding(node_to_check(tmp_path, state_dir=str(tmp_path / "file/state")), "state-directory")
    assert found.text == f"{tmp_path}/file is not a directory, so there is no place for the state"


@needs_root
def test_a_state_directory_that_can_not_be_written_is_an_error() -> None:
    with as_nobody():
        assert checks_host.state_dir_finding(Path("/root/state")).level is Level.ERROR


def test_networkd_without_the_drop_in_is_a_warning(tmp_path: Path) -> None:
    assert levels(networkd_findings(tmp_path)) == ["ok"]
    root = files(tmp_path, run__systemd__netif__state="x")
    files(tmp_path, **{"etc__systemd__networkd.conf": "[Network]\n#ManageForeignRoutes=no\n"})
    assert levels(networkd_findings(root)) == ["warning"]
    (tmp_path / "etc/systemd/networkd.conf.d").mkdir()
    drop_in = Path(__file__).parents[2] / "packaging/networkd-ikto.conf"
    (tmp_path / "etc/systemd/networkd.conf.d/50-ikto.conf").write_text(drop_in.read_text())
    assert networkd_findings(root) == []
