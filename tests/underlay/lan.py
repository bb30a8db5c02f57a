"""Runs a program in a network namespace that is set up as a host with interfaces and routes."""

import os
import subprocess
from shutil import which

import pytest

from tests.forked import run_module

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

HOST_BRIDGE = """
ip link add eth0 type veth peer name far
ip link set far up
ip link add vmbr0 type bridge
ip link set eth0 master vmbr0
ip link set eth0 up
ip link set vmbr0 up
ip address add 10.1.0.2/24 dev vmbr0
ip route add default via 10.1.0.1
"""
"""As on Proxmox and most hosts of virtual machines: the network card is a port of a bridge, which has the address."""


def run_on_host(program: str, setup: str, server: str, afterwards: str = "") -> str:
    """Return the output of a Python program on a host set up by `ip` commands; skip without root or iproute2."""
    if os.geteuid() != 0 or not which("ip") or subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        pytest.skip("can't make a network namespace here: needs root and iproute2")
    run = run_module("tests.underlay.host_program", program, setup, server, afterwards)
    assert run.returncode == 0, run.stderr
    return run.stdout.rstrip("\n")
