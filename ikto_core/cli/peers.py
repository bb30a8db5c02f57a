"""`ikto peers`: list the peers; `ikto peers release`: apply the pending removals and key changes now."""

import time
from pathlib import Path

import click

from ikto_core.admin.mesh_views import PeersView, PeerView
from ikto_core.cli.examples import examples
from ikto_core.cli.formatting import age, json_text
from ikto_core.cli.groups import SuggestingGroup
from ikto_core.cli.options import json_option, socket_option
from ikto_core.cli.tables import Row, Section, hint_rows, line, show
from ikto_core.client import AdminClient
from ikto_core.values.times import epoch_s

_HEADER = ("peer", "allowed IPs", "endpoint", "handshake", "proved", "public key")
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
@click.pass_context
def peers(context: click.Context, socket: Path | None, *, as_json: bool) -> None:
    """List the accepted peers with endpoint and last handshake."""
    if context.invoked_subcommand:
        context.default_map = {context.invoked_subcommand: {"socket": socket}}
        return
    view = AdminClient(socket).peers()
    if as_json:
        click.echo(json_text(view))
    else:
        show([*_failure(view), section(view, time.time())])


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


def section(view: PeersView, now: float) -> Section:
    """Return the section to show; `now` is in seconds since the epoch."""
    return Section(f"Peers ({len(view.peers)}):", [_line(peer, now) for peer in view.peers], _HEADER)


def _line(peer: PeerView, now: float) -> Row:
    handshake = age(epoch_s(peer.last_handshake), now) if peer.on_device else _NO_HANDSHAKE[peer.on_device]
    endpoint = peer.endpoint or next(iter(peer.endpoints), "none")
    name = peer.name + " (draining)" * peer.draining
    return line(name, ", ".join(peer.allowed_ips), endpoint, handshake, "yes" if peer.proved else "no", peer.public_key)
