"""`ikto key-of`: the KV key of a subnet's record, and the subject that a node needs the permission for."""

import os
from pathlib import Path

import click

from ikto_core.cli.examples import examples
from ikto_core.cli.formatting import json_text
from ikto_core.cli.options import given_settings, json_option, optional_config, setting_options
from ikto_core.config import Config, load_config
from ikto_core.errors import ConfigError
from ikto_core.mesh.records import record_key
from ikto_core.store.subjects import Subjects, api_prefix
from ikto_core.values.addressing import Prefix, parse_address


@click.command("key-of", epilog=examples("ikto key-of fd10:1::/48"))
@optional_config("A node's configuration.")
@setting_options("nats_kv", "nats_domain", "nats_api_prefix", "mesh_cidr", "subnet_prefix")
@json_option
@click.argument("subnet")
def key_of(config_path: Path | None, subnet: str, *, as_json: bool, **settings: str | None) -> None:
    """Print the KV key of a SUBNET's record, and the subject to allow, which a node publishes on to write it.

    SUBNET is ADDRESS/LENGTH, or an address in it, such as fd10:1::1. Upper and lower case differ in keys and subjects.
    """
    overrides = {"private_address": "auto"} | given_settings(settings)
    config = load_config(config_path, environ=os.environ, overrides=overrides)
    found = _subnet(config, subnet)
    key = record_key(str(found))
    subject = Subjects(config.nats_kv, api_prefix(config.nats_domain, config.nats_api_prefix)).write(key)
    if as_json:
        click.echo(json_text({"subnet": str(found), "key": key, "subject": subject}))
    else:
        click.echo(f"subnet: {found}\nkey: {key}\nsubject: {subject}")


def _subnet(config: Config, text: str) -> Prefix:
    """Return the canonical subnet. Raises ConfigError if it is not one of the mesh."""
    address, slash, _ = text.partition("/")
    try:
        subnet = Prefix.parse(text) if slash else Prefix.of(parse_address(address), config.subnet_prefix)
    except ValueError as error:
        raise ConfigError(str(error), hint="give a subnet such as fd10:1::/48, or an address in it") from None
    if subnet.length != config.subnet_prefix or not config.mesh.covers(subnet):
        message = f"{subnet} is not a subnet of the mesh {config.mesh} with length {config.subnet_prefix}"
        raise ConfigError(message, hint="give the mesh with -c FILE, or with --mesh-cidr and --subnet-prefix")
    return subnet
