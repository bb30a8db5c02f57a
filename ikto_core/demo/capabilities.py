"""What a demo stands on: the best WireGuard that this machine offers, and why it is no better one."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ikto_core.demo.leftovers import prefix
from ikto_core.errors import IktoError
from ikto_core.lab.network import run

BACKENDS = ("netlink", "wgtool", "fake")
"""Best first."""

PROGRAMS = ("ip", "ping", "wg", "wireguard-go")
TUN = Path("/dev/net/tun")


class Machine(NamedTuple):
    """What decides. Of a machine where we are not root, only that is known."""

    root: bool = False
    missing: frozenset[str] = frozenset()  # of PROGRAMS
    ipv6: bool = True
    no_namespaces: str = ""  # why none can be made
    kernel_wireguard: bool = False
    tun: bool = False


class Capabilities(NamedTuple):
    """A backend, and what to say of it in one line."""

    backend: str
    said: str

    @property
    def real(self) -> bool:
        """Whether packets flow."""
        return self.backend != "fake"


def choose(machine: Machine, wanted: str | None) -> Capabilities:
    """Return the best backend, or the wanted one. Raises IktoError if the wanted one can't be had."""
    obstacles: list[str] = []
    for backend in [wanted] if wanted else BACKENDS:
        if not (why := obstacle(machine, backend)):
            return Capabilities(backend, _said(machine, backend, obstacles))
        obstacles.append(why)
    raise IktoError(f"no demo with the backend {wanted}: {obstacles[0]}", hint="without --backend it takes the best")


def obstacle(machine: Machine, backend: str) -> str:
    """Return why a backend can't be used; empty if it can."""
    if backend == "fake":
        return ""
    userspace = not machine.kernel_wireguard
    needed = {"netlink": {"ip", "ping"}, "wgtool": {"ip", "ping", "wg"} | ({"wireguard-go"} if userspace else set())}
    lacking = sorted(needed[backend] & machine.missing)
    reasons = (
        (not machine.root, "only root can make network namespaces"),
        (bool(lacking), f"not installed: {', '.join(lacking)}"),
        (not machine.ipv6, "this kernel has no IPv6"),
        (bool(machine.no_namespaces), f"network namespaces can't be made ({machine.no_namespaces})"),
        (userspace and backend == "netlink", "this kernel has no WireGuard"),
        (userspace and not machine.tun, f"{TUN} can't be opened, which userspace WireGuard needs"),
    )
    return next((why for stands, why in reasons if stands), "")


def _said(machine: Machine, backend: str, obstacles: Sequence[str]) -> str:
    because = f", since {'; '.join(dict.fromkeys(obstacles))}" if obstacles else ""
    if backend == "fake":
        return f"No tunnels: backend fake, which keeps devices in memory{because}."
    by = "the kernel's WireGuard" if machine.kernel_wireguard else "wireguard-go"
    return f"Real tunnels, each node on a host of its own: {by} (backend {backend}){because}."


def look() -> Machine:
    """Find out what this machine offers, by trying where nothing else tells; leaves nothing behind."""
    if os.geteuid() != 0:
        return Machine()
    missing = frozenset(program for program in PROGRAMS if shutil.which(program) is None)
    no_namespaces, kernel_wireguard = ("", False) if "ip" in missing else _tried()
    return Machine(
        root=True,
        missing=missing,
        ipv6=Path("/proc/net/if_inet6").exists(),
        no_namespaces=no_namespaces,
        kernel_wireguard=kernel_wireguard,
        tun=_opens(TUN),
    )


def _tried() -> tuple[str, bool]:
    """Return why no namespace can be made and entered, and whether a WireGuard device can be made in one."""
    namespace = f"{prefix()}-probe"
    try:
        run("ip", "netns", "add", namespace)
    except IktoError as error:
        return str(error), False
    try:
        run("ip", "netns", "exec", namespace, "ip", "link", "set", "lo", "up")
        return "", _succeeds("ip", "-n", namespace, "link", "add", "wg0", "type", "wireguard")
    except IktoError as error:
        return str(error), False
    finally:
        run("ip", "netns", "del", namespace)


def _succeeds(*command: str) -> bool:
    try:
        run(*command)
    except IktoError:
        return False
    return True


def _opens(device: Path) -> bool:
    try:
        os.close(os.open(device, os.O_RDWR))
    except OSError:
        return False
    return True
