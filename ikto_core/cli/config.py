"""`ikto config`: check a configuration, and print its JSON Schema."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path

import click

from ikto_core.agent.from_config import local_node, nats_settings, node_name, observer_context
from ikto_core.claim.revoked_users import RevokedUsers
from ikto_core.cli.options import config_option, json_option
from ikto_core.cli.printing import printable
from ikto_core.config import Config, config_schema, environ_warnings, file_problems, file_warnings, load_config
from ikto_core.config.files import CHECKS
from ikto_core.disk.key_file import load_private_key
from ikto_core.errors import ConfigError, PluginError
from ikto_core.mesh.rights import Authority
from ikto_core.observers.runner import observer_runs
from ikto_core.plugins.loading import load_plugins
from ikto_core.store.addresses import addresses_of
from ikto_core.store.inside_mesh import INSIDE_HINT, inside_warning, is_inside
from ikto_core.store.login import prepare_login, without_user
from ikto_core.store.login_files import LoginFileError


@click.group()
def config() -> None:
    """Check a configuration, or print its JSON Schema."""


@config.command()
@config_option
@json_option
def check(config_path: Path, as_json: bool) -> int:
    """Report every invalid setting in a configuration file and in IKTO_* environment variables.

    What is ok here, an agent starts with: the files that it names are checked too, where they exist, and the plugins,
    and whether nats_creds gives the right that record_trust requires. What is accepted because Ikto 0.3.0 accepts it is
    a warning.

    A NATS server with an address inside mesh_cidr is a warning. The names in nats_url are looked up for that.
    """
    problems: tuple[str, ...] = ()
    warnings = list(environ_warnings(os.environ))
    exit_code = 0
    try:
        found = load_config(config_path, environ=os.environ, overrides={}, warn=warnings.append)
        _check(found)
        warnings += [*file_warnings(found), *asyncio.run(_warnings(found))]
    except (ConfigError, PluginError) as error:
        if not as_json:
            raise
        problems, exit_code = getattr(error, "problems", ()) or (str(error),), error.exit_code
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
    _check_content(config)
    plugins = load_plugins(blocked=config.blocked_plugins)
    plugins.backend(config.backend)
    plugins.ipam(config.ipam)
    observer_runs(config.observers, observer_context(config), plugins.observer)


def _check_content(config: Config) -> None:
    """Raise ConfigError if the key, or what logs in to NATS, is in files that exist and can't be used."""
    missing = _missing(config)
    if "private_key_path" not in missing:
        load_private_key(Path(config.private_key_path))
    if not missing - {"private_key_path", "nats_account_jwt"}:
        prepare_login(nats_settings(config, node_name(config)), config.nats_servers[0])
    authority = Authority.of(config.record_trust)
    if authority and config.nats_account_jwt and "nats_account_jwt" not in missing:
        RevokedUsers(config.nats_account_jwt, authority.account, lambda _: None).read()


def _missing(config: Config) -> set[str]:
    """Return the settings that name files that are not on this host."""
    paths = {setting: getattr(config, setting) for setting in CHECKS}
    return {setting for setting, path in paths.items() if path and not Path(path).exists()}


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
