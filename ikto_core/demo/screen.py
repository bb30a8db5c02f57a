"""What a demo shows: a table that fills while the mesh forms, and a summary."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from ikto_core.admin.views import StatusView


def progress(names: Sequence[str], statuses: Sequence[StatusView | None]) -> Table:
    """Return the table of a mesh that is forming: one row a node."""
    table = Table("node", "state", "subnet", "peers", "device shows", title="A mesh forms")
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
    """Return what to say of a mesh that has converged.

    Args:
        statuses: Every node's.
        took_s: From the first record's arrival in the bucket until every device showed all.
        server: The nats-server's URL.

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
    backends = ", ".join(sorted({status.backend for status in statuses}))
    return Group(
        table,
        f"{len(statuses)} nodes converged {took_s:.2f} s after the first claim, at revision {statuses[0].revision} "
        f"of the bucket on {server}; WireGuard backend: {escape(backends)}.",
        "The fake backend keeps its device in memory: no packets flow." if backends == "fake" else "",
    )


def console() -> Console:
    """Return where to show it: stdout, in colour on a terminal only."""
    return Console(highlight=False)
