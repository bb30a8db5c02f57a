"""systemd hears from the agent what sd_notify(3) says; without systemd nothing happens. The unit fits the program."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import which
from socket import AF_UNIX, SOCK_DGRAM, socket

import click
import pytest

from ikto_core.agent.systemd import notify, watchdog_interval_s
from ikto_core.errors import AddressInUseError, BackendError, ConfigError, IktoError, NatsError, PluginError

UNIT = Path(__file__).parents[2] / "packaging" / "ikto.service"


@pytest.fixture
def manager() -> Iterator[socket]:
    with socket(AF_UNIX, SOCK_DGRAM) as manager:
        manager.settimeout(10)
        yield manager


@pytest.mark.parametrize("state", ["READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=3 peers, größer\nREADY=1"])
def test_a_state_reaches_the_manager_at_its_path(manager: socket, tmp_path: Path, state: str) -> None:
    manager.bind(str(tmp_path / "notify"))
    notify(state, {"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert manager.recv(1024).decode() == state


def test_a_state_reaches_the_manager_at_an_abstract_address(manager: socket) -> None:
    manager.bind("")  # Linux: an abstract address of the kernel's choice
    name = manager.getsockname()[1:].decode()
    notify("READY=1", {"NOTIFY_SOCKET": f"@{name}"})
    assert manager.recv(1024) == b"READY=1"


def test_the_environment_is_asked_when_none_is_given(
    manager: socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    notify("READY=1")
    assert manager.recv(1024) == b"READY=1"


@pytest.mark.parametrize(
    "address", ["/nowhere/notify", "@ikto-nobody-listens", "vsock:2:9", "notify", "/" * 200, "", None]
)
def test_without_a_manager_that_listens_nothing_happens(address: str | None) -> None:
    notify("READY=1", {} if address is None else {"NOTIFY_SOCKET": address})


def test_a_manager_that_does_not_read_does_not_hold_us_for_ever(manager: socket, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    manager.bind(path)
    with socket(AF_UNIX, SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                filler.sendto(b"WATCHDOG=1", path)
    notify("WATCHDOG=1", {"NOTIFY_SOCKET": path})


def test_the_watchdog_is_fed_twice_as_often_as_it_asks() -> None:
    assert watchdog_interval_s({"WATCHDOG_USEC": "60000000"}) == 30.0
    assert watchdog_interval_s({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}) == 30.0


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getppid())},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-1"},
        {"WATCHDOG_USEC": "²"},
    ],
)
def test_without_a_watchdog_of_ours_none_is_fed(environ: dict[str, str]) -> None:
    assert watchdog_interval_s(environ) is None


# -- the unit ----------------------------------------------------------------------------------------------------------


def setting(name: str) -> list[str]:
    lines = UNIT.read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def test_the_unit_restarts_on_just_what_a_restart_may_cure() -> None:
    [text] = setting("RestartPreventExitStatus")
    final = {int(code) for code in text.split()}
    assert final == {click.UsageError.exit_code, *(e.exit_code for e in (ConfigError, AddressInUseError, PluginError))}
    assert final.isdisjoint({IktoError.exit_code, NatsError.exit_code, BackendError.exit_code})


def test_stopping_the_unit_stops_the_agent_alone() -> None:
    assert setting("KillMode") == ["process"]
    assert setting("ExecStop") == setting("ExecStopPost") == []


def test_the_unit_stops_before_the_network_and_leaves_what_the_device_needs() -> None:
    """What is ordered after something at the start is stopped before it; a shutdown needs the mesh until its end."""
    [order] = setting("After")
    assert {"network-online.target", "time-set.target"} <= set(order.split())
    assert setting("Wants") == ["network-online.target"]
    assert setting("RuntimeDirectoryPreserve") == ["yes"]
    assert "wireguard" in setting("RuntimeDirectory")[0].split(), "where the socket of a userspace device is"


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    if not which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    [command] = setting("ExecStart")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(command, which("true") or "/bin/true"))
    run = subprocess.run(["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True)
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
