"""`ikto nats`: print what the NATS server must be configured with for a mesh."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import click

from ikto_core.agent.from_config import node_name
from ikto_core.cli.examples import examples
from ikto_core.cli.groups import SuggestingGroup
from ikto_core.cli.options import config_option
from ikto_core.config import Config, load_config
from ikto_core.config.value_checks import AUTO
from ikto_core.errors import ConfigError
from ikto_core.mesh.records import record_key
from ikto_core.mesh.rights import Authority
from ikto_core.store.permissions import ANY_SUBNET, NodeAccess
from ikto_core.store.server_config import MeshAccess, accounts, nsc_commands, one_account
from ikto_core.store.subjects import Subjects, api_prefix
from ikto_core.values.addressing import Prefix, parse_address

DEFAULT_API_PREFIX = "MESH.API"
USER_NKEY = re.compile("U[A-Z2-7]{55}")

node_arguments = click.argument("nodes", nargs=-1, metavar="[NAME=ADDRESS]...")
nkey_option = click.option(
    "--nkey", "nkeys", multiple=True, metavar="NAME=KEY", help="The public key of a node's NATS user (U…); repeatable."
)
asker_option = click.option(
    "--asker", default="", metavar="NAME", help="Also print a user who may only ask the nodes, for `ikto mesh`."
)


@click.group(
    cls=SuggestingGroup,
    epilog=examples("ikto nats accounts node-a=fd10:1:: node-b=fd10:2::", "ikto nats permissions node-a=auto"),
)
def nats() -> None:
    """Print the configuration of the NATS server for the mesh.

    Give each node with its private address, such as node-a=fd10:1::1, or with "auto". Without nodes, it is the one
    that the configuration file describes. Nodes without --nkey log in with name and password.
    """


@nats.command(
    short_help="Users with permissions, all in one account.",
    epilog=examples(
        "ikto nats permissions node-a=fd10:1:: node-b=fd10:2::",
        "ikto nats permissions --nsc MESH node-a=auto | sh",
    ),
)
@config_option
@node_arguments
@nkey_option
@asker_option
@click.option("--nsc", "account", metavar="ACCOUNT", help="Print commands for nsc that add users with JWTs to ACCOUNT.")
def permissions(
    config_path: Path, nodes: tuple[str, ...], nkeys: tuple[str, ...], asker: str, account: str | None
) -> None:
    """Print users and their permissions, for a server on which all clients are in one account.

    Within one account these permissions are no boundary between nodes; `ikto nats accounts` prints one that is.
    """
    config, mesh = _mesh(config_path, nodes, nkeys, asker)
    if account:
        subjects = Subjects(mesh.bucket, api_prefix(config.nats_domain, config.nats_api_prefix))
        click.echo(nsc_commands(mesh, account, subjects), nl=False)
    else:
        click.echo(one_account(mesh), nl=False)


@nats.command(
    "accounts",
    short_help="Accounts that separate the bucket and the nodes.",
    epilog=examples(
        "ikto nats accounts node-a=fd10:1:: node-b=fd10:2::",
    ),
)
@config_option
@node_arguments
@nkey_option
@asker_option
def accounts_command(config_path: Path, nodes: tuple[str, ...], nkeys: tuple[str, ...], asker: str) -> None:
    """Print accounts for a server: one for the bucket, and one for each node, which reaches nothing but its record."""
    config, mesh = _mesh(config_path, nodes, nkeys, asker)
    prefix = api_prefix("", config.nats_api_prefix or DEFAULT_API_PREFIX)
    click.echo(accounts(mesh, prefix), nl=False)


def _mesh(path: Path, nodes: Iterable[str], nkeys: Iterable[str], asker: str) -> tuple[Config, MeshAccess]:
    config = load_config(path, environ=os.environ, overrides={})
    given = _pairs(nodes, "NAME=ADDRESS") or {node_name(config): config.private_address}
    keys = _pairs(nkeys, "NAME=KEY")
    if unknown := keys.keys() - given.keys():
        raise ConfigError(f"--nkey: {min(unknown)!r} is not one of the nodes", hint="give it as NAME=ADDRESS too")
    for name, key in keys.items():
        if not USER_NKEY.fullmatch(key):  # not shown: it may be a seed
            hint = "give 56 letters and digits that begin with U; `nk -pubout` prints them"
            raise ConfigError(f"--nkey: {name}: this is not the public key of a NATS user", hint=hint)
    found = (
        NodeAccess(name=name, key=_key(config, name, address), nkey=keys.get(name, ""))
        for name, address in given.items()
    )
    rights = Authority.of(config.record_trust) is not None
    return config, MeshAccess(
        bucket=config.nats_kv,
        nodes=tuple(found),
        leases=config.lease_s > 0,
        answers=config.mesh_answers,
        asker=asker,
        rights=rights,
    )


def _pairs(texts: Iterable[str], form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not (name and value):
            raise click.UsageError(f"{text!r} is not of the form {form}")
        if name in found:
            raise click.UsageError(f"{name!r} is given twice")
        found[name] = value
    return found


def _key(config: Config, name: str, address: str) -> str:
    """Return the KV key of the record of a node with this private address."""
    if address == AUTO:
        return ANY_SUBNET
    try:
        subnet = Prefix.of(parse_address(address.partition("/")[0]), config.subnet_prefix)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}", hint='give an address of the mesh, or "auto"') from None
    if not config.mesh.covers(subnet):
        raise ConfigError(f"{name}: {address} is outside the mesh {config.mesh}", hint="give an address of the mesh")
    return record_key(str(subnet))
