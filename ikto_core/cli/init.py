"""`ikto init`: a configuration to start from."""

import json
from pathlib import Path
from random import Random, SystemRandom

import click
import msgspec

from ikto_core.cli.options import given_members, member_options
from ikto_core.config import SETTINGS, Config, config_from_flags
from ikto_core.config.rules import STATIC
from ikto_core.config.types import AUTO
from ikto_core.disk.atomic_file import create_file
from ikto_core.errors import ConfigError
from ikto_core.ipam.space import Space
from ikto_core.plugins.loading import load_plugins
from ikto_core.values.addressing import Prefix, format_address

MEMBERS_OF_0_3_0 = tuple(SETTINGS)[:11]
"""Always written, in this order; members of our own only when they are given."""


@click.command()
@member_options()
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write a new file instead.")
def init(output: Path | None, **members: str | None) -> None:
    """Print a configuration with a random private address, or with "auto" for the strategy given by --ipam.

    The environment has no say in it. A file is made for its owner alone, and never overwritten.
    """
    given = given_members(members)
    if "ipam" in given and given["ipam"] != STATIC:
        config = config_from_flags({"private_address": AUTO, **given})
    else:
        config = _with_address(given)
    if "ipam" in given or config.private_address == AUTO:
        load_plugins(blocked=config.blocked_plugins).ipam(config.ipam)  # it may be unknown, or broken
    text = _document(config, given) + "\n"
    if output:
        create_file(output, text.encode())
    else:
        click.echo(text, nl=False)


def _with_address(given: dict[str, str]) -> Config:
    """Return the configuration with its private address, drawn if it is not given."""
    if "private_address" in given:
        return config_from_flags(given)
    sound = config_from_flags({**given, "private_address": AUTO, "ipam": "random"})
    address = random_private_address(sound.mesh, sound.subnet_prefix, SystemRandom(), sound.reserved)
    return config_from_flags({**given, "private_address": address})


def random_private_address(
    mesh: Prefix, subnet_prefix: int, random: Random, reserved: frozenset[Prefix] = frozenset()
) -> str:
    """Return the network address of a random subnet of the mesh, each as likely as any other that is not reserved.

    Never the first one, whose first address is every router's of the mesh (RFC 4291 section 2.6.1), unless there is
    no other. ConfigError if all are reserved.
    """
    space = Space(mesh, subnet_prefix, reserved)
    if space.total and not space.free:
        raise ConfigError("ipam_reserved: leaves no subnet of the mesh", hint="reserve less, or give private_address")
    number = space.nth_free(random.randrange(space.free)) if space.free else 0
    return format_address(space.subnet(number).address)


def _document(config: Config, given: dict[str, str]) -> str:
    values = msgspec.to_builtins(config)
    written = {name: values[name] for name in SETTINGS if name in MEMBERS_OF_0_3_0 or name in given}
    return json.dumps(written, indent=2, ensure_ascii=False)
