"""Running `ikto agent` as a child process with its own directory, for demos and tests."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any

from ikto_core.client import AdminClient
from ikto_core.disk.key_file import write_private_key
from ikto_core.values.keys import PrivateKey, PublicKey

STOP_TIMEOUT_S = 10.0


class AgentProcess:
    """One node: a directory with its configuration, key, state, socket and log, and a process to start and stop.

    Args:
        directory: The node's directory, created if missing. Its path must be short enough for a Unix socket.
        config: Settings; `private_key_path` and `state_dir` are filled in.
        private_key: The device's key; None: a new one.
        command: The command that runs `ikto`, for example in a network namespace.
        environ: Environment of the process; None: this process's, without `IKTO_*`, which would override `config`.

    """

    def __init__(
        self,
        directory: Path,
        config: dict[str, Any],
        *,
        private_key: PrivateKey | None = None,
        command: Sequence[str] = (sys.executable, "-m", "ikto_core"),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.socket = directory / "s"
        self.log = directory / "log"
        self.private_key = private_key or PrivateKey.generate()
        self.config = config | {
            "private_key_path": str(directory / "key"),
            "state_dir": str(directory / "state"),
        }
        self._command = command
        self._environ = environ if environ is not None else _environ_without_ikto()
        self._process: subprocess.Popen[bytes] | None = None
        write_private_key(directory / "key", self.private_key)

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.config.get("name", ""))

    @property
    def public_key(self) -> PublicKey:
        """The node's public key."""
        return self.private_key.public()

    @property
    def admin(self) -> AdminClient:
        """A client of the agent's admin socket."""
        return AdminClient(self.socket)

    @property
    def running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id, also after the process ended; 0 if it was never started."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Write the configuration file from `config`, start the agent, and return at once."""
        path = self.directory / "config.json"
        write_private(path, json.dumps(self.config, indent=2))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed argument list
                [*self._command, "agent", "-c", str(path), "-s", str(self.socket)],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C on the terminal reaches only the parent, which then stops the agent
            )

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait until the process ends, and return its exit code. Raises subprocess.TimeoutExpired."""
        assert self._process is not None, "not started"  # noqa: S101 - a programming error of the caller
        return self._process.wait(timeout_s)

    def send(self, number: Signals) -> None:
        """Send a signal to the process, if it was started."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> int:
        """Stop the agent, with SIGKILL after STOP_TIMEOUT_S; return its exit code, 0 if it was never started."""
        if self._process is None:
            return 0
        self.send(SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Kill the agent with SIGKILL, as a power failure would; return its exit code."""
        self.send(SIGKILL)
        return self.wait()

    def log_text(self) -> str:
        """Return the whole log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whatever the umask is: a configuration may hold a password."""
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(0o600)


def _environ_without_ikto() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("IKTO_")}


@contextmanager
def stopped_at_exit(agents: Sequence[AgentProcess]) -> Iterator[None]:
    """Stop all agents when the block ends, even if stopping one of them fails."""
    with ExitStack() as stack:
        for agent in agents:
            stack.callback(agent.stop)
        for agent in agents:  # these run first, so that the agents end in parallel
            stack.callback(agent.send, SIGTERM)
        yield
