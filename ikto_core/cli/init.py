"""`ikto init`: print or write a new configuration."""

import json
from pathlib import Path
from random import Random, SystemRandom

import click
import msgspec

from ikto_core.cli.examples import examples
from ikto_core.cli.options import given_settings, setting_options
from ikto_core.config import SETTINGS, Config, config_from_flags
from ikto_core.config.rules import STATIC
from ikto_core.config.value_checks import AUTO
from ikto_core.disk.atomic_file import create_file
from ikto_core.errors import ConfigError
from ikto_core.ipam.space import Space
from ikto_core.plugins.loading import load_plugins
from ikto_core.values.addressing import Prefix, format_address

SETTINGS_OF_0_3_0 = tuple(SETTINGS)[:11]
"""These are always written, in this order. Later settings are written only if they are given."""

IFNAME_OF_0_3_0 = "wg-ikto"
"""The device that is written: `wg0`, the default of the setting, is the name that everybody gives to one."""


@click.command(
    epilog=examples(
        "ikto init -o /etc/ikto/config.json",
        "ikto init --nats-url tls://nats.example.net:4222 --private-address auto",
        "ikto init --ipam hash --subnet-prefix 64 > config.json",
    )
)
@setting_options()
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="Write to a new file instead of standard output.",
)
def init(output: Path | None, **settings: str | None) -> None:
    """Print a configuration with a random private address, or with "auto" if --ipam names a strategy.

    Environment variables are ignored. A new file gets mode 0600; an existing file is never overwritten.
    """
    given = {"wg_dev_name": IFNAME_OF_0_3_0, **given_settings(settings)}
    if "ipam" in given and given["ipam"] != STATIC:
        config = config_from_flags({"private_address": AUTO, **given})
    else:
        config = _with_address(given)
    if "ipam" in given or config.private_address == AUTO:
        load_plugins(blocked=config.blocked_plugins, settings=config.plugins).ipam(
            config.ipam
        )  # fails now if it is unknown or broken
    text = _document(config, given) + "\n"
    if output:
        create_file(output, text.encode())
    else:
        click.echo(text, nl=False)


def _with_address(given: dict[str, str]) -> Config:
    """Return the configuration with the private address that is given, or with a random one."""
    if "private_address" in given:
        return config_from_flags(given)
    checked = config_from_flags({**given, "private_address": AUTO, "ipam": "random"})
    address = random_private_address(checked.mesh, checked.subnet_prefix, SystemRandom(), checked.reserved)
    return config_from_flags({**given, "private_address": address})


def random_private_address(
    mesh: Prefix, subnet_prefix: int, random: Random, reserved: frozenset[Prefix] = frozenset()
) -> str:
    """Return the network address of a random subnet of the mesh. All subnets outside `reserved` are equally likely.

    The first subnet is used only if there is no other: its first address is the subnet-router anycast address of the
    mesh (RFC 4291 section 2.6.1). Raises ConfigError if all subnets are reserved.
    """
    space = Space(mesh, subnet_prefix, reserved)
    if space.total and not space.free:
        raise ConfigError(
            "ipam_reserved: leaves no subnet of the mesh", hint="reserve fewer networks, or set private_address"
        )
    number = space.nth_free(random.randrange(space.free)) if space.free else 0
    return format_address(space.subnet(number).address)


def _document(config: Config, given: dict[str, str]) -> str:
    values = msgspec.to_builtins(config)
    document = {name: values[name] for name in SETTINGS if name in SETTINGS_OF_0_3_0 or name in given}
    return json.dumps(document, indent=2, ensure_ascii=False)
