"""What a bug report says of the host: the output of a few commands, and a few files."""

import os
import shutil
import subprocess
from pathlib import Path

from ikto_core.errors import IktoError

COMMAND_TIMEOUT_S = 10.0
LOG_LINES = 5000
MAX_PART_BYTES = 32 * 2**20

HOST_COMMANDS = (
    ("uname", "-a"),
    ("uptime",),
    ("ip", "-details", "-statistics", "link"),
    ("ip", "address"),
    ("ip", "-4", "route", "show", "table", "all"),
    ("ip", "-6", "route", "show", "table", "all"),
    ("ip", "rule"),
    ("ip", "-6", "rule"),
    ("ss", "-lun"),
    ("timedatectl",),
    ("systemctl", "--no-pager", "status", "ikto"),
)
HOST_FILES = (
    "/etc/os-release",
    "/proc/version",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/self/limits",
    "/proc/self/status",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/disable_ipv6",
    "/proc/sys/net/ipv6/conf/all/forwarding",
    "/sys/module/wireguard/version",
)


def log_of(unit: str) -> str:
    """Return the end of a systemd unit's log."""
    return run("journalctl", "--no-pager", "--unit", unit, "--lines", str(LOG_LINES), "--output", "short-iso-precise")


def host() -> str:
    """Return the facts of this host; a command that fails is one line."""
    commands = "".join(f"$ {' '.join(command)}\n{_tried(*command)}\n" for command in HOST_COMMANDS)
    files = "".join(f"$ cat {path}\n{read(path)}\n" for path in HOST_FILES)
    return commands + files


def run(*command: str) -> str:
    """Return what a command prints. Raises IktoError if it is missing, fails, or takes too long."""
    program = shutil.which(command[0])
    if program is None:
        raise IktoError(f"there is no program {command[0]}")
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands, without a shell
            [program, *command[1:]],
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IktoError(f"{command[0]}: {error}") from None
    output = (done.stdout + done.stderr)[-MAX_PART_BYTES:].decode(errors="replace")
    if done.returncode and not done.stdout:
        raise IktoError(f"{command[0]}: exit code {done.returncode}: {output.strip()[:300]}")
    return output


def _tried(*command: str) -> str:
    try:
        return run(*command)
    except IktoError as error:
        return f"({error})\n"


def read(path: str) -> str:
    """Return what a file has; why it can't be read is its text then."""
    try:
        return Path(path).read_text(errors="replace")[:MAX_PART_BYTES]
    except OSError as error:
        return f"({error.strerror})\n"
