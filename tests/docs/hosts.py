"""The hosts of a page's sessions: a directory each, with what an operator's machine has where Ikto is installed.

Real are the commands, bash, nats-server, and the agents: processes with the command line of the unit. Played are
`systemctl` and `journalctl`, since tests have no systemd. Devices are in memory (backend `fake`), or, where a host has
a network namespace of its own, userspace WireGuard.

There is one machine: a path such as /etc/ikto in a command means one below the directory of the host. Output is shown
with the paths of the page.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from configparser import RawConfigParser
from pathlib import Path
from typing import NamedTuple

from ikto_core.client import AdminClient, AgentState
from ikto_core.errors import IktoError
from ikto_core.lab import network as lab
from ikto_core.lab.nats_server import NatsServer
from tests.agent_mesh import eventually
from tests.forked import END_WITH_TESTS, PATIENCE_S, ForkedProgram
from tools.documents import ROOT

NATS = "nats.example.net:4222"  # in the pages
UNIT = "etc/systemd/system/ikto.service"
CONTROL = re.compile(r"systemctl (?P<verb>[a-z-]+)(?: (?P<now>--now))?(?: (?P<unit>[\w@.-]+))?$")
JOURNAL = re.compile(r"journalctl -u ikto -o cat(?: -n (?P<lines>\d+))?$")
ABSOLUTE = re.compile(r"(?<![\w./$-])(?:(?P<host>[a-z][a-z0-9-]*):)?(?P<path>/(?:etc|opt|root|run|usr/bin|var)/)")
FAILED = """Job for ikto.service failed because the control process exited with error code.
See "systemctl status ikto.service" and "journalctl -xeu ikto.service" for details.
"""
GIVEN_ADDRESS = re.compile(r'"advertise_address": *"[^"]|"endpoints": *\[[^]]')
RELOADED = re.compile(r"Reloaded server configuration|Failed to reload")
READY = (AgentState.READY, AgentState.DEGRADED)
SCP = 'scp() { cp -p "$@"; }; '


class Done(NamedTuple):
    """A command that has ended."""

    output: str
    code: int


class Host:
    """One machine of an operator.

    Args:
        directory: Its files. The directories beside it are other hosts.
        number: Which makes its address, 192.0.2.NUMBER.
        server: The nats-server of all hosts.
        network: Its network, with which its device is real; THIS_MACHINE: it has none of its own.

    """

    def __init__(self, directory: Path, number: int, server: NatsServer, network: lab.Host) -> None:
        self.directory = directory
        self._server = server
        self._network = network
        self._agent: ForkedProgram | subprocess.Popen[bytes] | None = None
        self._log = directory / "log"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("IKTO_")} | {
            "HOME": str(directory / "root"),
            "PATH": f"{directory / 'usr/bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "IKTO_BACKEND": "wgtool" if network.namespace else "fake",
            "IKTO_SOCKET": str(directory / "run/ikto/ikto.sock"),
            "IKTO_STATE_DIR": str(directory / "var/lib/ikto/wg0"),
            "IKTO_PRIVATE_KEY_PATH": str(directory / "etc/ikto/private.key"),
        }
        if network.namespace:  # the sockets of userspace WireGuard are in one directory
            self.environ["IKTO_WG_DEV_NAME"] = f"ik{os.getpid()}x{number}"
        self._address = "" if network.namespace else f"192.0.2.{number}"
        self._furnish()

    def _furnish(self) -> None:
        """Make what a host has after `pip install` into /opt/ikto."""
        for name in (
            "etc/systemd/system",
            "etc/nats",
            "root",
            "run/ikto",
            "usr/bin",
            "var/backups",
            "opt/ikto/bin",
            "opt/ikto/share/ikto",
        ):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "etc/nats/nats-server.conf").touch()
        (self.directory / "opt/ikto/bin/ikto").symlink_to(Path(sys.executable).with_name("ikto"))
        if self.directory.name == "admin":
            (self.directory / "usr/bin/ikto").symlink_to(Path(sys.executable).with_name("ikto"))
        shutil.copytree(ROOT / "packaging", self.directory / "opt/ikto/share/ikto", dirs_exist_ok=True)

    def run(self, text: str, before: int) -> Done:
        """Run a command to its end. `before`: the exit code of the one before, for `$?`."""
        if played := CONTROL.fullmatch(text):
            return self._control(played["verb"], played["unit"] or "", now=bool(played["now"]))
        if journal := JOURNAL.fullmatch(text):
            lines = self._log.read_text().splitlines(keepends=True)
            return Done(self._shown("".join(lines[-int(journal["lines"] or 0) :])), 0)
        limit = ("timeout", "--kill-after=5", str(PATIENCE_S))  # ends what the command has started, too
        done = subprocess.run(
            [
                *END_WITH_TESTS,
                *limit,
                *self._network.exec_prefix,
                "bash",
                "-c",
                f"{SCP}(exit {before})\n{self._local(text)}",
            ],
            cwd=self.directory / "root",
            env=self.environ | self._address_of_node(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return Done(self._shown(done.stdout.decode()), done.returncode)

    def _address_of_node(self) -> dict[str, str]:
        """Return the address to advertise, unless the configuration names one: a sandbox may have no route."""
        config = self.directory / "etc/ikto/config.json"
        given = config.exists() and GIVEN_ADDRESS.search(config.read_text())
        return {} if given or not self._address else {"IKTO_ADVERTISE_ADDRESS": self._address}

    def _local(self, text: str) -> str:
        """Return a command of a page as it is here."""
        hosts = self.directory.parent
        address = self._server.url.partition("//")[2]
        return ABSOLUTE.sub(
            lambda path: f"{hosts / (path['host'] or self.directory.name)}{path['path']}", text
        ).replace(NATS, address)

    def _shown(self, text: str) -> str:
        """Return what a page shows instead of output of here."""
        for directory in self.directory.parent.iterdir():
            text = text.replace(str(directory) + "/", "/")
        return text.replace(self._server.url.partition("//")[2], NATS)

    def _control(self, verb: str, unit: str, *, now: bool) -> Done:
        """Play `systemctl`."""
        if unit == "nats-server":
            return self._control_server(verb)
        if verb in ("enable", "disable") and not now:
            return Done("", 0)
        if verb in ("stop", "restart", "disable"):
            self.stop_agent()
        if verb in ("start", "restart", "enable"):
            return self._start_agent()
        if verb == "is-active":
            return self._activity()
        assert verb in ("stop", "disable", "daemon-reload"), f"systemctl {verb} is not played"
        return Done("", 0)

    def _control_server(self, verb: str) -> Done:
        """Play `systemctl VERB nats-server`. Its configuration is added to the one with which tests run it."""
        config = (self.directory / "etc/nats/nats-server.conf").read_text()
        self._server.config = config.replace("include ./", "include ../../../etc/nats/")
        if verb == "reload":
            log = self._server.directory / "nats.log"
            before = len(RELOADED.findall(log.read_text()))
            self._server.reload()
            eventually(lambda: len(RELOADED.findall(log.read_text())) > before)
            return Done("", 0)
        assert verb in ("start", "stop", "restart"), f"systemctl {verb} nats-server is not played"
        if verb != "start":
            self._server.stop()
        if verb != "stop":
            try:
                self._server.start()
            except IktoError as error:
                return Done(f"{error}\n", 1)
        return Done("", 0)

    def _start_agent(self) -> Done:
        """Start the agent as the unit does: it returns when the agent is ready."""
        if self._agent is not None and self._agent.poll() is None:
            return Done("", 0)
        assert (self.directory / UNIT).exists(), f"/{UNIT} is not there"
        unit = RawConfigParser(strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
        unit.read([self.directory / UNIT, *sorted(self.directory.glob(f"{UNIT}.d/*.conf"))])
        program, *arguments = shlex.split(self._local(unit["Service"]["ExecStart"]))
        assert Path(program).exists(), f"{program} is not installed"
        environ = self.environ | self._address_of_node()
        agent = self._agent = self._run_agent(arguments, environ)
        socket = Path(self.environ["IKTO_SOCKET"])
        eventually(lambda: agent.poll() is not None or AdminClient(socket).status().state in READY)
        return Done("", 0) if agent.poll() is None else Done(FAILED, 1)

    def _run_agent(
        self, arguments: Sequence[str], environ: Mapping[str, str]
    ) -> "ForkedProgram | subprocess.Popen[bytes]":
        if not self._network.namespace:
            return ForkedProgram(["ikto_core", *arguments], environ, self._log)
        command = [*END_WITH_TESTS, *self._network.exec_prefix, sys.executable, "-m", "ikto_core", *arguments]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _activity(self) -> Done:
        """Return what `systemctl is-active` shows. Exit code 9, of `ikto leave` and `ikto down`, is no failure."""
        code = self._agent.poll() if self._agent else 0
        return Done("active\n", 0) if code is None else Done("inactive\n" if code in (0, 9) else "failed\n", 3)

    def stop_agent(self) -> None:
        """Stop the agent; killed if it does not end."""
        if self._agent is None:
            return
        self._agent.send_signal(15)
        try:
            self._agent.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._agent.kill()


def readable(hosts: Sequence[Host]) -> str:
    """Return what agents logged, for a test that fails."""
    return "\n".join(
        f"{host.directory.name}:\n{log.read_text()}" for host in hosts if (log := host.directory / "log").exists()
    )
