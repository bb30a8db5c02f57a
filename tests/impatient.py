"""`ikto agent` in a hurry: `python -m tests.impatient SECONDS agent …` waits no longer than that between attempts.

On SIGUSR1 it writes how many tasks its event loop has to a file `tasks` beside its socket.
"""

import asyncio
import signal
import sys
from pathlib import Path

from ikto_core.agent import key_rotation as rotation
from ikto_core.cli.main import main
from ikto_core.config import types
from ikto_core.disk import snapshot_writer
from ikto_core.store import connection as link


def hurry(longest_s: float) -> None:
    link.FIRST_BACKOFF_S = link.LONGEST_BACKOFF_S = longest_s
    snapshot_writer.SAVE_EVERY_S = longest_s
    rotation.learning_s = lambda keys: longest_s  # noqa: ARG005 - called by position, yet its type has a name
    types.SHORTEST_LEASE_S = 1


def tell_tasks(*_: object) -> None:
    socket = Path(sys.argv[sys.argv.index("-s") + 1])
    socket.with_name("tasks").write_text(str(len(asyncio.all_tasks())))


if __name__ == "__main__":
    hurry(float(sys.argv.pop(1)))
    signal.signal(signal.SIGUSR1, tell_tasks)
    main()
