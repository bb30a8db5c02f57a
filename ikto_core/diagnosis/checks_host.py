"""Checks of the host: rights, programs, WireGuard, settings of the kernel, the state directory, the agent."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.config import Config
from ikto_core.diagnosis.checks import Category, Check, error, failure, ok, skipped, warning
from ikto_core.diagnosis.host_facts import (
    ROOT,
    TUN,
    can_open,
    kernel_has_wireguard,
    may_configure_networks,
    sysctl,
    text_of,
)
from ikto_core.diagnosis.subject import Subject
from ikto_core.errors import IktoError
from ikto_core.plugins.check_contract import Finding

NO_HOST_DEVICE = "the backend drives no device of this host"
CAPABILITY_FIX = "run as root, or with the capability CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN)"
WIREGUARD_FIX = (
    "load the module: modprobe wireguard (Linux 5.6 or later); or install wireguard-go, and use "
    '"backend": "wgtool" with /dev/net/tun'
)
NETWORKD_FIX = "install packaging/networkd-ikto.conf into /etc/systemd/networkd.conf.d, then restart systemd-networkd"

PROGRAMS = {"wg": "wireguard-tools", "ip": "iproute2"}
"""What the backend wgtool runs, and the package that has it."""


def uses_host(subject: Subject) -> bool:
    """Return whether the configured backend drives devices of this host; True if there is no such backend."""
    try:
        return subject.plugins.backend(subject.config.backend).host_devices
    except IktoError:
        return True


async def _agent(subject: Subject) -> Iterable[Finding]:
    status = subject.status
    if status is None:
        return [failure(subject.no_agent)] if subject.no_agent else [skipped("no agent was asked")]
    if subject.is_foreign_config:
        text = f"the agent is {status.name!r} on {status.ifname}, the configuration is for {subject.node.name!r}"
        return [warning(f"{text} on {subject.config.wg_dev_name}", "give the configuration of that agent with -c")]
    return [agent_finding(status)]


def agent_finding(status: StatusView) -> Finding:
    """Return what an agent's state says."""
    if status.state is AgentState.READY:
        return ok(f"the agent is ready: {status.accepted} peers, revision {status.revision}")
    why = status.device_failure or status.nats.failure or "it has not got further yet"
    judge = error if status.state is AgentState.DEGRADED else warning
    return judge(f"the agent is {status.state.value}: {why}", status.device_hint or "see the findings below")


async def _privileges(subject: Subject) -> Iterable[Finding]:
    if not uses_host(subject):
        return [skipped(NO_HOST_DEVICE)]
    if may_configure_networks():
        return []
    text = "this process may not configure networks (CAP_NET_ADMIN)"
    return [skipped(f"{text}; the agent runs all the same")] if subject.status else [error(text, CAPABILITY_FIX)]


async def _programs(subject: Subject) -> Iterable[Finding]:
    if subject.config.backend != "wgtool":
        return [skipped(f"the backend {subject.config.backend} runs no programs that are known here")]
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    return [error(f"the program {name} is not installed", f"install the package {PROGRAMS[name]}") for name in missing]


async def _wireguard(subject: Subject) -> Iterable[Finding]:
    if not uses_host(subject):
        return [skipped(NO_HOST_DEVICE)]
    if subject.status and subject.status.device:
        return [ok(f"{subject.status.ifname} is a WireGuard device")]
    userspace = shutil.which("wireguard-go") is not None
    return [wireguard_finding(subject.config.backend, kernel_has_wireguard(), userspace, can_open(TUN))]


def wireguard_finding(backend: str, kernel: bool, userspace: bool, tun: bool) -> Finding:
    """Return whether a backend finds a WireGuard: the kernel's, or one in userspace that needs /dev/net/tun."""
    if kernel:
        return ok("the kernel has WireGuard")
    if backend == "netlink":
        return error("this kernel has no WireGuard", WIREGUARD_FIX)
    if not userspace:
        return error("there is no WireGuard: neither in the kernel nor the program wireguard-go", WIREGUARD_FIX)
    if not tun:
        fix = f"load the kernel module tun, or give the container access to {TUN}"
        return error(f"wireguard-go needs {TUN}, which can't be opened", fix)
    return ok("wireguard-go is installed (this kernel has no WireGuard)")


async def _ipv6(subject: Subject) -> Iterable[Finding]:
    if not uses_host(subject) or subject.config.netns:
        return [skipped("the device is not in this network namespace")]
    return ipv6_findings(subject.config)


def ipv6_findings(config: Config, root: Path = ROOT) -> list[Finding]:
    """Return whether the kernel gives a new device an IPv6 address, if the mesh has such addresses."""
    if config.mesh.bits == 32:
        return [ok("the mesh has IPv4 addresses")]
    if not (root / "proc/sys/net/ipv6").is_dir():
        return [error("this kernel has no IPv6, and the mesh has IPv6 addresses", "boot without ipv6.disable=1")]
    off = [name for name in ("all", "default") if sysctl(f"net/ipv6/conf/{name}/disable_ipv6", root) == "1"]
    if not off:
        return []
    fix = "sysctl " + " ".join(f"net.ipv6.conf.{name}.disable_ipv6=0" for name in off)
    return [error("IPv6 is disabled, and the mesh has IPv6 addresses", fix)]


async def _forwarding(subject: Subject) -> Iterable[Finding]:
    if not uses_host(subject) or subject.config.netns:
        return [skipped("the device is not in this network namespace")]
    return forwarding_findings(subject.config)


def forwarding_findings(config: Config, root: Path = ROOT) -> list[Finding]:
    """Return whether guests in this node's subnet are reached, and whether replies to marked packets are dropped."""
    family, name = (4, "net/ipv4/ip_forward") if config.mesh.bits == 32 else (6, "net/ipv6/conf/all/forwarding")
    strict = "1" in (sysctl(f"net/ipv4/conf/{each}/rp_filter", root) for each in ("all", "default"))
    found = []
    if config.fwmark and strict and sysctl("net/ipv4/conf/all/src_valid_mark", root) == "0":
        text = "rp_filter is strict: with fwmark, the kernel may drop the answers of peers"
        found.append(warning(text, "sysctl net.ipv4.conf.all.src_valid_mark=1"))
    if sysctl(name, root) == "0" and config.subnet_prefix < config.mesh.bits:
        text = f"IPv{family} forwarding is off: peers reach this host, and no guests in its subnet"
        found.append(ok(f"{text} (for guests: sysctl {name.replace('/', '.')}=1)"))
    return found


async def _state_dir(subject: Subject) -> Iterable[Finding]:
    return [state_dir_finding(subject.config.state_path())]


def state_dir_finding(path: Path) -> Finding:
    """Return whether the state directory can be written, or made. Root may write anywhere but on a read-only disk."""
    present = present_part(path)
    if not present.is_dir():
        return error(f"{present} is not a directory, so there is no place for the state", "remove it, or set state_dir")
    if not os.access(present, os.W_OK | os.X_OK, effective_ids=True):
        text = f"{path} can't be written: after a reboot without NATS the node would have no peers and no address"
        return error(text, "let the agent's user write there, or set state_dir; check that the disk is not read-only")
    return ok(f"{path} can be written")


def present_part(path: Path) -> Path:
    """Return the path, or the nearest directory or file above it that this process sees."""
    return next(each for each in (path, *path.parents) if _is_there(each))


def _is_there(path: Path) -> bool:
    """Return whether this process sees a file or directory at a path."""
    try:
        return path.exists()
    except OSError:  # it may not look into the directory above
        return False


async def _networkd(_: Subject) -> Iterable[Finding]:
    return networkd_findings()


def networkd_findings(root: Path = ROOT) -> list[Finding]:
    """Return whether systemd-networkd, if it runs, leaves the routes of others alone."""
    if not (root / "run/systemd/netif/state").exists():
        return [ok("systemd-networkd does not run")]
    places = ("etc/systemd", "run/systemd", "usr/lib/systemd")
    files = [file for place in places for file in sorted((root / place).glob("networkd.conf*/*.conf"))]
    files += [root / place / "networkd.conf" for place in places]
    lines = {line.replace(" ", "").lower() for file in files for line in text_of(file).splitlines()}
    if lines & {f"manageforeignroutes={no}" for no in ("no", "false", "0", "off")}:
        return []
    return [warning("systemd-networkd removes routes that it did not make, also those into the mesh", NETWORKD_FIX)]


HOST_CHECKS = tuple(
    Check(category=Category.HOST, name=name, summary=summary, run=run, before_start=run is not _agent)
    for name, summary, run in (
        ("agent", "the agent is ready", _agent),
        ("privileges", "networks may be configured", _privileges),
        ("programs", "the programs wg and ip are installed", _programs),
        ("wireguard", "there is a WireGuard", _wireguard),
        ("ipv6", "IPv6 is enabled", _ipv6),
        ("forwarding", "forwarding is on, and answers are not dropped", _forwarding),
        ("state-directory", "the state can be saved", _state_dir),
        ("networkd", "systemd-networkd leaves the routes of others alone", _networkd),
    )
)
