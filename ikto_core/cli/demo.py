"""`ikto demo`: watch a mesh form on this machine."""

import time
from signal import SIGINT, SIGTERM, signal
from threading import Event

import click
from rich.live import Live

from ikto_core.admin.views import StatusView
from ikto_core.cli.logs import log_to_stderr
from ikto_core.demo.mesh import DemoMesh, converged, running_mesh
from ikto_core.demo.screen import console, progress, summary
from ikto_core.errors import IktoError

LOOK_EVERY_S = 0.05


@click.command()
@click.option("--nodes", type=click.IntRange(1, 100), default=3, show_default=True, help="How many agents.")
@click.option("--timeout", type=click.IntRange(1), default=60, show_default=True, help="Seconds until it has failed.")
def demo(nodes: int, timeout: int) -> None:
    """Start a nats-server and some agents, and show how they become a mesh.

    Everything runs on this machine's loopback interface, in a temporary directory, and is gone afterwards. Exits with 0
    if and only if every device came to show every peer.
    """
    log_to_stderr("error", as_json=False)
    stop = Event()  # asked for at any moment, heeded where nothing is half started
    for number in (SIGTERM, SIGINT):
        signal(number, lambda *_: stop.set())
    with running_mesh(nodes, "fake") as mesh:
        statuses = _watch(mesh, time.monotonic() + timeout, stop)
        converged_at = time.time()
        took_s = converged_at - mesh.first_claim()
        console().print(summary(statuses, took_s, mesh.server.url))


def _watch(mesh: DemoMesh, deadline: float, stop: Event) -> list[StatusView]:
    """Show the mesh until it has converged. Raises IktoError at the deadline, KeyboardInterrupt when told to stop."""
    names = [agent.name for agent in mesh.agents]
    statuses = mesh.look()
    with Live(progress(names, statuses), console=console(), refresh_per_second=20, transient=True) as live:
        while not converged(statuses):
            if time.monotonic() > deadline:
                raise IktoError("the mesh did not converge in time", hint=_laggards(mesh, statuses))
            if stop.wait(LOOK_EVERY_S):
                raise KeyboardInterrupt
            statuses = mesh.look()
            live.update(progress(names, statuses))
    return [status for status in statuses if status is not None]


def _laggards(mesh: DemoMesh, statuses: list[StatusView | None]) -> str:
    pairs = zip(mesh.agents, statuses, strict=True)
    return ", ".join(f"{agent.name}: {status.state.value if status else 'no answer'}" for agent, status in pairs)
