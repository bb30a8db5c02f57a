"""`ikto info`: this node's record and its peers' records, in the text format of Ikto 0.3.0."""

from collections.abc import Iterator
from pathlib import Path

import click

from ikto_core.admin.views import InfoView, RecordView
from ikto_core.cli.formatting import json_text
from ikto_core.cli.options import json_option, socket_option
from ikto_core.cli.printing import printable
from ikto_core.client import AdminClient


@click.command()
@socket_option
@json_option
def info(socket: Path | None, *, as_json: bool) -> None:
    """Show this node's record and the records of its peers."""
    view = AdminClient(socket).info()
    click.echo(json_text(view) if as_json else "\n".join(_lines(view)))


def _lines(view: InfoView) -> Iterator[str]:
    yield "Node Information:"
    own = _fields(view.own) if view.own else ["(no subnet is claimed yet)"]
    yield from (f"  {field}" for field in own)
    yield ""
    yield f"Peers ({len(view.peers)}):"
    for peer in view.peers:
        first, *others = _fields(peer)
        yield f"  - {first}"
        yield from (f"    {field}" for field in others)


def _fields(record: RecordView) -> list[str]:
    fields = {
        "Name": record.name,
        "Public Key": record.public_key,
        "Advertise Address": record.advertise_address,
        "Allowed IP": record.allowed_ip,
        "WireGuard Port": str(record.wg_port),
    }
    if record.endpoints:
        fields["Endpoints"] = ", ".join(record.endpoints)
    return [f"{label}: {printable(text)}" for label, text in fields.items()]
