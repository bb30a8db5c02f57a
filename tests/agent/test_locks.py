"""One agent at a time has a state directory, and one a device of the host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ikto_backends.fake import open_fake
from ikto_core.agent import locks
from ikto_core.agent.locks import agent_locks
from ikto_core.config import Config
from ikto_core.device.backend import BackendPlugin
from ikto_core.errors import IktoError
from tests.other_user import needs_root

REAL = BackendPlugin(name="real", summary="", open=open_fake)
FAKE = BackendPlugin(name="fake", summary="", open=open_fake, host_devices=False)
SHOW = "from ikto_core.agent.locks import *; print(device_lock(Config(wg_dev_name='wg-l')))"


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(locks, "private_runtime_dir", lambda: tmp_path)
    return tmp_path


def config(tmp_path: Path, state: str = "s", ifname: str = "wg-l") -> Config:
    return Config(state_dir=str(tmp_path / state), wg_dev_name=ifname)


def refusal(first: Config, second: Config, backend: BackendPlugin) -> IktoError | None:
    with agent_locks(first, backend):
        try:
            with agent_locks(second, backend):
                return None
        except IktoError as error:
            return error


@pytest.mark.parametrize("backend", [REAL, FAKE], ids=lambda backend: backend.name)
def test_a_second_agent_with_the_state_directory_is_refused(tmp_path: Path, backend: BackendPlugin) -> None:
    error = refusal(config(tmp_path), config(tmp_path, ifname="wg-m"), backend)
    assert error
    assert str(error) == f"state_dir: {tmp_path / 's'}: in use by another agent, process {os.getpid()}"
    assert error.hint == "stop that agent, or set another state_dir"
    assert error.exit_code == 1


def test_a_second_agent_with_a_device_of_the_host_is_refused(tmp_path: Path) -> None:
    error = refusal(config(tmp_path), config(tmp_path, "t"), REAL)
    assert str(error) == f"wg-l: in use by another agent, process {os.getpid()}"
    assert refusal(config(tmp_path), config(tmp_path, "t", "wg-m"), REAL) is None
    assert refusal(config(tmp_path), config(tmp_path, "t"), FAKE) is None


def test_the_message_names_where_the_first_agent_can_be_asked(tmp_path: Path) -> None:
    sockets = tmp_path / "ikto.sock", Path("/run/ikto/ikto.sock")
    with agent_locks(config(tmp_path), REAL, sockets):
        for other in (config(tmp_path, ifname="wg-m"), config(tmp_path, "t")):
            with pytest.raises(IktoError) as caught, agent_locks(other, REAL):
                pass
            assert str(caught.value).endswith(f"process {os.getpid()} (socket {sockets[0]} or {sockets[1]})")


def test_both_locks_end_with_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with agent_locks(config(tmp_path), REAL):
            assert {path.suffix for path in tmp_path.iterdir()} == {"", ".lock"}
    assert list(tmp_path.iterdir()) == [tmp_path / "s"]
    assert list((tmp_path / "s").iterdir()) == []


def test_without_a_directory_for_locks_the_agent_runs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Path:
        raise IktoError("not yours")

    monkeypatch.setattr(locks, "private_runtime_dir", refuse)
    (tmp_path / "file").touch()
    with capture_logs() as logs, agent_locks(config(tmp_path, "file/s"), REAL):
        pass
    assert [entry["event"] for entry in logs] == [
        "device not locked: a second agent would not be noticed",
        "no state directory",
        "not locked: a second agent would not be noticed",
    ]


@needs_root
def test_the_lock_of_a_device_is_that_of_its_network_namespace() -> None:
    """Two containers of one host may each have a wg0, and the directory of locks in common."""
    command = [sys.executable, "-c", SHOW]
    here, again = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    elsewhere = subprocess.run(["unshare", "--net", *command], capture_output=True, text=True, check=True).stdout
    assert here == again != elsewhere
