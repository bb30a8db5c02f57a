"""The demo's output: a table that fills while the mesh forms, a summary, and a matrix of round-trip times."""

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from ikto_core.admin.views import StatusView
from ikto_core.demo.pings import ANSWERS, Pair, RoundTrips


def progress(
    names: Sequence[str], statuses: Sequence[StatusView | None], missing: Sequence[Pair] | None = None
) -> Table:
    """Return the table of a mesh that is forming: one row per node.

    Args:
        names: The nodes.
        statuses: Their statuses; None for one that does not answer yet.
        missing: The pairs that have had no answer over the mesh yet; None: it carries no packets.

    """
    table = Table("node", "state", "subnet", "peers", "device revision", title="Mesh forming")
    if missing is not None:
        table.add_column("answers")
    for name, status in zip(names, statuses, strict=True):
        if status is None:
            table.add_row(escape(name), "starting")
            continue
        table.add_row(
            escape(name),
            status.state.value,
            status.allowed_ip or "",
            f"{len(status.device.peers) if status.device else 0} of {len(names) - 1}",
            f"{status.revision if status.revision is not None else '-'} of {status.bucket_revision}",
            *(() if missing is None else (_answers(name, len(names) - 1, missing),)),
        )
    return table


def _answers(name: str, others: int, missing: Sequence[Pair]) -> str:
    return f"{others - sum(source == name for source, _ in missing)} of {others}"


def summary(statuses: Sequence[StatusView], took_s: float, server: str) -> RenderableType:
    """Return the summary of a mesh that has converged.

    Args:
        statuses: The status of every node.
        took_s: Seconds from the first record in the bucket until the mesh had converged.
        server: URL of the nats-server.

    """
    table = Table(title="The mesh")
    for heading in ("node", "address", "subnet", "peers", "revision"):
        table.add_column(heading, no_wrap=True)
    for status in statuses:
        peers = len(status.device.peers) if status.device else 0
        table.add_row(
            escape(status.name),
            status.private_address,
            status.allowed_ip,
            f"{peers} of {len(statuses) - 1}",
            f"{status.revision} of {status.bucket_revision}",
        )
    return Group(
        table,
        f"{len(statuses)} nodes converged {took_s:.2f} s after the first claim, at revision {statuses[0].revision} "
        f"of the bucket on {server}.",
    )


def first_answer_matrix(names: Sequence[str], found: Mapping[Pair, float]) -> Table:
    """Return the table of first answers, in seconds: when each row's node had one from each column's."""
    cells = {pair: f"{time_s:.2f}" for pair, time_s in found.items()}
    return _matrix("First answers: s after both records", names, cells)


def round_trip_matrix(names: Sequence[str], found: RoundTrips) -> Table:
    """Return the table of the round trips known so far, from each row's node to each column's."""
    cells = {pair: "[bold red]lost[/]" if time is None else f"{time:.2f}" for pair, time in found.items()}
    return _matrix(f"Round trips: ms, median of {ANSWERS}", names, cells)


def _matrix(title: str, names: Sequence[str], cells: Mapping[Pair, str]) -> Table:
    table = Table("from \\ to", title=title)
    for name in names:
        table.add_column(escape(name), justify="right", no_wrap=True)
    for source in names:
        row = ("-" if source == target else cells.get((source, target), "") for target in names)
        table.add_row(escape(source), *row)
    return table


def console(nodes: int = 0) -> Console:
    """Return a console on stdout, wide enough for a matrix of `nodes` nodes; it uses colour only on a terminal."""
    wide = Console(highlight=False)
    wide.width = max(wide.width, 14 + 12 * nodes)
    return wide
