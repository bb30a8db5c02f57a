"""An `ikto agent` as a process of its own, with a directory of its own, for demos and tests."""

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
    """One node: its configuration, key, state, socket and log lie in `directory`; its process comes and goes.

    Args:
        directory: A directory of the node's own; made if it is not there. Its path must be short enough for a socket.
        config: Members of the configuration; those about files are filled in.
        private_key: The device's key; None: a new one.
        command: What runs `ikto`, such as a program that enters a network namespace first.
        environ: Environment of the process; None: ours, without the `IKTO_*` that would override `config`.

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
        """The agent's admin interface."""
        return AdminClient(self.socket)

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of its process, which may be over; 0 if it was never started."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the agent; returns at once. Its configuration is written anew from `config`."""
        path = self.directory / "config.json"
        path.write_text(json.dumps(self.config, indent=2))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own argument list
                [*self._command, "agent", "-c", str(path), "-s", str(self.socket)],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C on the terminal is for its owner, who then stops it in order
            )

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait until it ends by itself and return its exit code; subprocess.TimeoutExpired if it does not."""
        assert self._process is not None, "not started"  # noqa: S101 - a mistake in the caller's program
        return self._process.wait(timeout_s)

    def send(self, number: Signals) -> None:
        """Send its process a signal; nothing if it does not run."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> int:
        """End it in order and return its exit code, 0 if it never ran; killed if it takes too long."""
        if self._process is None:
            return 0
        self.send(SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it as a power failure does."""
        self.send(SIGKILL)
        return self.wait()

    def log_text(self) -> str:
        """Return everything it has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _environ_without_ikto() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("IKTO_")}


@contextmanager
def stopped_at_exit(agents: Sequence[AgentProcess]) -> Iterator[None]:
    """See to it that none of these outlives the block, even if stopping one fails."""
    with ExitStack() as stack:
        for agent in agents:
            stack.callback(agent.stop)
        for agent in agents:  # runs before the stops: they end side by side
            stack.callback(agent.send, SIGTERM)
        yield
