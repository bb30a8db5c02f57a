"""`ikto bucket`: create, show, sweep and upgrade the mesh's bucket."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import SystemRandom
from typing import TypeVar

import click
import msgspec

from ikto_core.agent.from_config import nats_settings
from ikto_core.cli.logs import log_to_stderr
from ikto_core.cli.options import given_settings, json_option, setting_options
from ikto_core.config import Config, load_config
from ikto_core.lease.policy import WATCHED_SHARE, leased_records
from ikto_core.lease.reaper import LeaseReaper
from ikto_core.mesh.records import PEER_KEYS, allowed_ip_of_key
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, read_settings
from ikto_core.store.bucket import RENEWALS_SUFFIX, Bucket
from ikto_core.store.bucket_admin import create_bucket, create_renewals, upgrade_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import DEFAULT_INBOX

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., object])

SWEEP_EVERY_S = 60.0

NATS_SETTINGS = (
    "nats_url",
    "nats_kv",
    "nats_creds",
    "nats_user",
    "nats_password",
    "nats_token",
    "nats_nkey_seed",
    "nats_tls_ca",
    "nats_tls_cert",
    "nats_tls_key",
)
"""The settings that say where the bucket is and how to log in."""


@click.group()
def bucket() -> None:
    """Create, show, sweep or upgrade the mesh's bucket.

    `create` and `upgrade` need permission to manage NATS streams, which agents don't need.
    """
    log_to_stderr("error", as_json=False)


def _connection_options(command: Command) -> Command:
    """Give a command `-c FILE` and the options in NATS_SETTINGS."""
    path = click.Path(path_type=Path)
    help_text = "Configuration file for the settings not given as options."
    return click.option("-c", "--config", "config_path", metavar="FILE", type=path, help=help_text)(
        setting_options(*NATS_SETTINGS)(command)
    )


@bucket.command(short_help="Create the bucket, with the mesh's settings.")
@_connection_options
@setting_options("mesh_cidr", "subnet_prefix")
@click.option("--replicas", type=click.IntRange(1, 5), default=1, show_default=True, help="Replicas in a NATS cluster.")
@click.option("--memory", is_flag=True, help="Store the bucket in memory: a restart of NATS empties it.")
@click.option("--leases", is_flag=True, help="Also create the bucket in which nodes renew their leases.")
def create(config_path: Path | None, replicas: int, memory: bool, leases: bool, **settings: str | None) -> None:
    """Create the bucket and store the mesh's settings in it. Safe to repeat, for example to add --leases later."""
    config = _config(config_path, settings)
    mesh = MeshSettings(str(config.mesh), config.subnet_prefix)
    created = _with_bucket(config, lambda found: create_bucket(found, mesh, replicas=replicas, memory=memory))
    outcome = _OUTCOME[created]
    click.echo(f"{config.nats_kv}: {outcome}, mesh {config.mesh} in subnets of length {config.subnet_prefix}")
    if leases:
        click.echo(f"{config.nats_kv}{RENEWALS_SUFFIX}: {_OUTCOME[_with_bucket(config, create_renewals)]}, for leases")


_OUTCOME = {True: "created", False: "already exists"}


@bucket.command()
@_connection_options
@json_option
def show(config_path: Path | None, as_json: bool, **settings: str | None) -> None:
    """Show the bucket's settings and its mesh."""
    config = _config(config_path, settings)
    shown = _with_bucket(config, _describe)
    if as_json:
        click.echo(msgspec.json.encode(shown))
        return
    for name, value in shown.items():
        click.echo(f"{name.replace('_', ' ')}: {value}")


@bucket.command()
@_connection_options
@click.option(
    "--now", is_flag=True, help="Sweep once, by NATS timestamps alone. Only safe if NATS was up the whole time."
)
def sweep(config_path: Path | None, now: bool, **settings: str | None) -> None:
    """Remove records whose lease expired, until stopped. For meshes whose nodes may not remove other nodes' records."""
    _with_bucket(_config(config_path, settings), lambda found: _sweep(found, once=now))


async def _sweep(found: Bucket, *, once: bool) -> None:
    reaper = LeaseReaper(found, found.renewals(), slack_s=SWEEP_EVERY_S / 4, share=0 if once else WATCHED_SHARE)
    follower, due_s = Follower(lambda _: None, SystemRandom()), time.monotonic()
    while True:
        await follower.resync(found)
        await reaper.write_renewal("sweeper", b"")
        for record in await reaper.reap(leased_records(follower.table), time.monotonic(), due_s):
            click.echo(f"{allowed_ip_of_key(record.key)}: removed: its lease of {record.lease_s} s expired")
        if once:
            return
        due_s = time.monotonic() + SWEEP_EVERY_S
        await asyncio.sleep(SWEEP_EVERY_S)


@bucket.command(short_help="Make a bucket of Ikto 0.3.0 push its writes.")
@_connection_options
def upgrade(config_path: Path | None, **settings: str | None) -> None:
    """Make a bucket created for Ikto 0.3.0 republish its writes, so that agents receive each change as a push."""
    config = _config(config_path, settings)
    upgraded = _with_bucket(config, upgrade_bucket)
    click.echo(f"{config.nats_kv}: {'upgraded' if upgraded else 'nothing to do'}")


def _config(path: Path | None, settings: dict[str, str | None]) -> Config:
    overrides = {"private_address": "auto"} | given_settings(settings)  # required, but not used here
    return load_config(path, environ=os.environ, overrides=overrides)


def _with_bucket(config: Config, use: Callable[[Bucket], Awaitable[T]]) -> T:
    """Connect, and return the result of `use`."""

    async def connected() -> T:
        settings = msgspec.structs.replace(nats_settings(config, "bucket"), inbox=DEFAULT_INBOX)
        async with open_session(settings, SystemRandom()) as session:
            return await use(Bucket(session, config.nats_kv))

    return asyncio.run(connected())


async def _describe(found: Bucket) -> dict[str, object]:
    stream = await found.stream_info()
    follower = Follower(lambda _: None, SystemRandom())
    await follower.resync(found)
    settings = read_settings(follower.table.get(MESH_KEY))
    records = [key for key, entry in follower.table.items() if key.startswith(PEER_KEYS) and entry.value is not None]
    return {
        "bucket": found.name,
        "mesh_cidr": settings.mesh_cidr if settings else None,
        "subnet_prefix": settings.subnet_prefix if settings else None,
        "records": len(records),
        "revision": stream.state.last_seq,
        "replicas": stream.config.num_replicas,
        "storage": stream.config.storage,
        "history": stream.config.max_msgs_per_subject,
        "follows_by_push": found.republishes_writes(stream),
        "created": stream.created,
    }
