"""Starts programs of Ikto quickly: as forks of a process that has already imported their modules.

A new interpreter needs 0.7 s of CPU time to import an agent, and the default suite starts hundreds of agents. A forked
agent has its own process, session, log and environment, and ends by signals as any other. With IKTO_THOROUGH=1 every
agent is started with an interpreter of its own, as by an operator.
"""

import ctypes
import json
import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from ikto_core.lab.agent_process import AgentProcess, write_private
from tests.effort import THOROUGH

PATIENCE_S = 60.0  # limit of waits for a process to end, long enough for a busy machine
END_WITH_TESTS = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
"""Prefix of a command that ends when the process of the tests ends, even if it is killed."""

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_PYTHONPATH = os.environ.get("PYTHONPATH")  # an interpreter reads it when it starts, so a fork ignores changes
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    ["__main__", "tests.forked", "ikto_core.cli.agent_run", "ikto_core.agent.agent", "ikto_core.agent.from_config",
     "ikto_core.builtin.ipam", "ikto_core.builtin.observers", "ikto_backends.fake", "ikto_backends.netlink",
     "ikto_backends.wgtool", "pyroute2"]
)  # fmt: skip


class ForkedProgram:
    """`python -m MODULE ARGUMENT...`, with the methods of subprocess.Popen that tests use.

    Args:
        command: The module and its arguments.
        environ: Its whole environment. Variables that only a starting interpreter reads have no effect.
        stdout: The file that its output is appended to.
        stderr: The same for its errors; None: `stdout`.

    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], stdout: Path, stderr: Path | None = None
    ) -> None:
        given = (list(command), dict(environ), Path.cwd(), stdout, stderr)
        self._process = _forks.Process(target=_run, args=given, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid or 0

    def poll(self) -> int | None:
        """Return the exit code, -N if signal N ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until it ends and return its exit code; subprocess.TimeoutExpired if it does not."""
        self._process.join(timeout_s)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("a forked program", timeout_s or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing if it is over."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended, and `poll` does not know yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a power failure does."""
        self.send_signal(signal.SIGKILL)


def _run(command: list[str], environ: dict[str, str], directory: Path, stdout: Path, stderr: Path | None) -> None:
    """Become the program, in the forked process."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # ends when the tests end, even if they are killed
    os.setsid()
    os.chdir(directory)
    for number, path in ((1, stdout), (2, stderr or stdout)):
        with path.open("ab") as opened:
            os.dup2(opened.fileno(), number)
    os.environ.clear()
    os.environ.update(environ)
    module, *sys.argv[1:] = command
    runpy.run_module(module, run_name="__main__", alter_sys=True)


class ForkedAgent(AgentProcess):
    """An agent that runs as a forked program, unless its command needs a new interpreter."""

    def start(self) -> None:
        """Start the agent; returns at once. Its configuration is written anew from `config`."""
        python, _, *module = self._command
        if THOROUGH or python != sys.executable or self._environ.get("PYTHONPATH") != _PYTHONPATH:
            self._command = (*END_WITH_TESTS, *self._command)
            super().start()
            self._command = self._command[len(END_WITH_TESTS) :]
            return
        path = self.directory / "config.json"
        write_private(path, json.dumps(self.config))
        command = [*module, "agent", "-c", str(path), "-s", str(self.socket)]
        self._process = cast("subprocess.Popen[bytes]", ForkedProgram(command, self._environ, self.log))

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait until the process ends, and return its exit code. Raises subprocess.TimeoutExpired."""
        return super().wait(timeout_s)


def run_ikto(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of Ikto to its end. Raises subprocess.TimeoutExpired."""
    return run_module("ikto_core", *arguments)


def run_module(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m MODULE ARGUMENT...` to its end. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryDirectory() as directory:
        stdout, stderr = Path(directory, "stdout"), Path(directory, "stderr")
        program = ForkedProgram([module, *arguments], os.environ, stdout, stderr)
        try:
            code = program.wait(PATIENCE_S)
        finally:
            program.kill()
        return subprocess.CompletedProcess(arguments, code, stdout.read_text(), stderr.read_text())
