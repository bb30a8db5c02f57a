"""`ikto info`: this node's record and its peers' records, in the text format of Ikto 0.3.0."""

from collections.abc import Iterator
from pathlib import Path

import click

from ikto_core.admin.mesh_views import InfoView, RecordView
from ikto_core.cli.examples import examples
from ikto_core.cli.formatting import json_text
from ikto_core.cli.options import json_option, socket_option
from ikto_core.client import AdminClient
from ikto_core.values.text import printable


@click.command(
    epilog=examples(
        "ikto info",
        "ikto info --json",
    )
)
@socket_option
@json_option
def info(socket: Path | None, *, as_json: bool) -> None:
    """Show this node's record and the records of its peers."""
    view = AdminClient(socket).info()
    click.echo(json_text(view) if as_json else "\n".join(_lines(view)))


def _lines(view: InfoView) -> Iterator[str]:
    yield "Local Node:"
    yield from _fields(view.own) if view.own else ("(no subnet is claimed yet)", "")
    yield "Peers:"
    for peer in view.peers:
        yield from _fields(peer)


def _fields(record: RecordView) -> Iterator[str]:
    """Yield a record as 0.3.0 prints it, with an empty line at the end."""
    yield f"Name: {printable(record.name)}"
    yield f"Public Key: {record.public_key}"
    yield f"Advertise Address: {record.advertise_address}"
    yield f"Allowed IP: {printable(record.allowed_ip)}"
    yield f"WireGuard Port: {record.wg_port}"
    yield ""
