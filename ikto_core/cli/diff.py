"""`ikto diff`: what the agent would do to the device now."""

import asyncio
import os
from pathlib import Path

import click

from ikto_core.admin.device_views import ChangeView, DiffView
from ikto_core.agent.from_config import nats_settings, node_name
from ikto_core.agent.preview import preview_start
from ikto_core.agent.without_agent import options_of
from ikto_core.cli.examples import examples
from ikto_core.cli.exit_codes import DIFFERS
from ikto_core.cli.formatting import json_text
from ikto_core.cli.logs import NOTHING, log_to_stderr
from ikto_core.cli.options import config_option, json_option, socket_option
from ikto_core.cli.progress import progress
from ikto_core.cli.tables import Row, Section, line, show
from ikto_core.client import AdminClient
from ikto_core.config import Config, load_config
from ikto_core.disk.key_file import load_private_key
from ikto_core.errors import NoAgentError

MARKS = {"create": "+", "add": "+", "delete": "-", "remove": "-"}

FROM = {
    "agent": "the agent's own view of the mesh",
    "bucket": "the bucket and the configuration, without an agent",
    "snapshot": "the snapshot of an earlier run: NATS does not answer",
}


@click.command(
    epilog=examples(
        "ikto diff                     # empty, unless the device was just changed outside Ikto",
        "ikto diff --no-agent          # what a restart of the agent would write",
        "ikto diff --json | jq '.changes[].action'",
    )
)
@config_option
@socket_option
@click.option("--no-agent", is_flag=True, help="Ask no agent: say what one would do if it were started now.")
@json_option
def diff(config_path: Path, socket: Path | None, no_agent: bool, as_json: bool) -> int:
    """Show what the agent would do to the device now. Nothing is changed.

    A running agent says what it would do. Without one, its planner is run on the bucket and the configuration. The exit
    code is 0 if there is nothing to do, 20 if there is something.
    """
    log_to_stderr(NOTHING, as_json=False)
    with progress("comparing the device with the mesh"):
        view = None if no_agent else from_agent(socket)
        if view is None:
            view = asyncio.run(without_agent(load_config(config_path, environ=os.environ, overrides={})))
    if as_json:
        click.echo(json_text(view))
    else:
        show(sections(view))
    return DIFFERS if view.changes else 0


def from_agent(socket: Path | None) -> DiffView | None:
    """Return what the running agent says; None: no agent runs."""
    try:
        return AdminClient(socket).diff()
    except NoAgentError:
        return None


async def without_agent(config: Config) -> DiffView:
    """Return what an agent with this configuration would do if it were started now. Raises as `preview_start`."""
    options = options_of(config)
    key = load_private_key(Path(config.private_key_path))
    return await preview_start(options, nats_settings(config, node_name(config)), key)


def sections(view: DiffView) -> list[Section]:
    """Return the sections to show."""
    revision = "" if view.revision is None else f", revision {view.revision}"
    title = f"{view.ifname} ({view.backend}), by {FROM.get(view.source, view.source)}{revision}"
    if not view.changes:
        found = [Section("", [line(f"{title}: nothing to do")])]
    else:
        found = [Section(f"{title}:", [row for change in view.changes for row in _rows(change)])]
    if view.pending_removals:
        note = "Removals that wait for removal_limit; `ikto peers release` applies them"
        found.append(Section(f"{note} ({len(view.pending_removals)}):", [line(key) for key in view.pending_removals]))
    return found


def _rows(change: ChangeView) -> list[Row]:
    """Return the lines of one change: what is done, then what is written."""
    mark = MARKS.get(change.action.partition("-")[0], "~")
    what = f"{mark} {change.action.replace('-', ' ')} {change.name or change.public_key or change.ifname}"
    head = line(f"{what} ({change.public_key})" if change.name and change.public_key else what)
    return [head, *(line(f"    {name}", _written(change, name)) for name in change.after)]


def _written(change: ChangeView, name: str) -> str:
    before = change.before.get(name)
    return f"{before} → {change.after[name]}" if before else change.after[name]
