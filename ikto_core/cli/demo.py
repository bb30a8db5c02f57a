"""`ikto demo`: form a mesh on this machine and show its progress."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, getsignal, signal
from threading import Event

import click
from rich.live import Live

from ikto_core.admin.views import StatusView
from ikto_core.cli.examples import examples
from ikto_core.cli.logs import log_to_stderr
from ikto_core.demo.answers import FirstAnswers, first_answers
from ikto_core.demo.capabilities import BACKENDS, Capabilities, choose, probe_machine
from ikto_core.demo.commands import example_commands, ikto
from ikto_core.demo.leftovers import remove_leftovers
from ikto_core.demo.mesh import read_statuses, running_mesh
from ikto_core.demo.pings import Pair, ping, rounds
from ikto_core.demo.screen import console, first_answer_matrix, progress, round_trip_matrix, summary
from ikto_core.errors import IktoError
from ikto_core.lab.hosted import HostedMesh, converged

POLL_EVERY_S = 0.05


@click.command(
    epilog=examples(
        "ikto demo",
        "ikto demo --nodes 5 --keep",
    )
)
@click.option("--nodes", type=click.IntRange(1, 100), default=3, show_default=True, help="Number of agents.")
@click.option("--timeout", type=click.IntRange(1), default=60, show_default=True, help="Seconds to wait for the mesh.")
@click.option("--backend", type=click.Choice(BACKENDS), help="Default: the first of these that works on this machine.")
@click.option("--keep", is_flag=True, help="Keep the mesh running until Ctrl-C, and print commands to try.")
def demo(nodes: int, timeout: int, backend: str | None, *, keep: bool) -> None:
    """Start a nats-server and some agents, and show how they form a mesh.

    As root the tunnels are real: each node runs in its own network namespace, and pings every other node over the
    mesh. Without root, everything runs on this machine's loopback interface and no packets are sent. Nothing else on
    this machine is changed, and everything is removed afterwards. Exits with 0 only if every device has every peer,
    every node has had an answer from every other, and every ping was answered.
    """
    log_to_stderr("error", as_json=False)
    stop = _stop_on_signals()
    if removed := remove_leftovers():
        click.echo(f"Removed leftovers of a killed demo: {', '.join(removed)}")
    capabilities = choose(probe_machine(), backend)
    click.echo(capabilities.summary)
    with _unless_stopped(stop), running_mesh(nodes, capabilities.backend) as mesh:
        statuses = _converge(mesh, capabilities, time.monotonic() + timeout, stop)
        lost = _ping(mesh, statuses, stop) if capabilities.real else []
        if keep:
            _keep_running(mesh, stop)
        else:
            click.echo(f"To keep the mesh running and try commands on it: {ikto()} demo --keep")
    if lost:
        raise IktoError(f"lost pings: {_listed(lost)}", hint="use demo --keep to investigate")


def _stop_on_signals() -> Event:
    """Return an event that SIGTERM, SIGINT and SIGHUP set. It is checked only where no process is half started."""
    stop = Event()
    for number in (SIGTERM, SIGINT, SIGHUP):
        if number != SIGHUP or getsignal(SIGHUP) != SIG_IGN:  # under nohup it stays ignored
            signal(number, lambda *_: stop.set())
    return stop


@contextmanager
def _unless_stopped(stop: Event) -> Iterator[None]:
    """Turn an IktoError after `stop` is set into KeyboardInterrupt: Ctrl-C also ends processes that are starting."""
    try:
        yield
    except IktoError:
        if stop.is_set():
            raise KeyboardInterrupt from None
        raise


def _converge(mesh: HostedMesh, capabilities: Capabilities, deadline: float, stop: Event) -> list[StatusView]:
    """Watch the mesh until it has converged, and show what it is then and how long it took."""
    with first_answers(mesh) if capabilities.real else nullcontext() as answers:
        statuses = _watch(mesh, answers, deadline, stop)
        ended, stored = answers.last if answers else time.time(), mesh.record_times()
        console().print(summary(statuses, ended - min(stored.values()), mesh.server.url))
        if answers and len(statuses) > 1:
            names = [status.name for status in statuses]
            shown = first_answer_matrix(names, answers.since_records(statuses, stored))
            console(len(names)).print(shown)
    return statuses


def _watch(mesh: HostedMesh, answers: FirstAnswers | None, deadline: float, stop: Event) -> list[StatusView]:
    """Show the mesh until it has converged: each device has every peer and, with tunnels, each pair had an answer.

    Raises IktoError at the deadline, KeyboardInterrupt if `stop` is set.
    """
    names = [node.agent.name for node in mesh.nodes]
    with Live(console=console(), refresh_per_second=20, transient=True) as live:
        while True:
            statuses = read_statuses(mesh)
            if answers:
                answers.ask(statuses)
            missing = answers.missing if answers else None
            live.update(progress(names, statuses, missing))
            if converged(statuses) and not missing:
                return [status for status in statuses if status is not None]
            if time.monotonic() > deadline:
                raise IktoError("the mesh did not converge in time", hint=_laggards(names, statuses, missing or ()))
            if stop.wait(POLL_EVERY_S):
                raise KeyboardInterrupt


def _laggards(names: Sequence[str], statuses: Sequence[StatusView | None], missing: Sequence[Pair]) -> str:
    pairs = zip(names, statuses, strict=True)
    states = [f"{name}: {status.state.value if status else 'no answer'}" for name, status in pairs]
    return "; ".join([", ".join(states), *([f"no answer: {_listed(missing)}"] if missing else [])])


def _listed(pairs: Sequence[Pair]) -> str:
    return ", ".join(f"{source} to {target}" for source, target in pairs)


def _ping(mesh: HostedMesh, statuses: Sequence[StatusView], stop: Event) -> list[Pair]:
    """Show the matrix while it fills, and return the pairs whose pings were lost.

    Raises KeyboardInterrupt if `stop` is set.
    """
    hosts = {node.agent.name: node.host for node in mesh.nodes}
    addresses = {status.name: status.private_address or "" for status in statuses}
    names, found = list(hosts), dict[Pair, float | None]()
    shown = console(len(names))
    with Live(round_trip_matrix(names, found), console=shown, refresh_per_second=20, transient=True) as live:
        for pairs in rounds(names):
            times = ping([(hosts[source], addresses[target]) for source, target in pairs], stop)
            found |= dict(zip(pairs, times, strict=True))
            live.update(round_trip_matrix(names, found))
    shown.print(round_trip_matrix(names, found))
    return [pair for pair, time_ms in sorted(found.items()) if time_ms is None]


def _keep_running(mesh: HostedMesh, stop: Event) -> None:
    click.echo("The mesh keeps running. Commands to try from another terminal:")
    for command in example_commands(mesh.nodes):
        click.echo(f"  {command}")
    click.echo("Press Ctrl-C to stop it and remove everything.")
    stop.wait()
