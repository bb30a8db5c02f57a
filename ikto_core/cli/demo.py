"""`ikto demo`: watch a mesh form on this machine."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, getsignal, signal
from threading import Event

import click
from rich.live import Live

from ikto_core.admin.views import StatusView
from ikto_core.cli.logs import log_to_stderr
from ikto_core.demo.capabilities import BACKENDS, choose
from ikto_core.demo.capabilities import look as look_at_machine
from ikto_core.demo.commands import ikto, look_around
from ikto_core.demo.leftovers import remove_leftovers
from ikto_core.demo.mesh import first_claim, look, running_mesh
from ikto_core.demo.pings import Pair, ping, rounds
from ikto_core.demo.screen import console, matrix, progress, summary
from ikto_core.errors import IktoError
from ikto_core.lab.hosted import HostedMesh, converged

LOOK_EVERY_S = 0.05


@click.command()
@click.option("--nodes", type=click.IntRange(1, 100), default=3, show_default=True, help="How many agents.")
@click.option("--timeout", type=click.IntRange(1), default=60, show_default=True, help="Seconds until it has failed.")
@click.option("--backend", type=click.Choice(BACKENDS), help="Default: the first of these that works here.")
@click.option("--keep", is_flag=True, help="Keep it running until Ctrl-C, and say how to look around.")
def demo(nodes: int, timeout: int, backend: str | None, *, keep: bool) -> None:
    """Start a nats-server and some agents, and show how they become a mesh.

    As root the tunnels are real: each node runs on a host of its own (a network namespace), and pings every other one
    over the mesh. Otherwise everything runs on this machine's loopback interface, without packets. Nothing else of this
    machine is touched, and all is gone afterwards. Exits with 0 if and only if every device came to show every peer,
    and every ping was answered.
    """
    log_to_stderr("error", as_json=False)
    stop = _told_to_stop()
    if left := remove_leftovers():
        click.echo(f"Removed what a killed demo had left: {', '.join(left)}")
    capabilities = choose(look_at_machine(), backend)
    click.echo(capabilities.said)
    with _unless_stopped(stop), running_mesh(nodes, capabilities.backend) as mesh:
        statuses = _watch(mesh, time.monotonic() + timeout, stop)
        took_s = time.time() - first_claim(mesh)
        console().print(summary(statuses, took_s, mesh.server.url))
        lost = _ping(mesh, statuses, stop) if capabilities.real else []
        if keep:
            _keep(mesh, stop)
        else:
            click.echo(f"To look around, keep it running: {ikto()} demo --keep")
    if lost:
        raise IktoError(f"lost pings: {', '.join(lost)}", hint="demo --keep lets you look why")


def _told_to_stop() -> Event:
    """Return what is set when we are told to stop: at any moment, heeded where nothing is half started."""
    stop = Event()
    for number in (SIGTERM, SIGINT, SIGHUP):
        if number != SIGHUP or getsignal(SIGHUP) != SIG_IGN:  # ignored: nohup
            signal(number, lambda *_: stop.set())
    return stop


@contextmanager
def _unless_stopped(stop: Event) -> Iterator[None]:
    """Take what goes wrong once we are told to stop for that: Ctrl-C also reaches what we have only just started."""
    try:
        yield
    except IktoError:
        if stop.is_set():
            raise KeyboardInterrupt from None
        raise


def _watch(mesh: HostedMesh, deadline: float, stop: Event) -> list[StatusView]:
    """Show the mesh until it has converged. Raises IktoError at the deadline, KeyboardInterrupt when told to stop."""
    names = [node.agent.name for node in mesh.nodes]
    statuses = look(mesh)
    with Live(progress(names, statuses), console=console(), refresh_per_second=20, transient=True) as live:
        while not converged(statuses):
            if time.monotonic() > deadline:
                raise IktoError("the mesh did not converge in time", hint=_laggards(names, statuses))
            if stop.wait(LOOK_EVERY_S):
                raise KeyboardInterrupt
            statuses = look(mesh)
            live.update(progress(names, statuses))
    return [status for status in statuses if status is not None]


def _laggards(names: Sequence[str], statuses: Sequence[StatusView | None]) -> str:
    pairs = zip(names, statuses, strict=True)
    return ", ".join(f"{name}: {status.state.value if status else 'no answer'}" for name, status in pairs)


def _ping(mesh: HostedMesh, statuses: Sequence[StatusView], stop: Event) -> list[str]:
    """Show the matrix while it fills, and return the pairs whose pings were lost. Raises KeyboardInterrupt as above."""
    hosts = {node.agent.name: node.host for node in mesh.nodes}
    addresses = {status.name: status.private_address or "" for status in statuses}
    names, found = list(hosts), dict[Pair, float | None]()
    shown = console(len(names))
    with Live(matrix(names, found), console=shown, refresh_per_second=20, transient=True) as live:
        for pairs in rounds(names):
            times = ping([(hosts[source], addresses[target]) for source, target in pairs], stop)
            found |= dict(zip(pairs, times, strict=True))
            live.update(matrix(names, found))
    shown.print(matrix(names, found))
    return [f"{source} to {target}" for (source, target), time_ms in sorted(found.items()) if time_ms is None]


def _keep(mesh: HostedMesh, stop: Event) -> None:
    click.echo("It keeps running. To look around, from another terminal:")
    for command in look_around(mesh.nodes):
        click.echo(f"  {command}")
    click.echo("Ctrl-C ends it and removes everything.")
    stop.wait()
