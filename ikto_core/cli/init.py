"""`ikto init`: a configuration to start from."""

import json
from pathlib import Path
from random import Random, SystemRandom

import click
import msgspec

from ikto_core.addressing import Prefix, format_address
from ikto_core.cli.options import given_members, member_options
from ikto_core.config import MEMBERS, Config, config_from_flags
from ikto_core.smallfile import create_small_file

MEMBERS_OF_0_3_0 = tuple(MEMBERS)[:11]
"""Always written, in this order; members of our own only when they are given."""


@click.command()
@member_options()
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write a new file instead.")
def init(output: Path | None, **members: str | None) -> None:
    """Print a configuration with a random private address.

    The environment has no say in it. A file is made for its owner alone, and never overwritten.
    """
    given = given_members(members)
    config = config_from_flags({"private_address": "auto", **given})
    if "private_address" not in given:
        address = random_private_address(config.mesh, config.subnet_prefix, SystemRandom())
        config = msgspec.structs.replace(config, private_address=address)
    text = _document(config, given) + "\n"
    if output:
        create_small_file(output, text.encode())
    else:
        click.echo(text, nl=False)


def random_private_address(mesh: Prefix, subnet_prefix: int, random: Random) -> str:
    """Return the network address of a random subnet of the mesh, each as likely as any other.

    Never the first one, whose first address is every router's of the mesh (RFC 4291 section 2.6.1), unless there is
    no other.
    """
    subnets = 1 << subnet_prefix - mesh.length
    index = random.randrange(1, subnets) if subnets > 1 else 0
    network = int.from_bytes(mesh.address, "big") | index << mesh.bits - subnet_prefix
    return format_address(network.to_bytes(len(mesh.address), "big"))


def _document(config: Config, given: dict[str, str]) -> str:
    values = msgspec.to_builtins(config)
    written = {name: values[name] for name in MEMBERS if name in MEMBERS_OF_0_3_0 or name in given}
    return json.dumps(written, indent=2, ensure_ascii=False)
