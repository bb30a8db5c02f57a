"""The commands to look around in a demo that is running."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ikto_core.lab.hosted import HostedNode


def look_around(nodes: Sequence[HostedNode]) -> list[str]:
    """Return command lines for a shell, each of which works as it stands while the demo runs."""
    first, *others = nodes
    socket = shlex.quote(str(first.agent.socket))
    commands = [f"{ikto()} status -s {socket}", f"{ikto()} info -s {socket}"]
    if first.host.namespace:
        within = shlex.join(first.host.within)
        commands += [f"{within} ping -c 3 {other.address}" for other in others[:1]]
        commands += [f"{within} wg show {first.ifname}"] if shutil.which("wg") else []
    return commands


def ikto() -> str:
    """Return what runs this very program from a shell."""
    program = Path(sys.executable).with_name("ikto")
    if not program.exists():
        return shlex.join([sys.executable, "-m", "ikto_core"])
    return "ikto" if shutil.which("ikto") == str(program) else shlex.quote(str(program))
