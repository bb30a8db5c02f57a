"""`ikto wait`: wait until a node is in the mesh, knows peers, or shows a revision; also before its agent runs."""

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import click

from ikto_core.cli import conditions
from ikto_core.cli.conditions import Condition, Seen
from ikto_core.cli.durations import seconds_given
from ikto_core.cli.examples import examples
from ikto_core.cli.exit_codes import TIMED_OUT
from ikto_core.cli.options import not_empty, optional_config, socket_option
from ikto_core.cli.progress import Progress, progress
from ikto_core.client import AdminClient
from ikto_core.errors import AgentDeniedError, IktoError
from ikto_core.values.text import printable

LOOK_EVERY_S = 0.2
PROBE_EVERY_S = 1.0


@click.command(epilog=examples("ikto wait --ready --timeout 60", "ikto wait --peer node-b --reachable"))
@socket_option
@click.option("--claimed", is_flag=True, help="Until the bucket has the node's record.")
@click.option("--ready", is_flag=True, help="Until the device shows the mesh, from the bucket or from the snapshot.")
@click.option("--peers", "count", type=click.IntRange(0), metavar="N", help="Until N peers are accepted.")
@click.option(
    "--peer", "which", metavar="NAME", callback=not_empty, help="Until this peer is accepted, named as for ikto why."
)
@click.option("--reachable", is_flag=True, help="With --peer: until it has answered a handshake.")
@click.option(
    "--revision", type=click.IntRange(0), metavar="R", help="Until the device shows revision R of the bucket."
)
@click.option(
    "--mesh-revision",
    type=click.IntRange(0),
    metavar="R",
    help="Until every node shows revision R, by its own word (`ikto mesh`).",
)
@optional_config("For --mesh-revision: how to reach NATS.")
@click.option(
    "--timeout",
    callback=seconds_given,
    default="30s",
    show_default=True,
    metavar="TIME",
    help="0: look once.",
)
def wait(
    socket: Path | None,
    *,
    claimed: bool,
    ready: bool,
    count: int | None,
    which: str | None,
    reachable: bool,
    revision: int | None,
    mesh_revision: int | None,
    config_path: Path | None,
    timeout: float,
) -> int:
    """Wait until all of the given is true of this node, also if its agent does not run yet.

    The exit code is 0 then. It is 24 if that takes longer than --timeout, and a line on stderr says what is missing.
    """
    wanted: list[Condition] = []
    wanted += [conditions.claimed] * claimed + [conditions.ready] * ready
    if count is not None:
        wanted.append(conditions.peers(count))
    if which is not None:
        wanted.append(conditions.reachable(which) if reachable else conditions.peer(which))
    elif reachable:
        raise click.UsageError("--reachable is about a peer: give --peer, too")
    if revision is not None:
        wanted.append(conditions.revision(revision))
    if not wanted and mesh_revision is None:
        raise click.UsageError("nothing to wait for: give --claimed, --ready, --peers, --peer or a revision")
    ends_at = time.monotonic() + timeout
    with progress("waiting") as shown:
        to_probe = which if reachable else None
        lacking = _wait(socket, wanted, timeout, to_probe=to_probe, shown=shown) if wanted else ""
        if mesh_revision is not None and not lacking:
            shown.say(f"waiting: not every node is known to show revision {mesh_revision}")
            lacking = _wait_for_mesh(config_path, mesh_revision, max(0.0, ends_at - time.monotonic()))
    if lacking:
        click.echo(printable(f"ikto: not within {timeout:g} s: {lacking}"), err=True)
    return TIMED_OUT if lacking else 0


def _wait(
    socket: Path | None, wanted: Sequence[Condition], timeout_s: float, *, to_probe: str | None, shown: Progress
) -> str:
    """Return what is still missing when the time is over; empty: nothing was, at some moment.

    Raises AgentDeniedError if this user may not ask the agent: an agent that starts opens its socket to others a moment
    after it made it, so it is asked twice.
    """
    ends_at, probe_at, denied = time.monotonic() + timeout_s, 0.0, False
    while True:
        client = AdminClient(socket)  # the path where the agent listens may be another than at the start
        try:
            seen = Seen(client.progress(), cache(client.info), cache(client.peers), time.time())
            lacking = conditions.missing(wanted, seen)
            if to_probe and lacking and (now := time.monotonic()) >= probe_at:
                probe_at = now + PROBE_EVERY_S
                _probe(seen, to_probe)
            denied = False
        except AgentDeniedError as error:
            if denied:
                raise
            denied, lacking = True, str(error)
        except IktoError as error:
            lacking = str(error)
        if not lacking or (left_s := ends_at - time.monotonic()) <= 0:
            return lacking
        shown.say(f"waiting: {lacking}")
        time.sleep(min(LOOK_EVERY_S, left_s))


def _wait_for_mesh(config_path: Path | None, revision: int, timeout_s: float) -> str:
    """Return as `_wait`, for all nodes of the mesh."""
    from ikto_core.cli.bucket_access import bucket_config  # noqa: PLC0415 - start-up time
    from ikto_core.cli.logs import log_to_stderr  # noqa: PLC0415 - as above
    from ikto_core.cli.mesh_revision import lacking_in_mesh  # noqa: PLC0415 - as above

    log_to_stderr("error", as_json=False)
    return lacking_in_mesh(bucket_config(config_path, {}), revision, timeout_s)


def _probe(seen: Seen, which: str) -> None:
    """Send a packet to a peer through the tunnel, so that WireGuard starts a handshake with it."""
    from ikto_core.underlay.handshake_probe import probe_handshakes  # noqa: PLC0415 - start-up time

    if seen.progress.private_address:
        probe_handshakes(seen.progress.private_address, conditions.addresses_to_probe(seen.peers(), seen.info(), which))
