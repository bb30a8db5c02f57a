"""`ikto key`: the file of a private key, and how a running agent gets another."""

import time
from pathlib import Path

import click

from ikto_core.admin.views import StatusView
from ikto_core.cli.options import socket_option
from ikto_core.client import AdminClient
from ikto_core.disk.key_file import load_private_key, write_private_key
from ikto_core.errors import IktoError
from ikto_core.values.keys import PrivateKey

ASK_EVERY_S = 0.5
SILENT_S = 30.0
"""An agent that is silent for so long has ended; one that starts anew with another key is for a moment."""

path_argument = click.argument("path", type=click.Path(path_type=Path))


@click.group()
def key() -> None:
    """Make a private key, show its public one, or give a running agent another."""


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


@key.command()
@socket_option
@click.option("--no-wait", is_flag=True, help="Return at once: the agent goes on by itself.")
def rotate(socket: Path, *, no_wait: bool) -> None:
    """Give the running agent a new private key, without a gap: peers learn it before it is used."""
    client = AdminClient(socket)
    next_key = client.rotate_key().next_public_key
    click.echo(f"next public key: {next_key}")
    told = ""
    while not no_wait and (status := _status(client)).public_key != next_key:
        if (now := progress(status, time.time())) != told:
            click.echo(now)
        told = now
        time.sleep(ASK_EVERY_S)
    if not no_wait:
        click.echo("in use")


def _status(client: AdminClient) -> StatusView:
    give_up_at = time.monotonic() + SILENT_S
    while True:
        try:
            return client.status()
        except IktoError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(ASK_EVERY_S)


def progress(status: StatusView, now: float) -> str:
    """Return how far a rotation is; the same words for as long as nothing happens."""
    if not status.nats.connected:
        return "waiting for NATS: peers can't learn the next key without it"
    if status.rotation is None or status.rotation.due_at is None:
        return "waiting for our record, in which peers learn the next key"
    if now > status.rotation.due_at:
        return "about to be used"
    return f"announced; it is used at {time.strftime('%H:%M:%S', time.localtime(status.rotation.due_at))}"
