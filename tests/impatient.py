"""`ikto agent` with short waits: `python -m tests.impatient SECONDS agent …` waits that long between attempts.

On SIGUSR1 it writes the number of tasks in its event loop to a file `tasks` beside its socket.
"""

import asyncio
import signal
import sys
from pathlib import Path

from ikto_core.agent import key_rotation
from ikto_core.cli.main import main
from ikto_core.config import value_checks
from ikto_core.disk import snapshot_writer
from ikto_core.store import connection


def shorten_waits(longest_s: float) -> None:
    """Set the agent's backoff, its save interval and the wait of a key rotation; allow leases of 1 s."""
    connection.FIRST_BACKOFF_S = connection.LONGEST_BACKOFF_S = longest_s
    snapshot_writer.SAVE_EVERY_S = longest_s
    key_rotation.learning_s = lambda keys: longest_s  # noqa: ARG005 - the parameter has a name in the declared type
    value_checks.SHORTEST_LEASE_S = 1


def write_task_count(*_: object) -> None:
    """Write the number of tasks beside the socket that `-s` names."""
    socket = Path(sys.argv[sys.argv.index("-s") + 1])
    socket.with_name("tasks").write_text(str(len(asyncio.all_tasks())))


if __name__ == "__main__":
    shorten_waits(float(sys.argv.pop(1)))
    signal.signal(signal.SIGUSR1, write_task_count)
    main()
