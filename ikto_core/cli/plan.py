"""`ikto plan`: what another configuration would change."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from ikto_core.admin.device_views import ChangeView, DiffView
from ikto_core.cli.checked_node import checked_node
from ikto_core.cli.diff import sections as diff_sections
from ikto_core.cli.diff import without_agent
from ikto_core.cli.examples import examples
from ikto_core.cli.exit_codes import DIFFERS
from ikto_core.cli.formatting import json_text
from ikto_core.cli.logs import NOTHING, log_to_stderr
from ikto_core.cli.options import DEFAULT_CONFIG, json_option, socket_option
from ikto_core.cli.progress import progress
from ikto_core.cli.tables import Section, line, show
from ikto_core.client import AdminClient
from ikto_core.config import LIVE_SETTINGS, Config, load_config
from ikto_core.diagnosis.checks_config import refusals
from ikto_core.diagnosis.consequences import HIDDEN, SettingChange, effects, setting_changes, uncompared
from ikto_core.errors import IktoError, NoAgentError

RESTART = "needed, during which tunnels stay up: systemctl restart ikto"
RELOAD = "not needed: systemctl reload ikto"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What another configuration would change: the JSON of `ikto plan --json`."""

    compared_with: str  # "agent", or the path of a file
    settings: Sequence[SettingChange]
    uncompared: Sequence[str]  # settings whose values the agent does not show
    effects: dict[str, Sequence[str]]  # by part of the node: claim, record, device, NATS, …
    restart: bool  # whether the agent must be restarted
    refusals: Sequence[str]  # why an agent would not start with it; empty: it would
    changes: Sequence[ChangeView]  # what would be done to the device


@click.command(
    epilog=examples(
        "ikto plan -c /etc/ikto/new.json",
        "ikto plan -c new.json --from /etc/ikto/config.json --json",
    )
)
@click.option(
    "-c",
    "--config",
    "path",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path, readable=False),
    help="The new configuration.",
)
@click.option(
    "--from",
    "former",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help=f"The present configuration.  [default: the running agent's; without one {DEFAULT_CONFIG}]",
)
@socket_option
@json_option
def plan(path: Path, former: Path | None, socket: Path | None, as_json: bool) -> int:
    """Show what another configuration would change. Nothing is changed.

    Shown are the settings that differ, what that means for the claim, the device and the connection to NATS, and what
    an agent would do to the device, by its own planner. The exit code is 0 if nothing would change, 20 if something
    would, and the agent's own if it would not start.
    """
    log_to_stderr(NOTHING, as_json=False)
    config = load_config(path, environ=os.environ, overrides={})
    with progress("trying the configuration"):
        present = _present(former, socket)
        refused, view = asyncio.run(_tried(config))
    found = _plan(present, config, refused, view)
    if as_json:
        click.echo(json_text(found))
    else:
        show(_sections(found, view))
    return refused[0].exit_code if refused else DIFFERS if found.settings or found.changes else 0


class Present(NamedTuple):
    """The present configuration."""

    source: str  # "agent", or the path of a file
    shown: Mapping[str, object]  # the settings by name, with secrets hidden
    config: Config | None = None  # None: an agent does not show its secrets


def _present(former: Path | None, socket: Path | None) -> Present:
    if former is None:
        try:
            return Present("agent", AdminClient(socket).config())
        except NoAgentError as error:
            if not DEFAULT_CONFIG.exists():
                hint = "give the agent's socket with -s, or its configuration with --from FILE"
                raise NoAgentError(f"{error}, and there is no {DEFAULT_CONFIG} to compare with", hint=hint) from None
            former = DEFAULT_CONFIG
    config = load_config(former, environ=os.environ, overrides={})
    return Present(str(former), config.shown(), config)


async def _tried(config: Config) -> tuple[Sequence[IktoError], DiffView | None]:
    """Return why an agent would not start, or what it would do to the device."""
    async with checked_node(config) as subject:
        if found := await refusals(subject):
            return found, None
    try:
        return (), await without_agent(config)
    except IktoError as error:
        return (error,), None


def _plan(present: Present, config: Config, refused: Sequence[IktoError], view: DiffView | None) -> Plan:
    after = config.shown()
    hidden, settings = uncompared(present.shown, after), setting_changes(present.shown, after)
    if present.config:
        other = [name for name in hidden if getattr(present.config, name) != getattr(config, name)]
        settings += [SettingChange(setting=name, before=HIDDEN, after=HIDDEN) for name in other]
        hidden = []
    return Plan(
        compared_with=present.source,
        settings=settings,
        uncompared=hidden,
        effects=dict(effects(change.setting for change in settings)),
        restart=any(change.setting not in LIVE_SETTINGS for change in settings),
        refusals=[f"{error} ({error.hint})" if error.hint else str(error) for error in refused],
        changes=view.changes if view else (),
    )


def _sections(found: Plan, view: DiffView | None) -> list[Section]:
    rows = [line(change.setting, f"{_text(change.before)} → {_text(change.after)}") for change in found.settings]
    where = "the agent's" if found.compared_with == "agent" else found.compared_with
    sections = [Section(f"Settings that differ from {where} ({len(rows)}):", rows or [line("none")])]
    if found.uncompared:
        note = "can't be compared: an agent does not show secrets"
        sections.append(Section("", [line(", ".join(found.uncompared), note)]))
    if found.settings:
        effect_rows = [line(part, text) for part, texts in found.effects.items() for text in texts]
        sections.append(Section("Effects:", [*effect_rows, line("restart", RESTART if found.restart else RELOAD)]))
    if found.refusals:
        sections.append(Section("An agent would not start:", [line(text, style="red") for text in found.refusals]))
    return sections + (diff_sections(view) if view else [])


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in ("", None) else str(value)
