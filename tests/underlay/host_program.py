"""`python -m tests.underlay.host_program PROGRAM SETUP SERVER AFTERWARDS`: a Python program on a host of its own.

The host is a network namespace, set up by the shell commands SETUP. The shell commands AFTERWARDS run at the end.
"""

import ctypes
import os
import subprocess
import sys

CLONE_NEWNET = 0x40000000  # <linux/sched.h>; os.unshare needs Python 3.12


def main() -> None:
    """Move this process into a new network namespace, and run the program in it."""
    program, setup, server, afterwards = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
    _shell(f"ip link set lo up\n{setup}")
    sys.argv[1:] = [server]
    exec(compile(program, "program", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's own program
    sys.stdout.flush()
    _shell(afterwards)


def _shell(commands: str) -> None:
    subprocess.run(["sh", "-euc", commands], check=True)


if __name__ == "__main__":
    main()
