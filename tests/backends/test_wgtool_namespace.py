"""The wgtool backend with a real userspace WireGuard: runs a second pytest inside a network namespace of its own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

INNER = Path(__file__).with_name("wgtool_in_namespace.py")
PROGRAMS = ("ip", "wg", "wireguard-go")


def why_not() -> str:
    if os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        return f"not installed: {', '.join(missing)}"
    return "" if Path("/dev/net/tun").exists() else "there is no /dev/net/tun"


def ip(*arguments: str, check: bool = True) -> str:
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True, timeout=30).stdout


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two network namespaces joined by a veth pair, with 192.0.2.1 and 192.0.2.2. Their processes are killed."""
    here, there = (f"ikto-{os.getpid()}-{name}" for name in ("here", "there"))
    try:
        for name in (here, there):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "eth0", "netns", here, "type", "veth", "peer", "name", "eth0", "netns", there)
        for number, name in enumerate((here, there), start=1):
            ip("-n", name, "address", "add", f"192.0.2.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield here, there
    finally:
        for name in (here, there):
            for pid in ip("netns", "pids", name, check=False).split():
                os.kill(int(pid), signal.SIGKILL)
            ip("netns", "delete", name, check=False)


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_contract_holds_on_a_real_device(namespaces: tuple[str, str]) -> None:
    here, there = namespaces
    sockets = Path("/var/run/wireguard")
    sockets.mkdir(mode=0o755, exist_ok=True)  # the tmpfs is mounted in the mount namespace of `ip netns exec` only
    mounted = 'mount -t tmpfs ikto "$0" && exec "$@"'
    pytest_again = (sys.executable, "-m", "pytest", str(INNER), "-p", "no:cacheprovider", "-rs", "--timeout=240")
    ran = subprocess.run(
        ["ip", "netns", "exec", here, "sh", "-c", mounted, str(sockets), *pytest_again],
        env=os.environ | {"IKTO_TEST_THERE": there},
        capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 skipped" in ran.stdout, ran.stdout  # only C14
