"""The agent notifies systemd as sd_notify(3) defines, and the unit file fits the program."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from shutil import which
from socket import AF_UNIX, SOCK_DGRAM, socket

import click
import pytest
from msgspec.structs import replace

from ikto_core.agent import systemd
from ikto_core.agent.systemd import (
    START_LIMIT_S,
    Notifications,
    ServiceState,
    notify,
    notify_always,
    status_text,
    watchdog_interval_s,
)
from ikto_core.errors import (
    AddressInUseError,
    BackendError,
    ConfigError,
    IktoError,
    LeftMeshError,
    NatsError,
    NotEntitledError,
    PluginError,
)
from tests.agent.notified import fake_manager
from tests.nodes import until

UNIT = Path(__file__).parents[2] / "packaging" / "ikto.service"


@pytest.fixture
def manager() -> Iterator[socket]:
    with socket(AF_UNIX, SOCK_DGRAM) as manager:
        manager.settimeout(10)
        yield manager


@pytest.mark.parametrize("state", ["READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=3 peers, größer\nREADY=1"])
def test_a_state_is_sent_to_a_socket_path(manager: socket, tmp_path: Path, state: str) -> None:
    manager.bind(str(tmp_path / "notify"))
    notify(state, {"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert manager.recv(1024).decode() == state


def test_a_state_is_sent_to_an_abstract_socket(manager: socket) -> None:
    manager.bind("")  # Linux: an abstract address of the kernel's choice
    name = manager.getsockname()[1:].decode()
    notify("READY=1", {"NOTIFY_SOCKET": f"@{name}"})
    assert manager.recv(1024) == b"READY=1"


def test_the_socket_is_taken_from_the_environment_by_default(
    manager: socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    notify("READY=1")
    assert manager.recv(1024) == b"READY=1"


@pytest.mark.parametrize(
    "address", ["/nowhere/notify", "@ikto-nobody-listens", "vsock:2:9", "notify", "/" * 200, "", None]
)
def test_without_a_listening_manager_nothing_is_raised(address: str | None) -> None:
    notify("READY=1", {} if address is None else {"NOTIFY_SOCKET": address})


def fill(path: str) -> None:
    """Send so much that the manager's socket takes no more."""
    with socket(AF_UNIX, SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                filler.sendto(b"WATCHDOG=1", path)


def test_a_manager_that_does_not_read_does_not_block_the_agent(manager: socket, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    manager.bind(path)
    fill(path)
    assert not notify("WATCHDOG=1", {"NOTIFY_SOCKET": path})


def test_the_watchdog_is_notified_twice_as_often_as_required() -> None:
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
def test_there_is_no_interval_without_a_watchdog_of_this_process(environ: dict[str, str]) -> None:
    assert watchdog_interval_s(environ) is None


# -- what is sent when -------------------------------------------------------------------------------------------------

STARTING = ServiceState(retries=True, progressing=True, status="connecting; 0 peers")


def due(
    notifications: Notifications, state: ServiceState, now: float, *, ready: bool = False, watchdog: bool = False
) -> list[str]:
    """Return what is due, and have the service manager take it."""
    lines = notifications.due(state, now, ready=ready, watchdog=watchdog)
    notifications.sent(lines)
    return lines


def test_a_status_is_sent_when_it_changes_and_ready_once() -> None:
    notifications = Notifications(100.0)
    shown = replace(STARTING, status="ready; 3 peers")
    assert due(notifications, STARTING, 100.0) == ["STATUS=connecting; 0 peers"]
    assert due(notifications, STARTING, 101.0) == []
    assert due(notifications, shown, 102.0, ready=True) == ["STATUS=ready; 3 peers", "READY=1"]
    assert due(notifications, shown, 103.0, ready=True) == []
    assert due(notifications, STARTING, 104.0, ready=True) == ["STATUS=connecting; 0 peers"]


def test_a_start_that_is_retried_for_ever_is_ready_after_a_time() -> None:
    notifications = Notifications(100.0)
    failed = replace(STARTING, status="degraded: no permission (run as root); 0 peers")
    assert due(notifications, failed, 100.0 + START_LIMIT_S - 0.1) == [f"STATUS={failed.status}"]
    assert due(notifications, failed, 100.0 + START_LIMIT_S) == ["READY=1"]
    assert due(notifications, failed, 100.0 + START_LIMIT_S + 1) == []


def test_a_first_start_is_ready_only_when_it_has_succeeded() -> None:
    notifications = Notifications(0.0)
    first = replace(STARTING, retries=False)
    assert due(notifications, first, 1e9) == [f"STATUS={first.status}"]
    assert due(notifications, first, 2e9, ready=True) == ["READY=1"]


def test_the_watchdog_is_fed_while_there_is_progress() -> None:
    notifications = Notifications(0.0)
    stuck = replace(STARTING, progressing=False)
    due(notifications, STARTING, 0.0)
    assert due(notifications, STARTING, 1.0, watchdog=True) == ["WATCHDOG=1"]
    assert due(notifications, stuck, 2.0, watchdog=True) == []
    assert due(notifications, STARTING, 3.0, watchdog=True) == ["WATCHDOG=1"]
    assert due(notifications, STARTING, 4.0) == [], "no watchdog is asked for"


def test_a_status_has_the_failure_with_its_hint_on_one_line() -> None:
    assert status_text("ready", 3, "", "") == "ready; 3 peers"
    assert status_text("ready", 1, "", "") == "ready; 1 peer"
    assert (
        status_text("degraded", 3, "no permission", "run as root") == "degraded: no permission (run as root); 3 peers"
    )
    assert status_text("degraded", 0, "refused\nREADY=1\x1b[2J", "") == "degraded: refused READY=1 [2J; 0 peers"


async def test_the_manager_is_told_at_once_when_the_mesh_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "LOOK_EVERY_S", 3600.0)
    ready, looks = asyncio.Event(), list[ServiceState]()

    def look() -> ServiceState:
        looks.append(STARTING)
        return STARTING

    with fake_manager(tmp_path) as (manager, environ):
        monkeypatch.setenv("NOTIFY_SOCKET", environ["NOTIFY_SOCKET"])
        task = asyncio.ensure_future(notify_always(look, ready.wait))
        await until(lambda: manager.received() == [[f"STATUS={STARTING.status}"]])
        ready.set()
        await until(lambda: manager.values("READY") == ["1"])
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(looks) == 2, "it looks when the mesh is shown, and then as seldom as before"
        task.cancel()
        await asyncio.wait([task])


async def test_what_a_slow_manager_did_not_take_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "LOOK_EVERY_S", 0.01)
    with fake_manager(tmp_path) as (manager, environ):
        monkeypatch.setenv("NOTIFY_SOCKET", environ["NOTIFY_SOCKET"])
        fill(environ["NOTIFY_SOCKET"])
        looks = count(1)
        ready = asyncio.Event()
        ready.set()
        task = asyncio.ensure_future(notify_always(lambda: (next(looks), STARTING)[1], ready.wait))
        await until(lambda: next(looks) > 10)
        await until(lambda: manager.values("READY") == ["1"])
        assert manager.values("STATUS") == [STARTING.status]
        task.cancel()
        await asyncio.wait([task])


# -- the unit ----------------------------------------------------------------------------------------------------------


def setting(name: str) -> list[str]:
    lines = UNIT.read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def test_the_unit_restarts_only_on_errors_that_a_restart_may_fix() -> None:
    [text] = setting("RestartPreventExitStatus")
    final = {int(code) for code in text.split()}
    classes = (ConfigError, AddressInUseError, PluginError, NotEntitledError, LeftMeshError)
    assert final == {click.UsageError.exit_code, *(error.exit_code for error in classes)}
    assert final.isdisjoint({IktoError.exit_code, NatsError.exit_code, BackendError.exit_code})


def test_an_agent_that_was_told_to_end_has_not_failed() -> None:
    assert setting("SuccessExitStatus") == [str(LeftMeshError.exit_code)]


def test_stopping_the_unit_stops_only_the_agent() -> None:
    assert setting("KillMode") == ["process"]
    assert setting("ExecStop") == setting("ExecStopPost") == []


def test_the_unit_stops_before_the_network_and_keeps_the_runtime_directory() -> None:
    """A unit ordered after another at the start is stopped before it; the shutdown needs the mesh until its end."""
    [order] = setting("After")
    assert {"network-online.target", "time-set.target"} <= set(order.split())
    assert setting("Wants") == ["network-online.target"]
    assert setting("RuntimeDirectoryPreserve") == ["yes"]
    assert "wireguard" in setting("RuntimeDirectory")[0].split(), "the directory of userspace devices' sockets"


def test_the_unit_limits_memory_and_tasks_above_what_a_large_mesh_needs() -> None:
    """With 10,000 peers, the agent has 127 MB and 3 threads, wireguard-go 107 MB and 13; 32 threads look up names."""
    [memory], [tasks] = setting("MemoryMax"), setting("TasksMax")
    assert memory.endswith("G")
    assert int(memory.removesuffix("G")) * 2**30 >= 2 * (127 + 107) * 2**20
    assert int(tasks) >= 2 * (3 + 13 + 32)
    assert setting("OOMPolicy") == ["continue"], "the loss of another process must not end the agent"


def test_systemd_analyze_accepts_the_unit(tmp_path: Path) -> None:
    if not which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    [command] = setting("ExecStart")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(command, which("true") or "/bin/true"))
    run = subprocess.run(["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True)
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
