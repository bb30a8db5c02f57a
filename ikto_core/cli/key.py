"""`ikto key`: generate a private key, show its public key, rotate the key of a running agent."""

import time
from pathlib import Path

import click

from ikto_core.admin.views import StatusView
from ikto_core.cli.examples import examples
from ikto_core.cli.groups import SuggestingGroup
from ikto_core.cli.options import socket_option
from ikto_core.client import AdminClient
from ikto_core.disk.key_file import load_private_key, write_private_key
from ikto_core.errors import IktoError
from ikto_core.values.keys import PrivateKey

ASK_EVERY_S = 0.5
SILENT_S = 30.0
"""After this long without an answer the agent has ended. A restart with the new key takes less."""

path_argument = click.argument("path", type=click.Path(path_type=Path, readable=False))


@click.group(cls=SuggestingGroup, epilog=examples("ikto key generate /etc/ikto/private.key", "ikto key rotate"))
def key() -> None:
    """Generate a private key, show its public key, or rotate the key of a running agent."""


@key.command(
    epilog=examples(
        "ikto key generate /etc/ikto/private.key",
    )
)
@path_argument
def generate(path: Path) -> None:
    """Write a new private key to PATH, which must not exist, and print its public key."""
    private_key = PrivateKey.generate()
    write_private_key(path, private_key)
    click.echo(private_key.public().text)


@key.command(
    epilog=examples(
        "ikto key show /etc/ikto/private.key",
    )
)
@path_argument
def show(path: Path) -> None:
    """Print the public key of the private key in PATH."""
    click.echo(load_private_key(path).public().text)


@key.command(
    epilog=examples(
        "ikto key rotate",
    )
)
@socket_option
@click.option("--no-wait", is_flag=True, help="Return at once; the agent completes the rotation by itself.")
def rotate(socket: Path | None, *, no_wait: bool) -> None:
    """Rotate the running agent's private key without interrupting traffic: peers learn the next key before its use."""
    client = AdminClient(socket)
    next_key = client.rotate_key().next_public_key
    click.echo(f"next public key: {next_key}")
    shown = ""
    while not no_wait and (status := _status(client)).public_key != next_key:
        if (now := progress(status, time.time())) != shown:
            click.echo(now)
        shown = now
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
    """Return one line on how far a rotation is; the text changes only when the rotation moves on."""
    if not status.nats.connected:
        return "waiting for NATS, which announces the next key to peers"
    if status.rotation is None or status.rotation.due_at is None:
        return "waiting for this node's record to be written with the next key"
    if now > status.rotation.due_at.timestamp():
        return "switching to the next key"
    return f"announced to peers; in use from {status.rotation.due_at.astimezone():%H:%M:%S}"
