"""Nobody gains by squatting /tmp/ikto.sock: the agent serves another socket, and commands find that one."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikto_core.disk.key_file import write_private_key
from tests.e2e.conftest import Mesh, eventually
from tests.other_user import needs_root

pytestmark = [pytest.mark.e2e, needs_root]

ROOT = Path(__file__).parents[2]
TMP_SOCKET, RUN_SOCKET = "/tmp/ikto.sock", "/run/ikto/ikto.sock"  # noqa: S108 - as in 0.3.0
GOT = "/tmp/got"  # noqa: S108 - of the test's own /tmp
SQUATTER = """
import fcntl, os, socket
from pathlib import Path
os.setgroups([]); os.setgid(65534); os.setuid(65534)
fcntl.flock(os.open("/tmp", os.O_RDONLY), fcntl.LOCK_EX)
listener = socket.socket(socket.AF_UNIX)
listener.bind("/tmp/ikto.sock")
listener.listen()
Path("/tmp/ready").touch()
Path("/tmp/got").write_bytes(listener.accept()[0].recv(1))
"""


class Host:
    """A /tmp and a /run of their own, and an agent there that is started without `-s`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    @property
    def python(self) -> str:
        """The interpreter; the repository may be in the /tmp that is hidden."""
        return sys.executable.replace(f"{ROOT}/", f"{self.directory}/repository/")

    def start(self, *, squatted: bool) -> None:
        (self.directory / "repository").mkdir()
        (self.directory / "squatter").write_text(SQUATTER)
        wait = "while ! test -e /tmp/ready; do sleep 0.02; done"
        script = f"""
            mount --bind {ROOT} repository
            mount -t tmpfs -o mode=1777 none /tmp
            mount -t tmpfs -o mode=755 none /run
            {f"{self.python} squatter & {wait}" if squatted else ""}
            exec {self.python} -m ikto_core agent -c config.json
        """
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script]
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.directory, env=self._environ(), start_new_session=True
            )

    def stop(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(60)

    def run(self, *command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        assert self._process
        enter = ["nsenter", f"--mount=/proc/{self._process.pid}/ns/mnt", "--wd=/", *command]
        env = self._environ() | environ
        return subprocess.run(enter, capture_output=True, text=True, check=False, timeout=60, env=env)

    def ikto(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return self.run(self.python, "-m", "ikto_core", *arguments, **environ)

    def state(self) -> object:
        done = self.ikto("status", "--json")
        assert done.returncode == 0, done.stderr + self.log
        return json.loads(done.stdout)["state"]

    def _environ(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": f"{self.directory}/repository"}


@pytest.fixture
def host(mesh: Mesh) -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="ikto-", dir="/var/tmp") as name:
        agent = mesh.agent(start=False)
        config = agent.config | {"state_dir": name, "private_key_path": f"{name}/key"}
        Path(name, "config.json").write_text(json.dumps(config))
        write_private_key(Path(name, "key"), agent.private_key)
        host = Host(Path(name))
        try:
            yield host
        finally:
            host.stop()


def test_an_agent_and_its_clients_do_without_a_squatted_path(host: Host) -> None:
    host.start(squatted=True)
    eventually(lambda: host.state() == "ready")
    assert host.run("stat", "-c", "%a %u", RUN_SOCKET).stdout == "600 0\n"
    (line,) = [line for line in host.log.splitlines() if "socket path taken" in line]
    assert f"{TMP_SOCKET}: taken by a file of " in line
    refused = host.ikto("key", "rotate", "-s", TMP_SOCKET)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"ikto: {TMP_SOCKET}: not trusted, it belongs to ")
    eventually(lambda: host.run("test", "-e", GOT).returncode == 0)
    assert host.run("cat", GOT).stdout == "", "nothing was sent there"


def test_the_default_is_that_of_0_3_0(host: Host) -> None:
    host.start(squatted=False)
    eventually(lambda: host.state() == "ready")
    assert host.run("stat", "-c", "%a %u", TMP_SOCKET).stdout == "600 0\n"
    assert host.run("test", "-e", RUN_SOCKET).returncode == 1
    assert host.ikto("status", IKTO_SOCKET="/elsewhere").stderr.startswith("ikto: no agent answers on /elsewhere")
    given = host.ikto("peers", "-s", "/given", "release", IKTO_SOCKET="/elsewhere")
    assert given.stderr.startswith("ikto: no agent answers on /given")
