"""`ikto status`: what the agent is, sees and does."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import click

from ikto_core.admin.client import AdminClient
from ikto_core.admin.views import AgentState, DevicePeerView, DeviceView, NatsView, QuarantinedView, StatusView
from ikto_core.cli.answers import age, json_text, size
from ikto_core.cli.options import json_option, socket_option
from ikto_core.cli.printing import printable

T = TypeVar("T")

MOST_SHOWN = 20
"""Longer lists end with their number: `--json` has them whole."""

LONGEST_CELL = 200
"""Characters; a bucket's garbage may be long."""

_COLOURS = {AgentState.READY: "green", AgentState.DEGRADED: "red"}


class Row(NamedTuple):
    """A line of a section. Its cells are printable, whoever wrote them."""

    cells: tuple[str, ...]
    style: str = ""  # of the last cell, where there is colour


class Section(NamedTuple):
    """A few aligned lines with a title; the first section has none."""

    title: str
    rows: Sequence[Row]
    header: tuple[str, ...] = ()


@click.command()
@socket_option
@json_option
def status(socket: Path, *, as_json: bool) -> None:
    """Show the agent's state, its connection, its peers and its device."""
    view = AdminClient(socket).status()
    if as_json:
        click.echo(json_text(view))
    elif sys.stdout.isatty():
        _print_tables(sections(view, time.time()))
    else:
        click.echo("\n\n".join(_plain(section) for section in sections(view, time.time())))


def sections(view: StatusView, now: float) -> list[Section]:
    """Return what to show; `now` is in seconds since the epoch."""
    found = [
        Section("", list(_facts(view))),
        _list("Quarantined records", view.quarantined, _quarantined),
        _list("Removals held back", view.held, _row),
    ]
    if view.device:
        found.append(
            _list("Peers on the device", view.device.peers, lambda peer: _device_peer(peer, now), _PEER_HEADER)
        )
    return [section for section in found if section.rows]


def _facts(view: StatusView) -> Iterator[Row]:
    yield _row("state", view.state.value, style=_COLOURS.get(view.state, "yellow"))
    yield _row("name", view.name)
    yield _row("public key", view.public_key)
    claimed = f"{view.private_address} in {view.allowed_ip}"
    yield _row("address", claimed if view.allowed_ip else "none claimed yet")
    yield _row("NATS", _nats(view.nats), style="" if view.nats.connected else "red")
    shown = "nothing" if view.revision is None else view.revision
    yield _row("revision", f"device shows {shown} of {view.bucket_revision}")
    yield _row("peers", _peers(view))
    yield _row("device", f"{view.ifname} ({view.backend}): {_device(view.device)}")
    if view.device_failure:
        yield _row("failure", view.device_failure, style="red")


def _nats(nats: NatsView) -> str:
    text = f"connected to {nats.server}" if nats.connected else "not connected"
    return f"{text}: {nats.failure}" if nats.failure else text


def _peers(view: StatusView) -> str:
    parts = [f"{view.accepted} accepted"]
    if view.device:
        parts.append(f"{len(view.device.peers)} on the device")
    parts.append(f"{len(view.held)} held")
    if view.quarantined:
        parts.append(f"{len(view.quarantined)} quarantined")
    return ", ".join(parts)


def _device(device: DeviceView | None) -> str:
    if device is None:
        return "not there, or can't be read"
    parts = ["up" if device.up else "down", f"port {device.listen_port}", f"MTU {device.mtu}"]
    if device.fwmark:
        parts.append(f"fwmark {device.fwmark:#x}")
    return ", ".join([*parts, *device.addresses])


KEY_SHOWN = 8
"""So many characters of a public key tell peers apart for a human eye; --json has the whole."""

_PEER_HEADER = ("peer", "public key", "allowed IPs", "endpoint", "handshake", "received", "sent")


def _device_peer(peer: DevicePeerView, now: float) -> Row:
    return _row(
        peer.name or "unknown",
        f"{peer.public_key[:KEY_SHOWN]}…",
        ", ".join(peer.allowed_ips),
        peer.endpoint or "none",
        age(peer.last_handshake, now),
        size(peer.rx_bytes),
        size(peer.tx_bytes),
    )


def _quarantined(record: QuarantinedView) -> Row:
    return _row(record.allowed_ip or record.key, f"revision {record.revision}", record.reason)


def _list(title: str, items: Sequence[T], row: Callable[[T], Row], header: tuple[str, ...] = ()) -> Section:
    """Return a section that says how many items there are, and shows the first ones."""
    shown = [row(item) for item in items[:MOST_SHOWN]]
    if len(items) > len(shown):
        shown.append(_row(f"… and {len(items) - len(shown)} more (--json has all)"))
    return Section(f"{title} ({len(items)}):", shown, header)


def _row(*cells: str, style: str = "") -> Row:
    return Row(tuple(_clipped(printable(cell)) for cell in cells), style)


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _plain(section: Section) -> str:
    """Return a section as aligned text; the last cell of a line takes what it needs."""
    lines = [section.header] if section.header else []
    lines += [row.cells for row in section.rows]
    columns = max(len(cells) for cells in lines)
    widths = [max((len(cells[n]) for cells in lines if n < len(cells) - 1), default=0) for n in range(columns)]
    indent = "  " if section.title else ""
    aligned = [indent + "  ".join(map(str.ljust, cells, widths)).rstrip() for cells in lines]
    return "\n".join([section.title, *aligned] if section.title else aligned)


def _print_tables(found: Sequence[Section]) -> None:
    from rich.console import Console  # noqa: PLC0415 - start-up time: only a terminal needs it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    console = Console(highlight=False)
    for section in found:
        if section.title:
            console.print(Text(f"\n{section.title}", style="bold"))
        columns = section.header or ("",) * max(len(row.cells) for row in section.rows)
        table = Table(*columns, box=None, show_header=bool(section.header), header_style="dim", pad_edge=False)
        for column in table.columns:
            column.overflow = "fold"
        for row in section.rows:  # as Text: what others wrote is no markup
            *others, last = row.cells
            table.add_row(*(Text(cell) for cell in others), Text(last, style=row.style))
        console.print(table)
