"""Choosing the demo's backend: the best one that this machine supports, and why better ones are unusable."""

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
    """The facts that decide. Without root, only `root` is known; the other fields keep their defaults."""

    root: bool = False
    missing: frozenset[str] = frozenset()  # of PROGRAMS
    ipv6: bool = True
    no_namespaces: str = ""  # why no network namespace can be created; empty: one can
    kernel_wireguard: bool = False
    tun: bool = False  # whether TUN can be opened


class Capabilities(NamedTuple):
    """The chosen backend, and one line that says why."""

    backend: str
    summary: str

    @property
    def real(self) -> bool:
        """Whether the mesh carries packets."""
        return self.backend != "fake"


def choose(machine: Machine, requested: str | None) -> Capabilities:
    """Return the best usable backend, or `requested`. Raises IktoError if `requested` is unusable."""
    obstacles: list[str] = []
    for backend in [requested] if requested else BACKENDS:
        if not (why := obstacle(machine, backend)):
            return Capabilities(backend, _summary(machine, backend, obstacles))
        obstacles.append(why)
    raise IktoError(f"backend {requested} is unusable here: {obstacles[0]}", hint="omit --backend to use the best one")


def obstacle(machine: Machine, backend: str) -> str:
    """Return why a backend is unusable; empty if it is usable."""
    if backend == "fake":
        return ""
    userspace = not machine.kernel_wireguard
    needed = {"netlink": {"ip", "ping"}, "wgtool": {"ip", "ping", "wg"} | ({"wireguard-go"} if userspace else set())}
    missing = sorted(needed[backend] & machine.missing)
    reasons = (
        (not machine.root, "network namespaces need root"),
        (bool(missing), f"not installed: {', '.join(missing)}"),
        (not machine.ipv6, "this kernel has no IPv6"),
        (bool(machine.no_namespaces), f"network namespaces can't be created ({machine.no_namespaces})"),
        (userspace and backend == "netlink", "this kernel has no WireGuard"),
        (userspace and not machine.tun, f"userspace WireGuard needs {TUN}, which can't be opened"),
    )
    return next((why for applies, why in reasons if applies), "")


def _summary(machine: Machine, backend: str, obstacles: Sequence[str]) -> str:
    because = f", because {'; '.join(dict.fromkeys(obstacles))}" if obstacles else ""
    if backend == "fake":
        return f"No tunnels: backend fake, with devices in memory{because}."
    by = "the kernel's WireGuard" if machine.kernel_wireguard else "wireguard-go"
    return f"Real tunnels, each node in its own network namespace: {by} (backend {backend}){because}."


def probe_machine() -> Machine:
    """Find out what this machine supports. Devices and namespaces created to find out are removed again."""
    if os.geteuid() != 0:
        return Machine()
    missing = frozenset(program for program in PROGRAMS if shutil.which(program) is None)
    no_namespaces, kernel_wireguard = ("", False) if "ip" in missing else _try_namespace()
    return Machine(
        root=True,
        missing=missing,
        ipv6=Path("/proc/net/if_inet6").exists(),
        no_namespaces=no_namespaces,
        kernel_wireguard=kernel_wireguard,
        tun=_can_open(TUN),
    )


def _try_namespace() -> tuple[str, bool]:
    """Return why no namespace can be created and entered, and whether one can have a WireGuard device."""
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


def _can_open(device: Path) -> bool:
    try:
        os.close(os.open(device, os.O_RDWR))
    except OSError:
        return False
    return True
