"""`ikto config`: check a configuration, and print its JSON Schema."""

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import click

from ikto_core.cli.checked_node import checked_node
from ikto_core.cli.examples import examples
from ikto_core.cli.groups import SuggestingGroup
from ikto_core.cli.options import config_option, json_option
from ikto_core.config import Config, blocked_plugins, config_schema, environ_warnings, file_warnings, load_config
from ikto_core.diagnosis.checks_config import refusals
from ikto_core.diagnosis.nats_inside import servers_inside
from ikto_core.errors import ConfigError, IktoError
from ikto_core.plugins.hook_calls import Failure, attempt
from ikto_core.plugins.loading import load_plugins
from ikto_core.plugins.settings import settings_schema
from ikto_core.store.inside_mesh import INSIDE_HINT
from ikto_core.values.text import printable


@click.group(cls=SuggestingGroup, epilog=examples("ikto config check", "ikto config schema > ikto.schema.json"))
def config() -> None:
    """Check a configuration, or print its JSON Schema."""


@config.command(
    epilog=examples(
        "ikto config check",
        "ikto config check -c new.json --json",
        "ikto config check -c other-host.json --other-host",
    )
)
@config_option
@click.option("--other-host", is_flag=True, help="The file is for another host: leave out files and plugins.")
@json_option
def check(config_path: Path, other_host: bool, as_json: bool) -> int:
    """Report everything in a configuration for which an agent would not start.

    Checked are the settings, in the file and in IKTO_* environment variables; the key, the credentials and the
    certificates that they name; and the backend, the IPAM strategy and the observers, with the plugins of this host.
    `ikto doctor` checks what NATS, the network and the device say. The exit code is the agent's.

    What is accepted because Ikto 0.3.0 accepts it is a warning.

    A NATS server with an address inside mesh_cidr is a warning. The names in nats_url are looked up for that.
    """
    found, more = _checked_file(config_path, other_host=other_host)
    problems = [line for error in found for line in _lines(error)]
    warnings = [*environ_warnings(os.environ), *more]
    if as_json:
        click.echo(json.dumps({"ok": not problems, "problems": problems, "warnings": warnings}))
        return found[0].exit_code if found else 0
    with suppress(OSError):  # standard error can't be written: the exit code says it
        for text in (*(f"warning: {warning}" for warning in warnings), *problems):
            click.echo(printable(f"ikto: {text}"), err=True)
    if not found:
        click.echo(printable(f"{config_path}: ok"))
    return found[0].exit_code if found else 0


def _checked_file(path: Path, *, other_host: bool) -> tuple[Sequence[IktoError], Sequence[str]]:
    """Return what an agent would refuse, and what it would warn of; of another host's file only the settings count."""
    accepted: list[str] = []  # because Ikto 0.3.0 accepts it
    try:
        config = load_config(path, environ=os.environ, overrides={}, warn=accepted.append)
    except ConfigError as error:
        return (error,), accepted
    found, warnings = asyncio.run(_checked(config, other_host=other_host))
    return found, [*accepted, *warnings]


async def _checked(config: Config, *, other_host: bool) -> tuple[Sequence[IktoError], Sequence[str]]:
    warnings = [f"nats_url: {text} ({INSIDE_HINT})" for text in await servers_inside(config.nats_servers, config.mesh)]
    if other_host:
        return (), warnings
    async with checked_node(config) as subject:
        return await refusals(subject), [*file_warnings(config), *warnings]


def _lines(error: IktoError) -> Sequence[str]:
    if isinstance(error, ConfigError) and error.problems:
        return error.problems
    return (f"{error} ({error.hint})" if error.hint else str(error),)


@config.command(
    epilog=examples(
        "ikto config schema > ikto.schema.json",
    )
)
def schema() -> None:
    """Print the configuration's JSON Schema, for editors and validators, with the settings of installed plugins."""
    found = config_schema()
    of_plugins = found["$defs"]["Config"]["properties"]["plugins"]
    for name, settings in load_plugins(blocked=blocked_plugins(None, environ=os.environ)).described_settings():
        described = attempt("its schema", partial(settings_schema, settings, name))
        if not isinstance(described, Failure):  # it has a type that JSON Schema does not
            schema_of_one, definitions = described
            of_plugins.setdefault("properties", {})[name] = schema_of_one
            found["$defs"] |= definitions
    click.echo(json.dumps(found, indent=2))
