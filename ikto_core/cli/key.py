"""`ikto key`: the file of a private key."""

from pathlib import Path

import click

from ikto_core.keyfile import load_private_key, write_private_key
from ikto_core.keys import PrivateKey

path_argument = click.argument("path", type=click.Path(path_type=Path))


@click.group()
def key() -> None:
    """Make a private key, or show its public one."""


@key.command()
@path_argument
def generate(path: Path) -> None:
    """Write a new private key to PATH, which must not exist, and print its public key."""
    private_key = PrivateKey.generate()
    write_private_key(path, private_key)
    click.echo(private_key.public().text)


@key.command()
@path_argument
def show(path: Path) -> None:
    """Print the public key of the private key in PATH."""
    click.echo(load_private_key(path).public().text)
