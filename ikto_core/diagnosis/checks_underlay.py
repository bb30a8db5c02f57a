"""Checks of the network beside the mesh: addresses, routes, MTU, and NATS inside the mesh."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from ikto_core.diagnosis.checks import Category, Check, error, ok, skipped, warning
from ikto_core.diagnosis.host_facts import HostRoute, routes
from ikto_core.diagnosis.nats_inside import servers_inside
from ikto_core.diagnosis.subject import Subject
from ikto_core.errors import ConfigError
from ikto_core.plugins.check_contract import Finding
from ikto_core.store.inside_mesh import INSIDE_HINT
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.underlay.paths import MIN_MTU, OVERHEAD
from ikto_core.underlay.routes import has_address
from ikto_core.values.addressing import Prefix

MOST_NAMED = 5
"""So many routes, peers or records are named; the number of the others follows."""


async def _underlay(subject: Subject) -> UnderlayMonitor:
    """Return what an agent finds. Raises ConfigError if it finds no address to advertise."""
    config = subject.config
    monitor = UnderlayMonitor(config.advertised, config.mesh, config.wg_dev_name, fwmark=config.fwmark)
    await monitor.connected(config.nats_servers[0], keep_trying=False)
    return monitor


async def _address(subject: Subject) -> Iterable[Finding]:
    configured = subject.config.advertised
    if configured:
        return [configured_address_finding(configured, is_here=has_address(configured))]
    return [ok(f"peers are told to reach this node at {', '.join((await _underlay(subject)).found.addresses)}")]


def configured_address_finding(address: str, *, is_here: bool) -> Finding:
    """Return whether the configured address is one of this host, or may be that of a NAT before it."""
    if is_here:
        return ok(f"peers are told to reach this node at {address}")
    if ip_address(address).is_loopback:
        return error(f"advertise_address {address} is a loopback address", 'set it to "auto"')
    text = f"advertise_address {address} is not an address of this host"
    return warning(text, "forward the UDP port wg_port to this host, if a NAT has the address; or correct it")


async def _mtu(subject: Subject) -> Iterable[Finding]:
    try:
        found = (await _underlay(subject)).found.mtu
    except ConfigError as raised:
        return [skipped(f"no path to peers is known: {raised}")]
    device = subject.status.device if subject.status else None
    return [mtu_finding(found, device.mtu if device else subject.config.device_mtu)]


def mtu_finding(path: int | None, device: int | None) -> Finding:
    """Return whether packets of the device fit into the path to peers.

    Args:
        path: The MTU that the device may have, in bytes; None: no path is known.
        device: The MTU that the device has or will have; None: that of the path.

    """
    if path is None:
        return skipped("no path to peers is known")
    if device and device > path:
        text = f"the device's MTU of {device} is above {path}, the MTU of the path to peers minus {OVERHEAD}"
        return warning(f"{text}: large packets are fragmented or lost", 'set mtu to "auto"')
    if path == MIN_MTU:
        text = f"the MTU of the path to peers leaves {MIN_MTU} bytes or less for the device"
        return warning(f"{text}: large packets may be fragmented", f"raise the MTU of the link to {MIN_MTU + OVERHEAD}")
    return ok(f"the device's MTU of {device or path} fits the path to peers")


async def _routes(subject: Subject) -> Iterable[Finding]:
    if subject.config.netns:
        return [skipped("the device is not in this network namespace")]
    status = subject.status
    own = Prefix.parse(status.allowed_ip) if status and status.allowed_ip else subject.config.subnet
    return route_findings(routes(), subject.config.mesh, subject.config.wg_dev_name, own)


def route_findings(found: Sequence[HostRoute], mesh: Prefix, ifname: str, own: Prefix | None) -> list[Finding]:
    """Return the routes that take packets for peers elsewhere: inside the mesh, outside of this node's subnet `own`."""
    others = [
        route
        for route in found
        if route.ifname not in (ifname, "lo") and mesh.covers(route.prefix) and not (own and own.covers(route.prefix))
    ]
    named = [
        error(
            f"packets to {route.prefix}, inside the mesh {mesh}, leave by {route.ifname}",
            f"remove that route (ip route show dev {route.ifname}), or give the mesh another mesh_cidr",
        )
        for route in others[:MOST_NAMED]
    ]
    return named + ([error(f"…and {len(others) - MOST_NAMED} more routes")] if len(others) > MOST_NAMED else [])


async def _nats_outside(subject: Subject) -> Iterable[Finding]:
    config = subject.config
    return [warning(text, INSIDE_HINT) for text in await servers_inside(config.nats_servers, config.mesh)]


UNDERLAY_CHECKS = tuple(
    Check(category=Category.UNDERLAY, name=name, summary=summary, run=run)
    for name, summary, run in (
        ("address", "there is an address at which peers reach this node", _address),
        ("mtu", "packets fit the path to peers", _mtu),
        ("routes", "no other route takes packets for peers elsewhere", _routes),
        ("nats-outside", "NATS is reached without the mesh", _nats_outside),
    )
)
