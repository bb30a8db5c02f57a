"""`ikto ping`: ping a peer over the tunnel and beside it."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_INET6

import click
import msgspec

from ikto_core.admin.why_views import Cause, Diagnosis, TunnelPath, Verdict
from ikto_core.cli.examples import examples
from ikto_core.cli.exit_codes import NOT_REACHABLE
from ikto_core.cli.formatting import json_text
from ikto_core.cli.options import json_option, not_empty, socket_option
from ikto_core.cli.why import ask, config_of_node, exit_code
from ikto_core.underlay.echo import Echo, Way, echo, largest_answered
from ikto_core.underlay.inspection import SMALLEST_MTU
from ikto_core.underlay.namespaces import call_within
from ikto_core.underlay.routes import Target, route_to
from ikto_core.values.addressing import Endpoint
from ikto_core.values.text import printable

INTERVAL_S, TIMEOUT_S = 0.3, 1.0
MOST_PINGS = 1000
SMALLEST_PATH_MTU = {AF_INET: 576, AF_INET6: SMALLEST_MTU}  # RFC 791, RFC 8200


class PingView(msgspec.Struct, frozen=True, kw_only=True):
    """What the pings to one address met."""

    to: str  # the address in the mesh, or the endpoint
    by: str  # the interface, or this host's source address; empty: unknown
    method: str = ""  # ICMP or UDP; empty: nothing could be sent
    sent: int = 0
    round_trips_s: tuple[float, ...] = ()  # of the answered ones
    path_mtu: int | None = None  # the largest packet that is answered, in bytes; null: unknown
    failure: str = ""  # why nothing could be sent, or was checked; empty: it was


class PingsView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `ikto ping --json`."""

    target: str
    peer: str
    tunnel: PingView
    underlay: PingView
    verdict: Verdict


@click.command(epilog=examples("ikto ping node-b"))
@click.argument("target", metavar="PEER", callback=not_empty)
@socket_option
@config_of_node
@click.option("--count", type=click.IntRange(1, MOST_PINGS), default=5, show_default=True, help="Pings to send.")
@json_option
def ping(target: str, socket: Path | None, config_path: Path | None, *, count: int, as_json: bool) -> int:
    """Ping a peer over the tunnel and beside it: round trips, path MTU, and what is wrong if there is no answer.

    PEER is what `ikto why` takes. Over the tunnel, packets leave by the WireGuard device only; beside it they go to the
    endpoint in use. ICMP needs this user's group in net.ipv4.ping_group_range, or CAP_NET_RAW; without either, a
    datagram to a closed port is sent, which the peer's host refuses.

    Exit code 0: the tunnel answers, 22: it does not, 23: it could not be determined.
    """
    found = ask(target, socket, config_path, probe=False)
    if found.path is None:
        nothing = PingView(to="", by="", failure=found.verdict.cause.value)
        result = PingsView(target=target, peer=found.peer, tunnel=nothing, underlay=nothing, verdict=found.verdict)
        return _report(result, as_json=as_json)
    say: Callable[[str], None] = (lambda _: None) if as_json else lambda line: click.echo(printable(line))
    say(f"{found.peer or target}: {found.path.address} by {found.path.ifname}, endpoint {found.path.endpoint}")
    tunnel = over_tunnel(found.path, count, say)
    underlay = beside_tunnel(found.path, count, say)
    if tunnel.round_trips_s and tunnel.path_mtu == found.path.mtu:
        verdict = _answered(found, tunnel)
    else:
        say("looking for the reason, which may take half a minute")
        verdict = ask(target, socket, config_path, probe=True).verdict
    result = PingsView(target=target, peer=found.peer, tunnel=tunnel, underlay=underlay, verdict=verdict)
    return _report(result, as_json=as_json)


def over_tunnel(path: TunnelPath, count: int, say: Callable[[str], None]) -> PingView:
    """Ping a peer's address in the mesh through the device."""
    if path.address is None:
        return PingView(to="", by=path.ifname, failure="the peer's address in the mesh is not known")
    view = PingView(to=path.address, by=path.ifname)
    way = Way(ifname=path.ifname, source=path.source or "")
    try:
        return call_within(path.netns, partial(_pinged, view, path.address, way, count, path.mtu or 0, "tunnel", say))
    except OSError as error:
        return msgspec.structs.replace(view, failure=f"the network namespace {path.netns}: {error.strerror or error}")


def beside_tunnel(path: TunnelPath, count: int, say: Callable[[str], None]) -> PingView:
    """Ping the host of the endpoint in use, on the underlay."""
    if path.endpoint is None:
        return PingView(to="", by="", failure="the peer has no endpoint")
    endpoint = Endpoint.parse(path.endpoint)
    family = AF_INET6 if ":" in endpoint.host else AF_INET
    route = route_to(Target(path.endpoint, family, tuple(endpoint)), path.fwmark)
    if route.source is None:
        return PingView(to=path.endpoint, by="", failure=f"this host has no route to {endpoint.host}")
    view, way = PingView(to=path.endpoint, by=str(route.source)), Way(fwmark=path.fwmark)
    return _pinged(view, endpoint.host, way, count, route.mtu, "underlay", say)


def _pinged(  # noqa: PLR0917 - a partial of it is called
    view: PingView, address: str, way: Way, count: int, mtu: int, name: str, say: Callable[[str], None]
) -> PingView:
    answers: list[Echo] = []
    for number in range(1, count + 1):
        answers.append(answer := echo(address, way=way, timeout_s=TIMEOUT_S))
        met = answer.failure or ("no answer" if answer.rtt_s is None else f"{answer.rtt_s * 1000:.2f} ms")
        say(f"{name:8}  {number:3}  {met}")
        if answer.failure:
            break
        time.sleep(INTERVAL_S if number < count else 0)
    round_trips = tuple(one.rtt_s for one in answers if one.rtt_s is not None)
    return msgspec.structs.replace(
        view,
        method=answers[-1].method,
        sent=sum(not one.failure for one in answers),
        round_trips_s=round_trips,
        path_mtu=path_mtu(address, way, mtu, max(round_trips)) if round_trips and mtu else None,
        failure=answers[-1].failure,
    )


def path_mtu(address: str, way: Way, mtu: int, round_trip_s: float) -> int | None:
    """Return the largest packet up to `mtu` bytes that an address answers; None: not even the smallest allowed one."""
    timeout_s = max(0.25, 4 * round_trip_s)
    if any(echo(address, way=way, size=mtu, timeout_s=timeout_s).rtt_s is not None for _ in range(2)):
        return mtu
    low = min(SMALLEST_PATH_MTU[AF_INET6 if ":" in address else AF_INET], mtu)
    return largest_answered(address, way=way, low=low, high=mtu, timeout_s=timeout_s)


def _answered(found: Diagnosis, tunnel: PingView) -> Verdict:
    """Return the verdict on a tunnel that answers; what else is wrong on the way stays."""
    if found.verdict.cause not in {Cause.NONE, Cause.UNCERTAIN}:
        return found.verdict
    answered = f"{len(tunnel.round_trips_s)} of {tunnel.sent} pings through the tunnel were answered"
    sentence = f"{found.peer or found.target} is reachable: {answered}."
    return Verdict(reachable=True, cause=Cause.NONE, sentence=sentence)


def _report(result: PingsView, *, as_json: bool) -> int:
    click.echo(json_text(result) if as_json else "\n".join(map(printable, _summary(result))))
    if result.tunnel.round_trips_s:
        return 0
    code = exit_code(result.verdict)
    return code or (NOT_REACHABLE if result.tunnel.sent else 0)


def _summary(result: PingsView) -> Iterator[str]:
    if result.tunnel.to:
        yield ""  # after the lines of the pings
    for name, view in (("tunnel", result.tunnel), ("underlay", result.underlay)):
        yield f"{name:8}  {_figures(view)}"
    yield result.verdict.sentence


def _figures(view: PingView) -> str:
    if view.failure:
        return f"not checked: {view.failure}"
    if not view.round_trips_s:
        return f"{view.sent} sent by {view.method} to {view.to}, none answered"
    trips = [1000 * seconds for seconds in view.round_trips_s]
    mtu = "unknown" if view.path_mtu is None else str(view.path_mtu)
    return (
        f"{view.sent} sent by {view.method} to {view.to}, {len(trips)} answered, round trip "
        f"{min(trips):.2f}/{sum(trips) / len(trips):.2f}/{max(trips):.2f} ms, path MTU {mtu}"
    )
