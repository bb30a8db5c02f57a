"""The demo's output: a table that fills while the mesh forms, a summary, and a matrix of round-trip times."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from ikto_core.admin.views import StatusView
from ikto_core.demo.pings import ANSWERS, RoundTrips


def progress(names: Sequence[str], statuses: Sequence[StatusView | None]) -> Table:
    """Return the table of a mesh that is forming: one row per node."""
    table = Table("node", "state", "subnet", "peers", "device revision", title="Mesh forming")
    for name, status in zip(names, statuses, strict=True):
        if status is None:
            table.add_row(escape(name), "starting", "", "", "")
            continue
        table.add_row(
            escape(name),
            status.state.value,
            status.allowed_ip or "",
            f"{len(status.device.peers) if status.device else 0} of {len(names) - 1}",
            f"{status.revision if status.revision is not None else '-'} of {status.bucket_revision}",
        )
    return table


def summary(statuses: Sequence[StatusView], took_s: float, server: str) -> RenderableType:
    """Return the summary of a mesh that has converged.

    Args:
        statuses: The status of every node.
        took_s: Seconds from the first record in the bucket until every device had every peer.
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


def matrix(names: Sequence[str], found: RoundTrips) -> Table:
    """Return the table of the round-trip times known so far, from each row's node to each column's."""
    table = Table("from \\ to", title=f"Round trips over the mesh: ms, best of {ANSWERS}")
    for name in names:
        table.add_column(escape(name), justify="right", no_wrap=True)
    for source in names:
        table.add_row(escape(source), *(_cell(source, target, found) for target in names))
    return table


def _cell(source: str, target: str, found: RoundTrips) -> str:
    if source == target:
        return "-"
    if (source, target) not in found:
        return ""
    time_ms = found[source, target]
    return "[bold red]lost[/]" if time_ms is None else f"{time_ms:.2f}"


def console(nodes: int = 0) -> Console:
    """Return a console on stdout, wide enough for a matrix of `nodes` nodes; it uses colour only on a terminal."""
    wide = Console(highlight=False)
    wide.width = max(wide.width, 14 + 12 * nodes)
    return wide
