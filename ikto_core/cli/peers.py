"""`ikto peers`: list the peers; `ikto peers release`: apply the pending removals and key changes now."""

import time
from pathlib import Path

import click

from ikto_core.admin.mesh_views import PeersView, PeerView
from ikto_core.cli.examples import examples
from ikto_core.cli.formatting import json_text
from ikto_core.cli.groups import SuggestingGroup
from ikto_core.cli.options import json_option, output_option, socket_option
from ikto_core.cli.tables import Row, Section, hint_rows, line, short_keys, show
from ikto_core.client import AdminClient
from ikto_core.values.ages import age
from ikto_core.values.times import epoch_s

_HEADER = ("name", "subnet", "key", "endpoint", "proved", "handshake")
_NO_HANDSHAKE = {None: "the device can't be read", False: "not on the device"}


@click.group(
    cls=SuggestingGroup,
    invoke_without_command=True,
    epilog=examples(
        "ikto peers",
        "ikto peers --json | jq '.peers[].name'",
    ),
)
@socket_option
@json_option
@output_option
@click.pass_context
def peers(context: click.Context, socket: Path | None, *, as_json: bool, output: str) -> None:
    """List the accepted peers with endpoint and last handshake."""
    if context.invoked_subcommand:
        context.default_map = {context.invoked_subcommand: {"socket": socket}}
        return
    view = AdminClient(socket).peers()
    if as_json or output == "json":
        click.echo(json_text(view))
    else:
        show([*_failure(view), section(view, time.time(), wide=output == "wide")], wide=output == "wide")


@peers.command(
    epilog=examples(
        "ikto peers release",
    )
)
@socket_option
@json_option
def release(socket: Path | None, *, as_json: bool) -> None:
    """Apply the pending removals and key changes now, without waiting for removal_limit."""
    view = AdminClient(socket).release()
    click.echo(json_text(view) if as_json else f"{view.released} pending removals and key changes applied")


def _failure(view: PeersView) -> list[Section]:
    """Return a section that says why the device can't be read; none if it can."""
    if not view.device_failure:
        return []
    return [Section("", [line("failure", view.device_failure, style="red"), *hint_rows(view.device_hint)])]


def section(view: PeersView, now: float, *, wide: bool = False) -> Section:
    """Return the section to show; `now` is in seconds since the epoch."""
    keys = short_keys((peer.public_key for peer in view.peers), wide=wide)
    rows = [_line(peer, keys[peer.public_key], now) for peer in view.peers]
    return Section(f"Peers ({len(view.peers)}):", rows, _HEADER, optional=(("endpoint",),))


def _line(peer: PeerView, key: str, now: float) -> Row:
    handshake = age(epoch_s(peer.last_handshake), now) if peer.on_device else _NO_HANDSHAKE[peer.on_device]
    endpoint = peer.endpoint or next(iter(peer.endpoints), "none")
    proved = "yes" if peer.proved else "no"
    return line(peer.name, ", ".join(peer.allowed_ips), key, endpoint, proved, handshake + ", draining" * peer.draining)
