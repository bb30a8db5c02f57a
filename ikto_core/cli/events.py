"""`ikto events`: what happened in the mesh, and what happens."""

import json
from pathlib import Path

import click
import msgspec

from ikto_core.cli.examples import examples
from ikto_core.cli.options import json_option, socket_option
from ikto_core.client import AdminClient, EventView
from ikto_core.observers.contract import MeshEvent
from ikto_core.observers.health import HealthEvent
from ikto_core.observers.wording import Line, line_of
from ikto_core.values.text import printable

_SHOWN_FIRST = ("name", "record", "subnets")
"""The details that say what an event is about; they are shown without their name."""


@click.command(epilog=examples("ikto events", "ikto events --follow", "ikto events --state --json --follow"))
@click.option("-f", "--follow", is_flag=True, help="Go on with the events to come.")
@click.option("--state", is_flag=True, help="Begin with the present mesh, as an observer gets it.")
@socket_option
@json_option
def events(socket: Path | None, *, follow: bool, state: bool, as_json: bool) -> None:
    """Show the latest events of this node: peers that join, leave, move, and what fails.

    The agent keeps the last thousand. With --json each line is an event as observers get it, with its number and time.
    """
    for line in AdminClient(socket).event_lines(state=state, follow=follow):
        if text := json.dumps(msgspec.json.decode(line)) if as_json else readable(line):
            click.echo(text)


def readable(line: bytes) -> str:
    """Return a line of the stream for people; empty: another one says the same."""
    view = msgspec.json.decode(line, type=EventView)
    try:
        event = msgspec.json.decode(line, type=MeshEvent | HealthEvent)
    except msgspec.ValidationError:  # a later version's
        return f"{view.time}  {printable(line.decode(errors='replace').rstrip())}"
    found = line_of(event, replaces=view.replaces, replaced_by=view.replaced_by)
    return f"{view.time}  {_text(found)}" if found else ""


def _text(line: Line) -> str:
    about = [str(line.fields[name]) for name in _SHOWN_FIRST if name in line.fields]
    details = [f"{name}={value}" for name, value in line.fields.items() if name not in (*_SHOWN_FIRST, "hint")]
    hint = [f"({line.fields['hint']})"] if "hint" in line.fields else []
    return "  ".join([line.event, *about, *details, *hint])
