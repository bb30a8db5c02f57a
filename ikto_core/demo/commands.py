"""The shell commands that a running demo suggests."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ikto_core.lab.hosted import HostedNode


def example_commands(nodes: Sequence[HostedNode]) -> list[str]:
    """Return shell command lines that work unchanged while the demo runs."""
    first, *others = nodes
    socket = shlex.quote(str(first.agent.socket))
    commands = [f"{ikto()} status -s {socket}", f"{ikto()} info -s {socket}"]
    if first.host.namespace:
        prefix = shlex.join(first.host.exec_prefix)
        commands += [f"{prefix} ping -c 3 {other.address}" for other in others[:1]]
        commands += [f"{prefix} wg show {first.ifname}"] if shutil.which("wg") else []
    return commands


def ikto() -> str:
    """Return the shell command that runs this installation of `ikto`."""
    program = Path(sys.executable).with_name("ikto")
    if not program.exists():
        return shlex.join([sys.executable, "-m", "ikto_core"])
    return "ikto" if shutil.which("ikto") == str(program) else shlex.quote(str(program))
