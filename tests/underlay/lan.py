"""Runs a program in a network namespace that is set up as a host with interfaces and routes."""

import os
import subprocess
import sys
from shutil import which

import pytest

LAN = """
ip link add eth0 type veth peer name far
ip link set far up
ip address add 10.1.0.2/24 dev eth0
ip address add 10.5.0.1 peer 10.5.0.2 dev eth0
ip address add 2001:db8:1::2/64 dev eth0 nodad
ip link set eth0 up
ip route add default via 10.1.0.1
ip route add default via 2001:db8:1::1
"""

IPV4_LAN = "\n".join(line for line in LAN.splitlines() if "2001:" not in line)

BRIDGE = """
ip link add lan1 type bridge
ip address add 10.7.0.1/24 dev lan1
ip link set lan1 up
"""


def run_on_host(program: str, setup: str, server: str, afterwards: str = "") -> str:
    """Return the output of a Python program on a host set up by `ip` commands; skip without root or iproute2."""
    if os.geteuid() != 0 or not which("ip") or subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        pytest.skip("can't make a network namespace here: needs root and iproute2")
    script = f'ip link set lo up\n{setup}\n"$0" -c "$1" "$2"\n{afterwards}'
    command = ["unshare", "--net", "sh", "-euc", script, sys.executable, program, server]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.rstrip("\n")
