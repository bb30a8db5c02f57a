"""`ikto peers`: who is in the mesh; `ikto peers release`: let removals go that are held back."""

import time
from pathlib import Path

import click

from ikto_core.admin.views import PeersView, PeerView
from ikto_core.cli.answers import age, json_text
from ikto_core.cli.options import json_option, socket_option
from ikto_core.cli.tables import Row, Section, line, show
from ikto_core.client import AdminClient

_HEADER = ("peer", "allowed IPs", "endpoint", "handshake", "public key")
_NOT_KNOWN = {None: "the device can't be read", False: "not on the device"}


@click.group(invoke_without_command=True)
@socket_option
@json_option
@click.pass_context
def peers(context: click.Context, socket: Path, *, as_json: bool) -> None:
    """Show the peers that the bucket has, and how each is doing."""
    if context.invoked_subcommand:
        context.default_map = {context.invoked_subcommand: {"socket": socket}}
        return
    view = AdminClient(socket).peers()
    if as_json:
        click.echo(json_text(view))
    else:
        show([section(view, time.time())])


@peers.command()
@socket_option
@json_option
def release(socket: Path, *, as_json: bool) -> None:
    """Remove the peers now whose removal is held back."""
    view = AdminClient(socket).release()
    click.echo(json_text(view) if as_json else f"{view.released} held removals released")


def section(view: PeersView, now: float) -> Section:
    """Return what to show; `now` is in seconds since the epoch."""
    return Section(f"Peers ({len(view.peers)}):", [_line(peer, now) for peer in view.peers], _HEADER)


def _line(peer: PeerView, now: float) -> Row:
    handshake = age(peer.last_handshake, now) if peer.on_device else _NOT_KNOWN[peer.on_device]
    endpoint = peer.endpoint or next(iter(peer.endpoints), "none")
    return line(peer.name, ", ".join(peer.allowed_ips), endpoint, handshake, peer.public_key)
