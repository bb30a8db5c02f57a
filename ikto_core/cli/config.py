"""`ikto config`: check a configuration, and print its JSON Schema."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path

import click

from ikto_core.agent.from_config import local_node
from ikto_core.cli.options import config_option, json_option
from ikto_core.cli.printing import printable
from ikto_core.config import Config, config_schema, environ_warnings, file_problems, load_config
from ikto_core.errors import ConfigError
from ikto_core.store.addresses import addresses_of
from ikto_core.store.inside_mesh import INSIDE_HINT, inside_warning, is_inside
from ikto_core.store.login import without_user
from ikto_core.store.login_files import LoginFileError


@click.group()
def config() -> None:
    """Check a configuration, or print its JSON Schema."""


@config.command()
@config_option
@json_option
def check(config_path: Path, as_json: bool) -> int:
    """Report every invalid setting in a configuration file and in IKTO_* environment variables.

    The owner and mode of the files that it names are checked too, where they exist, and whether nats_creds gives the
    right that record_trust requires. Their other content and the plugins are checked when an agent starts.

    A NATS server with an address inside mesh_cidr is a warning. The names in nats_url are looked up for that.
    """
    problems: tuple[str, ...] = ()
    warnings = list(environ_warnings(os.environ))
    exit_code = 0
    try:
        found = load_config(config_path, environ=os.environ, overrides={})
        _check(found)
        warnings += asyncio.run(_warnings(found))
    except ConfigError as error:
        if not as_json:
            raise
        problems, exit_code = error.problems or (str(error),), error.exit_code
    if as_json:
        click.echo(json.dumps({"ok": not problems, "problems": problems, "warnings": warnings}))
        return exit_code
    for warning in warnings:
        click.echo(printable(f"ikto: warning: {warning}"), err=True)
    click.echo(printable(f"{config_path}: ok"))
    return exit_code


def _check(config: Config) -> None:
    """Raise ConfigError for what an agent would refuse."""
    if problems := file_problems(config):
        raise ConfigError("the configuration names files that are not safe", problems=problems)
    node = local_node(config)
    if node.user and node.authority:
        with suppress(LoginFileError):  # it may be on another host; the agent reports it when it starts
            node.user.load()
        problem = node.user.problem(node.kv_key)
        if problem and node.user.is_read:
            raise problem


async def _warnings(config: Config) -> list[str]:
    """Return a warning for each address of a NATS server inside the mesh, as its name resolves now."""
    warnings = []
    for server in config.nats_servers:
        with suppress(OSError, UnicodeError):  # another host may know the name; the agent reports it
            inside = [address for address in await addresses_of(server) if is_inside(config.mesh, address)]
            warnings += [
                f"nats_url: {inside_warning(without_user(server), each, config.mesh)} ({INSIDE_HINT})"
                for each in inside
            ]
    return warnings


@config.command()
def schema() -> None:
    """Print the configuration's JSON Schema, for editors and validators."""
    click.echo(json.dumps(config_schema(), indent=2))
