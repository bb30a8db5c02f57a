"""`ikto demo` as a process, and what it leaves behind."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ikto_core.lab.network import namespaces

DEMO = [sys.executable, "-m", "ikto_core", "demo"]
_HEARING = ["env", "--default-signal=HUP"]  # the caller of the tests may have it ignored
SOCKETS = Path("/var/run/wireguard")


class Demo:
    """A demo with a process group and a directory for temporary files of its own; stdout and stderr are one."""

    def __init__(self, directory: Path, process: "subprocess.Popen[str]", environ: dict[str, str]) -> None:
        self.directory = directory
        self.process = process
        self.environ = environ
        self.said = ""

    def ends(self) -> int:
        """Wait until it ends, and return its exit code."""
        self.said += self.process.communicate(timeout=240)[0]
        return self.process.returncode

    def reads(self, text: str) -> None:
        """Wait until it has said this."""
        assert self.process.stdout
        while text not in self.said:
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.said}"
            self.said += line

    def commands(self) -> list[str]:
        """Wait until it is kept running, and return the commands that it names."""
        self.reads("The mesh keeps running")
        before = len(self.said)
        self.reads("Press Ctrl-C to stop it")
        return [line.strip() for line in self.said[before:].splitlines() if line.startswith("  ")]

    def processes(self) -> list[str]:
        """Return the command lines of all processes of it."""
        return [command for _, command in self.found()]

    def found(self) -> list[tuple[int, str]]:
        """Return number and command line of all processes that name its directory, or a device of its."""
        marks = (str(self.directory), f"ik{self.process.pid}x")
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it ended meanwhile
                continue
            if any(mark in command for mark in marks):
                found.append((int(path.parent.name), command))
        return found

    def namespaces(self) -> list[str]:
        """Return the names of its network namespaces."""
        return [name for name in namespaces() if name.startswith(f"ikto-demo-{self.process.pid}-")]

    def left_behind(self) -> list[str]:
        """Return everything of it that is still there."""
        files = [*self.directory.iterdir(), *SOCKETS.glob(f"ik{self.process.pid}x*")]
        return [*map(str, files), *self.processes(), *self.namespaces()]

    def try_all(self, commands: Sequence[str]) -> None:
        """Run these as a user would who copies them from the screen."""
        for command in commands:
            done = subprocess.run(shlex.split(command), capture_output=True, text=True, env=self.environ, check=False)
            assert done.returncode == 0, f"{command}: {done.stderr}"
            assert done.stdout


@contextmanager
def running_demo(
    directory: Path, arguments: str, *, within: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Iterator[Demo]:
    """Start a demo; killed with the block, if it still runs."""
    settings = os.environ | {"TMPDIR": str(directory), "COLUMNS": "80", **(environ or {})}
    with subprocess.Popen(
        [*within, *_HEARING, *DEMO, *shlex.split(arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=settings,
        start_new_session=True,
    ) as process:
        try:
            yield Demo(directory, process, settings)
        finally:
            process.kill()
